"""Nobody stores more than they may, whoever comes at the same time."""

from __future__ import annotations

import asyncio
import datetime as dt

from shared.access import Role
from shared.auth import Identity
from subgraphs.storage.models import OwnerKind
from subgraphs.storage.service import DEFAULT_LIMITS, GIB, GRACE, UPLOAD_TTL
from subgraphs.storage.tasks import consumers, jobs, schedules
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

CONTENT = b"hello, world"
MIB = 2**20
USAGE = "... on Organization { storageUsage { usedBytes reservedBytes limitBytes fileCount } }"


async def plan(storage: Storage, organization_id: str, limit: int) -> None:
    """Have billing announce a plan."""
    await storage.consume(
        consumers(),
        "billing.plan.changed",
        organization_id=organization_id,
        plan_code="team",
        storage_limit_bytes=limit,
    )


async def test_fifty_uploads_announced_at_once_never_pass_the_limit(storage: Storage) -> None:
    ours = new_id()
    await plan(storage, ours, 10 * MIB)
    given = {"input": announced(CONTENT, organizationId=ours, sizeBytes=MIB)}
    answers = await asyncio.gather(
        *(storage.ask(REQUEST, given, by=member(ours)) for _ in range(50))
    )
    refused = [each["errors"][0]["extensions"]["code"] for each in answers if each.get("errors")]
    assert refused == ["CONFLICT"] * 40
    assert await storage.account(ours) == (0, 10 * MIB, 0)
    assert len(await storage.sql("select 1 from files")) == 10


async def test_of_two_who_want_the_last_of_the_space_one_gets_it(storage: Storage) -> None:
    ours = new_id()
    await plan(storage, ours, 10)
    given = {"input": announced(b"0123456789", organizationId=ours)}
    answers = await asyncio.gather(*(storage.ask(REQUEST, given, by=member(ours)) for _ in "12"))
    assert sum(bool(each.get("errors")) for each in answers) == 1


async def test_a_refused_upload_takes_no_space_and_says_why(storage: Storage) -> None:
    ours = new_id()
    await plan(storage, ours, 11)
    given = {"input": announced(CONTENT, organizationId=ours)}
    error = await storage.error(REQUEST, given, by=member(ours))
    assert error["code"] == "CONFLICT"
    assert "not enough space" in error["message"]
    assert await storage.account(ours) == (0, 0, 0)


async def test_an_organization_nobody_spoke_of_has_the_free_plans_space(storage: Storage) -> None:
    ours = new_id()
    limit = DEFAULT_LIMITS[OwnerKind.ORGANIZATION]
    given = {"input": announced(CONTENT, organizationId=ours, sizeBytes=limit)}
    await storage.data(REQUEST, given, by=member(ours))
    given = {"input": announced(b"1", organizationId=ours)}
    assert (await storage.error(REQUEST, given, by=member(ours)))["code"] == "CONFLICT"


async def test_a_person_has_a_space_of_their_own(storage: Storage) -> None:
    ours = new_id()
    ada = member(ours)
    limit = DEFAULT_LIMITS[OwnerKind.USER]
    await storage.data(REQUEST, {"input": announced(b"1", sizeBytes=limit)}, by=ada)
    assert (await storage.error(REQUEST, {"input": announced(b"1")}, by=ada))["code"] == "CONFLICT"
    given = {"input": announced(b"1", organizationId=ours)}
    await storage.data(REQUEST, given, by=ada)


async def test_a_smaller_plan_keeps_files_and_takes_no_new_ones(storage: Storage) -> None:
    ours = new_id()
    ada = member(ours)
    await plan(storage, ours, 100)
    file_id = await storage.upload(CONTENT, by=ada, organizationId=ours)
    pending = await storage.request(CONTENT, by=ada, organizationId=ours)
    await plan(storage, ours, 5)
    given = {"input": announced(b"1", organizationId=ours)}
    assert (await storage.error(REQUEST, given, by=ada))["code"] == "CONFLICT"
    # What was promised is kept.
    await storage.send(pending, CONTENT)
    await storage.data(COMPLETE, {"input": {"fileId": pending["file"]["id"]}}, by=ada)
    assert await storage.account(ours) == (2 * len(CONTENT), 0, 2)
    await storage.data(DELETE, {"input": {"fileId": file_id}}, by=member(ours, "OWNER"))
    assert await storage.account(ours) == (len(CONTENT), 0, 1)


