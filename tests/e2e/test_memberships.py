"""A mutation that makes someone a member shows them what members see, in the same answer."""

from __future__ import annotations

import uuid

from tests.e2e.people import sign_up
from tests.support.nexus import Nexus

_CREATE = "mutation($input: CreateOrganizationInput!) { createOrganization(input: $input)"
_SEEN = "plan { code } creditBalance { amount } storageUsage { usedBytes } viewerRole"


def _named() -> dict[str, object]:
    return {"input": {"name": "Acme", "slug": f"acme-{uuid.uuid4().hex[:12]}"}}


async def test_a_new_organization_comes_whole(nexus: Nexus) -> None:
    ada = await sign_up(nexus, "Ada")
    made = await ada.data(_CREATE + " { " + _SEEN + " } }", _named())
    assert made["createOrganization"] == {
        "plan": {"code": "free"},
        "creditBalance": {"amount": 0},
        "storageUsage": {"usedBytes": 0},
        "viewerRole": "OWNER",
    }


async def test_who_joins_sees_the_organization_and_who_leaves_does_not(nexus: Nexus) -> None:
    ada, bob = await sign_up(nexus, "Ada"), await sign_up(nexus, "Bob")
    made = await ada.data(_CREATE + " { id } }", _named())
    organization = made["createOrganization"]["id"]
    invited = await ada.data(
        "mutation($input: InviteMemberInput!) { inviteMember(input: $input) { token } }",
        {"input": {"organizationId": organization, "email": bob.email}},
    )
    joined = await bob.data(
        "mutation($input: AcceptInvitationInput!) {"
        " acceptInvitation(input: $input) { organization { " + _SEEN + " } } }",
        {"input": {"token": invited["inviteMember"]["token"]}},
    )
    seen = joined["acceptInvitation"]["organization"]
    assert (seen["plan"], seen["viewerRole"]) == ({"code": "free"}, "MEMBER")
    answer = await bob.graphql(
        "mutation($leave: LeaveOrganizationInput!, $upload: RequestUploadInput!) {"
        " leaveOrganization(input: $leave) { organizationId }"
        " requestUpload(input: $upload) { file { id } } }",
        {
            "leave": {"organizationId": organization},
            "upload": {
                "organizationId": organization,
                "name": "a.txt",
                "contentType": "text/plain",
                "sizeBytes": 1,
                "sha256": "0" * 64,
            },
        },
    )
    [error] = answer["errors"]
    assert (error["path"], error["extensions"]["code"]) == (["requestUpload"], "NOT_FOUND")
