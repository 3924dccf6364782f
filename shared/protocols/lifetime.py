"""How long work may last: until the client leaves, until the server drains."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Coroutine
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from starlette.types import Receive

__all__ = ["ClientGone", "closing", "first_of", "gone", "paced", "until_gone"]

T = TypeVar("T")

_SOON = 0.02
"""Seconds that work takes before its client is watched."""


class ClientGone(Exception):
    """The client hung up; there is nobody to answer."""


async def gone(receive: Receive) -> None:
    """Return when the client has hung up; call it after the body has been read."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def until_gone(receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    """What ``work`` returns, unless the client hangs up first: then `ClientGone`."""
    task = asyncio.current_task()
    assert task is not None
    hung_up = False
    watcher: asyncio.Task[None] | None = None

    async def watch() -> None:
        nonlocal hung_up
        await gone(receive)
        hung_up = True
        task.cancel()

    def begin() -> None:
        nonlocal watcher
        watcher = asyncio.create_task(watch())

    # Most work is done before anyone could want to stop it; only the rest pays for a second task.
    beginning = asyncio.get_running_loop().call_later(_SOON, begin)
    try:
        return await work
    except asyncio.CancelledError:
        if hung_up and task.uncancel() == 0:
            raise ClientGone from None
        raise
    finally:
        beginning.cancel()
        if watcher is not None:
            watcher.cancel()


async def first_of(*work: Coroutine[Any, Any, object]) -> None:
    """Return when one of them has; cancel the others; raise what the first one raised."""
    tasks = [asyncio.create_task(item) for item in work]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    for task in tasks:
        if task in done:
            task.result()


async def paced(items: AsyncIterator[T], seconds: float) -> AsyncIterator[T | None]:
    """The items as they come, and None whenever none has come for so many seconds.

    They are taken by one task, from the first to the last: what makes them may
    hold on to its task between two items.
    """
    taken: asyncio.Queue[tuple[T] | Exception | None] = asyncio.Queue(1)

    async def take() -> None:
        end: Exception | None = None
        try:
            async for item in items:
                await taken.put((item,))
        except Exception as error:  # noqa: BLE001 - raised again where the items are awaited
            end = error
        finally:
            await closing(items)
        await taken.put(end)

    taking = asyncio.create_task(take())
    getting: asyncio.Task[tuple[T] | Exception | None] | None = None
    try:
        while True:
            getting = getting or asyncio.create_task(taken.get())
            await asyncio.wait({getting}, timeout=seconds)
            if not getting.done():
                yield None
                continue
            found, getting = getting.result(), None
            if found is None:
                return
            if isinstance(found, Exception):
                raise found
            yield found[0]
    finally:
        tasks = {taking} if getting is None else {taking, getting}
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def closing(items: AsyncIterator[Any]) -> None:
    """Close an async iterator that may be a generator."""
    close = getattr(items, "aclose", None)
    if close is not None:
        with suppress(StopAsyncIteration):
            waiting: Awaitable[object] = close()
            await waiting
