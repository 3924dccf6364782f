"""One server process: how it is started, known again after a crash, and stopped."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from cli.embedded.account import Account

PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Command:
    """A program to run, under which account, and where its words go."""

    arguments: Sequence[str]
    log: Path
    account: Account = Account.OURS
    environment: Mapping[str, str] = field(default_factory=dict)


class Server(Protocol):
    """What the supervisor needs to know of a server."""

    @property
    def name(self) -> str:
        """What it is called in messages and log files."""

    @property
    def stop_signal(self) -> signal.Signals:
        """The polite way to ask it to stop."""

    def command(self) -> Command:
        """The program to start; what it needs lies in the workspace when this returns."""

    def is_ready(self, pid: int) -> bool:
        """Whether the process with this id answers real requests by now."""

    def addresses(self) -> dict[str, str]:
        """Its part of `Addresses`."""


def installed(package: str) -> Path:
    """The directory of a package that brings a server, found without running the package."""
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        raise FileNotFoundError(f"{package} is not installed; ./nexus installs it")
    return Path(found.origin).parent


def launch(command: Command) -> subprocess.Popen[bytes]:
    """The started program, in a session of its own, that dies with the thread that started it."""
    with command.log.open("ab") as log:
        return subprocess.Popen(
            [str(argument) for argument in command.arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env={**os.environ, **command.environment},
            start_new_session=True,
            # Safe here: the supervisor has a single thread, so no lock can be held while forking.
            preexec_fn=_in_the_child(command.account),  # noqa: PLW1509
        )


def _in_the_child(account: Account) -> Callable[[], None]:
    libc = ctypes.CDLL(None, use_errno=True) if os.uname().sysname == "Linux" else None

    def prepare() -> None:
        account.enter()
        if libc is not None:
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

    return prepare


def started_at(pid: int) -> str | None:
    """A mark that two processes with the same id do not share; none when there is no such one."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return _started_at_by_ps(pid) if not Path("/proc/self").exists() else None
    state, *rest = stat.rpartition(")")[2].split()
    return None if state in "ZX" else rest[18]


def _started_at_by_ps(pid: int) -> str | None:
    command = ["ps", "-o", "lstart=", "-p", str(pid)]
    listed = subprocess.run(command, capture_output=True, text=True, check=False)
    return listed.stdout.strip() or None


def last_words(log: Path) -> str:
    """The line of a log that says best why a program gave up."""
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    telling = [line for line in lines[-40:] if any(word in line for word in TELLING)]
    return (telling or lines or ["it said nothing"])[-1].strip()


TELLING = ("FATAL", "PANIC", "rror", "annot", "ailed", "already in use", "denied")
