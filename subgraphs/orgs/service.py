"""What can be done with organizations; each function runs inside its caller's transaction.

Every change of who belongs to an organization first locks the organization's
row and only then reads the memberships it decides by: the caller's role comes
from the table, never from the identity, which may be some seconds old.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
import secrets
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from shared.access import PERMISSIONS, Permission, Role, require_user
from shared.errors import BadUserInput, Conflict, Forbidden, NotFound
from shared.events import publish
from shared.logger import get_logger
from subgraphs.orgs import repository
from subgraphs.orgs.events import (
    InvitationAccepted,
    InvitationRevoked,
    InvitationSent,
    MembershipAdded,
    MembershipChanged,
    MembershipRemoved,
    OrganizationClosed,
    OrganizationCreated,
    OrganizationUpdated,
)
from subgraphs.orgs.models import Invitation, Membership, Organization

if TYPE_CHECKING:
    from shared.access_lists import AccessLists
    from shared.auth import Identity
    from shared.db import ReadSession, WriteSession
    from shared.events import Fact

__all__ = [
    "InvitationEnded",
    "LastOwner",
    "OrganizationChange",
    "SlugTaken",
    "StaleVersion",
    "TooMany",
    "accept",
    "change_role",
    "check_slug",
    "create",
    "erase",
    "find_invitation",
    "invite",
    "is_slug",
    "leave",
    "remove",
    "revoke",
    "transfer",
    "update",
]

logger = get_logger(__name__)

INVITATION_TTL = dt.timedelta(days=7)
MOST_ORGANIZATIONS = 100
"""A user's memberships are read at each request and travel in each token: they stay few."""
MOST_OPEN_INVITATIONS = 100
MOST_SLUGS = 10

_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_RESERVED = """
about account accounts admin api app apps assets auth billing blog callback cdn create dashboard
delete dev docs download edit export files graphql health help home host import internal invitation
invitations invite invoices legal localhost login logout mail members metrics new nexus null oauth
openapi org organization organizations orgs owner plans pricing privacy root security self settings
setup signin signup static status storage subscriptions support system team teams terms test
undefined upload user users webhook webhooks well-known www
"""


class SlugTaken(Conflict):
    """Another organization has the slug, or had it once."""

    message = "Another organization has this slug."


class StaleVersion(Conflict):
    """The organization was changed since it was read."""


class LastOwner(Conflict):
    """Nobody else owns the organization."""

    message = "An organization needs an owner. Make someone else an owner first."


class InvitationEnded(Conflict):
    """The invitation was used by someone else, was revoked, or is out of date."""

    message = "This invitation is not valid any more. Ask for a new one."


class TooMany(Conflict):
    """One more of these is not allowed."""


@dataclass(frozen=True, slots=True)
class OrganizationChange:
    """New values, checked; None leaves what is."""

    name: str | None = None
    slug: str | None = None


def is_slug(value: str) -> bool:
    """Whether the text could be a slug."""
    return 3 <= len(value) <= 40 and _SLUG.fullmatch(value) is not None


def check_slug(value: str, *, field: str = "slug") -> str:
    """The slug; raises `BadUserInput`."""
    if not is_slug(value):
        raise BadUserInput(
            "A slug has 3 to 40 lower-case letters a-z, digits and single hyphens between them.",
            field=field,
        )
    if value in _RESERVED.split():
        raise BadUserInput("This slug is reserved.", field=field)
    return value


# --- organizations ------------------------------------------------------------------------


async def create(
    session: WriteSession, access: AccessLists, identity: Identity, *, slug: str, name: str
) -> Organization:
    """The new organization, owned by the caller; raises `SlugTaken`, `TooMany`."""
    user_id = require_user(identity)
    await _may_join(session, user_id)
    organization = Organization(slug=slug, name=name)
    if not await repository.add_organization(session, organization):
        raise SlugTaken
    await publish(
        session,
        OrganizationCreated(
            organization_id=str(organization.id), slug=slug, name=name, created_by=user_id
        ),
    )
    await _join(session, access, str(organization.id), user_id, Role.OWNER)
    return organization


