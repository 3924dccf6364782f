"""The server processes: the whole graph in one, the gateway alone, or one subgraph."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from functools import partial
from importlib import import_module
from types import FrameType

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
    """Tells when it answers, when it is about to stop, and when streams have to end.

    Asked by SIGTERM, it sets ``leaving`` and serves on for a while, on connections that
    are good for one more request; then it closes the port, sets ``draining``, and ends
    when all requests have.  A second signal, or Ctrl-C, skips the while.
    """

    def __init__(
        self,
        app: ASGIApp,
        http: HttpSettings,
        draining: asyncio.Event,
        when_ready: WhenReady | None,
        *,
        leaving: asyncio.Event | None = None,
    ) -> None:
        super().__init__(_configuration(app, http))
        self._leaving = leaving or asyncio.Event()
        self._draining = draining
        self._delay_seconds = http.shutdown_delay_seconds
        self._closes_at = 0.0
        self._is_hurried = False
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

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._is_hurried = self.should_exit or sig == signal.SIGINT
        # To uvicorn, a second Ctrl-C says that requests under way do not matter.
        if not self.should_exit or self._draining.is_set():
            super().handle_exit(sig, frame)

    async def on_tick(self, counter: int) -> bool:
        if not await super().on_tick(counter):
            return False
        if not self._leaving.is_set():
            self._leave()
        return self._is_hurried or time.monotonic() >= self._closes_at

    def _leave(self) -> None:
        self._leaving.set()
        self._closes_at = time.monotonic() + self._delay_seconds
        # uvicorn makes the headers of all answers of these two, every second anew.
        self.config.encoded_headers.append(connections.CLOSE)
        self.server_state.default_headers = [*self.server_state.default_headers, connections.CLOSE]
        log.info("server.leaving")

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._leaving.set()
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
    try:
        with _uncollected():
            uvloop.run(serve(what, settings, listener, when_ready=_when_ready(parent)))
    except ConfigurationError as error:
        raise ClickException(str(error)) from error
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
    draining, leaving = asyncio.Event(), asyncio.Event()
    try:
        app = await _standalone(supergraph, told, draining, leaving)
        settings = HttpSettings(
            max_body_bytes=told.server.max_body_bytes,
            max_connections=told.server.max_connections,
            shutdown_delay_seconds=told.server.shutdown_delay_seconds,
            drain_seconds=told.server.drain_seconds,
            # What takes longer to arrive than these settings allow is never answered.
            request_timeout_seconds=min(600, told.server.timeout_seconds),
        )
        server = Server(app, settings, draining, when_ready, leaving=leaving)
        await server.serve(sockets=[listener])
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


async def _standalone(
    supergraph: str,
    told: Configuration,
    draining: asyncio.Event,
    leaving: asyncio.Event | None = None,
) -> Starlette:
    try:
        return await standalone.create(supergraph, told, draining=draining, leaving=leaving)
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
    draining, leaving = asyncio.Event(), asyncio.Event()
    async with AsyncExitStack() as stack:
        stack.callback(flush)
        app: ASGIApp
        if what in SUBGRAPHS:
            app = await _subgraph(stack, what, settings, draining, leaving)
        else:
            mode = "monolith" if what == "all" else "services"
            chosen = settings.model_copy(update={"mode": mode})
            app = import_module("gateway.app").create(chosen, draining=draining, leaving=leaving)
        server = Server(app, settings.http, draining, when_ready, leaving=leaving)
        await server.serve(sockets=[listener])
        if server.failure is not None:
            raise server.failure


async def _subgraph(
    stack: AsyncExitStack,
    name: str,
    settings: Settings,
    draining: asyncio.Event,
    leaving: asyncio.Event,
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
    return subgraph.serve(made, settings, tokens, draining=draining, leaving=leaving)


def _configuration(app: ASGIApp, http: HttpSettings) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        loop="uvloop",
        http=connections.bounded(
            arriving_seconds=http.request_timeout_seconds,
            most=connections.affordable(http.max_connections),
        ),
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
