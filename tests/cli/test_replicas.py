"""`nexus serve` with several processes: how they share a port, and what if one of them dies."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse

from cli.environment import ROOT
from shared.auth import generate_keys
from tests.cli.test_dev import free_port
from tests.serving import serving

ANSWER = b'{"data":{"plans":[]}}'
ASKING = {"query": "query Asking { plans { code } }"}
WITHIN = 300
"""Seconds for what takes a few: machines may be busy."""


class Billing:
    """A subgraph that answers at once, or when the test lets it."""

    def __init__(self) -> None:
        self.waiting = 0
        self.changed = asyncio.Condition()
        self.release = asyncio.Event()
        self.release.set()

    async def until_waiting(self, count: int) -> None:
        async with asyncio.timeout(WITHIN), self.changed:
            await self.changed.wait_for(lambda: self.waiting >= count)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await Request(scope, receive).body()
        await self.change(1)
        await self.release.wait()
        await self.change(-1)
        await JSONResponse({"data": {"plans": []}})(scope, receive, send)

    async def change(self, difference: int) -> None:
        async with self.changed:
            self.waiting += difference
            self.changed.notify_all()


@dataclass
class Served:
    """Processes behind one port, and what they have logged."""

    process: asyncio.subprocess.Process
    url: str
    logged: list[dict[str, Any]] = field(default_factory=list)
    news: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def read(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            async with self.news:
                self.logged.append(json.loads(line) if line.startswith(b"{") else {"event": line})
                self.news.notify_all()

    def of(self, event: str) -> list[int]:
        return [line["process"] for line in self.logged if line["event"] == event]

    async def until(self, event: str, times: int) -> list[int]:
        """The processes of which this was logged so often."""
        async with asyncio.timeout(WITHIN), self.news:
            await self.news.wait_for(lambda: len(self.of(event)) >= times)
        return self.of(event)


def settings(billing: str, redis: str) -> dict[str, str]:
    (_, access), (service, _) = generate_keys(), generate_keys()
    kept = {name: value for name, value in os.environ.items() if not name.startswith("NEXUS_")}
    return kept | {
        "NEXUS_ENV": "test",
        "NEXUS_SECRET_KEY": "x" * 32,
        "NEXUS_SUPERGRAPH": str(ROOT / "supergraph.graphql"),
        "NEXUS_REDIS__URL": redis,
        "NEXUS_AUTH__VERIFICATION_KEYS": access,
        "NEXUS_SERVICE_AUTH__SIGNING_KEY": service,
        "NEXUS_BILLING__URL": billing,
        "NEXUS_HTTP__WORKERS": "2",
        "NEXUS_HTTP__SHUTDOWN_DELAY_SECONDS": "0",
        # Whoever waits for a test is never sent away.
        "NEXUS_HTTP__DRAIN_SECONDS": str(WITHIN),
        "NEXUS_HTTP__REQUEST_TIMEOUT_SECONDS": str(WITHIN),
    }


SERVE = ("serve", "gateway")


def command(port: int, arguments: tuple[str, ...] = SERVE) -> list[str]:
    return [sys.executable, "-m", "cli", *arguments, f"--port={port}"]


@asynccontextmanager
async def started(
    environment: dict[str, str], arguments: tuple[str, ...] = SERVE
) -> AsyncIterator[Served]:
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        *command(port, arguments), cwd=ROOT, env=environment, stderr=subprocess.PIPE
    )
    served = Served(process, f"http://127.0.0.1:{port}")
    reading = asyncio.create_task(served.read())
    try:
        yield served
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        # The pipe ends when the last process that could write into it has ended.
        async with asyncio.timeout(WITHIN):
            await reading
            await process.wait()


@pytest.fixture
async def billing() -> Billing:
    return Billing()


@pytest.fixture
async def environment(
    billing: Billing, redis_url: str, tmp_path: Path
) -> AsyncIterator[dict[str, str]]:
    async with serving(billing, lifespan="off") as url:
        yield settings(url, redis_url) | {"TMPDIR": str(tmp_path)}


class Connection:
    """A connection to one of the processes; a client would open another when it is lost."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    async def answers(self) -> bool:
        """Whether it still leads to a process, which then answers."""
        body = json.dumps(ASKING).encode()
        head = "POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        self.writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
        try:
            async with asyncio.timeout(WITHIN):
                await self._reader.readuntil(b"\r\n\r\n")
                return await self._reader.readexactly(len(ANSWER)) == ANSWER
        except (EOFError, ConnectionError):
            return False


@asynccontextmanager
async def connections(url: str, count: int) -> AsyncIterator[list[Connection]]:
    """Connections, none of which was refused."""
    port = int(url.rpartition(":")[2])
    opened = [asyncio.open_connection("127.0.0.1", port) for _ in range(count)]
    found = [Connection(*each) for each in await asyncio.gather(*opened)]
    try:
        yield found
    finally:
        for each in found:
            each.writer.close()


