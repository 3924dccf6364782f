"""The parent of the embedded servers: starts them at once, and stops them when nobody is left.

Every process that uses the servers holds a shared lock on one file. The kernel releases it when
the process ends, even by SIGKILL, and then this process gets the file for itself: that is the sign
to stop. What a supervisor that was killed left behind is stopped by the next one.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType

from cli.embedded import postgres, s3, valkey
from cli.embedded.process import Server, last_words, launch, started_at
from cli.embedded.workspace import Workspace

CREATE: Mapping[str, Callable[[Workspace], Server]] = {
    "postgres": postgres.create,
    "valkey": valkey.create,
    "s3": s3.create,
}
READY_WITHIN = 45.0
STOP_WITHIN = 10.0
DISPOSABLE_STOP_WITHIN = 1.0


class ServerFailure(Exception):
    """Why the servers cannot run or go on running, in one line."""


class Stop(Exception):
    """Somebody asked this process to end."""


class Supervisor:
    """The servers of one workspace, from start to stop."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.children: dict[Server, subprocess.Popen[bytes]] = {}
        self.record = workspace.directory / "processes.json"

    def start(self, names: Sequence[str]) -> dict[str, str]:
        """Starts everything at once; the addresses, when all of it answers."""
        self._stop_leftovers()
        for name in names:
            server = CREATE[name](self.workspace)
            command = server.command()
            command.log.write_bytes(b"")
            self.children[server] = launch(command)
            self._remember()
        deadline = time.monotonic() + READY_WITHIN
        while waiting := [server.name for server in self.children if not self._is_up(server)]:
            if time.monotonic() > deadline:
                raise ServerFailure(f"{', '.join(waiting)}: no answer in {READY_WITHIN:.0f} s")
            time.sleep(0.01)
        return {key: value for server in self.children for key, value in server.addresses().items()}

    def wait_until_nobody_is_left(self) -> None:
        """Returns when no client is alive; raises when a server ends before that."""
        signal.signal(signal.SIGCHLD, self._on_ended_child)
        self._raise_if_ended()
        with (self.workspace.directory / "clients.lock").open("ab") as clients:
            fcntl.flock(clients, fcntl.LOCK_EX)

    def stop(self) -> None:
        """Asks every server to stop, waits for them together, and ends by force what is left."""
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for server, child in self.children.items():
            child.send_signal(server.stop_signal)
        patience = DISPOSABLE_STOP_WITHIN if self.workspace.disposable else STOP_WITHIN
        deadline = time.monotonic() + patience
        for child in self.children.values():
            try:
                child.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        self.record.unlink(missing_ok=True)

    def _is_up(self, server: Server) -> bool:
        self._raise_if_ended()
        return server.is_ready(self.children[server].pid)

    def _on_ended_child(self, _number: int, _frame: FrameType | None) -> None:
        self._raise_if_ended()

    def _raise_if_ended(self) -> None:
        for server, child in self.children.items():
            if child.poll() is not None:
                words = last_words(self.workspace.log(server.name))
                raise ServerFailure(f"{server.name} stopped (exit {child.returncode}): {words}")

    def _remember(self) -> None:
        """Writes down what runs, so that it is found even if this process is killed."""
        processes = [
            {"pid": child.pid, "started": started_at(child.pid), "signal": server.stop_signal.value}
            for server, child in self.children.items()
        ]
        unfinished = self.record.with_suffix(".new")
        unfinished.write_text(json.dumps(processes))
        unfinished.replace(self.record)

    def _stop_leftovers(self) -> None:
        """Stops what a supervisor that was killed could not stop, and only that."""
        if not self.record.exists():
            return
        left = [entry for entry in json.loads(self.record.read_text()) if _still_runs(entry)]
        for entry in left:
            os.kill(entry["pid"], entry["signal"])
        deadline = time.monotonic() + STOP_WITHIN
        while any(map(_still_runs, left)) and time.monotonic() < deadline:
            time.sleep(0.02)
        for entry in filter(_still_runs, left):
            os.kill(entry["pid"], signal.SIGKILL)
        self.record.unlink()


def _still_runs(entry: Mapping[str, int | str]) -> bool:
    """Whether the process is alive and the one that was started, not a later one of that id."""
    return started_at(int(entry["pid"])) == entry["started"]


def _on_request(_number: int, _frame: FrameType | None) -> None:
    raise Stop


def _supervise(workspace: Workspace, names: Sequence[str]) -> int:
    requests = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    for number in requests:
        signal.signal(number, _on_request)
    supervisor = Supervisor(workspace)
    try:
        addresses = supervisor.start(names)
        workspace.write_private("addresses.json", json.dumps(addresses))
        _answer(addresses)
        supervisor.wait_until_nobody_is_left()
    except Stop:
        return 0
    except (ServerFailure, OSError) as error:
        print(error, file=sys.stderr, flush=True)
        _answer({"error": str(error)})
        return 1
    finally:
        for number in requests:
            signal.signal(number, signal.SIG_IGN)
        (workspace.directory / "addresses.json").unlink(missing_ok=True)
        supervisor.stop()
    return 0


def _answer(answer: Mapping[str, str]) -> None:
    """Tells the client that started this process, if it is still there and was not told yet."""
    with contextlib.suppress(OSError):
        os.write(sys.stdout.fileno(), f"{json.dumps(answer)}\n".encode())


def main(arguments: Sequence[str]) -> int:
    """Runs until nobody needs the servers: DIRECTORY [--disposable] SERVICE…"""
    if os.fork() != 0:
        return 0
    os.setsid()
    directory, *names = arguments
    disposable = "--disposable" in names
    workspace = Workspace(Path(directory), disposable)
    with (workspace.directory / "supervisor.lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        code = _supervise(workspace, [name for name in names if name in CREATE])
        if disposable:
            workspace.remove()
            shutil.rmtree(workspace.directory, ignore_errors=True)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
