"""Texts that clients registered, kept in Redis, where every process finds them."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

from prometheus_client import Counter
from redis.exceptions import RedisError

from shared.circuit_breaker import CircuitBreaker
from shared.errors import Unavailable

if TYPE_CHECKING:
    from gateway.documents import MemoryStore
    from shared.cache import Redis

__all__ = ["SharedStore"]

T = TypeVar("T")

_ASKED = Counter(
    "graphql_shared_documents_total",
    "Texts that were looked for in Redis, by what came of it.",
    ("result",),
)

# The braces keep all keys in one slot of a cluster.
_KEY = "{documents}:"
_INDEX = "{documents}:index"
_LONGEST = 20_000
_PUT = """
redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
redis.call('ZADD', KEYS[2], ARGV[4], ARGV[1])
redis.call('EXPIRE', KEYS[2], ARGV[3])
local over = redis.call('ZCARD', KEYS[2]) - tonumber(ARGV[5])
if over > 0 then
  for i, member in ipairs(redis.call('ZPOPMIN', KEYS[2], over)) do
    if i % 2 == 1 then redis.call('DEL', '{documents}:' .. member) end
  end
end
"""


class SharedStore:
    """Asks this process's memory first, then Redis; keeps a text in both.

    Redis holds at most ``entries`` texts, those asked for longest ago leave
    first, and none that nobody asked for in ``ttl_seconds``.  A longer text, and
    any while Redis does not answer within ``patience_seconds``, is in memory
    alone: clients of another process register it again.
    """

    def __init__(
        self,
        redis: Redis,
        memory: MemoryStore,
        *,
        ttl_seconds: int = 86_400,
        entries: int = 5_000,
        patience_seconds: float = 0.5,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._redis = redis
        self._memory = memory
        self._ttl_seconds = ttl_seconds
        self._entries = entries
        self._patience_seconds = patience_seconds
        self._clock = clock
        self._breaker = CircuitBreaker("shared documents", least_calls=5, pause_seconds=10)

    async def get(self, digest: str) -> str | None:
        """The text with this SHA-256."""
        text = await self._memory.get(digest)
        if text is not None:
            return text
        found = await self._answer(lambda: self._read(digest))
        # Others write there, too.
        if found is None or hashlib.sha256(found.encode()).hexdigest() != digest:
            return None
        await self._memory.put(digest, found)
        return found

    async def put(self, digest: str, text: str) -> None:
        """Keep a text."""
        if await self._memory.get(digest) is not None:
            return
        await self._memory.put(digest, text)
        if len(text) <= _LONGEST:
            await self._answer(lambda: self._write(digest, text))

    async def _read(self, digest: str) -> str | None:
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.getex(_KEY + digest, ex=self._ttl_seconds)
            pipe.zadd(_INDEX, {digest: self._clock()}, xx=True)
            pipe.expire(_INDEX, self._ttl_seconds)
            found: str | None = (await pipe.execute())[0]
        _ASKED.labels("missing" if found is None else "found").inc()
        return found

    async def _write(self, digest: str, text: str) -> None:
        arguments = (digest, text, self._ttl_seconds, self._clock(), self._entries)
        keys = (_KEY + digest, _INDEX)
        written: Any = self._redis.eval(_PUT, len(keys), *keys, *map(str, arguments))
        await written

    async def _answer(self, ask: Callable[[], Awaitable[T]]) -> T | None:
        """What Redis says, or None when it does not answer."""
        try:
            with self._breaker:
                try:
                    async with asyncio.timeout(self._patience_seconds):
                        return await ask()
                except (RedisError, OSError) as error:
                    raise Unavailable from error
        except Unavailable:
            _ASKED.labels("unavailable").inc()
            return None
