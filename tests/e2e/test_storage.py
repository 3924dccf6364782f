"""Files through the gateway, and their bytes to and from S3."""

from __future__ import annotations

import hashlib
from typing import Any

import httpx

from tests.e2e.people import Person, create_organization, eventually, invite, sign_up
from tests.e2e.test_accounts import code
from tests.support.nexus import Nexus

REQUEST = (
    "mutation($input: RequestUploadInput!) { requestUpload(input: $input) {"
    " file { id status } upload { method url headers { name value } } } }"
)


def _input(content: bytes, **changes: Any) -> dict[str, Any]:
    digest = hashlib.sha256(content).hexdigest()
    plain = {"name": "a.txt", "contentType": "text/plain", "sizeBytes": len(content)}
    return {"input": {**plain, "sha256": digest, **changes}}


async def test_a_file_of_an_organization_is_shared_counted_and_deleted(nexus: Nexus) -> None:
    ada, bob = await sign_up(nexus, "Ada"), await sign_up(nexus, "Bob")
    organization = await create_organization(ada)
    await invite(ada, bob, organization)
    file = await bob.upload("plan.txt", b"the plan", organization_id=organization)

    query = (
        "query($id: ID!) { organization(id: $id) { storageUsage { usedBytes fileCount }"
        " files(first: 5) { edges { node { name downloadUrl uploadedBy { id }"
        " owner { __typename ... on Organization { slug plan { code } } } } } } } }"
    )
    seen = (await ada.data(query, {"id": organization}))["organization"]
    assert seen["storageUsage"] == {"usedBytes": 8, "fileCount": 1}
    (edge,) = seen["files"]["edges"]
    assert edge["node"]["uploadedBy"] == {"id": bob.id}
    assert edge["node"]["owner"]["plan"] == {"code": "free"}
    assert await ada.download(edge["node"]["downloadUrl"]) == b"the plan"

    await ada.data(
        "mutation($input: DeleteFileInput!) { deleteFile(input: $input) { fileId } }",
        {"input": {"fileId": file["id"]}},
    )
    seen = (await ada.data(query, {"id": organization}))["organization"]
    assert seen["storageUsage"] == {"usedBytes": 0, "fileCount": 0}
    gone = await ada.graphql("query($id: ID!) { file(id: $id) { name } }", {"id": file["id"]})
    assert code(gone) == "NOT_FOUND"

    async def fetch() -> int:
        async with httpx.AsyncClient() as client:
            return (await client.get(edge["node"]["downloadUrl"])).status_code

    assert await eventually(fetch, lambda status: status == 404) == 404


async def test_bytes_that_were_not_announced_are_refused(nexus: Nexus) -> None:
    ada = await sign_up(nexus, "Ada")
    requested = (await ada.data(REQUEST, _input(b"hello")))["requestUpload"]
    target = requested["upload"]
    headers = {header["name"]: header["value"] for header in target["headers"]}
    async with httpx.AsyncClient() as client:
        other = await client.request(
            target["method"], target["url"], content=b"HELLO", headers=headers
        )
        longer = await client.request(
            target["method"], target["url"], content=b"hello, world", headers=headers
        )
    assert other.status_code in {400, 403}
    assert longer.status_code in {400, 403}
    early = await ada.graphql(
        "mutation($input: CompleteUploadInput!) { completeUpload(input: $input) { status } }",
        {"input": {"fileId": requested["file"]["id"]}},
    )
    assert code(early) in {"CONFLICT", "BAD_USER_INPUT"}


async def test_an_upload_over_the_quota_or_into_a_foreign_place_is_refused(nexus: Nexus) -> None:
    ada, eve = await sign_up(nexus, "Ada"), await sign_up(nexus, "Eve")
    organization = await create_organization(ada)
    huge = _input(b"x", sizeBytes=2**40, organizationId=organization)
    assert code(await ada.graphql(REQUEST, huge)) in {"CONFLICT", "BAD_USER_INPUT", "FORBIDDEN"}
    foreign = await eve.graphql(REQUEST, _input(b"x", organizationId=organization))
    unknown = await eve.graphql(
        REQUEST, _input(b"x", organizationId="00000000-0000-7000-8000-000000000000")
    )
    assert foreign == unknown
    assert code(foreign) == "NOT_FOUND"
    assert code(await ada.graphql(REQUEST, _input(b"x", sizeBytes=-1))) == "BAD_USER_INPUT"


async def test_a_private_file_is_nobody_elses(nexus: Nexus) -> None:
    ada, eve = await sign_up(nexus, "Ada"), await sign_up(nexus, "Eve")
    file = await ada.upload("diary.txt", b"dear diary")

    async def look(person: Person, identifier: str) -> dict[str, Any]:
        return await person.graphql(
            "query($id: ID!) { file(id: $id) { name } }", {"id": identifier}
        )

    theirs = await look(eve, file["id"])
    assert theirs == await look(eve, "00000000-0000-7000-8000-000000000000")
    assert code(theirs) == "NOT_FOUND"
    assert (await look(ada, file["id"]))["data"] == {"file": {"name": "diary.txt"}}
