"""A subgraph as the gateway, a server and a worker see it.

`Subgraph` is what each domain's ``create(settings, redis)`` returns.  Its
`service` answers operations for an `Identity`: the gateway's local transport
calls it directly, `serve` puts it behind HTTP for callers that carry the
gateway's signature.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from graphql import ExecutionResult, OperationType
from prometheus_client import Counter
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute

from shared.aside import Aside
from shared.errors import NexusError, Unauthenticated
from shared.execution import Executor, PreparedOperation
from shared.graphql import format_error
from shared.headers import headers_of
from shared.logger import service_name
from shared.observation import Observed
from shared.protocols.endpoint import GraphQLEndpoint, Shortcut
from shared.protocols.http import GraphQLHTTP
from shared.protocols.problem_details import problem
from shared.protocols.problems import error_entry, refusal
from shared.protocols.service import GraphQLRequest, GraphQLResult
from shared.protocols.websocket import GraphQLWebSocket
from shared.telemetry import LoopLag, metrics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.routing import BaseRoute
    from starlette.types import ASGIApp, Receive, Scope, Send
    from strawberry.federation.schema import Schema

    from shared.auth import Identity, ServiceTokens
    from shared.config import Settings
    from shared.worker import Worker

__all__ = ["Subgraph", "SubgraphService", "ready", "serve"]

_CHECK_SECONDS = 2.0
_LONG = 300
"""Documents of more characters are compiled beside the loop."""
_MOST_WAITING = 100
_MOST_CHARACTERS_WAITING = 1_000_000
"""How many new documents may wait for that."""

FALLBACKS = Counter(
    "graphql_execution_fallbacks_total",
    "Documents that could not be compiled and run on graphql-core.",
    ("service",),
)


class SubgraphService:
    """Answers operations on one schema, for a caller who is known.

    A document is parsed, validated and compiled when it is first seen.
    """

    def __init__(self, name: str, schema: Schema, make_context: Callable[[Identity], Any]) -> None:
        self._name = name
        self._make_context = make_context
        self._executor = Executor(schema, on_fallback=lambda _: FALLBACKS.labels(name).inc())
        self._aside = Aside(most=_MOST_WAITING, size=_MOST_CHARACTERS_WAITING)

    async def execute(self, request: GraphQLRequest, context: Identity) -> GraphQLResult:
        """Answer a query or a mutation; a subscription is refused."""
        prepared = self._executor.known(request.query, request.operation_name)
        if prepared is None:
            try:
                prepared = await self._prepare(request)
            except NexusError as error:
                return refusal(error)
        if prepared.errors:
            return _invalid(prepared)
        kind = prepared.type
        if kind is OperationType.SUBSCRIPTION:
            return _refused("Subscribe over WebSocket or as an event stream.", "BAD_REQUEST", 400)
        if kind is OperationType.MUTATION and request.read_only:
            return _refused("GET requests may not change anything.", "METHOD_NOT_ALLOWED", 405)
        with _Named(self._name):
            return _result(
                await prepared.execute(
                    variables=request.variables, context=self._make_context(context)
                )
            )

    async def subscribe(
        self, request: GraphQLRequest, context: Identity
    ) -> GraphQLResult | AsyncIterator[GraphQLResult]:
        """Open a subscription's stream; answer anything else like `execute`."""
        try:
            prepared = await self._prepare(request)
        except NexusError as error:
            return refusal(error)
        if prepared.errors or prepared.type is not OperationType.SUBSCRIPTION:
            return await self.execute(request, context)
        with _Named(self._name):
            stream = await prepared.subscribe(
                variables=request.variables, context=self._make_context(context)
            )
        if isinstance(stream, ExecutionResult):
            return _result(stream)
        return _results(stream)

    async def _prepare(self, request: GraphQLRequest) -> PreparedOperation:
        """The operation; a long one is compiled beside the loop.

        Raises a `NexusError` if too many wait for that, or it takes too long.
        """
        executor, text, name = self._executor, request.query, request.operation_name
        if len(text) <= _LONG:
            return executor.prepare(text, name)
        known = executor.known(text, name)
        if known is None:
            known = await self._aside.once((text, name), len(text), executor.make, text, name)
            executor.keep(text, name, known)
        return known


