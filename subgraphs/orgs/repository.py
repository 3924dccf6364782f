"""All SQL of the orgs subgraph."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Collection
from typing import TYPE_CHECKING

from sqlalchemy import ColumnElement, delete, exists, func, or_, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert

from shared.access import Role
from shared.lists import PerParent, an_id, is_any
from subgraphs.orgs.models import Invitation, Membership, Organization, OrganizationSlug

if TYPE_CHECKING:
    from shared.db import ReadSession, WriteSession

__all__ = [
    "access_of",
    "add_invitation",
    "add_membership",
    "add_organization",
    "claim_slug",
    "close_organization",
    "count_memberships",
    "count_open_invitations",
    "count_slugs",
    "delete_ended_invitations",
    "disown_invitations",
    "invitation_by_token",
    "invitations_involving",
    "invitations_per_organization",
    "is_member",
    "lock_joins_of",
    "lock_organization",
    "memberships",
    "memberships_in",
    "memberships_per_organization",
    "memberships_per_user",
    "open_invitation",
    "open_invitation_to",
    "organization_of_invitation",
    "organization_of_membership",
    "organizations_by_id",
    "organizations_by_slug",
    "other_owner_exists",
    "own_memberships",
    "remove_membership",
    "revoke_invitations_from",
    "successor",
]

# --- organizations ------------------------------------------------------------------------


_BY_ID = select(Organization).where(is_any(Organization.id, "ids"))


async def organizations_by_id(
    session: ReadSession, ids: Collection[str]
) -> dict[str, Organization]:
    """The organizations that exist, by id."""
    if not ids:
        return {}
    rows = await session.scalars(_BY_ID, {"ids": list(set(ids))})
    return {str(row.id): row for row in rows}


async def organizations_by_slug(
    session: ReadSession, slugs: Collection[str]
) -> dict[str, Organization]:
    """The organizations that have, or once had, these slugs, by the slug asked for."""
    if not slugs:
        return {}
    rows = await session.execute(
        select(OrganizationSlug.slug, Organization)
        .join(Organization, Organization.id == OrganizationSlug.organization_id)
        .where(OrganizationSlug.slug.in_(set(slugs)))
    )
    return {slug: organization for slug, organization in rows}  # noqa: C416 - typed as rows


async def add_organization(session: WriteSession, organization: Organization) -> bool:
    """Store it with its slug; False when another organization has, or had, the slug."""
    session.add(organization)
    await session.flush()
    return await claim_slug(session, organization, organization.slug)


async def claim_slug(session: WriteSession, organization: Organization, slug: str) -> bool:
    """Make the slug this organization's for good; False when it is another's."""
    owner = await session.scalar(
        insert(OrganizationSlug)
        .values(slug=slug, organization_id=organization.id)
        .on_conflict_do_update(index_elements=["slug"], set_={"slug": slug})
        .returning(OrganizationSlug.organization_id)
    )
    return owner == organization.id


async def count_slugs(session: ReadSession, organization_id: str) -> int:
    """How many slugs the organization has had."""
    return await _count(session, OrganizationSlug.organization_id == organization_id)


async def lock_organization(session: WriteSession, organization_id: str) -> Organization | None:
    """The organization, locked until the transaction ends."""
    return await session.scalar(
        select(Organization).where(Organization.id == organization_id).with_for_update()
    )


async def close_organization(session: WriteSession, organization_id: str) -> None:
    """Delete it with its memberships, invitations and slugs."""
    await session.execute(delete(Organization).where(Organization.id == organization_id))


# --- memberships --------------------------------------------------------------------------


_ACCESS = (
    select(Membership.organization_id, Membership.role)
    .where(Membership.user_id == an_id("user_id"))
    .order_by(Membership.id)
)


async def access_of(session: ReadSession, user_id: str) -> list[tuple[str, Role]]:
    """The user's organizations and the role in each."""
    rows = await session.execute(_ACCESS, {"user_id": user_id})
    return [(str(organization_id), role) for organization_id, role in rows]


