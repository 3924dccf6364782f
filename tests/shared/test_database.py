"""How long the database may take: as long as the request, whoever gives up first."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial

import asyncpg
import pytest

from shared.config import DatabaseSettings
from shared.db import Database, ReadSession
from shared.deadline import deadline
from shared.errors import TimedOut, Unavailable
from tests.e2e.people import eventually

Opened = Callable[[], AbstractAsyncContextManager[ReadSession]]
ASLEEP = (
    "select count(*) from pg_stat_activity where application_name = 'nexus-deadlines'"
    " and query like '%pg_sleep%' and state = 'active'"
)


@pytest.fixture
async def server(postgres_admin_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection that watches the server."""
    connection = await asyncpg.connect(postgres_admin_url)
    yield connection
    await connection.close()


@pytest.fixture
async def database(postgres_admin_url: str) -> AsyncIterator[Database]:
    """A database with one connection for each kind of session."""
    made = make(postgres_admin_url)
    yield made
    await made.close()


def make(url: str, *, statement_timeout_seconds: float = 60) -> Database:
    settings = DatabaseSettings(
        pool_size=1, statement_timeout_seconds=statement_timeout_seconds, pool_timeout_seconds=60
    )
    return Database(
        url.replace("postgresql://", "postgresql+asyncpg://"), settings, name="deadlines"
    )


async def sleep(session: ReadSession) -> None:
    """Sleeps on the server."""
    await (await session.connection()).exec_driver_sql("select pg_sleep(600)")


async def asleep(server: asyncpg.Connection, count: int) -> None:
    """Returns when so many of our statements sleep on the server."""
    await eventually(partial(server.fetchval, ASLEEP), lambda found: bool(found == count))


@pytest.mark.parametrize("kind", ["read", "write"])
async def test_at_the_deadline_the_statement_is_gone_on_the_server(
    database: Database, server: asyncpg.Connection, kind: str
) -> None:
    opened: Opened = getattr(database, kind)
    token = deadline.set(time.monotonic() + 0.2)
    try:
        with pytest.raises(TimedOut) as caught:
            async with opened() as session:
                await sleep(session)
    finally:
        deadline.reset(token)
    assert caught.value.code == "DOWNSTREAM_TIMEOUT"
    await asleep(server, 0)
    # The pool is none the poorer.
    async with opened() as session:
        await (await session.connection()).exec_driver_sql("select 1")


@pytest.mark.parametrize("kind", ["read", "write"])
async def test_the_server_is_told_what_is_left_if_that_is_less_than_its_usual_limit(
    database: Database, kind: str
) -> None:
    opened: Opened = getattr(database, kind)

    async def told(left: float | None) -> float:
        token = deadline.set(None if left is None else time.monotonic() + left)
        try:
            async with opened() as session:
                connection = await session.connection()
                found = await connection.exec_driver_sql(
                    "select extract(epoch from current_setting('statement_timeout')::interval)"
                )
                return float(found.scalar_one())
        finally:
            deadline.reset(token)

    # All over the one connection of the pool, whose usual limit is a minute.
    for left in (None, 30, 30, 300, 9, None):
        most = min(60, left or 60)
        assert most - 5 < await told(left) <= most


async def test_a_task_that_is_cancelled_takes_its_statement_along(
    database: Database, server: asyncpg.Connection
) -> None:
    async def work() -> None:
        async with database.read() as session:
            await sleep(session)

    task = asyncio.create_task(work())
    await asleep(server, 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asleep(server, 0)


async def test_waiting_for_a_connection_ends_at_the_deadline_too(
    database: Database, server: asyncpg.Connection
) -> None:
    async def work() -> None:
        async with database.read() as session:
            await sleep(session)

    task = asyncio.create_task(work())
    await asleep(server, 1)
    token = deadline.set(time.monotonic() + 0.1)
    try:
        with pytest.raises(TimedOut):
            await work()
    finally:
        deadline.reset(token)
    task.cancel()
    await asyncio.wait([task])


async def test_the_servers_own_limit_has_the_same_code(postgres_admin_url: str) -> None:
    database = make(postgres_admin_url, statement_timeout_seconds=0.05)
    with pytest.raises(TimedOut):
        async with database.write() as session:
            await sleep(session)
    await database.close()


async def test_a_connection_that_the_server_ends_is_no_time_out(
    database: Database, server: asyncpg.Connection
) -> None:
    async def work() -> None:
        async with database.read() as session:
            connection = await session.connection()
            (process,) = (await connection.exec_driver_sql("select pg_backend_pid()")).one()
            await server.execute("select pg_terminate_backend($1)", process)
            await sleep(session)

    with pytest.raises(Unavailable):
        await work()


async def test_the_server_looks_after_clients_that_vanish(database: Database) -> None:
    async with database.read() as session:
        connection = await session.connection()
        result = await connection.exec_driver_sql("show client_connection_check_interval")
        assert result.scalar() == "1s"