async def test_deleting_gives_the_space_back(storage: Storage) -> None:
    ours = new_id()
    ada = member(ours, "OWNER")
    await plan(storage, ours, len(CONTENT))
    for _ in range(3):
        file_id = await storage.upload(CONTENT, by=ada, organizationId=ours)
        answers = await asyncio.gather(
            *(storage.ask(DELETE, {"input": {"fileId": file_id}}, by=ada) for _ in range(4))
        )
        assert sum(not each.get("errors") for each in answers) == 1
        assert await storage.account(ours) == (0, 0, 0)


async def test_uploads_that_nobody_finishes_are_swept(storage: Storage) -> None:
    ada = person()
    done = await storage.upload(CONTENT, by=ada)
    late = await storage.request(CONTENT, by=ada)
    await storage.send(late, CONTENT)
    await storage.sql(
        "update files set upload_expires_at = upload_expires_at - make_interval(secs => :s)",
        s=(UPLOAD_TTL + GRACE).total_seconds() + 1,
    )
    await storage.request(CONTENT, by=ada)
    sweep_uploads, _ = schedules(storage.database, storage.objects, _now)
    await asyncio.gather(sweep_uploads.run(), sweep_uploads.run())
    assert await storage.account(ada.user_id) == (len(CONTENT), len(CONTENT), 1)
    left = {str(row.id) for row in await storage.sql("select id from files")}
    assert done in left
    assert late["file"]["id"] not in left
    assert await storage.jobs() == ["delete_objects"]
    error = await storage.error(COMPLETE, {"input": {"fileId": late["file"]["id"]}}, by=ada)
    assert error["code"] == "NOT_FOUND"


async def test_the_bytes_go_after_the_file(storage: Storage) -> None:
    ada = person()
    file_id = await storage.upload(CONTENT, by=ada)
    key = f"files/{ada.user_id}/{file_id}"
    await storage.data(DELETE, {"input": {"fileId": file_id}}, by=ada)
    assert await storage.objects.stat(key) is not None
    # Now, and once more when the address for uploading is certain to have ended.
    assert await storage.jobs() == ["delete_objects", "delete_objects"]
    delete_objects, _ = jobs(storage.database, storage.objects, _now)
    for _ in range(2):
        await delete_objects.run({"keys": [key]})
        assert await storage.objects.stat(key) is None


async def test_objects_without_a_file_are_found_and_deleted(storage: Storage) -> None:
    ada = person()
    kept = await storage.upload(CONTENT, by=ada)
    orphan = await storage.upload(CONTENT, by=ada)
    await storage.sql("delete from files where id = :id", id=orphan)
    _, sweep_orphans = schedules(storage.database, storage.objects, _now)
    await sweep_orphans.run()
    assert (
        await storage.objects.stat(f"files/{ada.user_id}/{orphan}") is not None
    )  # too young to tell
    _, sweep_orphans = schedules(
        storage.database, storage.objects, lambda: _now() + dt.timedelta(days=31)
    )
    await sweep_orphans.run()
    assert await storage.objects.stat(f"files/{ada.user_id}/{orphan}") is None
    assert await storage.objects.stat(f"files/{ada.user_id}/{kept}") is not None


async def test_usage_takes_the_limit_from_the_plan(storage: Storage) -> None:
    ours, theirs = new_id(), new_id()
    ada = Identity(new_id(), "session", {ours: Role.MEMBER})
    await storage.upload(CONTENT, by=ada, organizationId=ours)
    await storage.request(CONTENT, by=ada, organizationId=ours)
    entity = {"__typename": "Organization", "id": ours}
    found = await storage.entities(
        [
            {**entity, "plan": {"storageLimitBytes": 5 * GIB}},
            {**entity, "plan": None},
            {**entity, "id": theirs, "plan": {"storageLimitBytes": 5 * GIB}},
            {**entity, "id": "nonsense", "plan": None},
        ],
        USAGE,
        by=ada,
    )
    usage = {"usedBytes": 12, "reservedBytes": 12, "limitBytes": 5 * GIB, "fileCount": 1}
    assert found == [
        {"storageUsage": usage},
        {"storageUsage": {**usage, "limitBytes": GIB}},
        None,
        None,
    ]


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