async def update(
    session: WriteSession,
    identity: Identity,
    organization_id: str,
    change: OrganizationChange,
    *,
    version: int,
) -> tuple[Organization, Role]:
    """The changed organization and the caller's role; raises `StaleVersion`, `SlugTaken`.

    The old slug goes on working, and no other organization can take it.
    """
    organization, actor = await _acting(session, identity, organization_id, Permission.ORG_UPDATE)
    if organization.version != version:
        raise StaleVersion
    if change.slug is not None and change.slug != organization.slug:
        await _rename(session, organization, change.slug)
    if change.name is not None:
        organization.name = change.name
    organization.version += 1
    await session.flush()
    await publish(
        session,
        OrganizationUpdated(
            organization_id=organization_id, slug=organization.slug, name=organization.name
        ),
    )
    return organization, actor.role


async def _rename(session: WriteSession, organization: Organization, slug: str) -> None:
    if not await repository.claim_slug(session, organization, slug):
        raise SlugTaken
    if await repository.count_slugs(session, str(organization.id)) > MOST_SLUGS:
        raise TooMany(f"An organization can have {MOST_SLUGS} different slugs in its life.")
    organization.slug = slug


# --- members ------------------------------------------------------------------------------


async def change_role(
    session: WriteSession, access: AccessLists, identity: Identity, membership_id: str, role: Role
) -> tuple[Membership, Role]:
    """The membership with its new role, and the caller's; raises `LastOwner`.

    Who hands out a role, or takes one away, must have every permission of it.
    """
    target, actor = await _acting_on(session, identity, membership_id)
    _require_over(actor, target.role)
    _require_over(actor, role)
    await _set_role(session, access, target, role)
    return target, actor.role


async def remove(
    session: WriteSession, access: AccessLists, identity: Identity, membership_id: str
) -> Membership:
    """The membership that was removed; raises `LastOwner`."""
    target, actor = await _acting_on(session, identity, membership_id)
    _require_over(actor, target.role)
    await _part(session, access, target)
    return target


async def leave(
    session: WriteSession, access: AccessLists, identity: Identity, organization_id: str
) -> None:
    """End the caller's membership; raises `LastOwner`."""
    _, actor = await _acting(session, identity, organization_id, Permission.ORG_READ)
    await _part(session, access, actor)


async def transfer(
    session: WriteSession,
    access: AccessLists,
    identity: Identity,
    organization_id: str,
    user_id: str,
) -> tuple[Organization, Role]:
    """The organization, now owned by another member; the caller becomes an admin."""
    organization, actor = await _acting(session, identity, organization_id, Permission.ORG_TRANSFER)
    found = await repository.memberships_in(session, organization_id, [user_id])
    target = found.get(user_id)
    if target is None:
        raise NotFound("This user is not a member of the organization.")
    if target.id == actor.id:
        raise BadUserInput("You own this organization already.", field="userId")
    await _set_role(session, access, target, Role.OWNER)
    await _set_role(session, access, actor, Role.ADMIN)
    return organization, actor.role


# --- invitations --------------------------------------------------------------------------


async def invite(
    session: WriteSession,
    identity: Identity,
    organization_id: str,
    *,
    email: str,
    role: Role,
    now: dt.datetime,
) -> tuple[Invitation, Organization, str]:
    """The invitation and its token, which is shown this once.

    An earlier one to the same address is revoked.  Raises `TooMany`.
    """
    organization, actor = await _acting(
        session, identity, organization_id, Permission.MEMBER_INVITE
    )
    if role is Role.OWNER:
        raise BadUserInput("Invite as an admin, and transfer ownership later.", field="role")
    _require_over(actor, role)
    earlier = await repository.open_invitation_to(session, organization_id, email)
    if earlier is not None:
        await _revoke(session, actor, earlier, now=now)
    if await repository.count_open_invitations(session, organization_id) >= MOST_OPEN_INVITATIONS:
        raise TooMany(f"At most {MOST_OPEN_INVITATIONS} invitations can be open at a time.")
    token = secrets.token_urlsafe(32)
    invitation = Invitation(
        organization_id=organization.id,
        email=email,
        role=role,
        token_hash=_hash(token),
        invited_by=actor.user_id,
        expires_at=now + INVITATION_TTL,
    )
    await repository.add_invitation(session, invitation)
    await publish(
        session,
        InvitationSent(
            invitation_id=str(invitation.id),
            organization_id=organization_id,
            invited_by=str(actor.user_id),
            role=role,
        ),
    )
    return invitation, organization, token


