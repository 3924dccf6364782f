"""Registered documents that all gateways share, in a real Valkey."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.documents import MemoryStore
from gateway.shared_documents import SharedStore
from shared.cache import Redis, connect
from shared.config import RedisSettings

TEXT = "{ whoami }"


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with connect(RedisSettings(url=redis_url)) as client:
        yield client


def process(redis: Redis, **options: Any) -> SharedStore:
    """The store of one more process."""
    return SharedStore(redis, MemoryStore(), **options)


async def test_what_one_process_was_told_every_process_knows(redis: Redis) -> None:
    await process(redis).put(digest(TEXT), TEXT)
    assert await process(redis).get(digest(TEXT)) == TEXT
    assert await process(redis).get(digest("{ other }")) is None


async def test_a_text_in_memory_costs_no_round_trip(redis: Redis) -> None:
    await process(redis).put(digest(TEXT), TEXT)
    store = process(redis)
    assert await store.get(digest(TEXT)) == TEXT
    await redis.config_resetstat()
    assert await store.get(digest(TEXT)) == TEXT
    await store.put(digest(TEXT), TEXT)
    used = await redis.info("commandstats")
    assert not {"cmdstat_getex", "cmdstat_eval", "cmdstat_set"} & set(used)


async def test_every_key_ends_some_time_after_it_was_asked_for(redis: Redis) -> None:
    await process(redis, ttl_seconds=100).put(digest(TEXT), TEXT)
    await process(redis, ttl_seconds=1_000).get(digest(TEXT))
    left = [await redis.ttl(key) for key in await redis.keys("*")]
    assert len(left) == 2
    assert all(100 < seconds <= 1_000 for seconds in left)


async def test_what_was_asked_for_longest_ago_makes_room(redis: Redis) -> None:
    clock = itertools.count().__next__
    store = process(redis, entries=2, clock=clock)
    texts = ["{ a }", "{ b }", "{ c }"]
    for text in texts[:2]:
        await store.put(digest(text), text)
    await process(redis, entries=2, clock=clock).get(digest("{ a }"))
    await store.put(digest("{ c }"), "{ c }")
    fresh = process(redis)
    assert [await fresh.get(digest(text)) for text in texts] == ["{ a }", None, "{ c }"]


async def test_a_very_long_text_stays_in_memory(redis: Redis) -> None:
    text = "{ " + "a " * 20_000 + "}"
    store = process(redis)
    await store.put(digest(text), text)
    assert await store.get(digest(text)) == text
    assert await redis.keys("*") == []


async def test_a_text_that_is_not_its_hashs_is_not_served(redis: Redis) -> None:
    await process(redis).put(digest(TEXT), TEXT)
    await redis.set("{documents}:" + digest(TEXT), "{ authors { id } }")
    assert await process(redis).get(digest(TEXT)) is None


async def test_without_redis_each_process_has_its_own() -> None:
    async with connect(RedisSettings(url="redis://127.0.0.1:1/0")) as nowhere:
        store = process(nowhere)
        for number in range(10):
            text = f"{{ field{number} }}"
            await store.put(digest(text), text)
            assert await store.get(digest(text)) == text
            assert await process(nowhere).get(digest(text)) is None
