"""What the storage subgraph does in the background: consumers, jobs and schedules."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from shared.db import Database, WriteSession
from shared.events import Consumer
from shared.graphql import id_or_none
from shared.logger import get_logger
from shared.privacy import DeletionStarted, confirm_erased
from shared.worker import Job, Schedule, enqueue
from subgraphs.storage import repository, service
from subgraphs.storage.models import OwnerKind
from subgraphs.storage.objects import Objects

__all__ = ["consumers", "jobs", "schedules"]

logger = get_logger(__name__)

PURGE = "purge_owner"
AT_ONCE = 500
ORPHAN_AFTER = dt.timedelta(days=30)
"""A database restored from a backup knows nothing of newer files: there is time to notice."""


@dataclass(frozen=True, slots=True)
class _PlanChanged:
    organization_id: str
    storage_limit_bytes: int


@dataclass(frozen=True, slots=True)
class _OrganizationClosed:
    organization_id: str


def consumers() -> list[Consumer[Any]]:
    """What other domains' facts mean for files."""
    return [
        Consumer("storage", "billing.plan.changed", _PlanChanged, _plan_changed),
        Consumer("storage", "orgs.organization.closed", _OrganizationClosed, _closed),
        Consumer("storage", DeletionStarted.topic, DeletionStarted, _deletion_started),
    ]


async def _plan_changed(session: WriteSession, changed: _PlanChanged) -> None:
    await repository.set_limit(session, changed.organization_id, changed.storage_limit_bytes)


async def _closed(session: WriteSession, closed: _OrganizationClosed) -> None:
    owner_id = closed.organization_id
    await repository.close_account(session, owner_id, OwnerKind.ORGANIZATION)
    await enqueue(session, PURGE, {"owner_id": owner_id})


async def _deletion_started(session: WriteSession, started: DeletionStarted) -> None:
    await repository.close_account(session, started.user_id, OwnerKind.USER)
    await repository.forget_uploader(session, started.user_id)
    payload = {"owner_id": started.user_id, "request_id": started.request_id}
    await enqueue(session, PURGE, payload)


def jobs(database: Database, objects: Objects, clock: Callable[[], dt.datetime]) -> list[Job]:
    """Deleting bytes."""

    async def delete_objects(payload: Mapping[str, Any]) -> None:
        await objects.delete(payload["keys"])

    async def purge_owner(payload: Mapping[str, Any]) -> None:
        owner_id = payload["owner_id"]
        while await _purge_some(database, objects, owner_id, clock()):
            pass
        if "request_id" in payload:
            async with database.write() as session:
                started = DeletionStarted(payload["request_id"], owner_id)
                await confirm_erased(session, "storage", started)

    return [Job(service.DELETE_OBJECTS, delete_objects), Job(PURGE, purge_owner)]


async def _purge_some(
    database: Database, objects: Objects, owner_id: str, now: dt.datetime
) -> bool:
    """Delete some files of a closed account, bytes before rows, so that none is forgotten."""
    async with database.read() as session:
        files = await repository.files_of(session, owner_id, limit=AT_ONCE)
    await objects.delete([each.object_key for each in files])
    async with database.write() as session:
        locked = await repository.lock_files(session, [str(each.id) for each in files])
        await service.discard(session, locked, now=now)
    return bool(files)


def schedules(
    database: Database, objects: Objects, clock: Callable[[], dt.datetime]
) -> list[Schedule]:
    """Cleaning up after clients that never finish."""

    async def sweep_uploads() -> None:
        total = 0
        count = AT_ONCE
        while count == AT_ONCE:
            async with database.write() as session:
                count = await service.sweep(session, now=clock(), limit=AT_ONCE)
            total += count
        if total:
            logger.info("uploads.swept", count=total)

    async def sweep_orphans() -> None:
        async for page in objects.under("files/"):
            old = {
                each.key: file_id
                for each in page
                if each.modified_at < clock() - ORPHAN_AFTER
                and (file_id := id_or_none(each.key.rpartition("/")[2]))
            }
            async with database.read() as session:
                known = await repository.existing_files(session, old.values())
            orphans = [key for key, file_id in old.items() if file_id not in known]
            await objects.delete(orphans)
            if orphans:
                logger.warning("objects.orphaned", count=len(orphans))

    return [
        Schedule("sweep_uploads", "*/5 * * * *", sweep_uploads),
        Schedule("sweep_orphans", "43 4 * * *", sweep_orphans),
    ]
