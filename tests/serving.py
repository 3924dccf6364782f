"""Serves an ASGI application on a free port of this machine, in the test's own loop."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn

__all__ = ["serving"]


class _Server(uvicorn.Server):
    """A server without signal handlers that tells when it is up."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self.up.set()


@asynccontextmanager
async def serving(app: Any, **options: Any) -> AsyncIterator[str]:
    """The address, like ``http://127.0.0.1:41234``, at which ``app`` is served meanwhile."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    host, port = listener.getsockname()
    config = uvicorn.Config(
        app,
        **{
            "log_config": None,
            "ws": "websockets-sansio",
            "timeout_graceful_shutdown": 2,
            **options,
        },
    )
    server = _Server(config)
    task = asyncio.create_task(server._serve(sockets=[listener]))
    up = asyncio.create_task(server.up.wait())
    await asyncio.wait({task, up}, return_when=asyncio.FIRST_COMPLETED)
    up.cancel()
    try:
        if task.done():
            raise RuntimeError("the server did not start") from task.exception()
        yield f"http://{host}:{port}"
    finally:
        server.should_exit = True
        await task
        listener.close()
