"""A load generator that costs little: raw HTTP/1.1 over kept-alive connections.

Run as a process of its own so that it does not share the server's interpreter:
``python -m bench.load HOST PORT CONCURRENCY SECONDS`` reads one request a line
(JSON: body, headers) from standard input, sends them round robin and prints
what it measured as JSON.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Measured", "connected", "encode_request", "main"]


@dataclass(slots=True)
class Measured:
    """What one run of load found; latencies in seconds, sorted."""

    seconds: float
    requests: int
    failures: int
    latencies: list[float] = field(repr=False)
    first_failure: str = ""

    def summary(self) -> dict[str, Any]:
        """Rates and percentiles."""
        return {
            "requests": self.requests,
            "failures": self.failures,
            "first_failure": self.first_failure,
            "seconds": self.seconds,
            "requests_per_second": self.requests / self.seconds,
            **{f"p{p}_ms": 1000 * self._percentile(p) for p in (50, 95, 99)},
        }

    def _percentile(self, percent: int) -> float:
        if not self.latencies:
            return float("nan")
        return self.latencies[min(len(self.latencies) - 1, len(self.latencies) * percent // 100)]


def encode_request(host: str, path: str, body: str, headers: dict[str, str]) -> bytes:
    """One POST as it goes over the wire."""
    payload = body.encode()
    lines = [
        f"POST {path} HTTP/1.1",
        f"host: {host}",
        "content-type: application/json",
        "accept: application/json",
        f"content-length: {len(payload)}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + payload


class _Connection(asyncio.Protocol):
    """One kept-alive connection; `exchange` sends a request and waits for its whole answer."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._answer: asyncio.Future[bytes] | None = None
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc or ConnectionError("the server closed the connection"))

    async def exchange(self, request: bytes) -> bytes:
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def close(self) -> None:
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = _end_of_response(self._buffer)
        if end and self._answer is not None and not self._answer.done():
            answer = bytes(self._buffer[:end])
            del self._buffer[:end]
            self._answer.set_result(answer)


def _end_of_response(buffer: bytearray) -> int:
    head = buffer.find(b"\r\n\r\n")
    if head < 0:
        return 0
    headers = bytes(buffer[:head]).lower()
    at = headers.find(b"content-length:")
    if at >= 0:
        line = headers[at + 15 :].split(b"\r\n", 1)[0]
        end = head + 4 + int(line)
        return end if len(buffer) >= end else 0
    return len(buffer) if buffer.endswith(b"\r\n0\r\n\r\n") else 0


async def _run(host: str, port: int, concurrency: int, seconds: float) -> Measured:
    requests = [
        encode_request(f"{host}:{port}", line["path"], line["body"], line["headers"])
        for line in map(json.loads, sys.stdin)
    ]
    source = itertools.cycle(requests)
    measured = Measured(seconds=0, requests=0, failures=0, latencies=[])
    started = time.perf_counter()
    deadline = started + seconds
    await asyncio.gather(
        *(_client(host, port, source, deadline, measured) for _ in range(concurrency))
    )
    measured.seconds = time.perf_counter() - started
    measured.latencies.sort()
    return measured


async def _client(
    host: str, port: int, source: Iterator[bytes], deadline: float, measured: Measured
) -> None:
    clock = time.perf_counter
    async with connected(host, port) as exchange:
        while (begun := clock()) < deadline:
            answer = await exchange(next(source))
            measured.latencies.append(clock() - begun)
            measured.requests += 1
            if not answer.startswith(b"HTTP/1.1 200") or b'"errors"' in answer:
                measured.failures += 1
                measured.first_failure = measured.first_failure or answer[:2000].decode(
                    errors="replace"
                )


@asynccontextmanager
async def connected(host: str, port: int) -> AsyncIterator[Callable[[bytes], Awaitable[bytes]]]:
    """What sends a request over one kept-alive connection and gives its whole answer."""
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(_Connection, host, port)
    try:
        yield connection.exchange
    finally:
        connection.close()


def main(arguments: Sequence[str]) -> None:
    """Measure and print."""
    host, port, concurrency, seconds = arguments
    measured = asyncio.run(_run(host, int(port), int(concurrency), float(seconds)))
    summary = measured.summary()
    print(json.dumps(summary))


if __name__ == "__main__":
    try:
        import uvloop
    except ImportError:
        pass
    else:
        uvloop.install()
    main(sys.argv[1:])
