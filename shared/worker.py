"""Jobs and schedules: PgQueuer in the subgraph's own database.

    await enqueue(session, "settle_payment", {"payment_id": payment.id})     # same transaction

A job leaves with the transaction that enqueued it, runs at least once (a
worker that dies is noticed by its missing heartbeat), is tried four times with
growing pauses, and is then held as failed for an operator to look at.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import asyncpg
import orjson
from pgqueuer import PgQueuer
from pgqueuer.adapters.persistence.qb import QueryBuilderEnvironment
from pgqueuer.core.executors import DatabaseRetryEntrypointExecutor, EntrypointExecutorParameters
from pgqueuer.db import AsyncpgDriver
from pgqueuer.models import Job as QueuedJob
from pgqueuer.models import Schedule as CronSchedule
from pgqueuer.queries import Queries

from shared.events import Consumer, Consuming, EventBus, Relay
from shared.logger import get_logger, service_name
from shared.telemetry import current_headers, remote_context, tracer

if TYPE_CHECKING:
    from shared.db import Database, WriteSession

__all__ = ["Job", "Schedule", "Worker", "enqueue", "install_statements"]

logger = get_logger(__name__)

_ATTEMPTS = 4


@dataclass(frozen=True, slots=True)
class Job:
    """Work under a name; ``run`` gets the enqueued payload and opens its own transaction."""

    name: str
    run: Callable[[Mapping[str, Any]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Schedule:
    """Work at the times of a cron expression (UTC), once across all workers."""

    name: str
    cron: str
    run: Callable[[], Awaitable[None]]


def install_statements() -> str:
    """The SQL that makes the job tables in the current schema, for a first migration."""
    return QueryBuilderEnvironment().build_install_query(create_schema=False)


class _SessionDriver(AsyncpgDriver):
    """Lets PgQueuer write through the caller's transaction."""

    def __init__(self, session: WriteSession) -> None:
        super().__init__(None)
        self._session = session

    async def fetch(self, query: str, *args: object) -> list[dict[str, object]]:
        connection = await self._session.connection()
        result = await connection.exec_driver_sql(query, args)
        return [dict(row) for row in result.mappings()]


async def enqueue(
    session: WriteSession,
    name: str,
    payload: Mapping[str, Any],
    *,
    delay: timedelta = timedelta(),
    unique: str | None = None,
) -> None:
    """Have the job run after this transaction commits, and not before ``delay``.

    While a job with the same ``unique`` key waits or runs, no second one is made.
    """
    message = orjson.dumps({"payload": dict(payload), "headers": current_headers()})
    await Queries(_SessionDriver(session)).enqueue(
        name, message, execute_after=delay, dedupe_key=unique, on_conflict="skip"
    )


class Worker:
    """A subgraph's background work: its relay, its consumers, its jobs and schedules."""

    def __init__(
        self,
        database: Database,
        bus: EventBus,
        *,
        consumers: Sequence[Consumer[Any]] = (),
        jobs: Sequence[Job] = (),
        schedules: Sequence[Schedule] = (),
        drain_seconds: float = 30,
    ) -> None:
        self._database = database
        self._relay = Relay(database, bus)
        self._consumers = [Consuming(database, bus, consumer) for consumer in consumers]
        self._jobs = jobs
        self._schedules = schedules
        self._drain_seconds = drain_seconds

    async def run(self, stop: asyncio.Event) -> None:
        """Work until ``stop`` is set, then finish running jobs within the drain time."""
        service_name.set(self._database.name)
        async with AsyncExitStack() as stack:
            for loop in (self._relay.run, *(consuming.run for consuming in self._consumers)):
                task = asyncio.create_task(loop())
                stack.push_async_callback(_cancelled, task)
            await self._work(stop)

    async def _work(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                await self._queue(stop)
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                logger.warning("worker.interrupted", reason=type(error).__name__)
                await asyncio.sleep(1)

    async def _queue(self, stop: asyncio.Event) -> None:
        connection = await self._database.connect()
        try:
            queue = PgQueuer(AsyncpgDriver(connection))
            for job in self._jobs:
                queue.entrypoint(job.name, on_failure="hold", executor_factory=_retrying)(
                    self._handler(job)
                )
            for schedule in self._schedules:
                queue.schedule(schedule.name, schedule.cron)(self._ticker(schedule))
            await _run_until(queue, stop, self._drain_seconds)
        finally:
            await connection.close(timeout=2)

    def _handler(self, job: Job) -> Callable[[QueuedJob], Awaitable[None]]:
        async def run(queued: QueuedJob) -> None:
            service_name.set(self._database.name)
            message = orjson.loads(queued.payload or b"{}")
            context = remote_context(message.get("headers", {}))
            with tracer.start_as_current_span(f"job {job.name}", context=context):
                try:
                    await job.run(message.get("payload", {}))
                except Exception:
                    logger.exception("job.failed", job=job.name, attempt=queued.attempts + 1)
                    raise

        return run

    def _ticker(self, schedule: Schedule) -> Callable[[CronSchedule], Awaitable[None]]:
        async def run(_: CronSchedule) -> None:
            service_name.set(self._database.name)
            with tracer.start_as_current_span(f"schedule {schedule.name}"):
                try:
                    await schedule.run()
                except Exception:
                    logger.exception("schedule.failed", schedule=schedule.name)

        return run


def _retrying(parameters: EntrypointExecutorParameters) -> DatabaseRetryEntrypointExecutor:
    return DatabaseRetryEntrypointExecutor(
        parameters=parameters,
        max_attempts=_ATTEMPTS - 1,
        initial_delay=timedelta(seconds=0.5),
        max_delay=timedelta(minutes=5),
        backoff_multiplier=4,
    )


async def _run_until(queue: PgQueuer, stop: asyncio.Event, drain_seconds: float) -> None:
    running = asyncio.create_task(queue.run(dequeue_timeout=timedelta(seconds=5)))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not running.done():
        queue.shutdown.set()
        await asyncio.wait({running}, timeout=drain_seconds)
    if not running.done():
        running.cancel()
    await running


async def _cancelled(task: asyncio.Task[None]) -> None:
    # A client that is just giving a connection back can swallow one cancellation.
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=0.5)
