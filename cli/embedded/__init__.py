"""PostgreSQL, Valkey and an S3 server that need nothing installed: for `dev` and for the tests.

`start` gives their addresses. The servers run under one supervisor process of their own, which
stops them as soon as nobody who asked for them is alive any more, however that came about.
"""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cli.embedded.workspace import Workspace

__all__ = [
    "SERVICES",
    "Addresses",
    "EmbeddedError",
    "erase",
    "running",
    "start",
    "wait_until_stopped",
]

SERVICES = ("postgres", "valkey", "s3")
STOPPING = 20.0


class EmbeddedError(Exception):
    """A server that cannot be started; the message is one line for a person."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the servers answer and with which secrets; empty for one that was not asked for."""

    postgres_url: str = ""
    redis_url: str = ""
    s3_endpoint: str = ""
    s3_access_key: str = ""
    s3_secret_key: str = ""
    s3_region: str = "us-east-1"


@contextmanager
def start(
    directory: Path,
    *,
    services: Sequence[str] = SERVICES,
    disposable: bool = False,
    shared: bool = False,
) -> Iterator[Addresses]:
    """The addresses of servers that keep their data in `directory`, running inside the block.

    Whoever comes second joins what already runs there, and the servers stop when the last one
    leaves. Whoever started them waits for that, unless `shared` says that others may stay longer.
    `disposable` servers trade durability for speed; their directory is removed at the end.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    started = False
    with (directory / "clients.lock").open("ab") as clients:
        fcntl.flock(clients, fcntl.LOCK_SH)
        try:
            with (directory / "start.lock").open("ab") as turn:
                fcntl.flock(turn, fcntl.LOCK_EX)
                addresses = running(directory)
                if addresses is None:
                    started = True
                    addresses = _spawn(directory, services, disposable=disposable)
            yield addresses
        finally:
            fcntl.flock(clients, fcntl.LOCK_UN)
            if started and not shared:
                wait_until_stopped(directory)


def running(directory: Path) -> Addresses | None:
    """The addresses of what already runs in `directory`."""
    try:
        found = (directory / "addresses.json").read_text()
    except FileNotFoundError:
        return None
    return Addresses(**json.loads(found)) if _is_supervised(directory) else None


def _is_supervised(directory: Path) -> bool:
    """Whether a supervisor is alive: it holds its lock as long as it lives."""
    try:
        with (directory / "supervisor.lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False


def wait_until_stopped(directory: Path) -> None:
    """Returns when no server of `directory` runs any more."""
    deadline = time.monotonic() + STOPPING
    while _is_supervised(directory):
        if time.monotonic() > deadline:
            raise EmbeddedError(f"the embedded servers in {directory} did not stop")
        time.sleep(0.02)


def erase(directory: Path) -> None:
    """Removes the data of servers that are not running."""
    if _is_supervised(directory):
        raise EmbeddedError(f"the servers in {directory} are running; stop them first")
    if directory.exists():
        Workspace(directory.resolve()).remove()


def _spawn(directory: Path, services: Sequence[str], *, disposable: bool) -> Addresses:
    """Starts the supervisor, and what it says when everything is ready or something failed."""
    command = [sys.executable, "-m", "cli.embedded.supervisor", str(directory.resolve())]
    command += [*(["--disposable"] if disposable else []), *services]
    reading, writing = os.pipe()
    with (directory / "supervisor.log").open("ab") as log, os.fdopen(reading) as answers:
        try:
            # It goes into the background by itself, so that its end is nobody's to wait for.
            subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=writing, stderr=log, check=True
            )
        finally:
            os.close(writing)
        line = answers.readline()
    answer = json.loads(line or '{"error": "the supervisor was killed"}')
    if "error" in answer:
        raise EmbeddedError(answer["error"])
    return Addresses(**answer)
