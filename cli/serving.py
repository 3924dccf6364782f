"""The server processes: the whole graph in one, the gateway alone, or one subgraph."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from functools import partial
from importlib import import_module

import uvicorn
import uvloop
from click import ClickException
from starlette.applications import Starlette
from starlette.types import ASGIApp

from cli import connections, replicas, worker
from gateway import standalone
from gateway.configuration import Configuration
from gateway.federation.supergraph import SupergraphError
from gateway.reloading import SourceUnavailable, shown
from shared import cache, logger, subgraph, telemetry
from shared.auth import ServiceTokens, Verifier
from shared.config import (
    SUBGRAPHS,
    ConfigurationError,
    HttpSettings,
    Settings,
    TelemetrySettings,
    required,
)

GRACE = 15
_COMMAND = (sys.executable, "-m", "cli")
log = logger.get_logger(__name__)
WhenReady = Callable[[], Awaitable[None]]


class Server(uvicorn.Server):
    """Tells when it answers, and tells the application to end its streams before it stops."""

    def __init__(
        self,
        app: ASGIApp,
        http: HttpSettings,
        draining: asyncio.Event,
        when_ready: WhenReady | None,
    ) -> None:
        super().__init__(_configuration(app, http))
        self._draining = draining
        self._when_ready = when_ready
        self.failure: Exception | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        # A thread that reads or plans an unknown operation gives way ten times sooner.
        sys.setswitchinterval(0.0005)
        if self.started and self._when_ready is not None:
            try:
                await self._when_ready()
            except Exception as error:  # noqa: BLE001 - raised again when the server has stopped
                self.failure = error
                self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._draining.set()
        patience = (self.config.timeout_graceful_shutdown or 0) + GRACE
        last_resort = threading.Timer(patience, _give_up)
        last_resort.daemon = True
        last_resort.start()
        await super().shutdown(sockets=sockets)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Until `collect_less` what is made stays, so that nobody need look for what does not."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def collect_less() -> None:
    """Leaves to the garbage collector what requests make, not what was there before them.

    Going through every schema and plan again and again took a third of a busy
    gateway's time.  Counting references frees nearly all that a request makes.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    gc.enable()


