"""All SQL of the users subgraph."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from subgraphs.users.models import Colleague, User, UserSettings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shared.db import ReadSession, WriteSession

__all__ = [
    "add_user",
    "lock_user",
    "organizations_of",
    "settings_of",
    "user_by_email",
    "users_by_id",
]


async def users_by_id(session: ReadSession, ids: Iterable[str]) -> dict[str, User]:
    """The users that exist, by id."""
    rows = await session.scalars(select(User).where(User.id.in_(set(ids))))
    return {str(user.id): user for user in rows}


async def user_by_email(session: ReadSession, email: str) -> User | None:
    """The user with this address, in lower case."""
    return await session.scalar(select(User).where(User.email == email))


async def lock_user(session: WriteSession, user_id: str) -> User | None:
    """The user, locked until the transaction ends."""
    return await session.scalar(select(User).where(User.id == user_id).with_for_update())


async def add_user(session: WriteSession, user: User) -> User:
    """The user as stored, with id and default settings."""
    session.add(user)
    await session.flush()
    session.add(UserSettings(user_id=user.id))
    await session.flush()
    return user


async def settings_of(session: ReadSession, user_ids: Iterable[str]) -> dict[str, UserSettings]:
    """Settings by user id."""
    rows = await session.scalars(
        select(UserSettings).where(UserSettings.user_id.in_(set(user_ids)))
    )
    return {str(row.user_id): row for row in rows}


async def organizations_of(session: ReadSession, user_ids: Iterable[str]) -> dict[str, set[str]]:
    """The organizations each user is a member of, as far as we have learnt."""
    rows = await session.scalars(select(Colleague).where(Colleague.user_id.in_(set(user_ids))))
    found: dict[str, set[str]] = {}
    for row in rows:
        found.setdefault(str(row.user_id), set()).add(str(row.organization_id))
    return found
