"""Facts: written in the transaction they describe, relayed to the bus, consumed once in effect.

    @dataclass(frozen=True, slots=True)
    class InvoicePaid(Fact):
        topic: ClassVar[str] = "billing.invoice.paid"
        invoice_id: str
        organization_id: str

        def key(self) -> str:
            return self.organization_id

    await publish(session, InvoicePaid(...))            # same transaction as the change

    Consumer("storage", topic="billing.plan.changed", payload=PlanChanged, handle=on_plan_changed)

A consumer lives in another subgraph and declares its own view of the payload:
unknown members are ignored, missing ones are an error.  The bus is Redis
Streams; each (consumer, event) is handled in one transaction together with its
inbox row, so redelivery is harmless.  A fact also goes out on a Redis channel
for live subscriptions, which are told but may miss it.
"""

from __future__ import annotations

import asyncio
import re
import uuid
from collections import deque
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

import asyncpg
import msgspec
import stamina
from opentelemetry import trace
from redis.exceptions import RedisError, ResponseError
from sqlalchemy import text

from shared.errors import Unavailable
from shared.logger import get_logger, service_name
from shared.telemetry import current_headers, remote_context, tracer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from redis.asyncio.client import PubSub

    from shared.cache import Redis
    from shared.db import Database, WriteSession

__all__ = [
    "DDL",
    "Consumer",
    "Consuming",
    "Event",
    "EventBus",
    "Fact",
    "Listener",
    "Relay",
    "publish",
]

logger = get_logger(__name__)

T = TypeVar("T")

_TOPIC = re.compile(r"^[a-z]+\.[a-z_]+\.[a-z_]+$")
_STREAM_TTL_SECONDS = 7 * 86_400
_STREAM_LENGTH = 100_000
_BATCH = 100

DDL = (
    """
    create table outbox (
        position bigint generated always as identity primary key,
        event_id uuid not null default uuidv7(),
        topic text not null,
        key text not null,
        payload text not null,
        headers text not null,
        created_at timestamptz not null default now(),
        published_at timestamptz
    )
    """,
    "create index ix_outbox_unpublished on outbox (position) where published_at is null",
    """
    create table inbox (
        consumer text not null,
        event_id uuid not null,
        handled_at timestamptz not null default now(),
        primary key (consumer, event_id)
    )
    """,
    """
    create function outbox_notify() returns trigger language plpgsql as $$
    begin
        perform pg_notify(tg_table_schema || '_outbox', '');
        return null;
    end $$
    """,
    """
    create trigger outbox_notify after insert on outbox
    for each statement execute function outbox_notify()
    """,
)
"""The statements that make a subgraph's outbox and inbox, for its first migration."""


class Fact:
    """Something that happened; subclasses are frozen dataclasses with a ``topic``."""

    __slots__ = ()
    topic: ClassVar[str]
    """``domain.entity.event``"""

    def __init_subclass__(cls) -> None:
        if not _TOPIC.fullmatch(cls.topic):
            raise TypeError(f"{cls.__name__}: {cls.topic!r} is not domain.entity.event")

    def key(self) -> str:
        """Facts with the same key stay in order, and share a live channel."""
        raise TypeError(f"{type(self).__name__} does not say what its key is")


@dataclass(frozen=True, slots=True)
class Event:
    """A fact as it travels: ``payload`` is its JSON text."""

    id: str
    topic: str
    key: str
    payload: str
    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class Consumer(Generic[T]):
    """Handles one topic on behalf of ``name`` (one word: the consuming domain or feature).

    ``handle`` runs in the transaction that also records the event as handled:
    it must do all its work through that session, or through jobs it enqueues.
    """

    name: str
    topic: str
    payload: type[T]
    handle: Callable[[WriteSession, T], Awaitable[None]]


