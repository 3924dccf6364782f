"""Reading files: entities, lists, exports; and forgetting people."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import random
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session

from shared.access import Role
from shared.auth import GATEWAY, Identity
from shared.events import Event
from shared.privacy import EXPORT_QUERY, DeletionStarted
from subgraphs.storage.objects import DOWNLOAD_SECONDS, Objects
from subgraphs.storage.tasks import consumers, jobs
from tests.subgraphs.storage.conftest import (
    DELETE,
    REQUEST,
    Storage,
    announced,
    member,
    new_id,
    person,
)
from tests.support.asking import noting_statements, spelt

CONTENT = b"hello, world"
FILE = """... on File {
  id name status downloadUrl
  owner { __typename ... on User { id } ... on Organization { id } }
  uploadedBy { id } uploaderMembership { organization { id } user { id } }
}"""
FILES = "files(first: 2) { edges { node { name } } pageInfo { hasNextPage endCursor } }"


async def fill(storage: Storage, owner_id: str | None, kind: str, count: int) -> list[str]:
    """Complete files as if they had been uploaded; their ids."""
    await storage.sql(
        "insert into accounts (owner_id, owner_kind) values (:owner, :kind)",
        owner=owner_id,
        kind=kind,
    )
    rows = await storage.sql(
        "insert into files (owner_id, owner_kind, name, content_type, size_bytes, sha256, status,"
        " upload_expires_at) select :owner, :kind, 'f' || n, 'text/plain', 1, '', 'complete', now()"
        " from generate_series(1, :count) n returning id",
        owner=owner_id,
        kind=kind,
        count=count,
    )
    return [str(row.id) for row in rows]


async def test_a_file_says_whose_it_is_and_who_uploaded_it(storage: Storage) -> None:
    ours = new_id()
    ada = member(ours)
    shared = await storage.upload(CONTENT, by=ada, organizationId=ours)
    own = await storage.upload(CONTENT, by=ada)
    representations = [{"__typename": "File", "id": each} for each in (shared, own)]
    of_org, of_ada = await storage.entities(representations, FILE, by=ada)
    assert of_org is not None
    assert of_org["owner"] == {"__typename": "Organization", "id": ours}
    assert of_org["uploadedBy"] == {"id": ada.user_id}
    assert of_org["uploaderMembership"] == {
        "organization": {"id": ours},
        "user": {"id": ada.user_id},
    }
    assert of_ada is not None
    assert of_ada["owner"] == {"__typename": "User", "id": ada.user_id}
    assert of_ada["uploaderMembership"] is None


async def test_references_to_files_one_may_not_see_are_null(storage: Storage) -> None:
    theirs = new_id()
    bob = member(theirs)
    foreign = await fill(storage, theirs, "organization", 1) + await fill(
        storage, bob.user_id, "user", 1
    )
    ids = [*foreign, new_id(), "nonsense"]
    representations = [{"__typename": "File", "id": each} for each in ids]
    found = await storage.entities(representations, "... on File { name }", by=person())
    assert found == [None] * 4
    found = await storage.entities(representations, "... on File { name }", by=bob)
    assert [bool(each) for each in found] == [True, True, False, False]


async def test_ten_thousand_guesses_find_nothing_of_another_tenant(storage: Storage) -> None:
    theirs = new_id()
    ids = await fill(storage, theirs, "organization", 5) + await fill(storage, new_id(), "user", 5)
    chance = random.Random(7)  # noqa: S311 - the same at each run
    kinds = ("File", "File", "Organization")
    ada = member(new_id(), "OWNER")
    for _ in range(20):
        guesses = [
            {
                "__typename": chance.choice(kinds),
                "id": spelt(chance.choice([*ids, theirs, new_id()]), chance),
            }
            for _ in range(500)
        ]
        selection = "... on File { name downloadUrl } ... on Organization { id }"
        assert await storage.entities(guesses, selection, by=ada) == [None] * 500


async def test_one_or_fifty_entities_cost_the_same_statements(storage: Storage) -> None:
    organizations = [new_id() for _ in range(50)]
    ada = Identity(new_id(), "session", dict.fromkeys(organizations, Role.MEMBER))
    files = [
        (await fill(storage, organization, "organization", 3))[0] for organization in organizations
    ]
    for count in (1, 50):
        with noting_statements() as sent:
            found = await storage.entities(
                [{"__typename": "File", "id": each} for each in files[:count]], FILE, by=ada
            )
        assert len(sent) == 1
        assert all(found)
        with noting_statements() as sent:
            listed = await storage.entities(
                [
                    {
                        "__typename": "Organization",
                        "id": each,
                        "plan": {"storageLimitBytes": 1},
                    }
                    for each in organizations[:count]
                ],
                "... on Organization { storageUsage { usedBytes } " + FILES + " }",
                by=ada,
            )
        assert len(sent) == 2  # accounts, files
        assert [len(each["files"]["edges"]) for each in listed if each] == [2] * count


async def test_files_come_newest_first_in_pages_without_pending_ones(storage: Storage) -> None:
    ada = person()
    await fill(storage, ada.user_id, "user", 5)
    await storage.request(CONTENT, by=ada)
    query = """query($all: [_Any!]!, $after: String) { _entities(representations: $all) {
      ... on User { files(first: 2, after: $after) {
        edges { node { name } } pageInfo { hasNextPage endCursor } } } } }"""
    names: list[str] = []
    after = None
    for expected in (True, True, False):
        given = {"all": [{"__typename": "User", "id": ada.user_id}], "after": after}
        [user] = (await storage.data(query, given, by=ada))["_entities"]
        names += [edge["node"]["name"] for edge in user["files"]["edges"]]
        assert user["files"]["pageInfo"]["hasNextPage"] is expected
        after = user["files"]["pageInfo"]["endCursor"]
    assert names == ["f5", "f4", "f3", "f2", "f1"]
    assert after is not None
    for wrong in ("nonsense", "", after[:-4] + "AAA="):
        given = {"all": [{"__typename": "User", "id": ada.user_id}], "after": wrong}
        error = await storage.error(query, given, by=ada)
        assert (error["code"], error["field"]) == ("BAD_USER_INPUT", "after")


async def test_the_files_of_others_are_null(storage: Storage) -> None:
    bob = person()
    await fill(storage, bob.user_id, "user", 1)
    selection = "... on User { storageUsage { usedBytes } " + FILES + " }"
    users = [{"__typename": "User", "id": each} for each in (bob.user_id, "nonsense")]
    found = await storage.entities(users, selection, by=person())
    assert found == [{"storageUsage": None, "files": None}] * 2
    [own, _] = await storage.entities(users, selection, by=bob)
    assert own is not None
    assert len(own["files"]["edges"]) == 1


async def test_addresses_are_those_botocore_would_sign(storage: Storage) -> None:
    settings = storage.settings.s3
    session = get_session()
    async with session.create_client(
        "s3",
        endpoint_url=settings.endpoint,
        region_name=settings.region,
        aws_access_key_id=settings.access_key.get_secret_value(),
        aws_secret_access_key=settings.secret_key.get_secret_value(),
        config=AioConfig(
            signature_version="s3v4",
            s3={"addressing_style": "path"},
            request_checksum_calculation="when_required",
        ),
    ) as client:
        for name in ("a.txt", "Grüße & more (1)+~*'.txt"):
            disposition = f"attachment; filename*=UTF-8''{quote(name, safe='')}"
            theirs = await client.generate_presigned_url(
                "get_object",
                Params={
                    "Bucket": settings.bucket,
                    "Key": "a/b",
                    "ResponseContentDisposition": disposition,
                },
                ExpiresIn=DOWNLOAD_SECONDS,
            )
            signed_at = dt.datetime.strptime(_query(theirs)["X-Amz-Date"], "%Y%m%dT%H%M%S%z")
            objects = Objects(settings, partial(_same, signed_at))
            ours = objects.download_url("a/b", name=name)
            assert ours.partition("?")[0] == theirs.partition("?")[0]
            assert _query(ours) == _query(theirs)


def _same(moment: dt.datetime) -> dt.datetime:
    return moment


def _query(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query))


async def export(storage: Storage, user_id: str | None) -> tuple[dict[str, Any], list[Any]]:
    """All documents and files of an export."""
    documents: dict[str, Any] = {}
    files: list[Any] = []
    after = None
    while True:
        answer = await storage.data(EXPORT_QUERY, {"userId": user_id, "after": after}, by=GATEWAY)
        page = answer["privacyExport"]
        documents |= {each["path"]: json.loads(each["json"]) for each in page["documents"]}
        files += page["files"]
        after = page["endCursor"]
        if after is None:
            return documents, files


async def test_an_export_holds_ones_files_and_what_one_uploaded_elsewhere(
    storage: Storage,
) -> None:
    ours = new_id()
    ada = member(ours)
    await storage.upload(CONTENT, by=ada, organizationId=ours, name="shared.txt")
    own = await storage.upload(CONTENT, by=ada, name="own.txt")
    await fill(storage, new_id(), "user", 1)
    documents, [file] = await export(storage, ada.user_id)
    assert [each["name"] for each in documents["storage/files.json"]] == ["own.txt"]
    [upload] = documents["storage/uploads.json"]
    assert (upload["name"], upload["organizationId"]) == ("shared.txt", ours)
    assert (file["path"], file["sizeBytes"]) == (f"storage/files/{own}/own.txt", len(CONTENT))
    assert (await storage.client.get(file["url"])).content == CONTENT
    error = await storage.error(EXPORT_QUERY, {"userId": ada.user_id}, by=ada)
    assert error["code"] == "FORBIDDEN"


async def test_a_large_export_comes_in_bounded_pages(storage: Storage) -> None:
    ada = person()
    await fill(storage, ada.user_id, "user", 60)
    documents, files = await export(storage, ada.user_id)
    sizes = [len(rows) for path, rows in documents.items() if "files" in path]
    assert sizes == [25, 25, 10]
    assert len({each["path"] for each in files}) == 60


async def test_who_is_erased_leaves_no_files_and_no_name(storage: Storage) -> None:
    """Through the bus and the worker, as in production."""
    ours = new_id()
    ada = member(ours)
    own = await storage.upload(CONTENT, by=ada)
    pending = await storage.request(CONTENT, by=ada)
    await storage.send(pending, CONTENT)
    shared = await storage.upload(CONTENT, by=ada, organizationId=ours)
    user_id = str(ada.user_id)
    payload = json.dumps({"request_id": "r", "user_id": user_id})
    async with (
        storage.working() as bus,
        bus.listen("storage.subject.erased", user_id, DeletionStarted) as erased,
    ):
        await bus.send([Event(new_id(), DeletionStarted.topic, user_id, payload, {})])
        async with asyncio.timeout(30):
            assert (await anext(erased)).request_id == "r"
    for file_id in (own, pending["file"]["id"]):
        assert await storage.objects.stat(f"files/{user_id}/{file_id}") is None
    [left] = await storage.sql("select id, uploaded_by from files")
    assert (str(left.id), left.uploaded_by) == (shared, None)
    assert await storage.account(user_id) == (0, 0, 0)
    late = await storage.error(REQUEST, {"input": announced(CONTENT)}, by=ada)
    assert late["code"] == "CONFLICT"


async def test_erasing_again_is_harmless(storage: Storage) -> None:
    ada = person()
    await storage.upload(CONTENT, by=ada)
    _, purge_owner = jobs(storage.database, storage.objects, lambda: dt.datetime.now(dt.UTC))
    for _ in range(2):
        await storage.consume(
            consumers(), DeletionStarted.topic, request_id="r", user_id=ada.user_id
        )
        await purge_owner.run({"owner_id": ada.user_id, "request_id": "r"})
    assert len(await storage.facts("storage.subject.erased")) == 2
    assert await storage.sql("select 1 from files") == []


async def test_a_closed_organization_loses_its_files_and_takes_no_more(storage: Storage) -> None:
    ours = new_id()
    ada = member(ours, "OWNER")
    file_id = await storage.upload(CONTENT, by=ada, organizationId=ours)
    await fill(storage, new_id(), "organization", 1)
    await storage.consume(consumers(), "orgs.organization.closed", organization_id=ours)
    assert await storage.jobs() == ["purge_owner"]
    _, purge_owner = jobs(storage.database, storage.objects, lambda: dt.datetime.now(dt.UTC))
    await asyncio.gather(*(purge_owner.run({"owner_id": ours}) for _ in range(2)))
    assert await storage.objects.stat(f"files/{ours}/{file_id}") is None
    assert await storage.account(ours) == (0, 0, 0)
    assert len(await storage.sql("select 1 from files")) == 1
    given = announced(CONTENT, organizationId=ours)
    assert (await storage.error(REQUEST, {"input": given}, by=ada))["code"] == "CONFLICT"
    assert (await storage.error(DELETE, {"input": {"fileId": file_id}}, by=ada))[
        "code"
    ] == "NOT_FOUND"