async def find_invitation(
    session: ReadSession, identity: Identity, token: str
) -> tuple[Invitation, Organization]:
    """The invitation with this token; raises `NotFound`."""
    require_user(identity)
    found = await repository.invitation_by_token(session, _hash(token))
    if found is None:
        raise NotFound
    return found


async def accept(
    session: WriteSession,
    access: AccessLists,
    identity: Identity,
    token: str,
    *,
    now: dt.datetime,
) -> Membership:
    """The caller's membership; accepting again gives the same one.

    The token alone admits: whoever has it and is logged in may use it, once.
    The address it was sent to is not compared, because people log in with
    another address than the one they were invited by.  Raises `NotFound`,
    `InvitationEnded`, `TooMany`.
    """
    user_id = require_user(identity)
    invitation, organization = await find_invitation(session, identity, token)
    organization_id = str(organization.id)
    await repository.lock_joins_of(session, user_id)
    if await repository.lock_organization(session, organization_id) is None:
        raise NotFound
    invitation, _ = await find_invitation(session, identity, token)
    present = await repository.memberships_in(session, organization_id, [user_id])
    membership = present.get(user_id)
    if membership is not None and str(invitation.accepted_by) == user_id:
        return membership
    if invitation.accepted_at or invitation.revoked_at or invitation.expires_at <= now:
        raise InvitationEnded
    if membership is None:
        await _may_join(session, user_id)
        membership = await _join(session, access, organization_id, user_id, invitation.role)
    invitation.accepted_at = now
    invitation.accepted_by = membership.user_id
    await session.flush()
    await publish(
        session,
        InvitationAccepted(
            invitation_id=str(invitation.id), organization_id=organization_id, user_id=user_id
        ),
    )
    return membership


async def revoke(
    session: WriteSession, identity: Identity, invitation_id: str, *, now: dt.datetime
) -> tuple[Invitation, Organization]:
    """The invitation, whose token admits nobody any more; raises `InvitationEnded`."""
    require_user(identity)
    organization_id = await repository.organization_of_invitation(session, invitation_id)
    if organization_id is None:
        raise NotFound
    organization, actor = await _acting(
        session, identity, organization_id, Permission.MEMBER_INVITE
    )
    invitation = await repository.open_invitation(session, organization_id, invitation_id)
    if invitation is None:
        raise InvitationEnded
    await _revoke(session, actor, invitation, now=now)
    return invitation, organization


# --- privacy ------------------------------------------------------------------------------


async def erase(session: WriteSession, access: AccessLists, user_id: str) -> None:
    """Take the user out of every organization and forget their part in invitations.

    An organization without another owner passes to the longest-standing admin,
    or else the longest-standing member; one without other members is closed.
    """
    await repository.lock_joins_of(session, user_id)
    for organization_id, _ in sorted(await repository.access_of(session, user_id)):
        if await repository.lock_organization(session, organization_id) is None:
            continue
        present = await repository.memberships_in(session, organization_id, [user_id])
        if user_id in present:
            await _withdraw(session, access, present[user_id])
    await repository.disown_invitations(session, user_id)


async def _withdraw(session: WriteSession, access: AccessLists, membership: Membership) -> None:
    heir = await repository.successor(session, membership)
    if heir is None:
        await _removed(session, access, membership)
        organization_id = str(membership.organization_id)
        await repository.close_organization(session, organization_id)
        await publish(session, OrganizationClosed(organization_id=organization_id))
        return
    if not await repository.other_owner_exists(session, membership):
        await _set_role(session, access, heir, Role.OWNER)
    await _part(session, access, membership)


# --- what they share ----------------------------------------------------------------------


async def _acting(
    session: WriteSession, identity: Identity, organization_id: str, permission: Permission
) -> tuple[Organization, Membership]:
    """The locked organization and the caller's membership of this moment.

    Raises `NotFound` for who is not a member, `Forbidden` without the permission.
    """
    user_id = require_user(identity)
    # Before the lock: a stranger must not be able to hold up an organization.
    if not await repository.is_member(session, organization_id, user_id):
        raise NotFound
    organization = await repository.lock_organization(session, organization_id)
    present = await repository.memberships_in(session, organization_id, [user_id])
    if organization is None or user_id not in present:
        raise NotFound
    if permission not in PERMISSIONS[present[user_id].role]:
        raise Forbidden
    return organization, present[user_id]