async def memberships(
    session: ReadSession,
    *,
    ids: Collection[str] = (),
    pairs: Collection[tuple[str, str]] = (),
) -> list[Membership]:
    """Memberships by id, and by organization and user, in one statement."""
    conditions: list[ColumnElement[bool]] = []
    if ids:
        conditions.append(Membership.id.in_(set(ids)))
    if pairs:
        both = tuple_(Membership.organization_id, Membership.user_id)
        conditions.append(both.in_([(uuid.UUID(o), uuid.UUID(u)) for o, u in set(pairs)]))
    if not conditions:
        return []
    return list(await session.scalars(select(Membership).where(or_(*conditions))))


async def is_member(session: ReadSession, organization_id: str, user_id: str) -> bool:
    """Whether the user is in the organization."""
    found = await session.scalar(
        select(
            exists().where(
                Membership.organization_id == organization_id, Membership.user_id == user_id
            )
        )
    )
    return bool(found)


async def memberships_in(
    session: ReadSession, organization_id: str, user_ids: Collection[str]
) -> dict[str, Membership]:
    """The memberships of these users in one organization, by user."""
    rows = await session.scalars(
        select(Membership).where(
            Membership.organization_id == organization_id, Membership.user_id.in_(set(user_ids))
        )
    )
    return {str(row.user_id): row for row in rows}


_MEMBERS = PerParent(Membership, parent=Membership.organization_id, key=Membership.id)


async def memberships_per_organization(
    session: ReadSession, organization_ids: Collection[str], *, limit: int, after: str | None
) -> dict[str, list[Membership]]:
    """The first members of each organization, the longest-standing first."""
    return await _MEMBERS.read(session, organization_ids, limit=limit, after=after)


_MEMBERSHIPS = PerParent(
    Membership,
    parent=Membership.user_id,
    key=Membership.id,
    where=[
        or_(
            Membership.user_id == an_id("viewer"),
            is_any(Membership.organization_id, "shared_with"),
        )
    ],
)


async def memberships_per_user(
    session: ReadSession,
    user_ids: Collection[str],
    *,
    limit: int,
    after: str | None,
    viewer: str,
    shared_with: Collection[str],
) -> dict[str, list[Membership]]:
    """The first memberships of each user: all of the viewer's, of others those that are shared."""
    parameters = {"viewer": viewer, "shared_with": list(shared_with)}
    return await _MEMBERSHIPS.read(
        session, user_ids, limit=limit, after=after, parameters=parameters
    )


async def own_memberships(
    session: ReadSession, user_id: str, *, limit: int, after: str | None = None
) -> list[tuple[Membership, Organization]]:
    """The user's memberships with their organizations, in the order of joining."""
    statement = (
        select(Membership, Organization)
        .join(Organization, Organization.id == Membership.organization_id)
        .where(Membership.user_id == user_id)
        .order_by(Membership.id)
        .limit(limit)
    )
    if after is not None:
        statement = statement.where(Membership.id > after)
    rows = await session.execute(statement)
    return [(membership, organization) for membership, organization in rows]


async def organization_of_membership(session: ReadSession, membership_id: str) -> str | None:
    """The id of the organization a membership is in."""
    found = await session.scalar(
        select(Membership.organization_id).where(Membership.id == membership_id)
    )
    return str(found) if found else None


async def count_memberships(session: ReadSession, user_id: str) -> int:
    """How many organizations the user is in."""
    return await _count(session, Membership.user_id == user_id)


async def other_owner_exists(session: ReadSession, membership: Membership) -> bool:
    """Whether the organization has an owner besides this member."""
    found = await session.scalar(
        select(
            exists().where(
                Membership.organization_id == membership.organization_id,
                Membership.role == Role.OWNER,
                Membership.id != membership.id,
            )
        )
    )
    return bool(found)


async def successor(session: ReadSession, membership: Membership) -> Membership | None:
    """The longest-standing other admin, or else the longest-standing other member."""
    return await session.scalar(
        select(Membership)
        .where(
            Membership.organization_id == membership.organization_id,
            Membership.id != membership.id,
        )
        .order_by((Membership.role == Role.ADMIN).desc(), Membership.id)
        .limit(1)
    )


async def lock_joins_of(session: WriteSession, user_id: str) -> None:
    """Let this user join organizations one after the other, so that they can be counted."""
    await session.execute(
        select(func.pg_advisory_xact_lock(func.hashtextextended(f"orgs.joins.{user_id}", 0)))
    )


async def add_membership(session: WriteSession, membership: Membership) -> Membership:
    """The membership as stored."""
    session.add(membership)
    await session.flush()
    return membership


