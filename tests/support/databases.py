"""Databases for tests, copied from a template, which costs some milliseconds each."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import asyncpg

COUNTER = itertools.count(1)


def at(url: str, database: str) -> str:
    """The same server, another database."""
    return urlsplit(url)._replace(path=f"/{database}").geturl()


def make_template(
    admin_url: str, name: str, prepare: Callable[[str], Awaitable[None]] | None = None
) -> str:
    """The name of a new database that `prepare` was given the chance to fill."""
    _execute(admin_url, f'CREATE DATABASE "{name}"')
    if prepare is not None:
        asyncio.run(_settled(prepare(at(admin_url, name))))
    return name


@contextmanager
def copied(admin_url: str, template: str) -> Iterator[str]:
    """The URL of a copy of the template that exists inside the block."""
    name = f"{template}_{next(COUNTER)}"
    _execute(admin_url, f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    try:
        yield at(admin_url, name)
    finally:
        _execute(admin_url, f'DROP DATABASE "{name}" WITH (FORCE)')


def _execute(url: str, statement: str) -> None:
    asyncio.run(_run(url, statement))


async def _run(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def _settled(work: Awaitable[None]) -> None:
    await work
