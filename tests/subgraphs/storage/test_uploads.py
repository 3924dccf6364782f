"""From announcing a file to downloading it, and all that may go wrong between."""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import secrets
from urllib.parse import parse_qs, urlsplit

import pytest
from aiobotocore.session import get_session
from pydantic import SecretStr

from shared.config import Settings
from shared.errors import Unavailable
from subgraphs.storage.objects import DOWNLOAD_SECONDS, Objects
from subgraphs.storage.service import MOST_BYTES
from tests.subgraphs.storage.conftest import (
    COMPLETE,
    DELETE,
    REQUEST,
    Storage,
    announced,
    member,
    new_id,
    person,
)
from tests.support import servers
from tests.support.asking import asking

FILE = "query($id: ID!) { file(id: $id) { id name status downloadUrl } }"
CONTENT = b"hello, world"


async def test_a_file_goes_up_and_comes_down(storage: Storage) -> None:
    ada = person()
    payload = await storage.request(CONTENT, by=ada, name="Grüße & more.txt")
    assert payload["file"]["status"] == "PENDING"
    assert payload["file"]["downloadUrl"] is None
    assert payload["upload"]["method"] == "PUT"
    assert (await storage.send(payload, CONTENT)).status_code == 200
    given = {"input": {"fileId": payload["file"]["id"]}}
    completed = (await storage.data(COMPLETE, given, by=ada))["completeUpload"]
    assert completed["status"] == "COMPLETE"
    response = await storage.client.get(completed["downloadUrl"])
    assert response.content == CONTENT
    assert response.headers["content-type"] == "text/plain"
    disposition = response.headers["content-disposition"]
    assert disposition == "attachment; filename*=UTF-8''Gr%C3%BC%C3%9Fe%20%26%20more.txt"
    assert await storage.account(ada.user_id) == (len(CONTENT), 0, 1)
    [fact] = await storage.facts()
    assert fact.topic == "storage.file.uploaded"
    assert fact.payload == {
        "file_id": payload["file"]["id"],
        "owner_kind": "user",
        "owner_id": ada.user_id,
        "size_bytes": len(CONTENT),
    }


async def test_completing_twice_or_at_once_counts_the_file_once(storage: Storage) -> None:
    ada = person()
    payload = await storage.request(CONTENT, by=ada)
    await storage.send(payload, CONTENT)
    given = {"input": {"fileId": payload["file"]["id"]}}
    answers = await asyncio.gather(*(storage.data(COMPLETE, given, by=ada) for _ in range(6)))
    answers.append(await storage.data(COMPLETE, given, by=ada))
    assert {each["completeUpload"]["status"] for each in answers} == {"COMPLETE"}
    assert await storage.account(ada.user_id) == (len(CONTENT), 0, 1)
    assert len(await storage.facts("storage.file.uploaded")) == 1


async def test_the_address_takes_nothing_but_what_was_announced(storage: Storage) -> None:
    ada = person()
    payload = await storage.request(CONTENT, by=ada)
    other = hashlib.sha256(b"HELLO, WORLD").digest()
    refused = [
        await storage.send(payload, CONTENT + b"!"),
        await storage.send(payload, CONTENT[:-1]),
        await storage.send(payload, b"HELLO, WORLD"),
        await storage.send(payload, b"HELLO, WORLD", x_amz_checksum_sha256=other.hex()),
        await storage.send(payload, CONTENT, content_type="text/html"),
    ]
    assert {each.status_code for each in refused} <= {400, 403}
    tampered = {**payload, "upload": {**payload["upload"]}}
    tampered["upload"]["url"] = payload["upload"]["url"].replace(payload["file"]["id"], new_id())
    assert (await storage.send(tampered, CONTENT)).status_code == 403
    target = payload["upload"]["url"]
    assert (await storage.client.get(target)).status_code == 403
    assert (await storage.client.get(target.partition("?")[0])).status_code == 403
    given = {"input": {"fileId": payload["file"]["id"]}}
    assert (await storage.error(COMPLETE, given, by=ada))["code"] == "CONFLICT"
    assert await storage.account(ada.user_id) == (0, len(CONTENT), 0)


async def test_completing_finds_out_when_other_bytes_are_there(storage: Storage) -> None:
    """As a server would store them that does not check what was signed."""
    ada = person()
    announcement = await storage.request(CONTENT, by=ada)
    key = f"files/{ada.user_id}/{announcement['file']['id']}"
    for content, kind in ((b"HELLO, WORLD", "text/plain"), (b"x", "text/plain"), (CONTENT, "a/b")):
        planted = storage.objects.upload(
            key,
            content_type=kind,
            size_bytes=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
            seconds=60,
        )
        sent = await storage.client.put(planted.url, content=content, headers=planted.headers)
        assert sent.status_code == 200
        given = {"input": {"fileId": announcement["file"]["id"]}}
        assert (await storage.error(COMPLETE, given, by=ada))["code"] == "CONFLICT"
    assert await storage.account(ada.user_id) == (0, len(CONTENT), 0)


