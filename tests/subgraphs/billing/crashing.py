"""Runs one operation in a process of its own that is killed at a chosen point.

The points are those at which the database hears from the process: before each
statement, before each commit, and after each commit.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.context import ForkServerContext
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine

from shared.auth import Identity
from shared.config import Settings
from shared.db import Database
from tests.subgraphs.billing.conftest import Billing, start

__all__ = ["Operation", "attempt", "perform", "processes"]


@dataclass(frozen=True, slots=True)
class Operation:
    """Something to do: the name of a function below, and what it gets."""

    name: str
    arguments: tuple[Any, ...] = ()


async def mutate(billing: Billing, query: str, given: dict[str, Any], by: Identity) -> None:
    """A mutation."""
    await billing.data(query, {"input": given}, by=by)


async def receive(billing: Billing, payment_id: str, amount: int) -> None:
    """Stripe's message that it has the money."""
    assert (await billing.send_paid(payment_id, amount)).status_code == 204


async def handle(billing: Billing) -> None:
    """The jobs of the stored messages."""
    await billing.handle_webhooks()


async def renew(billing: Billing, days: float) -> None:
    """The schedule of renewals, that many days later."""
    billing.clock.advance(days=days)
    await billing.renew_plans()


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    each.__name__: each for each in (mutate, receive, handle, renew)
}


def processes() -> ForkServerContext:
    """Makes processes quickly: copies of one that has everything imported."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


async def attempt(
    context: ForkServerContext, settings: Settings, operation: Operation, *, die_at: int
) -> bool:
    """Whether the process came to its end; False when it was killed at that point."""
    process = context.Process(target=_run, args=(settings, operation, die_at))
    process.start()
    await asyncio.to_thread(process.join, 60)
    assert process.exitcode in {0, -signal.SIGKILL}, process.exitcode
    return process.exitcode == 0


def _run(settings: Settings, operation: Operation, die_at: int) -> None:
    _die(at=die_at)
    asyncio.run(_operate(settings, operation))


def _die(*, at: int) -> None:
    reached = 0

    def point(*_: Any) -> None:
        nonlocal reached
        reached += 1
        if reached == at:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(Engine, "before_cursor_execute", point)
    event.listen(Engine, "commit", point)
    write = Database.write

    def dying(self: Database) -> Any:
        return _Dying(write(self), point)

    Database.write = dying  # type: ignore[method-assign]


class _Dying:
    """A transaction with a point right after its commit."""

    def __init__(self, inner: Any, point: Callable[[], None]) -> None:
        self._inner = inner
        self._point = point

    async def __aenter__(self) -> Any:
        return await self._inner.__aenter__()

    async def __aexit__(self, *error: object) -> Any:
        answer = await self._inner.__aexit__(*error)
        self._point()
        return answer


async def _operate(settings: Settings, operation: Operation) -> None:
    async with start(settings) as billing:
        await perform(billing, operation)


async def perform(billing: Billing, operation: Operation) -> None:
    """Do it here."""
    began = billing.clock.now
    await _FUNCTIONS[operation.name](billing, *operation.arguments)
    billing.clock.now = began
