"""Streams of subgraphs that are lost are opened again, so that the clients behind them stay."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prometheus_client import Counter

from gateway.transports.http import StreamLost, SubgraphUnreachable
from shared.logger import get_logger
from shared.protocols.lifetime import closing

if TYPE_CHECKING:
    from gateway.federation.transport import SubgraphRequest, SubgraphResponse

__all__ = ["Patience", "kept_open"]

logger = get_logger(__name__)

_RECONNECTED = Counter(
    "subgraph_streams_reconnected_total", "Lost streams, opened again.", ("subgraph",)
)
_LONGEST_PAUSE = 30.0


@dataclass(frozen=True, slots=True)
class Patience:
    """How often in a row a stream is opened again in vain, and after which pause.

    The pause doubles until a stream has lived for a time, in which it gave an event or not.
    """

    attempts: int = 5
    pause_seconds: float = 0.5
    settled_seconds: float = 60.0

    def pause(self, losses: int) -> float:
        """The seconds before the next attempt, with jitter."""
        longest = min(_LONGEST_PAUSE, self.pause_seconds * 2.0 ** min(losses - 1, 30))
        return longest * random.uniform(0.5, 1.0)  # noqa: S311 - jitter


async def kept_open(
    subscribe: Callable[[SubgraphRequest], AsyncIterator[SubgraphResponse]],
    request: SubgraphRequest,
    patience: Patience,
) -> AsyncGenerator[SubgraphResponse, None]:
    """The events of a stream and of those that take its place when it is lost.

    The request's context is told that events may be missing.  A stream that
    cannot be opened at all is not tried again, nor one that is refused.
    """
    failures, losses, lost = 0, 0, False
    loop = asyncio.get_running_loop()
    while True:
        began = loop.time()
        stream = subscribe(request)
        try:
            async for response in stream:
                failures = 0
                yield response
            return
        except (StreamLost, SubgraphUnreachable) as error:
            was_open = isinstance(error, StreamLost)
            if was_open and loop.time() - began > patience.settled_seconds:
                failures, losses = 0, 0
            failures, losses, lost = failures + 1, losses + 1, lost or was_open
            if not lost or failures > patience.attempts:
                raise
        finally:
            await closing(stream)
        _RECONNECTED.labels(request.fetch.subgraph).inc()
        logger.warning("stream.lost", subgraph=request.fetch.subgraph, losses=losses)
        if request.context.interrupted is not None:
            request.context.interrupted()
        await asyncio.sleep(patience.pause(losses))
