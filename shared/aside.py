"""Work that would hold up the loop: done on one thread beside it, the shortest first."""

from __future__ import annotations

import asyncio
import contextvars
import gc
from bisect import insort
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from prometheus_client import Counter

from shared.deadline import remaining
from shared.errors import TimedOut, Unavailable

__all__ = ["Aside", "TooManyNewOperations"]

T = TypeVar("T")

_REFUSED = Counter(
    "graphql_new_operations_refused_total", "New operations refused because too many waited."
)
_PATIENCE = 30.0


class TooManyNewOperations(Unavailable):
    """So much waits to be read, planned or compiled that this would not come to its turn."""

    code = "TOO_MANY_NEW_OPERATIONS"
    message = "Too many operations that are new here at once. Try again."


@dataclass(slots=True, order=True)
class _Piece:
    size: int
    number: int
    key: Hashable = field(compare=False)
    call: Callable[[], Any] = field(compare=False)
    result: asyncio.Future[Any] = field(compare=False)
    askers: int = field(default=0, compare=False)


class Aside:
    """Does pieces of work off the loop, one at a time.

    What is short goes before what is long, so a client who sends large documents
    without end holds up others by no more than the piece that is being done.  At
    most ``most`` pieces wait, of ``size`` together; then the longest is refused.
    What nobody waits for any more is not begun.
    """

    def __init__(self, *, most: int, size: int) -> None:
        self._most = most
        self._size = size
        self._pieces: dict[Hashable, _Piece] = {}
        self._waiting: list[_Piece] = []
        self._busy = False
        self._number = 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="aside")

    async def once(self, key: Hashable, size: int, work: Callable[..., T], *arguments: Any) -> T:
        """What ``work`` gives, done once for all that ask under this key meanwhile.

        Raises `TooManyNewOperations` if what waits is enough, `TimedOut` at the deadline.
        """
        piece = self._pieces.get(key) or self._add(key, size, partial(work, *arguments))
        piece.askers += 1
        try:
            # One who stops waiting must not take it from the others.
            async with asyncio.timeout(remaining(_PATIENCE)):
                result: T = await asyncio.shield(piece.result)
        except TimeoutError:
            raise TimedOut from None
        finally:
            piece.askers -= 1
            if not piece.askers and piece in self._waiting:
                self._waiting.remove(piece)
                del self._pieces[key]
        return result

    def close(self, last: Callable[[], None] | None = None) -> None:
        """Give up the thread when it is done with what it does, and with ``last``."""
        self._waiting.clear()
        if last is not None:
            self._thread.submit(last)
        self._thread.shutdown(wait=False)

    def _add(self, key: Hashable, size: int, work: Callable[[], Any]) -> _Piece:
        self._number += 1
        call = partial(contextvars.copy_context().run, _uncollected, work)
        result = asyncio.get_running_loop().create_future()
        piece = self._pieces[key] = _Piece(size, self._number, key, call, result)
        insort(self._waiting, piece)
        while len(self._waiting) > self._most or self._is_too_much():
            last = self._waiting.pop()
            del self._pieces[last.key]
            _REFUSED.inc()
            last.result.set_exception(TooManyNewOperations())
        self._go_on()
        return piece

    def _is_too_much(self) -> bool:
        return len(self._waiting) > 1 and sum(one.size for one in self._waiting) > self._size

    def _go_on(self) -> None:
        if self._busy or not self._waiting:
            return
        self._busy = True
        piece = self._waiting.pop(0)
        done = asyncio.get_running_loop().run_in_executor(self._thread, piece.call)
        done.add_done_callback(partial(self._finish, piece))

    def _finish(self, piece: _Piece, done: asyncio.Future[Any]) -> None:
        self._busy = False
        del self._pieces[piece.key]
        error = done.exception()
        if error is None:
            piece.result.set_result(done.result())
        else:
            piece.result.set_exception(error)
        self._go_on()


def _uncollected(work: Callable[[], T]) -> T:
    """What ``work`` gives, without the garbage collector.

    It would go through all that is alive again and again while a large document
    is read, and nobody else runs meanwhile; next to none of it is garbage.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        return work()
    finally:
        if collects:
            gc.enable()
