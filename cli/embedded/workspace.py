"""What the servers of one directory share: secrets, ports and logs that outlive a restart."""

from __future__ import annotations

import hashlib
import json
import secrets
import shutil
import socket
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from cli.secret_files import kept


@dataclass(frozen=True, slots=True)
class Workspace:
    """A directory of embedded servers."""

    directory: Path
    disposable: bool = False

    @property
    def outside(self) -> Path:
        """Always the same place for this directory, where every user may enter; not yet made."""
        name = hashlib.sha256(str(self.directory).encode()).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"nexus-{name}"

    def remove(self) -> None:
        """Removes everything but the supervisor's lock, by which others see that it is not done."""
        for entry in [self.outside, *self.directory.iterdir()]:
            if entry.is_dir():
                shutil.rmtree(entry, ignore_errors=True)
            elif entry.exists() and entry.name != "supervisor.lock":
                entry.unlink()

    def folder(self, name: str) -> Path:
        folder = self.directory / name
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder

    def log(self, name: str) -> Path:
        return self.folder("logs") / f"{name}.log"

    def write_private(self, name: str, text: str) -> Path:
        """A file of the directory that only its owner may read."""
        path = self.directory / name
        path.touch(mode=0o600)
        path.write_text(text)
        return path

    def secret(self, name: str) -> str:
        """A secret of 64 hexadecimal digits, made once and readable by the owner alone."""
        return kept(self.folder("secrets") / name, lambda: secrets.token_hex(32))

    def ports(self, name: str, count: int) -> list[int]:
        """Free ports, the same ones as the last time as long as nobody else took them."""
        remembered = self.folder("ports") / f"{name}.json"
        ports = json.loads(remembered.read_text()) if remembered.exists() else []
        if len(ports) != count or not all(_is_free(port) for port in ports):
            ports = _free_ports(count)
            remembered.write_text(json.dumps(ports))
        return ports


def _is_free(port: int) -> bool:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _free_ports(count: int) -> list[int]:
    with ExitStack() as open_sockets:
        listeners = [open_sockets.enter_context(socket.socket()) for _ in range(count)]
        for listener in listeners:
            listener.bind(("127.0.0.1", 0))
        return [listener.getsockname()[1] for listener in listeners]
