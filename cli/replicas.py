"""Processes that serve one port together, and are replaced when they die.

Each has a listening socket of its own, over which Linux spreads connections; of
one socket for all, whoever wakes up first takes most.  The sockets stay open in
the parent as well: connections wait while a process is replaced.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import tempfile
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any

from prometheus_client.multiprocess import mark_process_dead

from shared import logger

__all__ = ["bound", "run", "stay_with"]

log = logger.get_logger(__name__)

_MOST_DEATHS, _WITHIN_SECONDS = 5, 60.0


def bound(address: Any, family: int, *, shared: bool = False) -> socket.socket:
    """A socket with this address, which only ``shared`` ones have at the same time."""
    made = socket.socket(family)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        made.bind(address)
    except OSError:
        made.close()
        raise
    return made


async def run(command: Sequence[str], listener: socket.socket, count: int) -> int:
    """Keeps ``count`` processes until SIGTERM or SIGINT; returns the exit code.

    It is 1 when one of them cannot start, or dies again and again: then all stop.
    ``command`` is told its sockets by ``--inherit`` and ``--parent``, and gets these
    signals as often as they come.
    """
    replicas: list[_Replica] = []
    asked = asyncio.Event()

    def stop(number: signal.Signals) -> None:
        asked.set()
        for replica in replicas:
            replica.stop(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop, number)
    with tempfile.TemporaryDirectory(prefix="nexus-metrics-") as metrics:
        sockets = _one_for_each(listener, count)
        replicas += [_Replica(command, own, Path(metrics)) for own in sockets]
        keeping = [asyncio.create_task(replica.keep()) for replica in replicas]
        stopping = asyncio.create_task(asked.wait())
        await asyncio.wait({stopping, *keeping}, return_when=asyncio.FIRST_COMPLETED)
        is_well = asked.is_set()
        if not is_well:
            stop(signal.SIGTERM)
        await asyncio.wait(keeping)
    return 0 if is_well else 1


async def stay_with(parent: socket.socket) -> None:
    """Tells the parent that this process serves, and stops the process when the parent is gone."""
    loop = asyncio.get_running_loop()
    parent.setblocking(False)

    def stop() -> None:
        loop.remove_reader(parent)
        # Nobody replaces this process any more; whoever starts a new parent needs the port.
        os.kill(os.getpid(), signal.SIGINT)

    with suppress(OSError):
        await loop.sock_sendall(parent, b"\n")
    loop.add_reader(parent, stop)


def _one_for_each(listener: socket.socket, count: int) -> list[socket.socket]:
    """Listening sockets at the address of ``listener``, which nobody else had."""
    if sys.platform == "linux":
        address, family = listener.getsockname(), listener.family
        listener.close()
        made = [bound(address, family, shared=True) for _ in range(count)]
    else:
        made = [listener.dup() for _ in range(count)]
        listener.close()
    for each in made:
        each.listen(2048)
    return made


class _Replica:
    """A process, and those that take its place."""

    def __init__(self, command: Sequence[str], listener: socket.socket, metrics: Path) -> None:
        self._command = command
        self._listener = listener
        self._metrics = metrics
        self._process: asyncio.subprocess.Process | None = None

    async def keep(self) -> None:
        """Ends when it was stopped, or when it is hopeless."""
        deaths: deque[float] = deque(maxlen=_MOST_DEATHS)
        now = asyncio.get_running_loop().time
        while await self._live() and self._listener.fileno() >= 0:
            deaths.append(now())
            if len(deaths) == _MOST_DEATHS and now() - deaths[0] < _WITHIN_SECONDS:
                log.error("server.processes_die_again_and_again")
                return

    def stop(self, number: signal.Signals) -> None:
        """Have the process end in its own time, and no other take its place."""
        # The process has this socket, too, and goes on accepting for as long as it wants.
        self._listener.close()
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)

    async def _live(self) -> bool:
        """A process from its start to its end; returns whether it ever served."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with ours:
            with theirs:
                process = await self._start(theirs)
            try:
                served = await asyncio.get_running_loop().sock_recv(ours, 1)
            except ConnectionError:
                served = b""
            code = await process.wait()
        self._process = None
        mark_process_dead(process.pid, str(self._metrics))  # type: ignore[no-untyped-call]
        if self._listener.fileno() >= 0:
            log.error("server.process_died", process=process.pid, code=code)
        return bool(served)

    async def _start(self, parent: socket.socket) -> asyncio.subprocess.Process:
        inherited = (self._listener.fileno(), parent.fileno())
        options = zip(("--inherit", "--parent"), map(str, inherited), strict=True)
        self._process = process = await asyncio.create_subprocess_exec(
            *self._command,
            *chain.from_iterable(options),
            pass_fds=inherited,
            env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(self._metrics)},
            start_new_session=True,  # A Ctrl-C reaches the parent alone, which passes it on once.
        )
        log.info("server.process_started", process=process.pid)
        if self._listener.fileno() < 0:
            process.terminate()  # Stopping was asked for meanwhile.
        return process
