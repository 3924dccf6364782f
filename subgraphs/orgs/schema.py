"""The GraphQL schema of the orgs subgraph; its mutations open the transactions."""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, TypeAlias

import strawberry

from shared import access
from shared.access import Permission, require_user
from shared.access_lists import AccessLists
from shared.auth import Identity
from shared.db import Database
from shared.errors import BadUserInput, Forbidden, NotFound
from shared.execution import batched, batched_reference
from shared.graphql import (
    PAGED,
    Connection,
    Context,
    Cursors,
    Node,
    build_schema,
    connection,
    id_or_none,
    page,
    parse_id,
)
from shared.privacy import PIECE, Piece, PrivacyExportPage, export_field
from shared.text import email_address, one_line
from subgraphs.orgs import models, repository, service

__all__ = ["Resources", "schema"]


@dataclass(frozen=True, slots=True)
class Resources:
    """What the resolvers work with."""

    database: Database
    access: AccessLists
    members: Cursors
    memberships: Cursors
    invitations: Cursors
    clock: Callable[[], dt.datetime]


Info: TypeAlias = strawberry.Info[Context[Resources], None]

First: TypeAlias = Annotated[
    int, strawberry.argument(description="How many at most; between 0 and 100.")
]
After: TypeAlias = Annotated[
    str | None, strawberry.argument(description="The cursor of the last item you have.")
]


@strawberry.enum(description="What a member may do in an organization.")
class Role(enum.Enum):
    OWNER = strawberry.enum_value(access.Role.OWNER, description="Everything.")
    ADMIN = strawberry.enum_value(
        access.Role.ADMIN, description="Everything but money and ownership."
    )
    BILLING = strawberry.enum_value(
        access.Role.BILLING, description="What a member may, and plans, credits and invoices."
    )
    MEMBER = strawberry.enum_value(
        access.Role.MEMBER, description="See the organization and work with its files."
    )


@strawberry.enum(description="What has become of an invitation.")
class InvitationStatus(enum.Enum):
    PENDING = strawberry.enum_value("pending", description="It can be accepted.")
    ACCEPTED = strawberry.enum_value("accepted", description="It was used.")
    REVOKED = strawberry.enum_value("revoked", description="It was taken back.")
    EXPIRED = strawberry.enum_value("expired", description="Nobody used it in time.")


@dataclass(frozen=True, slots=True)
class OrganizationKey:
    """A representation of `Organization`, by either key."""

    id: str | None = None
    slug: str | None = None