async def test_addresses_end(storage: Storage) -> None:
    ada = person()
    file_id = await storage.upload(CONTENT, by=ada)
    url = (await storage.data(FILE, {"id": file_id}, by=ada))["file"]["downloadUrl"]
    assert parse_qs(urlsplit(url).query)["X-Amz-Expires"] == [str(DOWNLOAD_SECONDS)]
    now = dt.datetime.now(dt.UTC)
    past = Objects(storage.settings.s3, lambda: now - dt.timedelta(seconds=DOWNLOAD_SECONDS + 60))
    key = f"files/{ada.user_id}/{file_id}"
    assert (await storage.client.get(past.download_url(key, name="a"))).status_code == 403
    assert (await storage.client.get(url.replace(file_id, new_id()))).status_code == 403


async def test_what_is_announced_is_checked(storage: Storage) -> None:
    ada = person()
    wrong: dict[str, list[object]] = {
        "name": [
            "",
            "   ",
            ".",
            "..",
            "...",
            "a" * 201,
            "../../etc/passwd",
            "a/b",
            "a\\b",
            "a\uff0fb",
            "a\x00b",
            "a\nb",
            "invoice\u202efdp.exe",
            "a\u2028b",
        ],
        "contentType": [
            "",
            "text",
            "text/",
            "/plain",
            "text/plain; charset=x",
            "a/b\r\nx: y",
            "é/b",
        ],
        "sizeBytes": [0, -1, MOST_BYTES + 1, 2**62],
        "sha256": ["", "zz", "a" * 63, "g" * 64, "é" * 64],
    }
    for field, values in wrong.items():
        for value in values:
            given = announced(CONTENT, **{field: value})
            error = await storage.error(REQUEST, {"input": given}, by=ada)
            assert (error["code"], error["field"]) == ("BAD_USER_INPUT", field), value
    for size in (1.5, "12", True, 2**63):
        given = announced(CONTENT, sizeBytes=size)
        answer = await storage.ask(REQUEST, {"input": given}, by=ada)
        assert answer["errors"]
    assert await storage.sql("select 1 from files") == []
    assert await storage.account(ada.user_id) == (0, 0, 0)


async def test_names_that_people_use_are_taken(storage: Storage) -> None:
    ada = person()
    for name in (
        "résumé.pdf",
        "家族の写真.jpg",
        ".env",
        "a b (1).tar.gz",
        "👩\u200d💻.png",
        "x'; --",
    ):
        payload = await storage.request(CONTENT, by=ada, name=name)
        assert payload["file"]["name"] == name


async def test_a_stranger_gets_nowhere(storage: Storage) -> None:
    errors = [
        await storage.error(REQUEST, {"input": announced(CONTENT)}),
        await storage.error(COMPLETE, {"input": {"fileId": new_id()}}),
        await storage.error(DELETE, {"input": {"fileId": new_id()}}),
        await storage.error(FILE, {"id": new_id()}),
    ]
    assert [error["code"] for error in errors] == ["UNAUTHENTICATED"] * 4


async def test_another_tenants_file_answers_like_an_unknown_one(storage: Storage) -> None:
    theirs = new_id()
    bob, ada = member(theirs, "OWNER"), member(new_id(), "OWNER")
    of_org = await storage.upload(CONTENT, by=bob, organizationId=theirs)
    of_bob = await storage.upload(CONTENT, by=bob)
    pending = (await storage.request(CONTENT, by=bob, organizationId=theirs))["file"]["id"]
    for file_id in (of_org, of_bob, pending, new_id(), "nonsense", ""):
        errors = [
            await storage.error(FILE, {"id": file_id}, by=ada),
            await storage.error(COMPLETE, {"input": {"fileId": file_id}}, by=ada),
            await storage.error(DELETE, {"input": {"fileId": file_id}}, by=ada),
        ]
        assert errors == [{"message": "Not found.", "code": "NOT_FOUND"}] * 3
    for organization_id in (theirs, new_id(), "nonsense"):
        given = announced(CONTENT, organizationId=organization_id)
        error = await storage.error(REQUEST, {"input": given}, by=ada)
        assert error == {"message": "Not found.", "code": "NOT_FOUND"}
    assert len(await storage.sql("select 1 from files")) == 3


async def test_members_share_an_organizations_files(storage: Storage) -> None:
    ours = new_id()
    ada, bob = member(ours), member(ours)
    file_id = await storage.upload(CONTENT, by=ada, organizationId=ours)
    seen = (await storage.data(FILE, {"id": file_id}, by=bob))["file"]
    assert (await storage.client.get(seen["downloadUrl"])).content == CONTENT
    assert await storage.account(ours) == (len(CONTENT), 0, 1)
    assert await storage.account(ada.user_id) == (0, 0, 0)