async def _acting_on(
    session: WriteSession, identity: Identity, membership_id: str
) -> tuple[Membership, Membership]:
    """The membership to manage and the caller's, the organization locked."""
    require_user(identity)
    organization_id = await repository.organization_of_membership(session, membership_id)
    if organization_id is None:
        raise NotFound
    _, actor = await _acting(session, identity, organization_id, Permission.MEMBER_MANAGE)
    found = await repository.memberships(session, ids=[membership_id])
    if not found:
        raise NotFound
    return found[0], actor


def _require_over(actor: Membership, role: Role) -> None:
    """An admin is not over the role `billing`, which may do what an admin may not."""
    if not PERMISSIONS[role] <= PERMISSIONS[actor.role]:
        raise Forbidden(f"You are not allowed to decide over the role {role.name}.")


async def _may_join(session: WriteSession, user_id: str) -> None:
    await repository.lock_joins_of(session, user_id)
    if await repository.count_memberships(session, user_id) >= MOST_ORGANIZATIONS:
        raise TooMany(f"You can be in {MOST_ORGANIZATIONS} organizations at a time.")


async def _join(
    session: WriteSession, access: AccessLists, organization_id: str, user_id: str, role: Role
) -> Membership:
    membership = await repository.add_membership(
        session, Membership(organization_id=organization_id, user_id=user_id, role=role)
    )
    await publish(session, _told(MembershipAdded, membership))
    _invalidate_later(session, access, membership)
    return membership


async def _set_role(
    session: WriteSession, access: AccessLists, membership: Membership, role: Role
) -> None:
    if membership.role is role:
        return
    if membership.role is Role.OWNER and not await repository.other_owner_exists(
        session, membership
    ):
        raise LastOwner
    lost = PERMISSIONS[membership.role] - PERMISSIONS[role]
    membership.role = role
    await session.flush()
    await publish(session, _told(MembershipChanged, membership))
    if lost:
        await _end_authority(session, membership)
    _invalidate_later(session, access, membership)


async def _part(session: WriteSession, access: AccessLists, membership: Membership) -> None:
    if membership.role is Role.OWNER and not await repository.other_owner_exists(
        session, membership
    ):
        raise LastOwner
    await _removed(session, access, membership)


async def _removed(session: WriteSession, access: AccessLists, membership: Membership) -> None:
    await repository.remove_membership(session, membership)
    await publish(session, _told(MembershipRemoved, membership))
    await _end_authority(session, membership)
    _invalidate_later(session, access, membership)


async def _end_authority(session: WriteSession, membership: Membership) -> None:
    """What someone sent out while they were allowed to admits nobody any more."""
    organization_id, user_id = str(membership.organization_id), str(membership.user_id)
    for each in await repository.revoke_invitations_from(session, organization_id, user_id):
        await publish(
            session, InvitationRevoked(invitation_id=each, organization_id=organization_id)
        )


async def _revoke(
    session: WriteSession, actor: Membership, invitation: Invitation, *, now: dt.datetime
) -> None:
    _require_over(actor, invitation.role)
    invitation.revoked_at = now
    await session.flush()
    await publish(
        session,
        InvitationRevoked(
            invitation_id=str(invitation.id), organization_id=str(invitation.organization_id)
        ),
    )


def _invalidate_later(session: WriteSession, access: AccessLists, membership: Membership) -> None:
    session.after_commit(partial(_invalidate, access, str(membership.user_id)))


async def _invalidate(access: AccessLists, user_id: str) -> None:
    try:
        await access.invalidate([user_id])
    except (RedisError, OSError) as error:
        # The change stands; the consumer of the published fact does this as soon as it can.
        logger.warning("access.not_invalidated", reason=type(error).__name__)


def _told(
    kind: type[MembershipAdded | MembershipChanged | MembershipRemoved], membership: Membership
) -> Fact:
    return kind(
        membership_id=str(membership.id),
        organization_id=str(membership.organization_id),
        user_id=str(membership.user_id),
        role=membership.role,
    )


def _hash(token: str) -> bytes:
    # The token has 256 random bits: nothing slower is needed.
    return hashlib.sha256(token.encode()).digest()
