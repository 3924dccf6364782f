"""One subgraph on real servers, asked as the gateway asks it."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import orjson
from sqlalchemy import event, text
from sqlalchemy.engine import Engine

from shared import migrations
from shared.auth import ANONYMOUS, Identity
from shared.cache import Redis, connect
from shared.config import Settings
from shared.db import Database
from shared.events import Consumer, Consuming, Event, EventBus
from shared.protocols.service import GraphQLRequest
from shared.subgraph import Subgraph
from tests.support import databases, nexus
from tests.support.servers import Servers


@dataclass(frozen=True, slots=True)
class Asked:
    """A subgraph, and short ways to use it."""

    subgraph: Subgraph
    settings: Settings
    redis: Redis
    database: Database

    async def ask(
        self, query: str, variables: dict[str, Any] | None = None, *, by: Identity = ANONYMOUS
    ) -> dict[str, Any]:
        """The response map."""
        request = GraphQLRequest(query, variables=variables or {})
        return (await self.subgraph.service.execute(request, by)).payload()

    async def data(
        self, query: str, variables: dict[str, Any] | None = None, *, by: Identity = ANONYMOUS
    ) -> dict[str, Any]:
        """The data of an operation without errors."""
        answer = await self.ask(query, variables, by=by)
        assert "errors" not in answer, answer["errors"]
        found: dict[str, Any] = answer["data"]
        return found

    async def error(
        self, query: str, variables: dict[str, Any] | None = None, *, by: Identity = ANONYMOUS
    ) -> dict[str, Any]:
        """The extensions, with the message, of the one error."""
        answer = await self.ask(query, variables, by=by)
        [error] = answer["errors"]
        return {"message": error["message"], **error.get("extensions", {})}

    async def entities(
        self, representations: Sequence[dict[str, Any]], selection: str, *, by: Identity
    ) -> list[dict[str, Any] | None]:
        """The entities; ``selection`` is what comes inside `_entities { … }`."""
        query = f"query($all: [_Any!]!) {{ _entities(representations: $all) {{ {selection} }} }}"
        found = (await self.data(query, {"all": list(representations)}, by=by))["_entities"]
        return list(found)

    async def sql(self, statement: str, **parameters: Any) -> list[Any]:
        """The rows of a statement, for what no edge can bring about or tell."""
        async with self.database.write() as session:
            result = await (await session.connection()).execute(text(statement), parameters)
            return list(result.all()) if result.returns_rows else []

    async def facts(self, *topics: str) -> list[Any]:
        """The topics and payloads written to the outbox, in order."""
        return await self.sql(
            "select topic, payload::jsonb as payload from outbox"
            " where topic = any(:topics) or :all order by position",
            topics=list(topics),
            all=not topics,
        )

    async def consume(self, consumers: Sequence[Consumer[Any]], topic: str, **payload: Any) -> bool:
        """Hand a new event to the consumer of its topic; whether it was handled now."""
        consumer = next(each for each in consumers if each.topic == topic)
        body = orjson.dumps(payload).decode()
        incoming = Event(str(uuid.uuid4()), topic, "key", body, {})
        return await Consuming(self.database, EventBus(self.redis), consumer).handle(incoming)

    @asynccontextmanager
    async def working(self) -> AsyncIterator[EventBus]:
        """The subgraph's worker runs inside the block; gives the bus that others use."""
        stop, bus = asyncio.Event(), EventBus(self.redis)
        assert self.subgraph.worker is not None
        worker = asyncio.create_task(self.subgraph.worker.run(stop))
        try:
            yield bus
        finally:
            await bus.close()
            stop.set()
            await worker


@asynccontextmanager
async def asking(settings: Settings, name: str) -> AsyncIterator[Asked]:
    """The subgraph over the stores of ``settings``."""
    redis = connect(settings.redis)
    subgraph: Subgraph = import_module(f"subgraphs.{name}.app").create(settings, redis)
    url = settings.subgraph(name).database_url
    assert url is not None
    database = Database(url.get_secret_value(), settings.database, name=name)
    try:
        yield Asked(subgraph, settings, redis, database)
    finally:
        await database.close()
        await subgraph.close()
        await redis.aclose()


def make_template(servers: Servers, name: str) -> str:
    """A template database with one subgraph alone."""

    async def prepare(url: str) -> None:
        settings = nexus.make_settings(servers, url, "redis://-", "-")
        await migrations.migrate(settings, [name])

    # Two folders of tests may each want a template of the same subgraph.
    number = next(databases.COUNTER)
    return databases.make_template(
        servers.postgres_url, f"template_{name}_{servers.worker}_{number}", prepare
    )


@contextmanager
def noting_statements() -> Iterator[list[str]]:
    """The SQL statements that this process sends inside the block, as they are sent."""
    sent: list[str] = []

    def note(_: Any, __: Any, statement: str, *___: Any) -> None:
        sent.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def spelt(value: str, chance: random.Random) -> str:
    """The value as it is or as someone might write it who tries to get around a check."""
    position = chance.randrange(len(value) + 1)
    return chance.choice(
        [
            value,
            value.upper(),
            value.replace("-", ""),
            f"{{{value}}}",
            f" {value}",
            f"{value}\x00",
            f"urn:uuid:{value}",
            value[:position] + chance.choice("0aF-%_*'") + value[position + 1 :],
            value[:position],
        ]
    )