async def test_only_owners_and_admins_delete_an_organizations_files(storage: Storage) -> None:
    ours = new_id()
    ada = member(ours)
    file_id = await storage.upload(CONTENT, by=ada, organizationId=ours)
    given = {"input": {"fileId": file_id}}
    for role in ("MEMBER", "BILLING"):
        error = await storage.error(DELETE, given, by=member(ours, role))
        assert error["code"] == "FORBIDDEN"
    assert (await storage.error(DELETE, given, by=ada))["code"] == "FORBIDDEN"
    answer = await storage.data(DELETE, given, by=member(ours, "ADMIN"))
    assert answer["deleteFile"] == {"fileId": file_id}
    assert (await storage.error(FILE, {"id": file_id}, by=ada))["code"] == "NOT_FOUND"


async def test_who_began_an_upload_may_give_it_up(storage: Storage) -> None:
    ours = new_id()
    ada, bob = member(ours), member(ours)
    file_id = (await storage.request(CONTENT, by=ada, organizationId=ours))["file"]["id"]
    given = {"input": {"fileId": file_id}}
    assert (await storage.error(DELETE, given, by=bob))["code"] == "FORBIDDEN"
    assert await storage.account(ours) == (0, len(CONTENT), 0)
    await storage.data(DELETE, given, by=ada)
    assert await storage.account(ours) == (0, 0, 0)


async def test_completing_and_deleting_at_once_keeps_the_books(storage: Storage) -> None:
    ada = person()
    for _ in range(4):
        payload = await storage.request(CONTENT, by=ada)
        await storage.send(payload, CONTENT)
        given = {"input": {"fileId": payload["file"]["id"]}}
        _completed, deleted = await asyncio.gather(
            storage.ask(COMPLETE, given, by=ada), storage.ask(DELETE, given, by=ada)
        )
        assert not deleted.get("errors")
        assert await storage.account(ada.user_id) == (0, 0, 0)


async def test_without_the_object_store_files_are_listed_and_none_is_promised(
    storage: Storage, settings: Settings
) -> None:
    ada = person()
    file_id = await storage.upload(CONTENT, by=ada)
    pending = (await storage.request(CONTENT, by=ada))["file"]["id"]
    nowhere = {"endpoint": "http://127.0.0.1:1"}
    wrong_key = {"secret_key": SecretStr("wrong")}
    for change in (nowhere, wrong_key):
        changed = settings.model_copy(update={"s3": settings.s3.model_copy(update=change)})
        async with asking(changed, "storage") as cut_off:
            errors = [
                await cut_off.error(REQUEST, {"input": announced(CONTENT)}, by=ada),
                await cut_off.error(COMPLETE, {"input": {"fileId": pending}}, by=ada),
            ]
            assert (
                errors
                == [
                    {
                        "message": "Files are not available at the moment. Try again.",
                        "code": "UNAVAILABLE",
                    }
                ]
                * 2
            )
            assert (await cut_off.data(FILE, {"id": file_id}, by=ada))["file"]["id"] == file_id
    assert await storage.account(ada.user_id) == (len(CONTENT), len(CONTENT), 1)


async def test_an_object_store_that_is_away_is_left_alone_after_a_while(
    settings: Settings,
) -> None:
    nowhere = settings.s3.model_copy(update={"endpoint": "http://127.0.0.1:1"})
    objects = Objects(nowhere, lambda: dt.datetime.now(dt.UTC), least_calls=2)
    for _ in range(2):
        with pytest.raises(Unavailable) as failure:
            await objects.stat("a")
        assert failure.value.__cause__ is not None
    with pytest.raises(Unavailable) as refusal:
        await objects.stat("a")
    assert refusal.value.__cause__ is None
    assert str(refusal.value) == str(failure.value)
    await objects.close()


async def test_stored_bytes_are_encrypted(storage: Storage, request: pytest.FixtureRequest) -> None:
    secret, plain = secrets.token_hex(2000).encode(), secrets.token_hex(2000).encode()
    await storage.upload(secret, by=person())
    settings = storage.settings.s3
    async with get_session().create_client(
        "s3",
        endpoint_url=settings.endpoint,
        region_name=settings.region,
        aws_access_key_id=settings.access_key.get_secret_value(),
        aws_secret_access_key=settings.secret_key.get_secret_value(),
    ) as client:
        await client.put_object(Bucket=settings.bucket, Key="plain", Body=plain)
        await client.delete_object(Bucket=settings.bucket, Key="plain")
    volumes = list((servers.folder(request.config) / "common" / "s3").rglob("*.dat"))
    stored = b"".join(each.read_bytes() for each in volumes)
    assert plain in stored  # or else nothing would follow from the next line
    assert secret not in stored


async def test_a_missing_bucket_is_made(settings: Settings) -> None:
    elsewhere = settings.s3.model_copy(update={"bucket": f"new-{new_id()}"})
    async with asking(settings.model_copy(update={"s3": elsewhere}), "storage") as asked:
        await asyncio.gather(*(asked.subgraph.checks["s3"]() for _ in range(4)))
        ada = person()
        answer = await asked.data(REQUEST, {"input": announced(CONTENT)}, by=ada)
        assert answer["requestUpload"]["file"]["status"] == "PENDING"
