"""Brings a subgraph's schema to the newest revision: forward only, one history each.

Revisions are Alembic scripts in ``subgraphs/<name>/migrations``.  They run as
the subgraph's own role, inside its own PostgreSQL schema.
"""

from __future__ import annotations

from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, cast

import asyncpg
from alembic import op
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import create_async_engine

from shared.config import required
from shared.events import DDL as OUTBOX_AND_INBOX
from shared.worker import install_statements

if TYPE_CHECKING:
    from collections.abc import Sequence

    from alembic.runtime.migration import MigrationContext
    from sqlalchemy import Connection
    from sqlalchemy.dialects.postgresql.asyncpg import AsyncAdapt_asyncpg_connection

    from shared.config import Settings

__all__ = ["create_plumbing", "migrate", "prepare_roles"]


def create_plumbing() -> None:
    """Make the outbox, the inbox and the job tables; for a subgraph's first revision."""
    for statement in OUTBOX_AND_INBOX:
        op.execute(statement)
    # Several statements in one text: only the raw connection takes them.
    raw = cast("AsyncAdapt_asyncpg_connection", op.get_bind().connection.dbapi_connection)
    raw.run_async(lambda connection: connection.execute(install_statements()))


async def migrate(settings: Settings, names: Sequence[str]) -> dict[str, list[str]]:
    """Migrate these subgraphs; returns the revisions applied to each, oldest first.

    With ``NEXUS_DATABASE__ADMIN_URL`` set, roles and schemas that are missing
    are made first.
    """
    if settings.database.admin_url is not None:
        await prepare_roles(settings, names)
    # One after the other: Alembic's `op` belongs to the whole process.
    return {name: await _upgrade(settings, name) for name in names}


async def prepare_roles(settings: Settings, names: Sequence[str]) -> None:
    """Make each subgraph's role and schema unless they exist."""
    admin_url = required(settings.database.admin_url, "DATABASE__ADMIN_URL", "needed to make roles")
    admin = await asyncpg.connect(_plain(admin_url), timeout=10)
    try:
        for name in names:
            url = make_url(_subgraph_url(settings, name))
            role, password = url.username or name, url.password or ""
            await _make_role(admin, role, password)
            await admin.execute(f'create schema if not exists "{name}" authorization "{role}"')
    finally:
        await admin.close()


async def _make_role(admin: asyncpg.Connection, role: str, password: str) -> None:
    if await admin.fetchval("select 1 from pg_roles where rolname = $1", role):
        return
    literal = await admin.fetchval("select quote_literal($1::text)", password)
    # Roles belong to the whole server, so another database's migrator may be making it as well.
    with suppress(asyncpg.DuplicateObjectError, asyncpg.UniqueViolationError):
        await admin.execute(f'create role "{role}" login password {literal}')
        await admin.execute(f'grant "{role}" to current_user')


def _subgraph_url(settings: Settings, name: str) -> str:
    return required(
        settings.subgraph(name).database_url,
        f"{name.upper()}__DATABASE_URL",
        f"the {name} subgraph keeps its data there",
    )


def _plain(url: str) -> str:
    return url.replace("postgresql+asyncpg://", "postgresql://")


async def _upgrade(settings: Settings, name: str) -> list[str]:
    engine = create_async_engine(
        _subgraph_url(settings, name), connect_args={"server_settings": {"search_path": name}}
    )
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(_run, name)
    finally:
        await engine.dispose()


def _run(connection: Connection, name: str) -> list[str]:
    folder = Path(str(import_module(f"subgraphs.{name}").__file__)).parent / "migrations"
    config = Config()
    config.set_main_option("script_location", str(folder))
    scripts = ScriptDirectory(str(folder), version_locations=[str(folder)])
    applied: list[str] = []

    def steps(revision: str, _: MigrationContext) -> list[object]:
        upgrades = scripts._upgrade_revs("head", revision)  # noqa: SLF001 - what `upgrade` calls
        applied.extend(step.revision.revision for step in upgrades)
        return list(upgrades)

    with EnvironmentContext(config, scripts, fn=steps) as environment:
        # A second migrator waits here until the first is through.
        connection.exec_driver_sql(f"select pg_advisory_lock(hashtext('{name}.migrations'))")
        connection.commit()
        environment.configure(connection=connection, version_table="migrations")
        with environment.begin_transaction():
            environment.run_migrations()
    return applied
