"""Subgraphs in this process: a fetch runs their schema directly, without HTTP or JSON."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING

from starlette.routing import Router

from gateway.federation.transport import SubgraphError, SubgraphRequest, SubgraphResponse
from gateway.transports.forwarding import ForwardedRequest, ForwardedResponse
from shared.deadline import remaining
from shared.protocols.lifetime import closing
from shared.protocols.service import GraphQLRequest, GraphQLResult
from shared.telemetry import span

if TYPE_CHECKING:
    from starlette.routing import BaseRoute
    from starlette.types import Message, Scope

    from gateway.context import RequestContext
    from shared.auth import Identity
    from shared.protocols.service import GraphQLService

__all__ = ["LocalTransport"]


class LocalTransport:
    """Runs fetches on subgraphs of this process."""

    def __init__(
        self,
        services: Mapping[str, GraphQLService[Identity]],
        *,
        routes: Mapping[str, Sequence[BaseRoute]] | None = None,
        timeout_seconds: float = 30.0,
    ) -> None:
        self._services = services
        self._routers = {name: Router(list(found)) for name, found in (routes or {}).items()}
        self._timeout_seconds = timeout_seconds

    async def execute(self, request: SubgraphRequest) -> SubgraphResponse:
        """The answer, within what remains of the request's time."""
        name = request.fetch.subgraph
        service = self._service(name)
        with span(f"fetch {name}"):
            try:
                async with asyncio.timeout(remaining(self._timeout_seconds)):
                    result = await service.execute(_question(request), request.context.identity)
            except TimeoutError as error:
                message = f"{name} did not answer in time."
                raise SubgraphError(message, code="DOWNSTREAM_TIMEOUT") from error
        return _response(result)

    async def subscribe(self, request: SubgraphRequest) -> AsyncIterator[SubgraphResponse]:
        """One response per event, without a time limit."""
        service = self._service(request.fetch.subgraph)
        stream = await service.subscribe(_question(request), request.context.identity)
        if isinstance(stream, GraphQLResult):
            yield _response(stream)
            return
        try:
            async for result in stream:
                yield _response(result)
        finally:
            await closing(stream)

    async def forward(
        self, subgraph: str, request: ForwardedRequest, context: RequestContext
    ) -> ForwardedResponse:
        """Hand a REST request to one of the subgraph's routes."""
        router = self._routers.get(subgraph)
        if router is None:
            raise SubgraphError(f"There is no subgraph {subgraph}.")
        return await _call(router, _scope(request, context.identity), request.body)

    async def close(self) -> None:
        """Nothing is held here: the subgraphs are closed by who made them."""

    def _service(self, subgraph: str) -> GraphQLService[Identity]:
        service = self._services.get(subgraph)
        if service is None:
            raise SubgraphError(f"There is no subgraph {subgraph}.")
        return service


def _question(request: SubgraphRequest) -> GraphQLRequest:
    fetch = request.fetch
    return GraphQLRequest(fetch.document, fetch.operation_name, request.variables)


def _response(result: GraphQLResult) -> SubgraphResponse:
    return SubgraphResponse(result.data, tuple(result.errors), result.extensions)


def _scope(request: ForwardedRequest, identity: Identity) -> Scope:
    path, _, query = request.path.partition("?")
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [
            (name.lower().encode("latin-1"), value.encode("latin-1"))
            for name, value in request.headers.items()
        ],
        "client": None,
        "server": None,
        "state": {"identity": identity},
    }


async def _call(app: Router, scope: Scope, body: bytes) -> ForwardedResponse:
    """Run an ASGI application; its response is passed on while it is being made."""
    messages: asyncio.Queue[Message | None] = asyncio.Queue(1)
    unread = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        if unread:
            return unread.pop()
        return await asyncio.Future()

    async def run() -> None:
        try:
            await app(scope, receive, messages.put)
        except Exception:
            await messages.put(None)
            raise
        await messages.put(None)

    task = asyncio.create_task(run())
    start = await messages.get()
    if start is None:
        await task
        raise RuntimeError("a route ended without a response")
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in start["headers"]}
    return ForwardedResponse(start["status"], headers, _body(messages, task))


async def _body(
    messages: asyncio.Queue[Message | None], task: asyncio.Task[None]
) -> AsyncIterator[bytes]:
    try:
        while (message := await messages.get()) is not None:
            if message.get("body"):
                yield message["body"]
        await task
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait([task])
