"""Organizations, their members and invitations through the gateway."""

from __future__ import annotations

from tests.e2e.people import Person, create_organization, invite, new_slug, sign_up
from tests.e2e.test_accounts import code
from tests.support.nexus import Nexus

MEMBERS = (
    "query($id: ID!) { organization(id: $id) {"
    " members(first: 10) { edges { node { id role user { id name } } } } } }"
)


async def _members(person: Person, organization: str) -> dict[str, dict[str, str]]:
    data = await person.data(MEMBERS, {"id": organization})
    nodes = [edge["node"] for edge in data["organization"]["members"]["edges"]]
    return {node["user"]["id"]: node for node in nodes}


async def test_someone_is_invited_promoted_made_owner_and_the_first_owner_leaves(
    nexus: Nexus,
) -> None:
    ada, bob = await sign_up(nexus, "Ada"), await sign_up(nexus, "Bob")
    organization = await create_organization(ada)
    refused = await ada.graphql(
        "mutation($input: LeaveOrganizationInput!) {"
        " leaveOrganization(input: $input) { organizationId } }",
        {"input": {"organizationId": organization}},
    )
    assert code(refused) == "CONFLICT"

    await invite(ada, bob, organization)
    membership = (await _members(ada, organization))[bob.id]
    assert membership["role"] == "MEMBER"
    promoted = await ada.data(
        "mutation($input: ChangeMemberRoleInput!) {"
        " changeMemberRole(input: $input) { role user { id } organization { slug } } }",
        {"input": {"membershipId": membership["id"], "role": "ADMIN"}},
    )
    assert promoted["changeMemberRole"]["role"] == "ADMIN"
    await ada.data(
        "mutation($input: TransferOwnershipInput!) {"
        " transferOwnership(input: $input) { viewerRole } }",
        {"input": {"organizationId": organization, "userId": bob.id}},
    )
    await ada.data(
        "mutation($input: LeaveOrganizationInput!) {"
        " leaveOrganization(input: $input) { organizationId } }",
        {"input": {"organizationId": organization}},
    )
    assert {key: each["role"] for key, each in (await _members(bob, organization)).items()} == {
        bob.id: "OWNER"
    }
    assert code(await ada.graphql(MEMBERS, {"id": organization})) == "NOT_FOUND"


async def test_a_removed_member_has_no_access_from_then_on(nexus: Nexus) -> None:
    ada, bob = await sign_up(nexus, "Ada"), await sign_up(nexus, "Bob")
    organization = await create_organization(ada)
    await invite(ada, bob, organization)
    membership = (await _members(bob, organization))[bob.id]
    await ada.data(
        "mutation($input: RemoveMemberInput!) { removeMember(input: $input) { membershipId } }",
        {"input": {"membershipId": membership["id"]}},
    )
    assert code(await bob.graphql(MEMBERS, {"id": organization})) == "NOT_FOUND"
    mine = await bob.data("{ me { memberships(first: 5) { edges { node { id } } } } }")
    assert mine["me"]["memberships"]["edges"] == []


async def test_an_invitation_is_taken_back(nexus: Nexus) -> None:
    ada, bob = await sign_up(nexus, "Ada"), await sign_up(nexus, "Bob")
    organization = await create_organization(ada)
    invited = await ada.data(
        "mutation($input: InviteMemberInput!) {"
        " inviteMember(input: $input) { token invitation { id } } }",
        {"input": {"organizationId": organization, "email": bob.email}},
    )
    payload = invited["inviteMember"]
    revoked = await ada.data(
        "mutation($input: RevokeInvitationInput!) { revokeInvitation(input: $input) { status } }",
        {"input": {"invitationId": payload["invitation"]["id"]}},
    )
    assert revoked["revokeInvitation"]["status"] == "REVOKED"
    late = await bob.graphql(
        "mutation($input: AcceptInvitationInput!) { acceptInvitation(input: $input) { id } }",
        {"input": {"token": payload["token"]}},
    )
    assert code(late) in {"CONFLICT", "NOT_FOUND"}


async def test_an_organization_is_known_by_id_and_slug_and_changes_by_version(
    nexus: Nexus,
) -> None:
    ada, eve = await sign_up(nexus, "Ada"), await sign_up(nexus, "Eve")
    organization = await create_organization(ada)
    slug = new_slug()
    renamed = await ada.data(
        "mutation($input: UpdateOrganizationInput!) {"
        " updateOrganization(input: $input) { slug name version plan { code } } }",
        {"input": {"organizationId": organization, "version": 1, "slug": slug}},
    )
    assert renamed["updateOrganization"]["slug"] == slug
    by_slug = await ada.data(f'{{ organization(slug: "{slug}") {{ id plan {{ code }} }} }}')
    assert by_slug["organization"] == {"id": organization, "plan": {"code": "free"}}
    hidden = await eve.graphql(f'{{ organization(slug: "{slug}") {{ id }} }}')
    unknown = await eve.graphql('{ organization(slug: "no-such-thing") { id } }')
    assert hidden == unknown
    assert code(hidden) == "NOT_FOUND"
