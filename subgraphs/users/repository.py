"""All SQL of the users subgraph."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from sqlalchemy import Uuid, and_, delete, exists, func, literal, or_, select
from sqlalchemy.dialects.postgresql import insert

from subgraphs.users.models import (
    Colleague,
    DeletionConfirmation,
    DeletionRequest,
    User,
    UserSettings,
)

if TYPE_CHECKING:
    from shared.db import ReadSession, WriteSession

__all__ = [
    "add_confirmation",
    "add_deletion",
    "add_user",
    "confirmed_domains",
    "deletion_by_id",
    "deletions_of",
    "due_deletions",
    "erase_user",
    "forget_organization",
    "lock_deletion",
    "lock_settings",
    "lock_user",
    "memberships_of",
    "now",
    "open_deletion_of",
    "remember_member",
    "settings_of",
    "user_by_email",
    "user_by_id",
    "visible_users",
]


async def now(session: ReadSession) -> dt.datetime:
    """The database's time: one clock for all processes."""
    return (await session.scalars(select(func.now()))).one()


async def user_by_id(session: ReadSession, user_id: str) -> User | None:
    """The user, if there is one."""
    return await session.scalar(select(User).where(User.id == user_id))


async def visible_users(
    session: ReadSession, ids: Iterable[str], *, me: str, organizations: Iterable[str]
) -> dict[str, User]:
    """Of these users, by id: me, and the members of these organizations."""
    shared = exists().where(
        Colleague.user_id == User.id,
        Colleague.organization_id.in_(set(organizations)),
        Colleague.active,
    )
    rows = await session.scalars(
        select(User).where(User.id.in_(set(ids)), or_(User.id == me, shared))
    )
    return {str(user.id): user for user in rows}


async def user_by_email(session: ReadSession, index: bytes) -> User | None:
    """The user whose address has this blind index."""
    return await session.scalar(select(User).where(User.email_index == index))


async def lock_user(session: WriteSession, user_id: str) -> User | None:
    """The user, locked until the transaction ends."""
    return await session.scalar(select(User).where(User.id == user_id).with_for_update())


async def add_user(
    session: WriteSession,
    *,
    email_sealed: bytes,
    email_index: bytes,
    password_hash: str,
    name: str,
    locale: str,
    time_zone: str,
) -> User | None:
    """The user as stored, with default settings; None when the address is taken."""
    statement = insert(User).values(
        email_sealed=email_sealed,
        email_index=email_index,
        password_hash=password_hash,
        name=name,
        locale=locale,
        time_zone=time_zone,
    )
    user = await session.scalar(
        statement.on_conflict_do_nothing(index_elements=[User.email_index]).returning(User)
    )
    if user is not None:
        await session.execute(insert(UserSettings).values(user_id=user.id))
    return user


async def erase_user(session: WriteSession, user_id: str) -> None:
    """Delete the account, its settings, and who its colleagues were."""
    await session.execute(delete(Colleague).where(Colleague.user_id == user_id))
    await session.execute(delete(User).where(User.id == user_id))


async def settings_of(session: ReadSession, user_ids: Iterable[str]) -> dict[str, UserSettings]:
    """Settings by user id."""
    rows = await session.scalars(
        select(UserSettings).where(UserSettings.user_id.in_(set(user_ids)))
    )
    return {str(row.user_id): row for row in rows}


async def lock_settings(session: WriteSession, user_id: str) -> UserSettings | None:
    """The settings, locked until the transaction ends."""
    return await session.scalar(
        select(UserSettings).where(UserSettings.user_id == user_id).with_for_update()
    )


