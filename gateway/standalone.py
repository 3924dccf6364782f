"""A gateway for any standard supergraph over HTTP subgraphs, with none of our domain around it."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route, WebSocketRoute

from gateway import health, propagation
from gateway.authentication import Authentication, Issuer, Policies, decide_by_name
from gateway.configuration import Configuration, http_address
from gateway.context import RequestContext, client_of, operation_of, remember
from gateway.cost import CostLimits
from gateway.documents import Documents, DocumentStore, MemoryStore, read_manifests
from gateway.explain import HEADER as EXPLAIN_HEADER
from gateway.explain import may_explain
from gateway.federation.supergraph import SupergraphError
from gateway.identity import client_in
from gateway.keys import KeySet
from gateway.pipeline import Pipeline
from gateway.propagation import Propagation, ReturnedHeaders, ReturnPropagation
from gateway.refusals import Refusals, warn_of_the_ungranted
from gateway.reloading import (
    FileSource,
    Reloading,
    Source,
    SourceUnavailable,
    UrlSource,
    is_address,
)
from gateway.runtime import Runtime
from gateway.security.headers import SECURITY_HEADERS, cors
from gateway.security.limits import Limits, body_limit
from gateway.shared_documents import SharedStore
from gateway.transports.http import HttpTransport, SubgraphEndpoint
from gateway.transports.reconnecting import Patience
from gateway.transports.traffic import CircuitBreakers, Traffic
from shared.auth import Identity
from shared.cache import connect
from shared.config import ConfigurationError, RedisSettings
from shared.headers import headers_of
from shared.logger import get_logger
from shared.observation import Observed
from shared.protocols.endpoint import GraphQLEndpoint, Shortcut
from shared.protocols.http import GraphQLHTTP
from shared.protocols.openings import Openings
from shared.protocols.sse import EventStreams
from shared.protocols.websocket import GraphQLWebSocket
from shared.telemetry import metrics

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection
    from starlette.types import ASGIApp

    from gateway import configuration as config
    from gateway.federation.supergraph import Supergraph
    from shared.cache import Redis
    from shared.protocols.service import GraphQLService

__all__ = ["create"]

logger = get_logger(__name__)


async def create(
    location: str,
    configuration: Configuration | None = None,
    *,
    draining: asyncio.Event,
    leaving: asyncio.Event | None = None,
) -> Starlette:
    """The gateway of the supergraph at a path or an http(s) address, which is watched.

    Subgraphs are asked at the addresses in the supergraph or in ``configuration``, and
    get the headers of the client that its rules let through.  Callers are known by their
    tokens if ``configuration`` names issuers; otherwise all that the supergraph protects
    (`@authenticated`, `@requiresScopes`, `@policy`) is refused to everybody.  Streams end
    when ``draining`` is set; readiness is off from when ``leaving`` is, or, without one, from
    then.  Raises `SupergraphError`, `SourceUnavailable` or `ConfigurationError` when it cannot
    be served.
    """
    told = configuration or Configuration()
    mistakes = _Mistakes()
    requested, returned = _propagation(told)
    breakers = _breakers(told)

    def make_runtime(supergraph: Supergraph) -> Runtime:
        suggestions = told.introspection.suggestions
        warn_of_the_ungranted(supergraph, _lacking(told))
        _warn_of_labels(told, supergraph)
        return Runtime(
            supergraph,
            _transport(told, supergraph, requested, returned, breakers),
            limits=Limits(**told.limits.model_dump()),
            costs=_costs(told),
            hide_suggestions=not (
                told.introspection.enabled if suggestions is None else suggestions
            ),
            refuse=told.authorization.refuse,
        )

    reloading = Reloading(
        _source(location, told.supergraph),
        make_runtime,
        interval_seconds=told.supergraph.interval_seconds,
    )
    with mistakes.gathered():
        first = await reloading.first()
        if unknown := told.unknown(first.supergraph.subgraphs):
            raise ConfigurationError("\n".join(unknown))
    authentication = _authentication(told)
    with mistakes.gathered():
        await authentication.load()
    with mistakes.gathered():
        policies = _policies(told.authorization)
    redis = _redis(told.documents.automatic.redis)
    with mistakes.gathered():
        documents = _documents(told.documents, redis)
    mistakes.tell()
    pipeline = Pipeline(
        first,
        introspection=told.introspection.enabled,
        timeout_seconds=told.server.timeout_seconds,
        switched_on_labels=told.override_labels,
        documents=documents,
        most_waiting=told.subscriptions.max_waiting,
    )

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        watching = asyncio.create_task(reloading.watch(pipeline))
        yield
        watching.cancel()
        await asyncio.wait([watching])
        await pipeline.close()
        await authentication.close()
        if redis is not None:
            await redis.aclose()

    async def identify(context: RequestContext) -> None:
        caller = await authentication.identify(context.headers)
        context.policies = await policies.of(caller, context.headers)
        if caller is not None:
            context.identity = Identity(caller.id)
            context.claims, context.scopes = caller.claims, caller.scopes
            context.expires_at = caller.expires_at

    service: GraphQLService[RequestContext] = pipeline
    if told.authorization.tell != "errors":
        service = Refusals(pipeline, told.authorization.tell)
    endpoint = _endpoint(told, service, requested, identify, draining, shared=not returned)
    checks = {"authentication": authentication.check} if authentication else {}
    ready = health.Ready(
        checks,
        leaving or draining,
        parts=lambda: health.subgraphs_of(pipeline),
        supergraph=lambda: reloading.state,
    ).respond
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
            *_middleware(told.server, returns=bool(returned)),
            Middleware(Shortcut, path="/graphql", endpoint=endpoint),
        ],
        lifespan=lifespan,
    )


class _Mistakes:
    """Why the gateway cannot be made: all of it."""

    def __init__(self) -> None:
        self._found: list[Exception] = []

    @contextmanager
    def gathered(self) -> Iterator[None]:
        """Go on after a mistake that the block has found."""
        try:
            yield
        except (ConfigurationError, SupergraphError, SourceUnavailable) as error:
            self._found.append(error)

    def tell(self) -> None:
        """Raise what was found, if anything was."""
        if len(self._found) == 1:
            raise self._found[0]
        if self._found:
            raise ConfigurationError("\n".join(map(str, self._found)))


def _source(location: str, told: config.Watching) -> Source:
    if not is_address(location):
        return FileSource(Path(location), max_bytes=told.max_bytes)
    return UrlSource(
        location,
        headers={name: value.get_secret_value() for name, value in told.headers.items()},
        timeout_seconds=told.timeout_seconds,
        max_bytes=told.max_bytes,
    )


def _middleware(server: config.Server, *, returns: bool) -> list[Middleware]:
    return [
        Middleware(
            Observed,
            service="gateway",
            timeout_seconds=server.timeout_seconds,
            operation=operation_of,
            client=client_of,
            headers=SECURITY_HEADERS,
        ),
        *([cors(**server.cors.model_dump())] if server.cors.origins else []),
        *([Middleware(ReturnedHeaders)] if returns else []),
    ]


def _breakers(told: Configuration) -> CircuitBreakers:
    own: dict[str, Any] = {
        name: section.breaker.model_dump(exclude_none=True)
        for name, section in told.subgraphs.items()
    }
    return CircuitBreakers(own=own, **told.traffic.breaker.model_dump())


def _transport(
    told: Configuration,
    supergraph: Supergraph,
    requested: Propagation,
    returned: ReturnPropagation,
    breakers: CircuitBreakers,
) -> Traffic:
    def headers(context: RequestContext, subgraph: str) -> Mapping[str, str]:
        return requested.to_subgraph(context.headers, subgraph, context.claims)

    authorities = told.traffic.ca_file
    inner = HttpTransport(
        _endpoints(told, supergraph),
        headers,
        timeout_seconds=told.traffic.timeout_seconds,
        max_connections=told.traffic.max_connections,
        max_response_bytes=told.traffic.max_response_bytes,
        received=returned.take if returned else None,
        tls=ssl.create_default_context(cafile=authorities) if authorities else None,
    )
    return Traffic(
        inner,
        breakers,
        attempts=told.traffic.attempts,
        own_attempts={
            name: section.attempts for name, section in told.subgraphs.items() if section.attempts
        },
        pause_seconds=told.traffic.retry_pause_seconds,
        patience=Patience(
            told.subscriptions.reconnects, told.subscriptions.reconnect_pause_seconds
        ),
    )


def _endpoints(told: Configuration, supergraph: Supergraph) -> dict[str, SubgraphEndpoint]:
    """Where subgraphs are; raises `SupergraphError` that names all without a usable address."""
    endpoints, problems = {}, []
    for name, info in supergraph.subgraphs.items():
        own = told.of_subgraph(name)
        try:
            address = http_address(own.url or info.url)
        except ValueError as error:
            problems.append(f"the address of {name}: {error}; subgraphs.{name}.url can say another")
            continue
        endpoints[name] = SubgraphEndpoint(
            address,
            subscriptions=own.subscriptions,
            subscriptions_url=own.subscriptions_url,
            timeout_seconds=own.timeout_seconds,
            max_connections=own.max_connections,
        )
    if problems:
        # A name that is misspelt in the settings explains an address that is missing.
        raise SupergraphError("\n".join([*problems, *told.unknown(supergraph.subgraphs)]))
    return endpoints


def _propagation(told: Configuration) -> tuple[Propagation, ReturnPropagation]:
    """The rules about clients' headers, and those about subgraphs'."""
    sections = {name: section.headers for name, section in told.subgraphs.items()}
    requested = Propagation(
        tuple(map(_request_rule, told.headers.request)),
        {name: tuple(map(_request_rule, each.request)) for name, each in sections.items()},
    )
    returned = ReturnPropagation(
        tuple(map(_response_rule, told.headers.response)),
        {name: tuple(map(_response_rule, each.response)) for name, each in sections.items()},
    )
    return requested, returned


def _request_rule(told: config.RequestRule) -> propagation.Rule:
    if told.insert is not None:
        return propagation.Insert(told.insert.name, told.insert.value.get_secret_value())
    if told.remove is not None:
        return propagation.Remove(_pattern(told.remove.named, told.remove.matching))
    if told.tell is not None:
        return propagation.Tell(told.tell.claim, told.tell.name)
    given = told.propagate
    assert given is not None
    return propagation.Propagate(
        _pattern(given.named, given.matching),
        rename=given.rename,
        default=given.default.get_secret_value() if given.default is not None else None,
    )


def _response_rule(told: config.ResponseRule) -> propagation.Return:
    return propagation.Return(told.named, told.keep)


def _pattern(named: str | None, matching: str | None) -> str:
    return matching if matching is not None else re.escape((named or "").lower())


def _authentication(told: Configuration) -> Authentication:
    given = told.authentication
    return Authentication(
        tuple(map(_issuer, given.issuers)),
        header=given.header,
        scheme=given.scheme,
        leeway_seconds=given.leeway_seconds,
        scope_claims=told.authorization.scope_claims,
    )


def _issuer(told: config.TokenIssuer) -> Issuer:
    location = told.keys.url or told.keys.file
    assert location is not None
    keys = KeySet(
        location,
        refresh_seconds=told.keys.refresh_seconds,
        pause_seconds=told.keys.pause_seconds,
        timeout_seconds=told.keys.timeout_seconds,
    )
    return Issuer(keys, told.issuer, told.audiences, frozenset(told.algorithms))


def _policies(told: config.Authorization) -> Policies:
    function = told.policies.function
    return Policies(told.policies.claim, decide_by_name(function) if function else None)


def _lacking(told: Configuration) -> dict[str, str]:
    """The directives that no caller can meet, each with the setting that would change it."""
    policies, lacking = told.authorization.policies, dict[str, str]()
    if policies.claim is None:
        lacking["policy"] = "authorization.policies"
    if not told.authentication.issuers:
        kinds = ("authenticated", "requiresScopes", "policy")
        lacking = {**dict.fromkeys(kinds, "authentication.issuers"), **lacking}
    if policies.function is not None:
        # It decides for strangers, too.
        lacking.pop("policy", None)
    return lacking


def _warn_of_labels(told: Configuration, supergraph: Supergraph) -> None:
    """Say so when a label is switched on that nothing is overridden by."""
    unknown = sorted(set(told.override_labels) - set(supergraph.labels))
    if unknown:
        logger.warning("override_labels.unknown", setting="override_labels", labels=unknown)


def _costs(told: Configuration) -> CostLimits:
    cost = told.cost
    return CostLimits(
        mode=cost.mode,
        most=cost.max,
        actual=cost.actual,
        list_size=cost.list_size,
        subgraphs=cost.subgraphs,
        exposed=cost.expose or told.explain.freely,
    )


def _documents(told: config.Documents, redis: Redis | None) -> Documents:
    memory = MemoryStore(entries=told.automatic.entries)
    shared = told.automatic.redis
    store: DocumentStore | None = memory if told.automatic.enabled else None
    if store is not None and redis is not None and shared is not None:
        store = SharedStore(
            redis,
            memory,
            ttl_seconds=told.automatic.ttl_seconds,
            entries=shared.entries,
            patience_seconds=shared.timeout_seconds,
        )
    return Documents(
        trusted=read_manifests(told.trusted.manifests), mode=told.trusted.mode, automatic=store
    )


def _redis(told: config.Redis | None) -> Redis | None:
    if told is None:
        return None
    return connect(RedisSettings(url=told.url, timeout_seconds=told.timeout_seconds))


def _endpoint(
    told: Configuration,
    service: GraphQLService[RequestContext],
    requested: Propagation,
    identify: Callable[[RequestContext], Awaitable[None]],
    draining: asyncio.Event,
    *,
    shared: bool,
) -> ASGIApp:
    secret = told.explain.secret
    origins = told.server.cors.origins
    most = told.server.max_body_bytes
    body = body_limit(most, Limits(**told.limits.model_dump()))
    compression = told.server.compression
    streams = told.subscriptions
    openings = Openings(
        draining,
        most=streams.max_connections,
        lifetime_seconds=streams.max_lifetime_seconds,
    )

    names = requested.names
    sayable = {name.lower() for name in (told.authentication.header, *streams.init_headers)}
    asked = {told.authentication.header} if told.authentication.issuers else set[str]()
    varies_on = ", ".join(sorted({name.lower() for name in asked.union(names or ())}))

    async def context_of(
        connection: HTTPConnection, headers: Mapping[str, str], *, shared: bool
    ) -> RequestContext:
        name, version = client_in(headers)
        context = RequestContext(
            headers=headers,
            client_name=name,
            client_version=version,
            explain=may_explain(
                headers_of(connection.scope).get(EXPLAIN_HEADER),
                secret=secret.get_secret_value() if secret is not None else None,
                freely=told.explain.freely,
            ),
        )
        remember(context, connection.scope)
        await identify(context)
        audience = requested.audience(headers, context.claims)
        context.audience = audience if shared else None
        # What a header decides that no rule names is told apart by no cache.
        context.personal = bool(audience or context.policies or names is None)
        context.varies_on = varies_on
        return context

    async def from_request(connection: HTTPConnection) -> RequestContext:
        # A header that a subgraph meant for one client must not reach two.
        return await context_of(connection, headers_of(connection.scope), shared=shared)

    async def from_init(
        connection: HTTPConnection, payload: Mapping[str, object]
    ) -> RequestContext:
        # Browsers cannot set headers on a socket; its init message carries them.
        given = {
            name.lower(): value
            for name, value in payload.items()
            if isinstance(value, str) and value.isprintable() and name.lower() in sayable
        }
        headers = {**headers_of(connection.scope), **given}
        return await context_of(connection, headers, shared=True)

    return GraphQLEndpoint(
        http=GraphQLHTTP(
            service,
            from_request,
            max_body_bytes=body,
            batch_limit=told.server.batch_limit,
            compress_from=compression.minimum_bytes if compression.enabled else 0,
            openings=openings,
        ),
        websocket=GraphQLWebSocket(
            service,
            from_init,
            expires_at=lambda context: context.expires_at,
            max_message_bytes=most,
            max_operations=streams.max_operations,
            idle_seconds=streams.idle_seconds,
            allowed_origins=origins,
            openings=openings,
        ),
        event_streams=EventStreams(
            service,
            from_request,
            max_body_bytes=body,
            max_operations=streams.max_operations,
            max_waiting_events=streams.max_waiting,
            openings=openings,
        ),
    )