async def answers(connections: list[Connection]) -> list[bool]:
    """Which of them are answered."""
    return await asyncio.gather(*(each.answers() for each in connections))


async def until_counted(url: str, answered: int) -> None:
    """Wait until the processes together say that they have answered so many operations."""
    async with asyncio.timeout(WITHIN):
        while await counted(url) < answered:
            pass


async def counted(url: str) -> float:
    async with httpx.AsyncClient(timeout=WITHIN) as client:
        metrics = (await client.get(f"{url}/metrics")).text
    start = "http_request_duration_seconds_count{"
    lines = [line for line in metrics.splitlines() if line.startswith(start)]
    return sum(float(line.split()[-1]) for line in lines if 'operation="Asking"' in line)


async def test_processes_share_a_port_and_one_that_dies_is_replaced(
    environment: dict[str, str], billing: Billing
) -> None:
    async with started(environment) as served:
        first = await served.until("server.process_started", 2)
        async with connections(served.url, 32) as clients:
            assert all(await answers(clients))
        await until_counted(served.url, 32)
        port = int(served.url.rpartition(":")[2])
        taken = await asyncio.to_thread(ended, command(port), env=environment)
        assert taken.returncode == 1
        assert "Address already in use; choose another with --port" in taken.stderr

        billing.release.clear()
        async with connections(served.url, 32) as clients:
            asking = asyncio.create_task(answers(clients))
            # Each process asks once for all who ask it the same.
            await billing.until_waiting(2)
            os.kill(first[0], signal.SIGKILL)
            assert await served.until("server.process_died", 1) == first[:1]
            billing.release.set()
            kept = await asking
        assert set(kept) == {True, False}
        async with connections(served.url, 16) as clients:
            assert all(await answers(clients))
        assert len(await served.until("server.process_started", 3)) == 3
        await until_counted(served.url, 32 + sum(kept) + 16)

        billing.release.clear()
        async with httpx.AsyncClient(timeout=WITHIN) as client:
            slow = asyncio.create_task(client.post(f"{served.url}/graphql", json=ASKING))
            await billing.until_waiting(1)
            served.process.terminate()
            async with asyncio.timeout(WITHIN):
                while await accepts(served.url):
                    pass
            assert not slow.done()
            billing.release.set()
            assert (await slow).content == ANSWER
        assert await served.process.wait() == 0
        for process in served.of("server.process_started"):
            with pytest.raises(ProcessLookupError):
                os.kill(process, 0)


async def accepts(url: str) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
    except OSError:
        return False
    writer.close()
    return True


async def test_processes_end_when_their_parent_was_killed(environment: dict[str, str]) -> None:
    environment["NEXUS_HTTP__SHUTDOWN_DELAY_SECONDS"] = "600"
    async with started(environment) as served:
        await served.until("server.process_started", 2)
        async with connections(served.url, 8) as clients:
            assert all(await answers(clients))
            served.process.kill()
            await served.process.wait()


async def test_the_gateway_of_any_supergraph_does_so_too(
    environment: dict[str, str], tmp_path: Path
) -> None:
    settings = tmp_path / "gateway.yaml"
    settings.write_text(f"subgraphs: {{billing: {{url: '{environment['NEXUS_BILLING__URL']}'}}}}")
    arguments = ("gateway", "--supergraph=supergraph.graphql", "--workers=2", "--config")
    async with started(environment, (*arguments, str(settings))) as served:
        await served.until("server.process_started", 2)
        async with connections(served.url, 16) as clients:
            assert all(await answers(clients))
        served.process.terminate()
        assert await served.process.wait() == 0


def ended(arguments: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
    """A command that ends by itself."""
    return subprocess.run(
        arguments, cwd=ROOT, capture_output=True, text=True, timeout=WITHIN, check=False, **options
    )


async def test_a_process_that_cannot_start_ends_all(environment: dict[str, str]) -> None:
    environment["NEXUS_SUPERGRAPH"] = "/nowhere.graphql"
    done = await asyncio.to_thread(ended, command(0), env=environment)
    assert done.returncode == 1
    assert "Error: cannot read the supergraph /nowhere.graphql" in done.stderr
    assert "Traceback" not in done.stderr


DYING = "import socket, sys; socket.socket(fileno=int(sys.argv[-1])).send(b'served')"
KEEPING = f"""
import asyncio, socket, sys
from cli import replicas
listener = replicas.bound(("127.0.0.1", 0), socket.AF_INET)
sys.exit(asyncio.run(replicas.run([sys.executable, "-c", {DYING!r}], listener, 2)))
"""


def test_processes_that_die_again_and_again_end_all() -> None:
    done = ended([sys.executable, "-c", KEEPING])
    assert done.returncode == 1
    assert "server.processes_die_again_and_again" in done.stdout + done.stderr
