"""Facts: they leave with their transaction, in order, and take effect once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
import stamina
from sqlalchemy import text

from shared.cache import Redis, connect
from shared.config import Settings
from shared.db import Database, WriteSession
from shared.errors import Unavailable
from shared.events import Consumer, Consuming, Event, EventBus, Fact, Relay, publish


@dataclass(frozen=True, slots=True)
class Counted(Fact):
    """A number was counted."""

    topic: ClassVar[str] = "users.test.counted"
    number: int
    name: str = "one"

    def key(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Heard:
    """A consumer's own view of it."""

    number: int


@pytest.fixture
async def redis(settings: Settings) -> AsyncIterator[Redis]:
    client = connect(settings.redis)
    yield client
    await client.aclose()


@pytest.fixture
async def database(settings: Settings) -> AsyncIterator[Database]:
    url = settings.users.database_url
    assert url is not None
    found = Database(url.get_secret_value(), settings.database, name="users")
    async with found.write() as session:
        await session.execute(text("create table effects (number int not null)"))
    yield found
    await found.close()


@pytest.fixture(autouse=True)
def _retry_at_once() -> Iterator[None]:
    stamina.set_testing(True, attempts=4)
    yield
    stamina.set_testing(False)


async def _effects(database: Database) -> list[int]:
    async with database.read() as session:
        return list(await session.scalars(text("select number from effects")))


async def _count(session: WriteSession, heard: Heard) -> None:
    await session.execute(
        text("insert into effects (number) values (:number)"), {"number": heard.number}
    )


def _consuming(
    database: Database,
    redis: Redis,
    handle: Callable[[WriteSession, Heard], Awaitable[None]] = _count,
) -> Consuming:
    consumer: Consumer[Any] = Consumer("test", Counted.topic, Heard, handle)
    return Consuming(database, EventBus(redis), consumer, idle_ms=0)


async def _publish(database: Database, *numbers: int, name: str = "one") -> None:
    async with database.write() as session:
        for number in numbers:
            await publish(session, Counted(number=number, name=name))


async def _drained(database: Database, redis: Redis) -> None:
    relay = Relay(database, EventBus(redis))
    while await relay.drain():
        pass


async def _until_effects(database: Database, consuming: Consuming, count: int) -> list[int]:
    task = asyncio.create_task(consuming.run())
    async with asyncio.timeout(20):
        found = await _effects(database)
        while len(found) < count:
            await asyncio.sleep(0.02)
            found = await _effects(database)
    # A client that is just giving a connection back can swallow one cancellation.
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=0.5)
    return found


async def _numbers(redis: Redis, stream: str) -> list[str]:
    rows: Any = await redis.xrange(stream)
    return [fields["payload"] for _, fields in rows]


async def test_a_fact_of_a_transaction_that_failed_never_leaves(
    database: Database, redis: Redis
) -> None:
    async def change_ones_mind() -> None:
        async with database.write() as session:
            await publish(session, Counted(number=1))
            raise RuntimeError("changed its mind")

    with pytest.raises(RuntimeError):
        await change_ones_mind()
    await _publish(database, 2)
    await _drained(database, redis)
    assert await _numbers(redis, f"events:{Counted.topic}") == ['{"number":2,"name":"one"}']


async def test_two_relays_at_once_keep_the_order_and_send_nothing_twice(
    database: Database, redis: Redis
) -> None:
    await _publish(database, *range(250))
    await asyncio.gather(*(_drained(database, redis) for _ in range(4)))
    await _drained(database, redis)
    sent = await _numbers(redis, f"events:{Counted.topic}")
    assert sent == [f'{{"number":{n},"name":"one"}}' for n in range(250)]


async def test_an_event_that_is_delivered_again_takes_effect_once(
    database: Database, redis: Redis
) -> None:
    consuming = _consuming(database, redis)
    event = Event("0199a0b4-0000-7000-8000-000000000001", Counted.topic, "one", '{"number":7}', {})
    handled = await asyncio.gather(*(consuming.handle(event) for _ in range(5)))
    assert sorted(handled) == [False, False, False, False, True]
    assert await _effects(database) == [7]


async def test_an_event_that_cannot_be_handled_is_tried_four_times_and_buried_with_the_reason(
    database: Database, redis: Redis
) -> None:
    tried: list[int] = []

    async def handle(session: WriteSession, heard: Heard) -> None:
        tried.append(heard.number)
        if heard.number == 1:
            raise ValueError("one is no number")
        await _count(session, heard)

    await _publish(database, 1, 2)
    await _drained(database, redis)
    assert await _until_effects(database, _consuming(database, redis, handle), 1) == [2]
    assert tried == [1, 1, 1, 1, 2]
    rows: Any = await redis.xrange(f"dead:test:{Counted.topic}")
    ((_, buried),) = rows
    assert buried["payload"] == '{"number":1,"name":"one"}'
    assert buried["reason"] == "ValueError: one is no number"


async def test_an_event_waits_in_its_place_while_the_database_is_down(
    database: Database, redis: Redis
) -> None:
    stamina.set_testing(True, attempts=100)
    down = iter([True] * 10)

    async def handle(session: WriteSession, heard: Heard) -> None:
        if next(down, False):
            raise Unavailable
        await _count(session, heard)

    await _publish(database, 1, 2)
    await _drained(database, redis)
    assert await _until_effects(database, _consuming(database, redis, handle), 2) == [1, 2]
    assert await redis.exists(f"dead:test:{Counted.topic}") == 0


async def test_a_consumer_takes_over_what_a_dead_one_left(database: Database, redis: Redis) -> None:
    await _publish(database, 1)
    await _drained(database, redis)
    bus = EventBus(redis)
    await bus.ensure_group(Counted.topic, "test")
    taken = await bus.receive(Counted.topic, "test", "dies", idle_ms=60_000)
    assert len(taken) == 1
    assert await _until_effects(database, _consuming(database, redis), 1) == [1]


async def test_a_listener_hears_its_key_only_and_knows_what_it_missed(
    database: Database, redis: Redis
) -> None:
    bus = EventBus(redis)
    async with bus.listen(Counted.topic, "mine", Heard) as mine:
        await _publish(database, 1, name="other")
        await _publish(database, *range(300), name="mine")
        await _drained(database, redis)
        async with asyncio.timeout(10):
            heard = [await anext(mine)]
            while heard[-1].number < 299:
                heard.append(await anext(mine))
    assert len(heard) + mine.missed == 300
    assert [each.number for each in heard] == sorted({each.number for each in heard})
    await bus.close()


def test_a_topic_has_three_parts() -> None:
    with pytest.raises(TypeError, match="is not domain"):
        type("Wrong", (Fact,), {"topic": "Nonsense"})


async def test_every_key_has_a_time_to_live(database: Database, redis: Redis) -> None:
    await _publish(database, 1)
    await _drained(database, redis)
    await EventBus(redis).ensure_group(Counted.topic, "test")
    keys = [key async for key in redis.scan_iter()]
    assert keys
    assert [key for key in keys if await redis.ttl(key) < 0] == []
