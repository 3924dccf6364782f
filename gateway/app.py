"""Puts the gateway together: settings in, an ASGI application out.

As a monolith the subgraphs are made here too, from their import strings; as
services they are reached over HTTP, with calls that the gateway signs.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route, WebSocketRoute

from gateway import health
from gateway.context import RequestContext, client_of, operation_of
from gateway.cost import CostLimits
from gateway.documents import Documents, MemoryStore, read_manifests
from gateway.explain import HEADER as EXPLAIN_HEADER
from gateway.explain import may_explain
from gateway.federation.supergraph import Supergraph, SupergraphError
from gateway.ide import IdePage, asset_route
from gateway.identity import Callers, ask_orgs, context_of
from gateway.pipeline import Pipeline
from gateway.refusals import warn_of_the_ungranted
from gateway.reloading import Reloading, Source, SourceUnavailable, read_now, shown, source_of
from gateway.rest import openapi, privacy, webhooks
from gateway.rest.operations import routes as rest_routes
from gateway.rest.subgraphs import asking
from gateway.runtime import Runtime, Transport
from gateway.security.headers import SECURITY_HEADERS, cors
from gateway.security.limits import LIMITS, Limits, body_limit
from gateway.shared_documents import SharedStore
from gateway.transports.http import HttpTransport, SubgraphEndpoint
from gateway.transports.local import LocalTransport
from gateway.transports.memberships import FreshMemberships
from gateway.transports.reconnecting import Patience
from gateway.transports.traffic import CircuitBreakers, Traffic
from shared.access_lists import AccessLists
from shared.auth import AccessTokens, ServiceTokens, Signer, Verifier
from shared.cache import connect
from shared.config import SUBGRAPHS, ConfigurationError, required
from shared.headers import headers_of
from shared.observation import Observed
from shared.protocols.endpoint import GraphQLEndpoint, Shortcut
from shared.protocols.http import GraphQLHTTP
from shared.protocols.openings import Openings
from shared.protocols.sse import EventStreams
from shared.protocols.websocket import GraphQLWebSocket
from shared.telemetry import LoopLag, metrics

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection, Request
    from starlette.types import ASGIApp

    from shared.cache import Redis
    from shared.config import Settings
    from shared.subgraph import Subgraph

__all__ = ["create"]

_FACTORY = "subgraphs.{}.app"
_LACKING = {
    "requiresScopes": "scopes: the users subgraph's tokens have none",
    "policy": "policies: only `nexus gateway` can be told who decides on them",
}
"""What this gateway's callers cannot have: who they are and their memberships are all it knows."""


def create(
    settings: Settings,
    *,
    draining: asyncio.Event | None = None,
    leaving: asyncio.Event | None = None,
) -> Starlette:
    """The gateway; nothing is connected before it is served.

    Set ``draining`` before stopping the server: streams end, so that their
    clients connect elsewhere.  Readiness is off from when ``leaving`` is set, or,
    without one, from then.
    """
    draining = draining or asyncio.Event()
    redis = connect(settings.redis)
    source = source_of(settings.supergraph)
    supergraph = _supergraph(settings.supergraph, source)
    subgraphs = _subgraphs(settings, redis) if settings.mode == "monolith" else []

    breakers = CircuitBreakers()

    def make_runtime(supergraph: Supergraph) -> Runtime:
        warn_of_the_ungranted(supergraph, _LACKING)
        inner = _transport(settings, supergraph, subgraphs, breakers)
        transport = FreshMemberships(inner, ask_orgs(lambda: inner))
        return Runtime(
            supergraph,
            transport,
            limits=_limits(settings),
            costs=_costs(settings),
            hide_suggestions=not settings.graphql.introspection,
        )

    pipeline = _pipeline(settings, make_runtime(supergraph), redis)
    reloading = Reloading(
        source, make_runtime, interval_seconds=settings.supergraph_interval_seconds
    )
    callers = _callers(settings, redis, pipeline)
    ready = health.Ready(
        {"redis": redis.ping},
        leaving or draining,
        parts=lambda: _parts(subgraphs) or health.subgraphs_of(pipeline),
        needs_a_part=bool(subgraphs),
        supergraph=lambda: reloading.state,
    )

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            stack.push_async_callback(redis.aclose)
            for subgraph in subgraphs:
                stack.push_async_callback(subgraph.close)
            stack.push_async_callback(pipeline.close)
            await stack.enter_async_context(LoopLag("gateway"))
            await stack.enter_async_context(_running(reloading.watch(pipeline)))
            if settings.embedded_worker:
                await stack.enter_async_context(_working(subgraphs))
            yield

    endpoint = _endpoint(settings, pipeline, callers, draining)
    return Starlette(
        routes=[
            Route("/graphql", endpoint),
            WebSocketRoute("/graphql", endpoint),
            *_rest(pipeline, callers, ready),
            Route("/metrics", metrics),
            *([asset_route()] if settings.graphql.ide else []),
        ],
        middleware=[
            Middleware(
                Observed,
                service="gateway",
                timeout_seconds=settings.http.request_timeout_seconds,
                operation=operation_of,
                client=client_of,
                headers=SECURITY_HEADERS,
            ),
            *([cors(settings.http.allowed_origins)] if settings.http.allowed_origins else []),
            Middleware(Shortcut, path="/graphql", endpoint=endpoint),
        ],
        lifespan=lifespan,
    )


