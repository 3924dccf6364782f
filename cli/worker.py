"""Background work of the subgraphs: their relays, consumers, jobs and schedules."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from importlib import import_module

import uvloop

from shared import cache, logger, telemetry
from shared.config import Settings
from shared.subgraph import Subgraph
from shared.worker import Worker


@asynccontextmanager
async def working(settings: Settings, names: Sequence[str]) -> AsyncIterator[asyncio.Task[None]]:
    """Background work of these subgraphs until the block ends, then drained.

    What it gives is done when a worker ended by itself, which none should.
    """
    async with AsyncExitStack() as stack:
        redis = cache.connect(settings.redis)
        stack.push_async_callback(redis.aclose)
        subgraphs: list[Subgraph] = [
            import_module(f"subgraphs.{name}.app").create(settings, redis) for name in names
        ]
        for found in subgraphs:
            stack.push_async_callback(found.close)
        stop = asyncio.Event()
        workers = [found.worker for found in subgraphs if found.worker]
        done = asyncio.create_task(_together(workers, stop))
        try:
            yield done
        finally:
            stop.set()
            await done


async def _together(workers: Sequence[Worker], stop: asyncio.Event) -> None:
    async with asyncio.TaskGroup() as group:
        for worker in workers:
            group.create_task(worker.run(stop))


def main(settings: Settings, names: Sequence[str]) -> None:
    """Works until SIGTERM or SIGINT, then finishes what has begun."""
    logger.configure(settings.telemetry, service="worker")
    flush = telemetry.configure(settings.telemetry, service="worker")
    try:
        uvloop.run(_work(settings, names))
    finally:
        flush()


async def _work(settings: Settings, names: Sequence[str]) -> None:
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked.set)
    async with working(settings, names) as ended:
        stopping = asyncio.create_task(_asked(asked))
        await asyncio.wait({stopping, ended}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()


async def _asked(event: asyncio.Event) -> None:
    await event.wait()
