"""How long work may last: until the client leaves, until the server drains."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from starlette.types import Receive, Scope

__all__ = ["LINE", "ClientGone", "Line", "closing", "first_of", "gone", "paced", "until_gone"]

T = TypeVar("T")

LINE = "nexus.line"
"""The ASGI extension in which a server gives, as ``line``, the `Line` to its client."""


class ClientGone(Exception):
    """The client hung up; there is nobody to answer."""


async def gone(receive: Receive) -> None:
    """Return when the client has hung up; call it after the body has been read."""
    while (await receive())["type"] != "http.disconnect":
        pass


class Line:
    """The connection to a client: tells, once, that it is cut."""

    __slots__ = ("_listening", "is_cut")

    def __init__(self) -> None:
        self.is_cut = False
        self._listening: set[Callable[[], object]] = set()

    def cut(self) -> None:
        """The client has hung up."""
        self.is_cut = True
        for tell in tuple(self._listening):
            tell()

    def listen(self, tell: Callable[[], object]) -> None:
        """Call ``tell`` when it is cut."""
        self._listening.add(tell)

    def leave(self, tell: Callable[[], object]) -> None:
        """Call ``tell`` no more."""
        self._listening.discard(tell)


async def until_gone(scope: Scope, receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    """What ``work`` returns, unless the client hangs up first: then `ClientGone`."""
    task = asyncio.current_task()
    assert task is not None
    hung_up = False

    def stop() -> None:
        nonlocal hung_up
        hung_up = True
        task.cancel()

    line: Line | None = scope.get("extensions", {}).get(LINE, {}).get("line")
    watcher: asyncio.Task[None] | None = None
    if line is None:
        watcher = asyncio.create_task(_watch(receive, stop))
    elif line.is_cut:
        work.close()
        raise ClientGone
    else:
        # A task a request would cost more than all else that is done for it here.
        line.listen(stop)
    try:
        return await work
    except asyncio.CancelledError:
        if hung_up and task.uncancel() == 0:
            raise ClientGone from None
        raise
    finally:
        if line is not None:
            line.leave(stop)
        if watcher is not None:
            watcher.cancel()


async def _watch(receive: Receive, stop: Callable[[], None]) -> None:
    await gone(receive)
    stop()


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