def _rest(pipeline: Pipeline, callers: Callers, ready: health.Ready) -> list[Route]:
    def transport() -> Any:
        return pipeline.runtime.transport

    async def identify(request: Request) -> RequestContext:
        return await context_of(request, callers)

    described = (
        *health.operations(ready),
        *privacy.operations(asking(transport), identify),
        *webhooks.operations(transport),
    )
    document = openapi.document(described)
    return [*rest_routes(described), Route("/openapi.json", openapi.serve(document))]


def _supergraph(location: str, source: Source) -> Supergraph:
    try:
        return Supergraph.from_sdl(read_now(source))
    except SourceUnavailable as error:
        raise ConfigurationError(str(error)) from error
    except SupergraphError as error:
        raise ConfigurationError(f"{shown(location)}: {error}") from error


def _subgraphs(settings: Settings, redis: Redis) -> list[Subgraph]:
    made: list[Subgraph] = []
    for name in SUBGRAPHS:
        module: Any = import_module(_FACTORY.format(name))
        made.append(module.create(settings, redis))
    return made


def _transport(
    settings: Settings,
    supergraph: Supergraph,
    subgraphs: list[Subgraph],
    breakers: CircuitBreakers,
) -> Transport:
    timeout = settings.http.request_timeout_seconds
    if subgraphs:
        return LocalTransport(
            {each.name: each.service for each in subgraphs},
            routes={each.name: each.routes for each in subgraphs},
            timeout_seconds=timeout,
        )
    key = required(
        settings.service_auth.signing_key, "SERVICE_AUTH__SIGNING_KEY", "signs calls to subgraphs"
    )
    tokens = ServiceTokens(ttl_seconds=settings.service_auth.ttl_seconds, signer=Signer(key))

    def headers(context: RequestContext, subgraph: str) -> Mapping[str, str]:
        token = tokens.sign(context.identity, subgraph=subgraph)
        return {"authorization": f"Bearer {token}"}

    endpoints = {
        name: SubgraphEndpoint(settings.subgraph(name).url or info.url)
        for name, info in supergraph.subgraphs.items()
    }
    return Traffic(
        HttpTransport(endpoints, headers, timeout_seconds=timeout),
        breakers,
        patience=Patience(settings.streams.reconnects, settings.streams.reconnect_pause_seconds),
    )


def _limits(settings: Settings) -> Limits:
    graphql = settings.graphql
    return Limits(
        characters=graphql.max_characters,
        tokens=graphql.max_tokens,
        depth=graphql.max_depth,
        aliases=graphql.max_aliases,
        root_fields=graphql.max_root_fields,
        fields=graphql.max_fields,
        directives=graphql.max_directives,
        values=graphql.max_values,
        measured=graphql.measured_limits if graphql.enforce_limits else LIMITS,
    )


