"""Everything a newcomer needs, started with one command and stopped with one key."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click
from click import ClickException

from cli import embedded

if TYPE_CHECKING:
    from shared.config import Settings

SUBGRAPHS = ("users", "orgs", "billing", "storage")
APPLICATION = (
    *("cli.development", "cli.demo", "cli.ide", "cli.serving", "gateway.app"),
    *(f"subgraphs.{name}.app" for name in SUBGRAPHS),
)


class Stopped(BaseException):
    """SIGTERM or SIGHUP arrived: no error, so nothing on the way out may take it for one."""


def run(home: Path, *, host: str, port: int, reset: bool) -> None:
    """Serves the whole graph until it is interrupted, and leaves no process behind."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    try:
        with ExitStack() as stack:
            stack.enter_context(_alone(home, port))
            _run(stack, home, host=host, port=port, reset=reset)
    except embedded.EmbeddedError as error:
        raise ClickException(str(error)) from error
    except (Stopped, KeyboardInterrupt):
        pass
    click.echo("\nstopped", err=True)


def _run(stack: ExitStack, home: Path, *, host: str, port: int, reset: bool) -> None:
    servers = home / "servers"
    if reset:
        embedded.erase(servers)
    # Loading the application takes as long as starting the servers, so both happen at once.
    loader = stack.enter_context(ThreadPoolExecutor(1))
    loading = loader.submit(lambda: [import_module(name) for name in APPLICATION])
    with _step("PostgreSQL, Valkey and S3"):
        addresses = stack.enter_context(embedded.start(servers))
    with _step("the application"):
        development, demo, ide, serving, *_ = loading.result()
    listener = stack.enter_context(serving.listen(host, port))
    with _step("the browser page"):
        ide.build()
    settings = development.prepare(addresses, home, host=host, port=port)
    with _step("the databases"):
        asyncio.run(import_module("cli.migrate").migrate(settings))

    seeded = servers / "seeded"

    async def welcome() -> None:
        url = settings.http.public_url
        if not seeded.exists():
            with _step("the demo data"):
                await demo.seed(url, stripe_secret=_stripe(settings))
            seeded.touch()
        click.echo(await demo.welcome(url))

    asyncio.run(serving.serve("all", settings, listener, when_ready=welcome))


def _stripe(settings: Settings) -> str | None:
    secret = settings.webhooks.stripe_secret
    return secret.get_secret_value() if secret else None


@contextmanager
def _alone(home: Path, port: int) -> Iterator[None]:
    """Refuses a second `dev` with the same data."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (home / "dev.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            other, _, where = lock.read().partition(" ")
            raise ClickException(
                f"the data in {home} is in use: ./nexus dev already runs,"
                f" as process {other} on port {where}"
            ) from error
        lock.truncate(0)
        lock.write(f"{os.getpid()} {port}")
        lock.flush()
        yield


@contextmanager
def _step(name: str) -> Iterator[None]:
    """Says what is happening while it happens, and how long it took."""
    live = sys.stderr.isatty()
    started = time.monotonic()
    if live:
        click.echo(f"  … {name}", nl=False, err=True)
    try:
        yield
    except BaseException:
        if live:
            click.echo(err=True)
        raise
    line = f"  {click.style('✓', fg='green')} {name} ({time.monotonic() - started:.1f} s)"
    click.echo(f"\r\033[K{line}" if live else line, err=True)


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise Stopped