@strawberry.federation.type(
    keys=["id", "slug"], description="A company or team whose members share plans and files."
)
class Organization(Node):
    id: strawberry.ID = strawberry.field(description="Opaque and stable.")
    slug: str = strawberry.field(description="Its name in addresses; an old one goes on working.")
    name: str = strawberry.field(description="How it is called.")
    created_at: dt.datetime = strawberry.field(description="When it was made.")
    version: int = strawberry.field(
        description="Goes up with each change; give it back to change it."
    )
    billing_email: str | None = strawberry.field(description="Where invoices are sent.")
    viewer_role: Role = strawberry.field(description="Your role in it.")

    @batched(description="Who belongs to it, the longest-standing first.", directives=[PAGED])
    @staticmethod
    async def members(
        parents: Sequence[Organization], info: Info, first: First = 20, after: After = None
    ) -> list[Connection[Membership]]:
        resources = info.context.resources
        asked = page(resources.members, first, after)
        async with resources.database.read() as session:
            found = await repository.memberships_per_organization(
                session,
                [each.id for each in parents],
                limit=asked.limit + 1,
                after=asked.after[0] if asked.after else None,
            )
        return [
            connection(
                found.get(each.id, []),
                asked,
                node=partial(Membership.of, viewer_role=each.viewer_role),
                cursor=lambda row: resources.members.encode(str(row.id)),
            )
            for each in parents
        ]

    @batched(
        description="Invitations to it, the newest first; for those who may invite.",
        directives=[PAGED],
    )
    @staticmethod
    async def invitations(
        parents: Sequence[Organization], info: Info, first: First = 20, after: After = None
    ) -> list[Connection[Invitation] | Forbidden | None]:
        resources = info.context.resources
        asked = page(resources.invitations, first, after)
        allowed = {each.id: each for each in parents if _may_invite(each.viewer_role)}
        async with resources.database.read() as session:
            found = await repository.invitations_per_organization(
                session,
                allowed,
                limit=asked.limit + 1,
                after=asked.after[0] if asked.after else None,
            )
        now = resources.clock()
        return [
            connection(
                found.get(each.id, []),
                asked,
                node=partial(Invitation.of, organization_name=each.name, now=now),
                cursor=lambda row: resources.invitations.encode(str(row.id)),
            )
            if each.id in allowed
            else Forbidden()
            for each in parents
        ]

    @batched_reference
    @classmethod
    async def references(
        cls, keys: Sequence[OrganizationKey], info: Info
    ) -> list[Organization | None]:
        mine = info.context.identity.memberships
        ids = [id_or_none(key.id) if key.id else None for key in keys]
        async with info.context.resources.database.read() as session:
            by_id = await repository.organizations_by_id(session, mine.keys() & {*ids})
            by_slug = await repository.organizations_by_slug(
                session, {key.slug for key in keys if key.slug and service.is_slug(key.slug)}
            )
        rows = [
            by_id.get(each or "") if key.id else by_slug.get(key.slug or "")
            for key, each in zip(keys, ids, strict=True)
        ]
        return [cls.seen(row, info.context.identity) for row in rows]

    @classmethod
    def seen(cls, row: models.Organization | None, identity: Identity) -> Organization | None:
        """The organization if the caller is a member."""
        role = identity.memberships.get(str(row.id)) if row else None
        return cls.of(row, role) if row and role else None

    @classmethod
    def of(cls, row: models.Organization, role: access.Role) -> Organization:
        return cls(
            id=strawberry.ID(str(row.id)),
            slug=row.slug,
            name=row.name,
            created_at=row.created_at,
            version=row.version,
            billing_email=row.billing_email,
            viewer_role=Role(role),
        )


@dataclass(frozen=True, slots=True)
class Reference:
    """The key of an entity inside another's key."""

    id: str


@dataclass(frozen=True, slots=True)
class MembershipKey:
    """A representation of `Membership`, by either key."""

    id: str | None = None
    organization: Reference | None = None
    user: Reference | None = None

    def pair(self) -> tuple[str, str] | None:
        """The ids of organization and user, if these are the key and can be ids."""
        if self.organization is None or self.user is None:
            return None
        organization, user = id_or_none(self.organization.id), id_or_none(self.user.id)
        return (organization, user) if organization and user else None