class _Named:
    """Marks log lines inside the block as this subgraph's: several may share a process."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        self._token = service_name.set(self._name)

    def __exit__(self, *_: object) -> None:
        service_name.reset(self._token)


def _refused(message: str, code: str, status: int) -> GraphQLResult:
    return GraphQLResult(errors=[error_entry(message, code=code)], status=status)


def _invalid(prepared: PreparedOperation) -> GraphQLResult:
    parsed = prepared.document is not None
    code = "GRAPHQL_VALIDATION_FAILED" if parsed else "GRAPHQL_PARSE_FAILED"
    entries = [{**error.formatted, "extensions": {"code": code}} for error in prepared.errors]
    return GraphQLResult(errors=entries, status=400)


def _result(result: ExecutionResult) -> GraphQLResult:
    return GraphQLResult(data=result.data, errors=[format_error(e) for e in result.errors or ()])


async def _results(stream: Any) -> AsyncIterator[GraphQLResult]:
    try:
        async for result in stream:
            yield _result(result)
    except NexusError as error:
        # The stream ends here, and its reader is told why.
        yield refusal(error)
    finally:
        await stream.aclose()


async def _nothing() -> None:
    """A subgraph that holds nothing has nothing to give up."""


@dataclass(frozen=True, slots=True)
class Subgraph:
    """One domain, ready to serve.

    ``make_context`` gives the resolvers' ``info.context`` for a caller.
    ``routes`` are its REST edges (webhooks), ``worker`` its background work,
    ``checks`` what must answer for it to be ready, ``close`` gives up what it
    holds.
    """

    name: str
    schema: Schema
    make_context: Callable[[Identity], Any]
    worker: Worker | None = None
    checks: Mapping[str, Callable[[], Awaitable[None]]] = field(default_factory=dict)
    close: Callable[[], Awaitable[None]] = _nothing
    routes: Sequence[BaseRoute] = ()
    service: SubgraphService = field(init=False)

    def __post_init__(self) -> None:
        service = SubgraphService(self.name, self.schema, self.make_context)
        object.__setattr__(self, "service", service)


async def ready(checks: Mapping[str, Callable[[], Awaitable[None]]]) -> dict[str, str]:
    """What each check found: ``ok``, or why not."""
    results = await asyncio.gather(*(_found(check) for check in checks.values()))
    return dict(zip(checks, results, strict=True))


async def _found(check: Callable[[], Awaitable[None]]) -> str:
    try:
        async with asyncio.timeout(_CHECK_SECONDS):
            await check()
    except Exception as error:  # noqa: BLE001 - whatever it is, that is the answer
        return type(error).__name__
    return "ok"


def serve(
    subgraph: Subgraph,
    settings: Settings,
    tokens: ServiceTokens,
    *,
    draining: asyncio.Event,
    leaving: asyncio.Event | None = None,
) -> Starlette:
    """The subgraph as a server of its own.

    ``/graphql`` and the subgraph's routes answer only to callers with a token
    that the gateway signed for this subgraph; others are refused before GraphQL
    is reached.  Streams end when ``draining`` is set; readiness is off from when
    ``leaving`` is, or, without one, from then.
    """
    leaving = leaving or draining

    def identify(authorization: str) -> Identity:
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Unauthenticated("Calls to this service must be signed by the gateway.")
        return tokens.verify(token, subgraph=subgraph.name)

    async def from_request(connection: HTTPConnection) -> Identity:
        return identify(headers_of(connection.scope).get("authorization", ""))

    async def from_init(_: HTTPConnection, payload: Mapping[str, Any]) -> Identity:
        return identify(str(payload.get("authorization", "")))

    async def live(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def is_ready(_: Request) -> Response:
        found = await ready(subgraph.checks)
        status = "ok" if set(found.values()) <= {"ok"} else "unavailable"
        if leaving.is_set():
            status = "draining"
        return JSONResponse(
            {"status": status, "checks": found}, status_code=200 if status == "ok" else 503
        )

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with LoopLag(subgraph.name):
            yield
        await subgraph.close()

    endpoint = GraphQLEndpoint(
        http=GraphQLHTTP(
            subgraph.service,
            from_request,
            max_body_bytes=20 * settings.http.max_body_bytes,
            draining=draining,
        ),
        websocket=GraphQLWebSocket(subgraph.service, from_init, draining=draining),
    )
    return Starlette(
        routes=[
            Route("/health/live", live),
            Route("/health/ready", is_ready),
            Route("/metrics", metrics),
            *(_signed(route, identify) for route in subgraph.routes),
            Route("/graphql", endpoint),
            WebSocketRoute("/graphql", endpoint),
        ],
        middleware=[
            Middleware(
                Observed,
                service=subgraph.name,
                timeout_seconds=settings.http.request_timeout_seconds,
                inherits_deadline=True,
            ),
            Middleware(Shortcut, path="/graphql", endpoint=endpoint),
        ],
        lifespan=lifespan,
    )


class _Signed:
    """An ASGI application that only the gateway may call."""

    def __init__(self, inner: ASGIApp, identify: Callable[[str], Identity]) -> None:
        self._inner = inner
        self._identify = identify

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._inner
        try:
            self._identify(headers_of(scope).get("x-nexus-service", ""))
        except NexusError as error:
            app = problem(error)
        await app(scope, receive, send)


def _signed(route: BaseRoute, identify: Callable[[str], Identity]) -> BaseRoute:
    assert isinstance(route, Route)
    return Route(route.path, _Signed(route.app, identify), methods=list(route.methods or ["POST"]))