def _costs(settings: Settings) -> CostLimits:
    cost = settings.graphql.cost
    return CostLimits(
        mode=cost.mode,
        most=cost.max,
        actual=cost.actual,
        list_size=cost.list_size,
        subgraphs=cost.subgraphs,
        exposed=cost.expose or settings.graphql.explain,
    )


def _pipeline(settings: Settings, runtime: Runtime, redis: Redis) -> Pipeline:
    return Pipeline(
        runtime,
        introspection=settings.graphql.introspection,
        switched_on_labels=settings.graphql.override_labels,
        timeout_seconds=settings.http.request_timeout_seconds,
        documents=_documents(settings, redis),
        most_waiting=settings.streams.max_waiting,
    )


def _documents(settings: Settings, redis: Redis) -> Documents:
    graphql = settings.graphql
    manifest = graphql.trusted_documents
    return Documents(
        trusted=read_manifests([manifest] if manifest is not None else []),
        mode=graphql.untrusted_documents,
        automatic=SharedStore(redis, MemoryStore()) if graphql.automatic_documents else None,
    )


def _callers(settings: Settings, redis: Redis, pipeline: Pipeline) -> Callers:
    auth = settings.auth
    verifier = (
        Verifier(auth.verification_keys.get_secret_value())
        if auth.verification_keys is not None
        else Verifier(
            Signer(
                required(auth.signing_key, "AUTH__VERIFICATION_KEYS", "verifies access tokens")
            ).public_pem
        )
    )
    tokens = AccessTokens(
        issuer=auth.issuer, ttl_seconds=auth.access_ttl_seconds, signer=None, verifier=verifier
    )
    return Callers(tokens, AccessLists(redis), ask_orgs(lambda: pipeline.runtime.transport))


def _endpoint(
    settings: Settings, pipeline: Pipeline, callers: Callers, draining: asyncio.Event
) -> ASGIApp:
    async def from_request(connection: HTTPConnection) -> RequestContext:
        context = await context_of(connection, callers)
        context.explain = may_explain(
            headers_of(connection.scope).get(EXPLAIN_HEADER),
            secret=settings.secret_key.get_secret_value(),
            freely=settings.graphql.explain,
        )
        return context

    async def from_init(connection: HTTPConnection, payload: Mapping[str, Any]) -> RequestContext:
        return await context_of(connection, callers, payload)

    most, streams = settings.http.max_body_bytes, settings.streams
    openings = Openings(
        draining, most=streams.max_connections, lifetime_seconds=streams.max_lifetime_seconds
    )
    body = body_limit(most, _limits(settings))
    endpoint: ASGIApp = GraphQLEndpoint(
        http=GraphQLHTTP(
            pipeline,
            from_request,
            max_body_bytes=body,
            batch_limit=settings.graphql.batch_limit,
            compress_from=settings.http.compress_from_bytes,
            openings=openings,
        ),
        websocket=GraphQLWebSocket(
            pipeline,
            from_init,
            expires_at=lambda context: context.expires_at,
            max_message_bytes=most,
            max_operations=streams.max_operations,
            idle_seconds=streams.idle_seconds,
            allowed_origins=settings.http.allowed_origins,
            openings=openings,
        ),
        event_streams=EventStreams(
            pipeline,
            from_request,
            max_body_bytes=body,
            max_operations=streams.max_operations,
            max_waiting_events=streams.max_waiting,
            openings=openings,
        ),
    )
    return IdePage(endpoint) if settings.graphql.ide else endpoint


def _parts(subgraphs: list[Subgraph]) -> dict[str, health.Check]:
    return {subgraph.name: health.all_of(subgraph.checks) for subgraph in subgraphs}


@asynccontextmanager
async def _running(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


@asynccontextmanager
async def _working(subgraphs: list[Subgraph]) -> AsyncIterator[None]:
    """Run the subgraphs' background work in this process."""
    stop = asyncio.Event()
    tasks = [
        asyncio.create_task(subgraph.worker.run(stop), name=f"worker-{subgraph.name}")
        for subgraph in subgraphs
        if subgraph.worker is not None
    ]
    try:
        yield
    finally:
        stop.set()
        if tasks:
            await asyncio.wait(tasks)