@strawberry.federation.type(
    keys=["id", "organization { id } user { id }"],
    description="Someone's place in an organization.",
)
class Membership(Node):
    id: strawberry.ID = strawberry.field(description="Opaque; a new one each time someone joins.")
    role: Role = strawberry.field(description="What the member may do.")
    joined_at: dt.datetime = strawberry.field(description="When the member joined.")
    user: User | None = strawberry.field(
        description="The member; null when who it is cannot be read at the moment."
    )
    organization_id: strawberry.Private[str]
    viewer_role: strawberry.Private[access.Role]

    @batched(description="The organization.")
    @staticmethod
    async def organization(
        parents: Sequence[Membership], info: Info
    ) -> list[Organization | NotFound]:
        async with info.context.resources.database.read() as session:
            found = await repository.organizations_by_id(
                session, {each.organization_id for each in parents}
            )
        return [
            Organization.of(found[each.organization_id], each.viewer_role)
            if each.organization_id in found
            else NotFound()
            for each in parents
        ]

    @batched_reference
    @classmethod
    async def references(cls, keys: Sequence[MembershipKey], info: Info) -> list[Membership | None]:
        ids = [id_or_none(key.id) if key.id else None for key in keys]
        pairs = [key.pair() for key in keys]
        async with info.context.resources.database.read() as session:
            rows = await repository.memberships(
                session, ids=set(filter(None, ids)), pairs=set(filter(None, pairs))
            )
        by_id = {str(row.id): row for row in rows}
        by_pair = {(str(row.organization_id), str(row.user_id)): row for row in rows}
        found = [
            by_id.get(each) if each else by_pair.get(pair) if pair else None
            for each, pair in zip(ids, pairs, strict=True)
        ]
        return [cls.seen(row, info.context.identity) for row in found]

    @classmethod
    def seen(cls, row: models.Membership | None, identity: Identity) -> Membership | None:
        """The membership if it is the caller's own or one of a colleague."""
        if row is None:
            return None
        if str(row.user_id) == identity.user_id:
            return cls.of(row, row.role)
        role = identity.memberships.get(str(row.organization_id))
        return cls.of(row, role) if role else None

    @classmethod
    def of(cls, row: models.Membership, viewer_role: access.Role | Role) -> Membership:
        return cls(
            id=strawberry.ID(str(row.id)),
            role=Role(row.role),
            joined_at=row.joined_at,
            user=User(id=strawberry.ID(str(row.user_id))),
            organization_id=str(row.organization_id),
            viewer_role=access.Role[viewer_role.name],
        )


@strawberry.federation.type(keys=["id"], description="A person with an account.")
class User:
    id: strawberry.ID = strawberry.field(description="Opaque and stable.")

    @batched(
        description="The organizations the person is in, in the order of joining; of others you "
        "see those you are in too.",
        directives=[PAGED],
    )
    @staticmethod
    async def memberships(
        parents: Sequence[User], info: Info, first: First = 20, after: After = None
    ) -> list[Connection[Membership]]:
        resources, identity = info.context.resources, info.context.identity
        viewer = require_user(identity)
        asked = page(resources.memberships, first, after)
        async with resources.database.read() as session:
            found = await repository.memberships_per_user(
                session,
                [known for each in parents if (known := id_or_none(each.id))],
                limit=asked.limit + 1,
                after=asked.after[0] if asked.after else None,
                viewer=viewer,
                shared_with=identity.memberships.keys(),
            )
        return [
            connection(
                found.get(id_or_none(each.id) or "", []),
                asked,
                node=lambda row: _known(Membership.seen(row, identity)),
                cursor=lambda row: resources.memberships.encode(str(row.id)),
            )
            for each in parents
        ]


@strawberry.type(description="An offer to join an organization, in a link with a secret token.")
class Invitation:
    id: strawberry.ID = strawberry.field(description="Opaque and stable.")
    organization_name: str = strawberry.field(description="Where it leads to.")
    email: str = strawberry.field(description="The address it is meant for.")
    role: Role = strawberry.field(description="The role of who accepts it.")
    status: InvitationStatus = strawberry.field(description="What has become of it.")
    created_at: dt.datetime = strawberry.field(description="When it was made.")
    expires_at: dt.datetime = strawberry.field(description="Until when it can be accepted.")
    invited_by: User | None = strawberry.field(
        description="Who sent it; null when the account is gone."
    )

    @classmethod
    def of(cls, row: models.Invitation, organization_name: str, now: dt.datetime) -> Invitation:
        return cls(
            id=strawberry.ID(str(row.id)),
            organization_name=organization_name,
            email=row.email,
            role=Role(row.role),
            status=_status(row, now),
            created_at=row.created_at,
            expires_at=row.expires_at,
            invited_by=User(id=strawberry.ID(str(row.invited_by))) if row.invited_by else None,
        )


@strawberry.federation.type(
    inaccessible=True, tags=["internal"], description="A user's role in one organization."
)
class AccessGrant:
    organization_id: strawberry.ID = strawberry.field(description="The organization.")
    role: Role = strawberry.field(description="The role in it.")


