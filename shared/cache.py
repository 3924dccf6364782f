"""The Redis (or Valkey) that processes share: sessions, access lists, the event bus.

Every key written here carries a time to live.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import ConnectionError as NotConnected
from redis.exceptions import TimeoutError as NotInTime

from shared.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shared.config import RedisSettings

__all__ = ["Redis", "answering", "connect"]


def connect(settings: RedisSettings) -> Redis:
    """A client with a bounded pool and bounded waits; close it with ``aclose()``."""
    pool = BlockingConnectionPool.from_url(
        settings.url.get_secret_value(),
        max_connections=settings.max_connections,
        timeout=settings.timeout_seconds,
        socket_timeout=settings.timeout_seconds,
        socket_connect_timeout=settings.timeout_seconds,
        retry=Retry(ExponentialWithJitterBackoff(base=0.02, cap=0.2), 2),
        decode_responses=True,
        protocol=3,
    )
    return Redis.from_pool(pool)


@contextmanager
def answering() -> Iterator[None]:
    """Turns "Redis does not answer" inside the block into `Unavailable`, and leaves bugs alone."""
    try:
        yield
    except (NotConnected, NotInTime, OSError) as error:
        raise Unavailable from error
