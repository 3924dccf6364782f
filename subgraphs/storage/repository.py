"""All SQL of the storage subgraph."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert

from shared.lists import PerParent, is_any
from subgraphs.storage.models import Account, File, FileStatus, OwnerKind

if TYPE_CHECKING:
    from shared.db import ReadSession, WriteSession

__all__ = [
    "accounts",
    "add_file",
    "close_account",
    "delete_files",
    "existing_files",
    "expired_uploads",
    "files_by_id",
    "files_of",
    "files_per_owner",
    "forget_uploader",
    "lock_file",
    "lock_files",
    "release",
    "reserve",
    "set_limit",
    "settle",
    "uploads_elsewhere",
]

# --- accounts -----------------------------------------------------------------------------


_ACCOUNTS = select(Account).where(is_any(Account.owner_id, "owners"))


async def accounts(session: ReadSession, owner_ids: Collection[str]) -> dict[str, Account]:
    """The accounts that exist, by owner."""
    if not owner_ids:
        return {}
    rows = await session.scalars(_ACCOUNTS, {"owners": list(set(owner_ids))})
    return {str(row.owner_id): row for row in rows}


async def reserve(
    session: WriteSession, owner_id: str, kind: OwnerKind, *, size_bytes: int, default_limit: int
) -> bool:
    """Set space aside in the owner's account, which is made if missing; False if it is full.

    One statement decides and books; those who come at the same time wait for
    the account's row and are decided by what is left then.
    """
    await session.execute(
        insert(Account).values(owner_id=owner_id, owner_kind=kind).on_conflict_do_nothing()
    )
    limit = func.coalesce(Account.limit_bytes, default_limit)
    booked = await session.scalar(
        update(Account)
        .where(
            Account.owner_id == owner_id,
            Account.closed_at.is_(None),
            Account.used_bytes + Account.reserved_bytes + size_bytes <= limit,
        )
        .values(reserved_bytes=Account.reserved_bytes + size_bytes)
        .returning(Account.owner_id)
    )
    return booked is not None


async def settle(session: WriteSession, file: File) -> None:
    """Book a file's reserved space as used."""
    await session.execute(
        update(Account)
        .where(Account.owner_id == file.owner_id)
        .values(
            reserved_bytes=Account.reserved_bytes - file.size_bytes,
            used_bytes=Account.used_bytes + file.size_bytes,
            file_count=Account.file_count + 1,
        )
    )


async def release(session: WriteSession, files: Iterable[File]) -> None:
    """Give the space of these files back, reserved or used as they are.

    Accounts are locked in the order of their ids, so two that do this cannot
    wait for each other.
    """
    by_owner: dict[str, list[File]] = {}
    for file in files:
        by_owner.setdefault(str(file.owner_id), []).append(file)
    for owner_id, owned in sorted(by_owner.items()):
        pending = [each.size_bytes for each in owned if each.status is FileStatus.PENDING]
        complete = [each.size_bytes for each in owned if each.status is FileStatus.COMPLETE]
        await session.execute(
            update(Account)
            .where(Account.owner_id == owner_id)
            .values(
                reserved_bytes=Account.reserved_bytes - sum(pending),
                used_bytes=Account.used_bytes - sum(complete),
                file_count=Account.file_count - len(complete),
            )
        )


async def set_limit(session: WriteSession, organization_id: str, limit_bytes: int) -> None:
    """Remember what an organization's plan allows."""
    await session.execute(
        insert(Account)
        .values(
            owner_id=organization_id, owner_kind=OwnerKind.ORGANIZATION, limit_bytes=limit_bytes
        )
        .on_conflict_do_update(index_elements=["owner_id"], set_={"limit_bytes": limit_bytes})
    )


async def close_account(session: WriteSession, owner_id: str, kind: OwnerKind) -> None:
    """Let the owner store nothing more."""
    await session.execute(
        insert(Account)
        .values(owner_id=owner_id, owner_kind=kind, closed_at=func.now())
        .on_conflict_do_update(index_elements=["owner_id"], set_={"closed_at": func.now()})
    )


# --- files --------------------------------------------------------------------------------


_BY_ID = select(File).where(is_any(File.id, "ids"), is_any(File.owner_id, "owners"))


async def files_by_id(
    session: ReadSession, ids: Collection[str], *, owners: Collection[str]
) -> dict[str, File]:
    """Those of these files that belong to one of the owners, by id."""
    if not ids or not owners:
        return {}
    rows = await session.scalars(_BY_ID, {"ids": list(set(ids)), "owners": list(set(owners))})
    return {str(row.id): row for row in rows}


_FILES = PerParent(
    File,
    parent=File.owner_id,
    key=File.id,
    descending=True,
    where=[File.status == FileStatus.COMPLETE],
)


async def files_per_owner(
    session: ReadSession, owner_ids: Collection[str], *, limit: int, after: str | None
) -> dict[str, list[File]]:
    """The newest complete files of each owner."""
    return await _FILES.read(session, owner_ids, limit=limit, after=after)


async def files_of(
    session: ReadSession, owner_id: str, *, limit: int, after: str | None = None
) -> list[File]:
    """An owner's files, complete or not, the oldest first."""
    statement = select(File).where(File.owner_id == owner_id).order_by(File.id).limit(limit)
    if after is not None:
        statement = statement.where(File.id > after)
    return list(await session.scalars(statement))


async def uploads_elsewhere(
    session: ReadSession, user_id: str, *, limit: int, after: str | None
) -> list[File]:
    """Files the user put into organizations, the oldest first."""
    statement = (
        select(File)
        .where(File.uploaded_by == user_id, File.owner_id != user_id)
        .order_by(File.id)
        .limit(limit)
    )
    if after is not None:
        statement = statement.where(File.id > after)
    return list(await session.scalars(statement))


async def existing_files(session: ReadSession, ids: Collection[str]) -> set[str]:
    """Which of these files there are."""
    rows = await session.scalars(select(File.id).where(File.id.in_(set(ids))))
    return {str(each) for each in rows}


async def add_file(session: WriteSession, file: File) -> File:
    """The file as stored."""
    session.add(file)
    await session.flush()
    return file


async def lock_file(session: WriteSession, file_id: str, *, owners: Collection[str]) -> File | None:
    """The file of one of the owners, locked until the transaction ends."""
    return await session.scalar(
        select(File).where(File.id == file_id, File.owner_id.in_(set(owners))).with_for_update()
    )


async def lock_files(session: WriteSession, ids: Collection[str]) -> list[File]:
    """Those of these files that there still are, locked."""
    rows = await session.scalars(
        select(File).where(File.id.in_(set(ids))).order_by(File.id).with_for_update()
    )
    return list(rows)


async def expired_uploads(session: WriteSession, *, before: dt.datetime, limit: int) -> list[File]:
    """Uploads whose time was over before a moment, locked; those being completed are left out."""
    rows = await session.scalars(
        select(File)
        .where(File.status == FileStatus.PENDING, File.upload_expires_at < before)
        .order_by(File.upload_expires_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return list(rows)


async def delete_files(session: WriteSession, files: Iterable[File]) -> None:
    """Delete the rows of these files."""
    for file in files:
        await session.delete(file)
    await session.flush()


async def forget_uploader(session: WriteSession, user_id: str) -> None:
    """Keep no record of which files the user put into organizations."""
    await session.execute(
        update(File)
        .where(File.uploaded_by == user_id, File.owner_id != user_id)
        .values(uploaded_by=None)
    )