async def remember_member(
    session: WriteSession, *, organization_id: str, user_id: str, membership_id: str, active: bool
) -> None:
    """Keep the state of a membership, unless a later one, or its end, is known already.

    Nothing is kept about a user who does not exist (any more).
    """
    known = select(
        *(
            literal(value, Uuid(as_uuid=False))
            for value in (organization_id, user_id, membership_id)
        ),
        literal(active),
    ).where(exists().where(User.id == user_id))
    statement = insert(Colleague).from_select(
        ["organization_id", "user_id", "membership_id", "active"], known
    )
    new = statement.excluded
    later = new.membership_id > Colleague.membership_id
    ended = and_(new.membership_id == Colleague.membership_id, new.active.is_(False))
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=[Colleague.organization_id, Colleague.user_id],
            set_={"membership_id": new.membership_id, "active": new.active},
            where=or_(later, ended),
        )
    )


async def forget_organization(session: WriteSession, organization_id: str) -> None:
    """Forget who the members were."""
    await session.execute(delete(Colleague).where(Colleague.organization_id == organization_id))


async def memberships_of(
    session: ReadSession, user_id: str, *, after: str | None, limit: int
) -> Sequence[Colleague]:
    """What is known of the user's memberships, by organization."""
    rows = select(Colleague).where(Colleague.user_id == user_id)
    if after is not None:
        rows = rows.where(Colleague.organization_id > after)
    return (await session.scalars(rows.order_by(Colleague.organization_id).limit(limit))).all()


async def add_deletion(
    session: WriteSession, user_id: str, *, grace: dt.timedelta
) -> DeletionRequest:
    """A new request, as stored."""
    statement = insert(DeletionRequest).values(user_id=user_id, starts_at=func.now() + grace)
    return (await session.scalars(statement.returning(DeletionRequest))).one()


async def open_deletion_of(session: ReadSession, user_id: str) -> DeletionRequest | None:
    """The user's request that waits or is being carried out."""
    return await session.scalar(
        select(DeletionRequest).where(
            DeletionRequest.user_id == user_id, DeletionRequest.status.in_(("pending", "started"))
        )
    )


async def deletions_of(
    session: ReadSession, user_id: str, *, after: str | None, limit: int
) -> Sequence[DeletionRequest]:
    """The user's requests, oldest first."""
    rows = select(DeletionRequest).where(DeletionRequest.user_id == user_id)
    if after is not None:
        rows = rows.where(DeletionRequest.id > after)
    return (await session.scalars(rows.order_by(DeletionRequest.id).limit(limit))).all()


async def deletion_by_id(session: ReadSession, request_id: str) -> DeletionRequest | None:
    """The request, whoever's it is."""
    return await session.scalar(select(DeletionRequest).where(DeletionRequest.id == request_id))


async def lock_deletion(session: WriteSession, request_id: str) -> DeletionRequest | None:
    """The request, locked until the transaction ends."""
    return await session.scalar(
        select(DeletionRequest).where(DeletionRequest.id == request_id).with_for_update()
    )


async def due_deletions(session: ReadSession, *, stalled: dt.timedelta) -> list[str]:
    """Requests that should have started, and started ones that were announced long ago."""
    due = and_(DeletionRequest.status == "pending", DeletionRequest.starts_at <= func.now())
    silent = and_(
        DeletionRequest.status == "started", DeletionRequest.announced_at <= func.now() - stalled
    )
    rows = await session.scalars(
        select(DeletionRequest.id)
        .where(or_(due, silent))
        .order_by(DeletionRequest.starts_at)
        .limit(100)
    )
    return [str(row) for row in rows]


async def add_confirmation(session: WriteSession, request_id: str, domain: str) -> None:
    """Note that the domain has confirmed; once is enough."""
    statement = insert(DeletionConfirmation).values(request_id=request_id, domain=domain)
    await session.execute(statement.on_conflict_do_nothing())


async def confirmed_domains(session: ReadSession, request_id: str) -> set[str]:
    """The domains that have confirmed."""
    rows = await session.scalars(
        select(DeletionConfirmation.domain).where(DeletionConfirmation.request_id == request_id)
    )
    return set(rows)