def _end_well_when_asked() -> None:
    """Makes the exit code of a process that was asked to stop 0.

    The server stops gracefully at the first signal, and sends it again when it is done.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))


def _give_up() -> None:
    """Ends a process whose background work does not end; other processes do that work again."""
    log.error("server.shutdown_took_too_long")
    os._exit(1)


def inherited(number: int) -> socket.socket:
    """A socket that a parent process left open for this one."""
    return socket.socket(fileno=number)


def listen(host: str, port: int) -> socket.socket:
    """A bound socket; a port that is taken is one line."""
    try:
        return replicas.bound((host, port), socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise ClickException(
            f"cannot listen on {host}:{port}: {error.strerror}; choose another with --port"
        ) from error


def run(
    what: str, settings: Settings, listener: socket.socket, parent: socket.socket | None = None
) -> int:
    """Serves until SIGTERM or SIGINT, with as many processes as the settings say.

    A process with a ``parent`` is one of them.
    """
    _end_well_when_asked()
    if parent is None and settings.http.workers > 1:
        logger.configure(settings.telemetry, service=what)
        command = [*_COMMAND, "serve", what]
        return uvloop.run(replicas.run(command, listener, settings.http.workers))
    with _uncollected():
        uvloop.run(serve(what, settings, listener, when_ready=_when_ready(parent)))
    return 0


def _when_ready(parent: socket.socket | None) -> WhenReady | None:
    return partial(replicas.stay_with, parent) if parent is not None else None


def run_standalone(
    supergraph: str, told: Configuration, listener: socket.socket, parent: socket.socket | None
) -> None:
    """Serves any supergraph until SIGTERM or SIGINT."""
    _end_well_when_asked()
    with _uncollected():
        uvloop.run(_serve_standalone(supergraph, told, listener, _when_ready(parent)))


def run_several_standalone(
    arguments: Sequence[str], told: Configuration, listener: socket.socket, count: int
) -> int:
    """Like `run_standalone` in ``count`` processes, each of them this command."""
    _end_well_when_asked()
    _watched(told)
    return uvloop.run(replicas.run([*_COMMAND, *arguments], listener, count))


async def _serve_standalone(
    supergraph: str,
    told: Configuration,
    listener: socket.socket,
    when_ready: WhenReady | None,
) -> None:
    flush = _watched(told)
    draining = asyncio.Event()
    try:
        app = await _standalone(supergraph, told, draining)
        settings = HttpSettings(
            max_body_bytes=told.server.max_body_bytes,
            drain_seconds=told.server.drain_seconds,
            # What takes longer to arrive than these settings allow is never answered.
            request_timeout_seconds=min(600, told.server.timeout_seconds),
        )
        await Server(app, settings, draining, when_ready).serve(sockets=[listener])
    finally:
        flush()


def check_standalone(supergraph: str, told: Configuration) -> None:
    """Raises what would stop the start of `run_standalone`."""

    async def check() -> None:
        app = await _standalone(supergraph, told, asyncio.Event())
        async with app.router.lifespan_context(app):
            pass

    _watched(told)
    uvloop.run(check())


def _watched(told: Configuration) -> Callable[[], None]:
    watched = TelemetrySettings(**told.telemetry.model_dump())
    logger.configure(watched, service="gateway")
    return telemetry.configure(watched, service="gateway")


async def _standalone(supergraph: str, told: Configuration, draining: asyncio.Event) -> Starlette:
    try:
        return await standalone.create(supergraph, told, draining=draining)
    except (ConfigurationError, SupergraphError, SourceUnavailable) as error:
        raise ClickException(f"{shown(supergraph)}: {error}") from error


async def serve(
    what: str,
    settings: Settings,
    listener: socket.socket,
    *,
    when_ready: WhenReady | None = None,
) -> None:
    """Serves until SIGTERM or SIGINT; background work runs beside it if the settings say so."""
    logger.configure(settings.telemetry, service=what)
    flush = telemetry.configure(settings.telemetry, service=what)
    draining = asyncio.Event()
    async with AsyncExitStack() as stack:
        stack.callback(flush)
        if what in SUBGRAPHS:
            app = await _subgraph(stack, what, settings, draining)
        else:
            mode = "monolith" if what == "all" else "services"
            chosen = settings.model_copy(update={"mode": mode})
            app = import_module("gateway.app").create(chosen, draining=draining)
        server = Server(app, settings.http, draining, when_ready)
        await server.serve(sockets=[listener])
        if server.failure is not None:
            raise server.failure


async def _subgraph(
    stack: AsyncExitStack, name: str, settings: Settings, draining: asyncio.Event
) -> ASGIApp:
    """A subgraph that answers to the gateway alone, with its background work if settings say so."""
    keys = required(
        settings.service_auth.verification_keys,
        "SERVICE_AUTH__VERIFICATION_KEYS",
        "a subgraph verifies with them that the gateway is calling",
    )
    redis = cache.connect(settings.redis)
    stack.push_async_callback(redis.aclose)
    if settings.embedded_worker:
        await stack.enter_async_context(worker.working(settings, [name]))
    made: subgraph.Subgraph = import_module(f"subgraphs.{name}.app").create(settings, redis)
    tokens = ServiceTokens(ttl_seconds=settings.service_auth.ttl_seconds, verifier=Verifier(keys))
    return subgraph.serve(made, settings, tokens, draining=draining)


def _configuration(app: ASGIApp, http: HttpSettings) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        loop="uvloop",
        http=connections.arriving_within(http.request_timeout_seconds),
        ws=connections.WebSocketConnection,
        ws_max_size=http.max_body_bytes,
        # An event would be compressed anew for each of its many small readers.
        ws_per_message_deflate=False,
        log_config=None,
        access_log=False,
        server_header=False,
        # Load balancers keep an idle connection for a minute; if it were closed here first, that
        # could be just when they send a request on it.
        timeout_keep_alive=75,
        timeout_graceful_shutdown=max(1, round(http.drain_seconds)),
    )