async def remove_membership(session: WriteSession, membership: Membership) -> None:
    """Delete the membership."""
    await session.delete(membership)
    await session.flush()


# --- invitations --------------------------------------------------------------------------

_OPEN = (Invitation.accepted_at.is_(None), Invitation.revoked_at.is_(None))


_INVITATIONS = PerParent(
    Invitation, parent=Invitation.organization_id, key=Invitation.id, descending=True
)


async def invitations_per_organization(
    session: ReadSession, organization_ids: Collection[str], *, limit: int, after: str | None
) -> dict[str, list[Invitation]]:
    """The newest invitations of each organization."""
    return await _INVITATIONS.read(session, organization_ids, limit=limit, after=after)


async def invitations_involving(
    session: ReadSession, user_id: str, *, limit: int, after: str | None
) -> list[Invitation]:
    """The invitations the user sent or accepted."""
    statement = (
        select(Invitation)
        .where(or_(Invitation.invited_by == user_id, Invitation.accepted_by == user_id))
        .order_by(Invitation.id)
        .limit(limit)
    )
    if after is not None:
        statement = statement.where(Invitation.id > after)
    return list(await session.scalars(statement))


async def invitation_by_token(
    session: ReadSession, token_hash: bytes
) -> tuple[Invitation, Organization] | None:
    """The invitation with this token, and its organization, as they are now."""
    rows = await session.execute(
        select(Invitation, Organization)
        .join(Organization, Organization.id == Invitation.organization_id)
        .where(Invitation.token_hash == token_hash)
        .execution_options(populate_existing=True)
    )
    found = rows.one_or_none()
    return (found[0], found[1]) if found else None


async def organization_of_invitation(session: ReadSession, invitation_id: str) -> str | None:
    """The id of the organization an invitation is to."""
    found = await session.scalar(
        select(Invitation.organization_id).where(Invitation.id == invitation_id)
    )
    return str(found) if found else None


async def open_invitation(
    session: ReadSession, organization_id: str, invitation_id: str
) -> Invitation | None:
    """The invitation unless it was accepted or revoked."""
    return await session.scalar(
        select(Invitation).where(
            Invitation.id == invitation_id, Invitation.organization_id == organization_id, *_OPEN
        )
    )


async def open_invitation_to(
    session: ReadSession, organization_id: str, email: str
) -> Invitation | None:
    """The invitation to this address unless it was accepted or revoked."""
    return await session.scalar(
        select(Invitation).where(
            Invitation.organization_id == organization_id, Invitation.email == email, *_OPEN
        )
    )


async def count_open_invitations(session: ReadSession, organization_id: str) -> int:
    """How many invitations were neither accepted nor revoked."""
    return await _count(session, Invitation.organization_id == organization_id, *_OPEN)


async def add_invitation(session: WriteSession, invitation: Invitation) -> Invitation:
    """The invitation as stored."""
    session.add(invitation)
    await session.flush()
    return invitation


async def revoke_invitations_from(
    session: WriteSession, organization_id: str, user_id: str
) -> list[str]:
    """Revoke the open invitations that a member sent; returns their ids."""
    revoked = await session.scalars(
        update(Invitation)
        .where(
            Invitation.organization_id == organization_id, Invitation.invited_by == user_id, *_OPEN
        )
        .values(revoked_at=func.now())
        .returning(Invitation.id)
    )
    return [str(each) for each in revoked]


async def disown_invitations(session: WriteSession, user_id: str) -> None:
    """Forget who sent the user's invitations, and delete those the user accepted."""
    await session.execute(delete(Invitation).where(Invitation.accepted_by == user_id))
    await session.execute(
        update(Invitation).where(Invitation.invited_by == user_id).values(invited_by=None)
    )


async def delete_ended_invitations(session: WriteSession, *, before: dt.datetime) -> int:
    """Delete what was accepted, revoked or out of date before a time; returns how many."""
    ended = func.least(Invitation.expires_at, Invitation.accepted_at, Invitation.revoked_at)
    gone = await session.scalars(delete(Invitation).where(ended < before).returning(Invitation.id))
    return len(gone.all())


# --- all ----------------------------------------------------------------------------------


async def _count(session: ReadSession, *conditions: ColumnElement[bool]) -> int:
    return await session.scalar(select(func.count()).where(*conditions)) or 0
