"""The orgs subgraph on real servers."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from shared.access import Role
from shared.access_lists import QUERY
from shared.auth import GATEWAY, Identity
from shared.config import Settings
from tests.support.asking import Asked, asking, make_template
from tests.support.servers import Servers

CREATE = """
mutation($input: CreateOrganizationInput!) {
  createOrganization(input: $input) { id slug name version viewerRole }
}
"""
INVITE = """
mutation($input: InviteMemberInput!) {
  inviteMember(input: $input) { token invitation { id email role status } }
}
"""
ACCEPT = """
mutation($input: AcceptInvitationInput!) {
  acceptInvitation(input: $input) { id role user { id } organization { id slug viewerRole } }
}
"""
CHANGE_ROLE = """
mutation($input: ChangeMemberRoleInput!) {
  changeMemberRole(input: $input) { id role organization { viewerRole } }
}
"""


def new_id() -> str:
    """An id that nothing has yet."""
    return str(uuid.uuid4())


@dataclass(frozen=True, slots=True)
class Orgs(Asked):
    """The subgraph, and what happens often."""

    async def identity(self, user_id: str) -> Identity:
        """What the gateway tells subgraphs about a user, as it stands now."""
        found = await self.data(QUERY, {"userId": user_id}, by=GATEWAY)
        grants = {g["organizationId"]: Role[g["role"]] for g in found["accessOf"]}
        return Identity(user_id, "session", grants)

    async def organization(self, **roles: str) -> tuple[str, dict[str, Identity]]:
        """A new organization and its members, by the names given them: ``ada="OWNER"``."""
        people = {name: new_id() for name in roles}
        first = next(name for name, role in roles.items() if role == "OWNER")
        slug = f"org-{uuid.uuid4().hex[:12]}"
        owner = Identity(people[first], "session")
        made = await self.data(CREATE, {"input": {"name": "Acme", "slug": slug}}, by=owner)
        organization_id: str = made["createOrganization"]["id"]
        for name, role in roles.items():
            if name != first:
                await self.add(organization_id, people[name], role, by=owner)
        return organization_id, {name: await self.identity(each) for name, each in people.items()}

    async def add(self, organization_id: str, user_id: str, role: str, *, by: Identity) -> str:
        """Let a user join by an invitation; the id of the membership."""
        token = await self.invite(organization_id, by=by, role="MEMBER")
        joined = await self.data(
            ACCEPT, {"input": {"token": token}}, by=Identity(user_id, "session")
        )
        membership_id: str = joined["acceptInvitation"]["id"]
        if role != "MEMBER":
            await self.data(
                CHANGE_ROLE,
                {"input": {"membershipId": membership_id, "role": role}},
                by=by,
            )
        return membership_id

    async def invite(self, organization_id: str, *, by: Identity, **given: Any) -> str:
        """An invitation's token."""
        values = {
            "organizationId": organization_id,
            "email": f"{uuid.uuid4().hex}@example.org",
            **given,
        }
        token: str = (await self.data(INVITE, {"input": values}, by=by))["inviteMember"]["token"]
        return token

    async def membership_id(self, organization_id: str, user_id: str | None) -> str:
        """The id of someone's membership."""
        rows = await self.sql(
            "select id from memberships where organization_id = :org and user_id = :who",
            org=organization_id,
            who=user_id,
        )
        return str(rows[0].id)

    async def roles(self, organization_id: str) -> dict[str, str]:
        """The role of each member, by user."""
        rows = await self.sql(
            "select user_id, role from memberships where organization_id = :org",
            org=organization_id,
        )
        return {str(row.user_id): row.role for row in rows}


@pytest.fixture(scope="session")
def template_database(started_servers: Servers) -> str:
    """A template with this subgraph alone."""
    return make_template(started_servers, "orgs")


@pytest.fixture
async def orgs(settings: Settings) -> AsyncIterator[Orgs]:
    """The subgraph, over empty stores."""
    async with asking(settings, "orgs") as asked:
        yield Orgs(asked.subgraph, asked.settings, asked.redis, asked.database)