# --- inputs and payloads ------------------------------------------------------------------


@strawberry.input(description="A new organization.")
class CreateOrganizationInput:
    name: str = strawberry.field(description="1 to 100 characters.")
    slug: str = strawberry.field(
        description="3 to 40 lower-case letters a-z, digits and single hyphens; nobody else's."
    )


@strawberry.input(description="New values; what is left out stays as it is.")
class UpdateOrganizationInput:
    organization_id: strawberry.ID = strawberry.field(description="Which one.")
    version: int = strawberry.field(description="The version you have seen.")
    name: str | None = strawberry.field(default=None, description="1 to 100 characters.")
    slug: str | None = strawberry.field(
        default=None, description="The new one; the old one goes on working."
    )


@strawberry.input(description="Whom to invite.")
class InviteMemberInput:
    organization_id: strawberry.ID = strawberry.field(description="Where to.")
    email: str = strawberry.field(description="Whose address the invitation is meant for.")
    role: Role = strawberry.field(
        default=Role.MEMBER, description="Any role but OWNER that you are over."
    )


@strawberry.type(description="A new invitation.")
class InviteMemberPayload:
    invitation: Invitation = strawberry.field(description="The invitation.")
    token: str = strawberry.field(
        description="The secret that admits whoever has it; it is shown only here."
    )


@strawberry.input(description="An invitation to accept.")
class AcceptInvitationInput:
    token: str = strawberry.field(description="The secret of the invitation's link.")


@strawberry.input(description="An invitation to take back.")
class RevokeInvitationInput:
    invitation_id: strawberry.ID = strawberry.field(description="Which one.")


@strawberry.input(description="Another role for a member.")
class ChangeMemberRoleInput:
    membership_id: strawberry.ID = strawberry.field(description="Whose.")
    role: Role = strawberry.field(description="The new role; you must be over it.")


@strawberry.input(description="A member to remove.")
class RemoveMemberInput:
    membership_id: strawberry.ID = strawberry.field(description="Whom.")


@strawberry.type(description="A member was removed.")
class RemoveMemberPayload:
    membership_id: strawberry.ID = strawberry.field(description="The membership that ended.")
    user: User | None = strawberry.field(
        description="Who was removed; null when you do not share any organization any more."
    )


@strawberry.input(description="An organization to leave.")
class LeaveOrganizationInput:
    organization_id: strawberry.ID = strawberry.field(description="Which one.")


@strawberry.type(description="You have left.")
class LeaveOrganizationPayload:
    organization_id: strawberry.ID = strawberry.field(description="The organization you left.")


@strawberry.input(description="Who is to own an organization in your place.")
class TransferOwnershipInput:
    organization_id: strawberry.ID = strawberry.field(description="Which one.")
    user_id: strawberry.ID = strawberry.field(description="The new owner, who is a member.")


# --- the root types -----------------------------------------------------------------------


async def _export_memberships(resources: Resources, user_id: str, after: str | None) -> Piece:
    async with resources.database.read() as session:
        rows = await repository.own_memberships(session, user_id, limit=PIECE, after=after)
    exported = [
        {
            "organization": {"id": org.id, "slug": org.slug, "name": org.name},
            "role": row.role,
            "joinedAt": row.joined_at,
        }
        for row, org in rows
    ]
    return Piece(exported, after=str(rows[-1][0].id) if len(rows) == PIECE else None)


async def _export_invitations(resources: Resources, user_id: str, after: str | None) -> Piece:
    async with resources.database.read() as session:
        rows = await repository.invitations_involving(session, user_id, limit=PIECE, after=after)
    exported = [
        {
            "id": row.id,
            "organizationId": row.organization_id,
            "sentByYou": str(row.invited_by) == user_id,
            "email": row.email,
            "role": row.role,
            "createdAt": row.created_at,
            "acceptedAt": row.accepted_at,
        }
        for row in rows
    ]
    return Piece(exported, after=str(rows[-1].id) if len(rows) == PIECE else None)


