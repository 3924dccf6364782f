"""The three subgraphs answering from memory, so that only the gateway is measured.

``stub.py PORT`` serves each under its name, ``/accounts``.  A request that was
seen before is answered with the bytes of last time; an unknown one is executed.
"""

from __future__ import annotations

import asyncio
import sys
from importlib import import_module
from typing import Any

import orjson
import uvloop

from shared.execution import Executor

__all__ = ["main"]

NAMES = ("accounts", "organizations", "plans")


class _Subgraphs:
    def __init__(self) -> None:
        self.executors = {
            name: Executor(import_module(f"bench.peers.subgraphs.{name}").schema) for name in NAMES
        }
        self.known: dict[tuple[bytes, bytes], bytes] = {}

    async def answer(self, path: bytes, body: bytes) -> bytes:
        known = self.known.get((path, body))
        if known is None:
            known = self.known[path, body] = await self._execute(path.decode().strip("/"), body)
        return known

    async def _execute(self, name: str, body: bytes) -> bytes:
        request: dict[str, Any] = orjson.loads(body)
        result = await self.executors[name].execute(
            request["query"],
            variables=request.get("variables"),
            operation_name=request.get("operationName"),
        )
        payload = orjson.dumps(result.formatted)
        head = (
            f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(payload)}"
        )
        return head.encode() + b"\r\n\r\n" + payload


async def _serve(subgraphs: _Subgraphs, reader: asyncio.StreamReader, writer: Any) -> None:
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            lowered = head.lower()
            at = lowered.find(b"content-length:")
            body = b""
            if at >= 0:
                body = await reader.readexactly(int(lowered[at + 15 :].split(b"\r\n", 1)[0]))
            elif b"chunked" in lowered:
                body = await _chunks(reader)
            writer.write(await subgraphs.answer(head.split(b" ", 2)[1], body))
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    found = b""
    while size := int(await reader.readline(), 16):
        found += await reader.readexactly(size)
        await reader.readline()
    await reader.readline()
    return found


async def main(port: int) -> None:
    """Serve until killed."""
    subgraphs = _Subgraphs()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _serve(subgraphs, reader, writer)

    server = await asyncio.start_server(serve, "127.0.0.1", port, limit=2**20)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
