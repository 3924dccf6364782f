"""A gateway for any standard supergraph over HTTP subgraphs, with none of our domain around it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route, WebSocketRoute

from gateway import health
from gateway.context import RequestContext, operation_of, remember
from gateway.pipeline import Pipeline
from gateway.propagation import Propagation
from gateway.reloading import Reloading, source_of
from gateway.runtime import Runtime
from gateway.security.headers import SecurityHeaders, cors
from gateway.security.limits import Limits
from gateway.transports.http import HttpTransport, SubgraphEndpoint
from gateway.transports.traffic import CircuitBreakers, Traffic
from shared.observation import Observed
from shared.protocols.endpoint import GraphQLEndpoint
from shared.protocols.http import GraphQLHTTP
from shared.protocols.sse import EventStreams
from shared.protocols.websocket import GraphQLWebSocket
from shared.telemetry import metrics

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

    from gateway.federation.supergraph import Supergraph

__all__ = ["create"]

_LIMITS = Limits(
    tokens=15_000, depth=100, aliases=1_000, root_fields=1_000, fields=5_000, directives=500
)
_FORWARDED = ("authorization", "accept-language", "cookie")


async def create(
    location: str,
    *,
    draining: asyncio.Event,
    timeout_seconds: float = 30.0,
    max_body_bytes: int = 2_000_000,
    introspection: bool = True,
    allowed_origins: Sequence[str] = (),
    propagation: Propagation | None = None,
    watch_seconds: float = 1.0,
) -> Starlette:
    """The gateway of the supergraph at a path or an http(s) address, which is watched.

    Subgraphs are asked at the addresses in the supergraph, and get the headers
    of the client that ``propagation`` lets through.  Nobody is identified here, so
    all that the supergraph protects (`@authenticated`, `@requiresScopes`, `@policy`)
    is refused to every caller, whatever headers they send.  Raises `SupergraphError` or
    `SourceUnavailable` when there is nothing to serve.
    """
    breakers = CircuitBreakers()
    rules = propagation or Propagation.named(*_FORWARDED)

    def headers(context: RequestContext, subgraph: str) -> Mapping[str, str]:
        return rules.to_subgraph(context.headers, subgraph)

    def make_runtime(supergraph: Supergraph) -> Runtime:
        endpoints = {
            name: SubgraphEndpoint(info.url) for name, info in supergraph.subgraphs.items()
        }
        transport = Traffic(
            HttpTransport(endpoints, headers, timeout_seconds=timeout_seconds), breakers
        )
        return Runtime(supergraph, transport, limits=_LIMITS, hide_suggestions=not introspection)

    reloading = Reloading(source_of(location), make_runtime, interval_seconds=watch_seconds)
    pipeline = Pipeline(
        await reloading.first(), introspection=introspection, timeout_seconds=timeout_seconds
    )

    def context_of(headers: Mapping[str, str]) -> RequestContext:
        return RequestContext(headers=headers, audience=rules.audience(headers))

    async def from_request(connection: HTTPConnection) -> RequestContext:
        context = context_of(dict(connection.headers))
        remember(context, connection.scope)
        return context

    async def from_init(
        connection: HTTPConnection, payload: Mapping[str, object]
    ) -> RequestContext:
        # Browsers cannot set headers on a socket; its init message carries them.
        given = {name.lower(): value for name, value in payload.items() if isinstance(value, str)}
        return context_of({**dict(connection.headers), **given})

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        watching = asyncio.create_task(reloading.watch(pipeline))
        yield
        watching.cancel()
        await asyncio.wait([watching])
        await pipeline.close()

    endpoint = GraphQLEndpoint(
        http=GraphQLHTTP(pipeline, from_request, max_body_bytes=max_body_bytes, draining=draining),
        websocket=GraphQLWebSocket(
            pipeline,
            from_init,
            max_message_bytes=max_body_bytes,
            allowed_origins=allowed_origins,
            draining=draining,
        ),
        event_streams=EventStreams(
            pipeline, from_request, max_body_bytes=max_body_bytes, draining=draining
        ),
    )
    ready = health.Ready({}, draining).respond
    return Starlette(
        routes=[
            Route("/graphql", endpoint),
            WebSocketRoute("/graphql", endpoint),
            Route("/health", ready),
            Route("/health/live", health.live),
            Route("/health/ready", ready),
            Route("/metrics", metrics),
        ],
        middleware=[
            Middleware(
                Observed,
                service="gateway",
                timeout_seconds=timeout_seconds,
                operation=operation_of,
            ),
            Middleware(SecurityHeaders),
            *([cors(allowed_origins)] if allowed_origins else []),
        ],
        lifespan=lifespan,
    )