@strawberry.type
class Query:
    privacy_export: PrivacyExportPage = export_field(
        "orgs", {"memberships": _export_memberships, "invitations": _export_invitations}
    )

    @strawberry.field(description="An organization you are in, by its id or by its slug.")
    async def organization(
        self,
        info: Info,
        id: Annotated[  # noqa: A002
            strawberry.ID | None, strawberry.argument(description="Its id.")
        ] = None,
        slug: Annotated[
            str | None, strawberry.argument(description="Its slug, or one it had.")
        ] = None,
    ) -> Organization | None:
        identity = info.context.identity
        require_user(identity)
        if (id is None) == (slug is None):
            raise BadUserInput("Give either `id` or `slug`.")
        found: dict[str, models.Organization] = {}
        async with info.context.resources.database.read() as session:
            if id is not None:
                found = await repository.organizations_by_id(session, [parse_id(id)])
            elif slug is not None and service.is_slug(slug):
                found = await repository.organizations_by_slug(session, [slug])
        organization = Organization.seen(next(iter(found.values()), None), identity)
        if organization is None:
            raise NotFound
        return organization

    @strawberry.field(description="The invitation whose secret token you have.")
    async def invitation(
        self,
        info: Info,
        token: Annotated[str, strawberry.argument(description="The secret of its link.")],
    ) -> Invitation | None:
        resources = info.context.resources
        async with resources.database.read() as session:
            row, organization = await service.find_invitation(session, info.context.identity, token)
        return Invitation.of(row, organization.name, resources.clock())

    @strawberry.federation.field(
        inaccessible=True,
        tags=["internal"],
        description="The organizations a user is in; for the gateway alone.",
    )
    async def access_of(
        self,
        info: Info,
        user_id: Annotated[strawberry.ID, strawberry.argument(description="Whose.")],
    ) -> list[AccessGrant]:
        if info.context.identity.service != "gateway":
            raise Forbidden
        async with info.context.resources.database.read() as session:
            grants = await repository.access_of(session, parse_id(user_id))
        return [
            AccessGrant(organization_id=strawberry.ID(organization_id), role=Role(role))
            for organization_id, role in grants
        ]


