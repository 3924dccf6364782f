"""How many streams one process holds open for clients, and how long each may stay."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge

from shared.errors import Unavailable
from shared.protocols.lifetime import ClientGone

if TYPE_CHECKING:
    from starlette.types import Message, Send

__all__ = ["Openings"]

_OPEN = Gauge(
    "graphql_streams_open",
    "WebSockets and event streams of clients that are open.",
    multiprocess_mode="livesum",
)
_REFUSED = Counter("graphql_streams_refused_total", "Streams that were one too many.")
_DAY = 86_400.0


class Openings:
    """Every stream of a process has one of ``most`` openings, for a limited time.

    A WebSocket counts once, however many operations it has.  A client that takes
    nothing for ``stalled_seconds`` is gone.
    """

    def __init__(
        self,
        draining: asyncio.Event | None = None,
        *,
        most: int = 10_000,
        lifetime_seconds: float = _DAY,
        stalled_seconds: float = 60.0,
    ) -> None:
        self._draining = draining or asyncio.Event()
        self._most = most
        self._lifetime_seconds = lifetime_seconds
        self._stalled_seconds = stalled_seconds
        self._open = 0

    @contextmanager
    def one(self) -> Iterator[None]:
        """Holds one inside the block; raises `Unavailable` when all are taken."""
        if self._open >= self._most:
            _REFUSED.inc()
            raise Unavailable("Too many streams are open here. Try again later.")
        self._open += 1
        _OPEN.inc()
        try:
            yield
        finally:
            self._open -= 1
            _OPEN.dec()

    async def over(self) -> None:
        """Return when the client of a stream should connect again, perhaps elsewhere."""
        # Streams that were opened at once must not come back at once.
        seconds = self._lifetime_seconds * random.uniform(0.9, 1.0)  # noqa: S311 - jitter
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._draining.wait()

    def patient(self, send: Send) -> Send:
        """``send`` that raises `ClientGone` for a client that has stalled."""

        async def sending(message: Message) -> None:
            try:
                async with asyncio.timeout(self._stalled_seconds):
                    await send(message)
            except TimeoutError:
                raise ClientGone from None

        return sending
