"""Subgraphs in this process: a fetch runs their schema directly, without HTTP or JSON."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import TYPE_CHECKING

from graphql import ExecutionResult
from starlette.routing import Router

from gateway.federation.transport import SubgraphError, SubgraphRequest, SubgraphResponse
from gateway.transports.forwarding import ForwardedRequest, ForwardedResponse
from shared.deadline import remaining
from shared.graphql import format_error
from shared.logger import get_logger, service_name
from shared.subgraph_service import InvalidOperation, PreparedOperation, SubgraphService
from shared.telemetry import tracer

if TYPE_CHECKING:
    from starlette.types import Message, Scope

    from gateway.context import RequestContext
    from shared.auth import Identity
    from shared.subgraph import Subgraph

__all__ = ["LocalTransport"]

logger = get_logger(__name__)


class LocalTransport:
    """Runs fetches on subgraphs of this process, each under its own name in logs."""

    def __init__(self, subgraphs: Iterable[Subgraph], *, timeout_seconds: float = 30.0) -> None:
        subgraphs = list(subgraphs)
        self._services = {each.name: SubgraphService(each) for each in subgraphs}
        self._routers = {each.name: Router(list(each.routes)) for each in subgraphs}
        self._timeout_seconds = timeout_seconds

    async def execute(self, request: SubgraphRequest) -> SubgraphResponse:
        """The answer, within what remains of the request's time."""
        fetch = request.fetch
        context: RequestContext = request.context
        service, operation = self._prepare(request)
        with tracer.start_as_current_span(f"fetch {fetch.subgraph}"):
            name = service_name.set(fetch.subgraph)
            try:
                async with asyncio.timeout(remaining(self._timeout_seconds)):
                    result = await service.run(operation, request.variables, context.identity)
            except TimeoutError as error:
                raise _timed_out(fetch.subgraph) from error
            finally:
                service_name.reset(name)
            return _response(result)

    async def subscribe(self, request: SubgraphRequest) -> AsyncIterator[SubgraphResponse]:
        """One response per event, without a time limit."""
        service, operation = self._prepare(request)
        context: RequestContext = request.context
        stream = await service.open(operation, request.variables, context.identity)
        if isinstance(stream, ExecutionResult):
            yield _response(stream)
            return
        try:
            async for result in stream:
                yield _response(result)
        finally:
            close = getattr(stream, "aclose", None)
            if close is not None:
                await close()

    async def forward(
        self, subgraph: str, request: ForwardedRequest, identity: Identity
    ) -> ForwardedResponse:
        """Hand a REST request to one of the subgraph's routes."""
        router = self._routers.get(subgraph)
        if router is None:
            raise SubgraphError(f"There is no subgraph {subgraph}.")
        return await _call(router, _scope(request, identity), request.body)

    async def close(self) -> None:
        """Nothing is held here: the subgraphs are closed by who made them."""

    def _prepare(self, request: SubgraphRequest) -> tuple[SubgraphService, PreparedOperation]:
        fetch = request.fetch
        service = self._services.get(fetch.subgraph)
        if service is None:
            raise SubgraphError(f"There is no subgraph {fetch.subgraph}.")
        try:
            return service, service.prepare(fetch.document, fetch.operation_name)
        except InvalidOperation as error:
            # The plan and the subgraph's schema disagree: the supergraph is out of date.
            logger.exception("fetch.invalid", subgraph=fetch.subgraph, document=fetch.document)
            raise SubgraphError(f"{fetch.subgraph} does not understand the question.") from error


def _timed_out(subgraph: str) -> SubgraphError:
    return SubgraphError(f"{subgraph} did not answer in time.", code="DOWNSTREAM_TIMEOUT")


def _response(result: ExecutionResult) -> SubgraphResponse:
    if not result.errors:
        return SubgraphResponse(result.data)
    return SubgraphResponse(result.data, tuple(format_error(error) for error in result.errors))


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
        finally:
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