@strawberry.type
class Mutation:
    @strawberry.mutation(description="Make an organization; you become its owner.")
    async def create_organization(
        self,
        info: Info,
        input: CreateOrganizationInput,  # noqa: A002
    ) -> Organization:
        resources = info.context.resources
        require_user(info.context.identity)
        slug = service.check_slug(input.slug)
        name = one_line(input.name, field="name", most=100)
        async with resources.database.write() as session:
            row = await service.create(
                session, resources.access, info.context.identity, slug=slug, name=name
            )
        return Organization.of(row, access.Role.OWNER)

    @strawberry.mutation(description="Change an organization's name or slug.")
    async def update_organization(
        self,
        info: Info,
        input: UpdateOrganizationInput,  # noqa: A002
    ) -> Organization:
        require_user(info.context.identity)
        organization_id = parse_id(input.organization_id)
        change = service.OrganizationChange(
            name=one_line(input.name, field="name", most=100) if input.name is not None else None,
            slug=service.check_slug(input.slug) if input.slug is not None else None,
        )
        async with info.context.resources.database.write() as session:
            row, role = await service.update(
                session, info.context.identity, organization_id, change, version=input.version
            )
        return Organization.of(row, role)

    @strawberry.mutation(
        description="Invite someone; an open invitation to the same address is replaced."
    )
    async def invite_member(
        self,
        info: Info,
        input: InviteMemberInput,  # noqa: A002
    ) -> InviteMemberPayload:
        resources = info.context.resources
        require_user(info.context.identity)
        organization_id = parse_id(input.organization_id)
        email = email_address(input.email)
        now = resources.clock()
        async with resources.database.write() as session:
            row, organization, token = await service.invite(
                session,
                info.context.identity,
                organization_id,
                email=email,
                role=access.Role[input.role.name],
                now=now,
            )
        return InviteMemberPayload(
            invitation=Invitation.of(row, organization.name, now), token=token
        )

    @strawberry.mutation(
        description="Join the organization you are invited to; doing it again changes nothing."
    )
    async def accept_invitation(
        self,
        info: Info,
        input: AcceptInvitationInput,  # noqa: A002
    ) -> Membership:
        resources = info.context.resources
        async with resources.database.write() as session:
            row = await service.accept(
                session,
                resources.access,
                info.context.identity,
                input.token,
                now=resources.clock(),
            )
        return Membership.of(row, row.role)

    @strawberry.mutation(description="Take an invitation back.")
    async def revoke_invitation(
        self,
        info: Info,
        input: RevokeInvitationInput,  # noqa: A002
    ) -> Invitation:
        resources = info.context.resources
        require_user(info.context.identity)
        now = resources.clock()
        async with resources.database.write() as session:
            row, organization = await service.revoke(
                session, info.context.identity, parse_id(input.invitation_id), now=now
            )
        return Invitation.of(row, organization.name, now)

    @strawberry.mutation(
        description="Give a member another role; you must be over the old one and the new one."
    )
    async def change_member_role(
        self,
        info: Info,
        input: ChangeMemberRoleInput,  # noqa: A002
    ) -> Membership:
        resources = info.context.resources
        require_user(info.context.identity)
        async with resources.database.write() as session:
            row, viewer_role = await service.change_role(
                session,
                resources.access,
                info.context.identity,
                parse_id(input.membership_id),
                access.Role[input.role.name],
            )
        return Membership.of(row, viewer_role)

    @strawberry.mutation(description="Remove a member whose role you are over.")
    async def remove_member(
        self,
        info: Info,
        input: RemoveMemberInput,  # noqa: A002
    ) -> RemoveMemberPayload:
        resources = info.context.resources
        require_user(info.context.identity)
        async with resources.database.write() as session:
            row = await service.remove(
                session,
                resources.access,
                info.context.identity,
                parse_id(input.membership_id),
            )
        return RemoveMemberPayload(
            membership_id=strawberry.ID(str(row.id)), user=User(id=strawberry.ID(str(row.user_id)))
        )

    @strawberry.mutation(description="Leave an organization; its last owner cannot.")
    async def leave_organization(
        self,
        info: Info,
        input: LeaveOrganizationInput,  # noqa: A002
    ) -> LeaveOrganizationPayload:
        resources = info.context.resources
        require_user(info.context.identity)
        organization_id = parse_id(input.organization_id)
        async with resources.database.write() as session:
            await service.leave(session, resources.access, info.context.identity, organization_id)
        return LeaveOrganizationPayload(organization_id=strawberry.ID(organization_id))

    @strawberry.mutation(
        description="Make another member the owner in your place; you become an admin."
    )
    async def transfer_ownership(
        self,
        info: Info,
        input: TransferOwnershipInput,  # noqa: A002
    ) -> Organization:
        resources = info.context.resources
        require_user(info.context.identity)
        async with resources.database.write() as session:
            row, role = await service.transfer(
                session,
                resources.access,
                info.context.identity,
                parse_id(input.organization_id),
                parse_id(input.user_id),
            )
        return Organization.of(row, role)


def _known(membership: Membership | None) -> Membership:
    assert membership is not None  # The query read only what the caller may see.
    return membership


def _may_invite(role: Role) -> bool:
    return Permission.MEMBER_INVITE in access.PERMISSIONS[access.Role[role.name]]


def _status(row: models.Invitation, now: dt.datetime) -> InvitationStatus:
    if row.accepted_at is not None:
        return InvitationStatus.ACCEPTED
    if row.revoked_at is not None:
        return InvitationStatus.REVOKED
    return InvitationStatus.PENDING if row.expires_at > now else InvitationStatus.EXPIRED


schema = build_schema(Query, Mutation)
