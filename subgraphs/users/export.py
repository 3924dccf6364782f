"""What an export holds of this subgraph."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

from shared.privacy import PIECE, Piece, Reader
from subgraphs.users import repository
from subgraphs.users.resources import Resources

__all__ = ["SECTIONS"]


async def _profile(resources: Resources, user_id: str, _: str | None) -> Piece:
    async with resources.database.read() as session:
        user = await repository.user_by_id(session, user_id)
    if user is None:
        return Piece([])
    row = {
        "id": user.id,
        "email": resources.emails.open(user.email_sealed),
        "name": user.name,
        "avatar_url": user.avatar_url,
        "locale": user.locale,
        "time_zone": user.time_zone,
        "created_at": user.created_at,
        "updated_at": user.updated_at,
    }
    return Piece([row])


async def _settings(resources: Resources, user_id: str, _: str | None) -> Piece:
    async with resources.database.read() as session:
        found = await repository.settings_of(session, [user_id])
    rows = [
        {
            "theme": row.theme,
            "product_news": row.product_news,
            "security_alerts": row.security_alerts,
        }
        for row in found.values()
    ]
    return Piece(rows)


async def _sessions(resources: Resources, user_id: str, _: str | None) -> Piece:
    rows = [
        {
            "user_agent": each.user_agent,
            "created_at": dt.datetime.fromtimestamp(each.created_at, dt.UTC),
            "last_used_at": dt.datetime.fromtimestamp(each.used_at, dt.UTC),
        }
        for each in await resources.sessions.of(user_id)
    ]
    return Piece(rows)


async def _memberships(resources: Resources, user_id: str, after: str | None) -> Piece:
    async with resources.database.read() as session:
        found = await repository.memberships_of(session, user_id, after=after, limit=PIECE)
    rows = [{"organization_id": row.organization_id, "active": row.active} for row in found]
    return Piece(rows, after=str(found[-1].organization_id) if len(found) == PIECE else None)


async def _deletion_requests(resources: Resources, user_id: str, after: str | None) -> Piece:
    async with resources.database.read() as session:
        found = await repository.deletions_of(session, user_id, after=after, limit=PIECE)
    rows = [
        {
            "id": row.id,
            "status": row.status,
            "requested_at": row.requested_at,
            "starts_at": row.starts_at,
            "ended_at": row.ended_at,
        }
        for row in found
    ]
    return Piece(rows, after=str(found[-1].id) if len(found) == PIECE else None)


SECTIONS: Mapping[str, Reader] = {
    "profile": _profile,
    "settings": _settings,
    "sessions": _sessions,
    "known_memberships": _memberships,
    "deletion_requests": _deletion_requests,
}