async def publish(session: WriteSession, fact: Fact) -> None:
    """Write the fact to the outbox; it leaves when, and only when, the transaction commits."""
    await session.execute(
        text(
            "insert into outbox (topic, key, payload, headers)"
            " values (:topic, :key, :payload, :headers)"
        ),
        {
            "topic": fact.topic,
            "key": fact.key(),
            "payload": msgspec.json.encode(fact).decode(),
            "headers": msgspec.json.encode(current_headers()).decode(),
        },
    )


class EventBus:
    """Redis Streams for consumers, Redis channels for live subscriptions."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._channels = _Channels(redis)

    async def send(self, events: Sequence[Event]) -> None:
        """Append the events in order and tell live listeners."""
        async with self._redis.pipeline(transaction=False) as pipe:
            for event in events:
                stream = _stream(event.topic)
                fields = {
                    "id": event.id,
                    "key": event.key,
                    "payload": event.payload,
                    "headers": msgspec.json.encode(event.headers).decode(),
                }
                pipe.xadd(stream, fields, maxlen=_STREAM_LENGTH, approximate=True)  # type: ignore[arg-type]
                pipe.expire(stream, _STREAM_TTL_SECONDS)
                pipe.publish(_channel(event.topic, event.key), event.payload)
            await pipe.execute()

    @asynccontextmanager
    async def listen(self, topic: str, key: str, payload: type[T]) -> AsyncIterator[Listener[T]]:
        """The facts of one topic and key from now on; listening has begun when this is entered."""
        channel = _channel(topic, key)
        listener = Listener(payload)
        await self._channels.add(channel, listener)
        try:
            yield listener
        finally:
            await self._channels.remove(channel, listener)

    async def close(self) -> None:
        """Stop listening; the Redis client stays its owner's to close."""
        await self._channels.close()

    async def ensure_group(self, topic: str, group: str) -> None:
        """Make the consumer group, from the stream's beginning, unless it exists."""
        try:
            await self._redis.xgroup_create(_stream(topic), group, id="0", mkstream=True)
            await self._redis.expire(_stream(topic), _STREAM_TTL_SECONDS)
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise

    async def receive(
        self, topic: str, group: str, member: str, *, idle_ms: int
    ) -> list[tuple[str, Event]]:
        """Waiting events as (delivery id, event): first those another member left behind."""
        stream = _stream(topic)
        claim = await self._redis.xautoclaim(stream, group, member, idle_ms, count=_BATCH)
        rows = claim[1]
        if not rows:
            answer = await self._redis.xreadgroup(
                group, member, {stream: ">"}, count=_BATCH, block=1000
            )
            rows = _rows(answer)
        return [(delivery, _event(topic, fields)) for delivery, fields in rows if fields]

    async def acknowledge(self, topic: str, group: str, delivery: str) -> None:
        """The event is dealt with."""
        await self._redis.xack(_stream(topic), group, delivery)

    async def bury(self, event: Event, group: str, reason: str) -> None:
        """Move the event to the consumer's dead-letter stream, with the reason."""
        stream = f"dead:{group}:{event.topic}"
        fields = {"id": event.id, "key": event.key, "payload": event.payload, "reason": reason}
        await self._redis.xadd(stream, fields, maxlen=_STREAM_LENGTH, approximate=True)  # type: ignore[arg-type]
        await self._redis.expire(stream, 30 * 86_400)


def _rows(answer: Any) -> list[Any]:
    # RESP2 answers [[stream, rows]], RESP3 {stream: [rows]}.
    if not answer:
        return []
    rows: list[Any] = next(iter(answer.values()))[0] if isinstance(answer, dict) else answer[0][1]
    return rows


def _stream(topic: str) -> str:
    return f"events:{topic}"


def _channel(topic: str, key: str) -> str:
    return f"live:{topic}:{key}"


def _event(topic: str, fields: dict[str, str]) -> Event:
    headers = msgspec.json.decode(fields["headers"], type=dict[str, str])
    return Event(fields["id"], topic, fields["key"], fields["payload"], headers)


