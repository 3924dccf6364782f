"""PostgreSQL: two pools, two kinds of session, one transaction a block.

    async with database.read() as session:      # statements on their own, read-only
        ...
    async with database.write() as session:     # one transaction, committed on leaving
        ...

A function that takes a `ReadSession` cannot write; one that takes a
`WriteSession` runs inside its caller's transaction and never commits.

A block lasts until the request's deadline at most.  What it waits for then is
cancelled, and so is a statement on the server: the driver asks for that over a
connection of its own.  The server ends it by itself a moment later, should we be
gone by then; telling it costs a round trip, so only a deadline that is nearer
than its usual limit is told.
"""

from __future__ import annotations

import asyncio
import math
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import asyncpg
from sqlalchemy import MetaData, event
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.pool import QueuePool

from shared.deadline import deadline, remaining
from shared.errors import TimedOut, Unavailable
from shared.telemetry import PoolUsage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from sqlalchemy.engine import Connection
    from sqlalchemy.pool import ConnectionPoolEntry

    from shared.config import DatabaseSettings

__all__ = ["Database", "ReadSession", "WriteSession", "metadata", "pool_usage"]

pool_usage = PoolUsage()

_QUERY_CANCELED = "57014"
_LIMIT = "statement_timeout"
_SET_LIMIT = "select set_config('statement_timeout', $1, $2)"
_STEP = 0.25
"""Seconds that the server waits at most after the deadline."""
_NAMES = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}


def metadata() -> MetaData:
    """Metadata for one subgraph's tables; the connection's search path chooses the schema."""
    return MetaData(naming_convention=_NAMES)


class ReadSession(AsyncSession):
    """Reads only: every statement stands alone, and the server refuses writes."""


class WriteSession(ReadSession):
    """One transaction, opened and committed by an edge."""

    def after_commit(self, callback: Callable[[], Awaitable[None]]) -> None:
        """Run ``callback`` once this transaction has been committed; never if it was not."""
        self.info.setdefault("after_commit", []).append(callback)


class Database:
    """One subgraph's database: the schema ``name`` at ``url``."""

    def __init__(self, url: str, settings: DatabaseSettings, *, name: str) -> None:
        self.name = name
        self.url = url
        self._writes = _engine(url, settings, name)
        self._reads = _engine(url, settings, name, read_only=True)
        pool_usage.add(f"{name}-write", lambda: _usage(self._writes))
        pool_usage.add(f"{name}-read", lambda: _usage(self._reads))

    @asynccontextmanager
    async def read(self) -> AsyncIterator[ReadSession]:
        """A session for reading.

        Raises `Unavailable` when the database does not answer, `TimedOut` when
        it does not in time.
        """
        async with _answering(), ReadSession(self._reads, expire_on_commit=False) as session:
            yield session

    @asynccontextmanager
    async def write(self) -> AsyncIterator[WriteSession]:
        """A transaction, committed when the block ends and rolled back when it raises.

        Raises `Unavailable` when the database does not answer, `TimedOut` when
        it does not in time.
        """
        async with _answering(), WriteSession(self._writes, expire_on_commit=False) as session:
            async with session.begin():
                yield session
            for callback in session.info.get("after_commit", ()):
                await callback()

    async def ping(self) -> None:
        """Return when the database answers; raise `Unavailable` when not."""
        async with self.read() as session:
            await (await session.connection()).exec_driver_sql("select 1")

    async def connect(self) -> asyncpg.Connection:
        """A raw connection of its own, for listening; the caller closes it."""
        return await asyncpg.connect(
            self.url.replace("postgresql+asyncpg://", "postgresql://"),
            timeout=5,
            server_settings={"search_path": self.name, "application_name": f"nexus-{self.name}"},
        )

    async def close(self) -> None:
        """Close both pools."""
        pool_usage.remove(f"{self.name}-write")
        pool_usage.remove(f"{self.name}-read")
        await self._reads.dispose()
        await self._writes.dispose()


def _engine(
    url: str, settings: DatabaseSettings, name: str, *, read_only: bool = False
) -> AsyncEngine:
    parameters = {
        "application_name": f"nexus-{name}",
        "search_path": name,
        "statement_timeout": _milliseconds(settings.statement_timeout_seconds),
        "idle_in_transaction_session_timeout": "30000",
        "client_connection_check_interval": "1000",
    }
    options: dict[str, Any] = {}
    if read_only:
        parameters["default_transaction_read_only"] = "on"
        options = {"isolation_level": "AUTOCOMMIT", "pool_reset_on_return": None}
    engine = create_async_engine(
        url,
        pool_size=settings.pool_size,
        max_overflow=0,
        # Parameters may be addresses and the like; errors are logged.
        hide_parameters=True,
        pool_timeout=settings.pool_timeout_seconds,
        pool_recycle=1800,
        connect_args={
            "server_settings": parameters,
            "timeout": settings.pool_timeout_seconds,
        },
        **options,
    )
    limit = _Limit(settings.statement_timeout_seconds)
    if read_only:
        event.listen(engine.sync_engine, "checkout", limit.of_connection)
    else:
        event.listen(engine.sync_engine, "begin", limit.of_transaction)
    return engine


@dataclass(frozen=True, slots=True)
class _Limit:
    """PostgreSQL's ``statement_timeout``: ``usual`` seconds, or less if the request has less."""

    usual: float

    def of_connection(self, connection: Any, record: ConnectionPoolEntry, _proxy: object) -> None:
        """Before statements that stand alone; it stays until it is set again."""
        limit = self._now()
        if record.info.get(_LIMIT, self.usual) != limit:
            # Whoever is interrupted here leaves a limit that nobody knows.
            record.info[_LIMIT] = None
            cursor = connection.cursor()
            cursor.execute(_SET_LIMIT, (_milliseconds(limit), False))
            cursor.close()
            record.info[_LIMIT] = limit

    def of_transaction(self, connection: Connection) -> None:
        """At the start of a transaction, with whose end it ends."""
        limit = self._now()
        if limit != self.usual:
            connection.exec_driver_sql(_SET_LIMIT, (_milliseconds(limit), True))

    def _now(self) -> float:
        # In steps, so that requests with a short time do not set it each time anew.
        steps = max(1, math.ceil(remaining(self.usual) / _STEP))
        return min(self.usual, steps * _STEP)


def _milliseconds(seconds: float) -> str:
    return str(max(1, int(seconds * 1000)))


def _usage(engine: AsyncEngine) -> float:
    pool = engine.pool
    return pool.checkedout() / pool.size() if isinstance(pool, QueuePool) else 0.0


@asynccontextmanager
async def _answering() -> AsyncIterator[None]:
    """Ends at the deadline; tells a database that does not answer from a bug."""
    end = deadline.get()
    limit = asyncio.timeout(None if end is None else max(0.0, end - time.monotonic()))
    try:
        async with limit:
            yield
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) == _QUERY_CANCELED:
            raise TimedOut from error
        if error.connection_invalidated or isinstance(error, OperationalError):
            raise Unavailable from error
        raise
    except (PoolTimeout, OSError) as error:
        raise (TimedOut if limit.expired() else Unavailable) from error
