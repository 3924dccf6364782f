"""Server processes under measurement: their processor time and memory, children included."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

__all__ = ["Measurement", "Request", "measure", "process", "usage", "wait_for"]

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Request:
    """One POST of the load."""

    path: str
    body: str
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Measurement:
    """What a load found, with the servers' processor time and memory."""

    load: dict[str, Any]
    cpu_seconds_per_thousand: float
    resident_megabytes: float

    def row(self) -> dict[str, Any]:
        """All of it, flat."""
        return {
            **self.load,
            "cpu_seconds_per_thousand": self.cpu_seconds_per_thousand,
            "resident_megabytes": self.resident_megabytes,
        }


@contextmanager
def process(
    command: Sequence[str],
    *,
    env: Mapping[str, str],
    log: Path,
    cwd: Path | None = None,
    cpus: Iterable[int] | None = None,
) -> Iterator[int]:
    """The pid of a running command, which is stopped with its children at the end."""
    log.parent.mkdir(parents=True, exist_ok=True)
    chosen = set(cpus) if cpus is not None else None
    with log.open("ab") as output:
        child = subprocess.Popen(
            command,
            env={**os.environ, **env},
            cwd=cwd,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=(lambda: os.sched_setaffinity(0, chosen)) if chosen else None,  # noqa: PLW1509
        )
    try:
        yield child.pid
    finally:
        # Ours wait a while for load balancers when they are told to stop, but not when interrupted.
        for each in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            if child.poll() is None:
                os.killpg(child.pid, each)
                try:
                    child.wait(15)
                except subprocess.TimeoutExpired:
                    continue


def wait_for(url: str, pid: int, *, seconds: float = 60) -> None:
    """Return when ``url`` answers; raise RuntimeError when the process ends or time runs out."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            with urlopen(url, timeout=2):  # noqa: S310 - our own address
                return
        except (URLError, OSError) as error:
            if getattr(error, "code", 0):
                return
        if not Path(f"/proc/{pid}").exists():
            break
        time.sleep(0.05)
    raise RuntimeError(f"{url} did not come up; see the server's log")


def usage(pids: Iterable[int]) -> tuple[float, float]:
    """Processor seconds and resident megabytes of these processes and all below them."""
    seconds = megabytes = 0.0
    for pid in _family(pids):
        try:
            stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            resident = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        except OSError:
            continue
        seconds += (int(stat[11]) + int(stat[12]) + int(stat[13]) + int(stat[14])) / _TICKS
        megabytes += resident * _PAGE / 1e6
    return seconds, megabytes


def _family(pids: Iterable[int]) -> set[int]:
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents.setdefault(int(stat[1]), []).append(int(entry.name))
    found: set[int] = set()
    waiting = list(pids)
    while waiting:
        pid = waiting.pop()
        if pid not in found:
            found.add(pid)
            waiting += parents.get(pid, ())
    return found


def measure(
    url: str,
    requests: Sequence[Request],
    *,
    pids: Sequence[int],
    concurrency: int,
    seconds: float,
    cpus: Iterable[int] | None = None,
) -> Measurement:
    """Load ``url`` from a process of its own, first briefly to warm up, then for the record."""
    _load(url, requests, concurrency, min(2.0, seconds), cpus)
    before, _ = usage(pids)
    found = _load(url, requests, concurrency, seconds, cpus)
    after, megabytes = usage(pids)
    per_thousand = 1000 * (after - before) / max(1, found["requests"])
    return Measurement(found, per_thousand, megabytes)


def _load(
    url: str,
    requests: Sequence[Request],
    concurrency: int,
    seconds: float,
    cpus: Iterable[int] | None,
) -> dict[str, Any]:
    host, port = url.removeprefix("http://").split("/")[0].split(":")
    lines = "\n".join(
        json.dumps({"path": each.path, "body": each.body, "headers": dict(each.headers)})
        for each in requests
    )
    chosen = set(cpus) if cpus is not None else None
    done = subprocess.run(
        [sys.executable, "-m", "bench.load", host, port, str(concurrency), str(seconds)],
        input=lines,
        capture_output=True,
        text=True,
        check=True,
        timeout=seconds + 60,
        preexec_fn=(lambda: os.sched_setaffinity(0, chosen)) if chosen else None,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found