class Listener(Generic[T]):
    """An iterator over the facts that arrive while it is listening.

    It holds at most 256 facts for a reader that is slow; beyond that the
    oldest are dropped and counted in ``missed``.
    """

    _HELD = 256

    def __init__(self, payload: type[T]) -> None:
        self._payload = payload
        self._waiting: deque[str] = deque(maxlen=self._HELD)
        self._arrived = asyncio.Event()
        self._lost: Exception | None = None
        self.missed = 0

    def __aiter__(self) -> Listener[T]:
        return self

    async def __anext__(self) -> T:
        while not self._waiting:
            if self._lost is not None:
                raise self._lost
            self._arrived.clear()
            await self._arrived.wait()
        return msgspec.json.decode(self._waiting.popleft(), type=self._payload)

    def push(self, text: str) -> None:
        """A fact arrived."""
        self.missed += len(self._waiting) == self._HELD
        self._waiting.append(text)
        self._arrived.set()

    def fail(self, error: Exception) -> None:
        """Nothing more will arrive."""
        self._lost = error
        self._arrived.set()


class _Channels:
    """All listeners of a process on one Redis connection."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._listeners: dict[str, set[Listener[Any]]] = {}
        self._confirmed: dict[str, asyncio.Event] = {}
        self._pubsub: PubSub | None = None
        self._reader: asyncio.Task[None] | None = None

    async def add(self, channel: str, listener: Listener[Any]) -> None:
        """Deliver to ``listener`` from when this returns."""
        self._listeners.setdefault(channel, set()).add(listener)
        if self._pubsub is None:
            self._pubsub = self._redis.pubsub()
        confirmed = self._confirmed.setdefault(channel, asyncio.Event())
        await self._pubsub.subscribe(channel)
        if self._reader is None:
            self._reader = asyncio.create_task(self._read(self._pubsub), name="live-facts")
        async with asyncio.timeout(5):
            await confirmed.wait()

    async def remove(self, channel: str, listener: Listener[Any]) -> None:
        """Deliver no longer; the last listener of a channel gives it up."""
        listeners = self._listeners.get(channel, set())
        listeners.discard(listener)
        if not listeners:
            self._listeners.pop(channel, None)
            self._confirmed.pop(channel, None)
            if self._pubsub is not None:
                with suppress(RedisError, OSError):
                    await self._pubsub.unsubscribe(channel)

    async def close(self) -> None:
        """Give up every channel."""
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.wait([self._reader])
        await self._drop(Unavailable("The stream was closed."))

    async def _read(self, pubsub: PubSub) -> None:
        try:
            while True:
                message = await pubsub.get_message(timeout=30)
                if message is None:
                    continue
                channel = message["channel"]
                if message["type"] == "subscribe":
                    self._confirmed.setdefault(channel, asyncio.Event()).set()
                elif message["type"] == "message":
                    for listener in self._listeners.get(channel, ()):
                        listener.push(message["data"])
        except (RedisError, OSError) as error:
            logger.warning("live.interrupted", reason=type(error).__name__)
            self._reader = None
            await self._drop(Unavailable("The stream was interrupted. Subscribe again."))

    async def _drop(self, error: Exception) -> None:
        for listeners in self._listeners.values():
            for listener in listeners:
                listener.fail(error)
        pubsub, self._pubsub = self._pubsub, None
        if pubsub is not None:
            with suppress(RedisError, OSError):
                await pubsub.aclose()  # type: ignore[no-untyped-call]


class Relay:
    """Carries one subgraph's outbox to the bus, in order, while it is run.

    One relay at a time works per database (an advisory lock), so facts keep
    the order in which they were written; a second one stands by.
    """

    def __init__(self, database: Database, bus: EventBus) -> None:
        self._database = database
        self._bus = bus

    async def run(self) -> None:
        """Relay until cancelled; survives lost connections to either side."""
        service_name.set(self._database.name)
        while True:
            try:
                await self._listen()
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, RedisError) as error:
                logger.warning("relay.interrupted", reason=type(error).__name__)
                await asyncio.sleep(1)

    async def _listen(self) -> None:
        woken = asyncio.Event()
        connection = await self._database.connect()
        try:
            channel = f"{self._database.name}_outbox"
            await connection.add_listener(channel, lambda *_: woken.set())
            while True:
                woken.clear()
                while await self.drain():
                    pass
                with suppress(TimeoutError):
                    await asyncio.wait_for(woken.wait(), timeout=5)
                if connection.is_closed():
                    raise ConnectionError("the listening connection was lost")
        finally:
            await connection.close(timeout=2)

    async def drain(self) -> int:
        """Relay one batch; returns how many facts left."""
        async with self._database.write() as session:
            locked = await session.scalar(
                text("select pg_try_advisory_xact_lock(hashtext(current_schema() || '.outbox'))")
            )
            if not locked:
                return 0
            rows = (
                await session.execute(
                    text(
                        "select position, event_id, topic, key, payload, headers from outbox"
                        " where published_at is null order by position limit :limit"
                    ),
                    {"limit": _BATCH},
                )
            ).all()
            if not rows:
                return 0
            await self._bus.send(
                [
                    Event(
                        str(r.event_id), r.topic, r.key, r.payload, msgspec.json.decode(r.headers)
                    )
                    for r in rows
                ]
            )
            await session.execute(
                text("update outbox set published_at = now() where position = any(:positions)"),
                {"positions": [row.position for row in rows]},
            )
            return len(rows)


class Consuming:
    """Runs one consumer while it is run: effect once, three retries, then the dead letter."""

    def __init__(
        self, database: Database, bus: EventBus, consumer: Consumer[Any], *, idle_ms: int = 30_000
    ) -> None:
        self._database = database
        self._bus = bus
        self._consumer = consumer
        self._member = uuid.uuid4().hex
        self._idle_ms = idle_ms

    async def run(self) -> None:
        """Consume until cancelled; survives lost connections to either side."""
        service_name.set(self._database.name)
        consumer = self._consumer
        while True:
            try:
                await self._bus.ensure_group(consumer.topic, consumer.name)
                while True:
                    await self._round()
            except (OSError, RedisError) as error:
                logger.warning("consumer.interrupted", topic=consumer.topic, reason=str(error))
                await asyncio.sleep(1)

    async def _round(self) -> None:
        consumer = self._consumer
        for delivery, event in await self._bus.receive(
            consumer.topic, consumer.name, self._member, idle_ms=self._idle_ms
        ):
            await self._deliver(event)
            await self._bus.acknowledge(consumer.topic, consumer.name, delivery)

    async def _deliver(self, event: Event) -> None:
        context = remote_context(event.headers)
        with tracer.start_as_current_span(
            f"consume {event.topic}", context=context, kind=trace.SpanKind.CONSUMER
        ):
            try:
                # A database that is down is no fault of the event: it waits, in its place.
                async for attempt in stamina.retry_context(
                    on=Unavailable, attempts=None, timeout=None
                ):
                    with attempt:
                        await self._patiently(event)
            except Exception as error:
                logger.exception("event.buried", topic=event.topic, event_id=event.id)
                await self._bus.bury(event, self._consumer.name, f"{type(error).__name__}: {error}")

    async def _patiently(self, event: Event) -> None:
        async for attempt in stamina.retry_context(
            on=_own_fault, attempts=4, wait_initial=0.1, wait_max=2, timeout=None
        ):
            with attempt:
                await self.handle(event)

    async def handle(self, event: Event) -> bool:
        """Handle the event unless this consumer has; the effect and the inbox row commit as one."""
        async with self._database.write() as session:
            new = await session.scalar(
                text(
                    "insert into inbox (consumer, event_id) values (:consumer, :event_id)"
                    " on conflict do nothing returning 1"
                ),
                {"consumer": self._consumer.name, "event_id": event.id},
            )
            if not new:
                return False
            payload = msgspec.json.decode(event.payload, type=self._consumer.payload)
            await self._consumer.handle(session, payload)
            return True


def _own_fault(error: Exception) -> bool:
    return not isinstance(error, Unavailable)
