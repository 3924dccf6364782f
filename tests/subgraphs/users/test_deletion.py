"""The right to be forgotten, and the export of what is held."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from shared.auth import ANONYMOUS, GATEWAY, Identity
from shared.db import WriteSession
from shared.events import Consumer, Consuming, EventBus
from shared.privacy import ERASED, EXPORT_QUERY, DeletionStarted, SubjectErased, confirm_erased
from subgraphs.users import tasks
from subgraphs.users.events import DeletionCompleted
from tests.subgraphs.users.conftest import PASSWORD, Person, Users
from tests.subgraphs.users.test_colleagues import learn

_REQUEST = "mutation { requestDeletion { id status receipt startsAt endedAt } }"
_CANCEL = "mutation($id: ID!) { cancelDeletion(id: $id) { id status endedAt } }"
_FIND = """
query($id: ID!, $receipt: String) { deletionRequest(id: $id, receipt: $receipt) { id status } }
"""
_DAY = 86_400


async def deliver(users: Users, fact: DeletionStarted | SubjectErased) -> None:
    """Let the subgraph consume the fact."""
    consumers = tasks.consumers(users.sessions(at=0))
    said = {"request_id": fact.request_id, "user_id": fact.user_id}
    assert await users.consume(consumers, fact.topic, **said)


async def run_job(users: Users, name: str, payload: Mapping[str, Any]) -> None:
    """Run one of the subgraph's jobs."""
    jobs = {job.name: job.run for job in tasks.jobs(users.database, users.sessions(at=0))}
    await jobs[name](payload)


async def pick_up(users: Users) -> None:
    """Run the schedule."""
    [schedule] = tasks.schedules(users.database, users.sessions(at=0))
    await schedule.run()


async def status(users: Users, request_id: str, person: Person) -> str:
    """How far the person's deletion has come."""
    found = await users.data(_FIND, {"id": request_id}, by=person.identity)
    return str(found["deletionRequest"]["status"])


async def count(users: Users, what: str) -> int:
    """How many rows there are in a table."""
    [[found]] = await users.sql(f"select count(*) from {what}")  # noqa: S608
    return int(found)


async def request(users: Users, person: Person) -> dict[str, Any]:
    """The person's deletion request."""
    made: dict[str, Any] = (await users.data(_REQUEST, by=person.identity))["requestDeletion"]
    return made


async def test_a_request_waits_and_is_made_once(users: Users) -> None:
    ada = await users.sign_up()
    answers = await asyncio.gather(*(request(users, ada) for _ in range(5)))
    assert {each["id"] for each in answers} == {answers[0]["id"]}
    assert answers[0]["status"] == "PENDING"
    assert await count(users, "deletion_requests") == 1
    assert await count(users, "pgqueuer") == 1


@pytest.mark.parametrize("grace_seconds", [_DAY])
async def test_a_request_can_be_cancelled_while_it_waits(users: Users) -> None:
    ada = await users.sign_up()
    made = await request(users, ada)
    cancelled = await users.data(_CANCEL, {"id": made["id"]}, by=ada.identity)
    assert cancelled["cancelDeletion"]["status"] == "CANCELLED"
    assert cancelled["cancelDeletion"]["endedAt"]
    again = await users.data(_CANCEL, {"id": made["id"]}, by=ada.identity)
    assert again == cancelled
    await run_job(users, "start_deletion", {"request_id": made["id"]})
    assert await status(users, made["id"], ada) == "CANCELLED"
    assert (await request(users, ada))["id"] != made["id"]


@pytest.mark.parametrize("grace_seconds", [_DAY])
async def test_a_job_that_comes_too_early_starts_nothing(users: Users) -> None:
    ada = await users.sign_up()
    made = await request(users, ada)
    await run_job(users, "start_deletion", {"request_id": made["id"]})
    await pick_up(users)
    assert await status(users, made["id"], ada) == "PENDING"


async def test_what_has_started_cannot_be_cancelled(users: Users) -> None:
    ada = await users.sign_up()
    made = await request(users, ada)
    await run_job(users, "start_deletion", {"request_id": made["id"]})
    error = await users.error(_CANCEL, {"id": made["id"]}, by=ada.identity)
    assert error["code"] == "CONFLICT"
    assert await status(users, made["id"], ada) == "STARTED"


async def test_cancelling_races_with_the_start(users: Users) -> None:
    ada = await users.sign_up()
    made = await request(users, ada)
    answer, _ = await asyncio.gather(
        users.ask(_CANCEL, {"id": made["id"]}, by=ada.identity),
        run_job(users, "start_deletion", {"request_id": made["id"]}),
    )
    announced = await users.facts("users.deletion.started")
    assert len(announced) == (1 if "errors" in answer else 0)


async def test_another_persons_request_is_as_unknown_as_none(users: Users) -> None:
    ada, eve = await users.sign_up(), await users.sign_up()
    made = await request(users, ada)
    for query in (_FIND, _CANCEL):
        theirs = await users.error(query, {"id": made["id"]}, by=eve.identity)
        unknown = await users.error(query, {"id": str(uuid.uuid4())}, by=eve.identity)
        assert theirs == unknown
        assert theirs["code"] == "NOT_FOUND"
    assert await status(users, made["id"], ada) == "PENDING"


async def test_the_status_is_readable_with_the_receipt_alone(users: Users) -> None:
    ada, eve = await users.sign_up(), await users.sign_up()
    mine, theirs = await request(users, eve), await request(users, ada)
    found = await users.data(_FIND, {"id": theirs["id"], "receipt": theirs["receipt"]})
    assert found["deletionRequest"]["id"] == theirs["id"]
    for receipt in (None, "", mine["receipt"], "\u00e9", "x" * 100_000):
        wrong = {"id": theirs["id"], "receipt": receipt}
        assert (await users.error(_FIND, wrong))["code"] == "UNAUTHENTICATED"
        assert (await users.error(_FIND, wrong, by=eve.identity))["code"] == "NOT_FOUND"


async def test_a_deletion_ends_sessions_erases_the_account_and_frees_the_address(
    users: Users,
) -> None:
    ada = await users.sign_up("ada@example.org")
    await learn(users, "membership.added", ada.id, str(uuid.uuid4()))
    made = await request(users, ada)
    await run_job(users, "start_deletion", {"request_id": made["id"]})
    assert not await users.redis.exists(f"session:{ada.session_id}")
    started = DeletionStarted(made["id"], ada.id)
    await deliver(users, started)
    for table in ("users", "user_settings", "colleagues"):
        assert await count(users, table) == 0
    assert await users.data("{ me { id } }", by=ada.identity) == {"me": None}
    assert (await users.sign_up("ada@example.org")).id != ada.id
    await learn(users, "membership.added", ada.id, str(uuid.uuid4()))
    assert await count(users, "colleagues") == 0


async def test_a_login_during_the_start_does_not_survive(users: Users) -> None:
    ada = await users.sign_up("ada@example.org")
    made = await request(users, ada)
    await run_job(users, "start_deletion", {"request_id": made["id"]})
    late = await users.log_in("ada@example.org")
    await deliver(users, DeletionStarted(made["id"], ada.id))
    assert not await users.redis.exists(f"session:{late.session_id}")


async def test_a_request_is_completed_when_every_domain_has_confirmed(users: Users) -> None:
    ada = await users.sign_up()
    made = await request(users, ada)
    await run_job(users, "start_deletion", {"request_id": made["id"]})
    for erased in ERASED.values():
        assert await status(users, made["id"], ada) == "STARTED"
        await deliver(users, erased(made["id"], ada.id))
        await deliver(users, erased(made["id"], ada.id))
    assert await status(users, made["id"], ada) == "COMPLETED"
    assert len(await users.facts("users.deletion.completed")) == 1
    for erased in ERASED.values():
        await deliver(users, erased(made["id"], ada.id))
    assert len(await users.facts("users.deletion.completed")) == 1


async def test_confirmations_that_race_complete_the_request_once(users: Users) -> None:
    ada = await users.sign_up()
    made = await request(users, ada)
    await run_job(users, "start_deletion", {"request_id": made["id"]})
    facts = [erased(made["id"], ada.id) for erased in ERASED.values()]
    await asyncio.gather(*(deliver(users, fact) for fact in facts * 2))
    assert await status(users, made["id"], ada) == "COMPLETED"
    assert len(await users.facts("users.deletion.completed")) == 1


async def test_a_confirmation_of_nothing_is_ignored(users: Users) -> None:
    ada = await users.sign_up()
    made = await request(users, ada)
    for erased in ERASED.values():
        await deliver(users, erased(made["id"], ada.id))
        await deliver(users, erased(str(uuid.uuid4()), ada.id))
    assert await status(users, made["id"], ada) == "PENDING"


async def test_a_start_whose_job_was_lost_is_picked_up(users: Users) -> None:
    ada = await users.sign_up()
    made = await request(users, ada)
    await pick_up(users)
    assert await status(users, made["id"], ada) == "STARTED"


async def test_a_start_that_a_domain_does_not_confirm_is_announced_again(users: Users) -> None:
    ada = await users.sign_up()
    made = await request(users, ada)
    for _ in range(2):
        await run_job(users, "start_deletion", {"request_id": made["id"]})
        await pick_up(users)
    assert len(await users.facts("users.deletion.started")) == 1
    await users.sql("update deletion_requests set announced_at = now() - interval '11 minutes'")
    await pick_up(users)
    await pick_up(users)
    assert len(await users.facts("users.deletion.started")) == 2


@pytest.mark.usefixtures("other_domains")
async def test_the_worker_carries_a_request_out(users: Users) -> None:
    ada = await users.sign_up("ada@example.org")
    async with users.working() as bus, asyncio.timeout(30):
        topic = DeletionCompleted.topic
        async with bus.listen(topic, ada.id, DeletionCompleted) as completed:
            made = await request(users, ada)
            await anext(completed)
    given = {"id": made["id"], "receipt": made["receipt"]}
    assert (await users.data(_FIND, given))["deletionRequest"]["status"] == "COMPLETED"
    error = await users.error(
        "mutation($input: LogInInput!) { logIn(input: $input) { accessToken } }",
        {"input": {"email": "ada@example.org", "password": PASSWORD}},
    )
    assert error["code"] == "UNAUTHENTICATED"
    assert not await users.redis.exists(f"session:{ada.session_id}", f"sessions:{ada.id}")


async def exported(users: Users, user_id: str, *, by: Identity = GATEWAY) -> dict[str, Any]:
    """The documents of an export by path."""
    documents: dict[str, Any] = {}
    after = None
    while True:
        given = {"userId": user_id, "after": after}
        page = (await users.data(EXPORT_QUERY, given, by=by))["privacyExport"]
        documents |= {each["path"]: json.loads(each["json"]) for each in page["documents"]}
        after = page["endCursor"]
        if after is None:
            return documents


async def test_an_export_holds_everything_this_subgraph_knows(users: Users) -> None:
    ada = await users.sign_up("ada@example.org")
    await users.log_in("ada@example.org", by=Identity(user_agent="Phone/1.0"))
    organization = str(uuid.uuid4())
    await learn(users, "membership.added", ada.id, organization)
    made = await request(users, ada)
    await users.sign_up("eve@example.org")
    documents = await exported(users, ada.id)
    assert set(documents) == {
        "users/profile.json",
        "users/settings.json",
        "users/sessions.json",
        "users/known_memberships.json",
        "users/deletion_requests.json",
    }
    [profile] = documents["users/profile.json"]
    assert (profile["id"], profile["email"]) == (ada.id, "ada@example.org")
    assert [each["user_agent"] for each in documents["users/sessions.json"]] == ["Phone/1.0", None]
    [known] = documents["users/known_memberships.json"]
    assert known["organization_id"] == organization
    assert [each["id"] for each in documents["users/deletion_requests.json"]] == [made["id"]]
    everything = json.dumps(documents)
    assert "argon2" not in everything
    assert "eve@example.org" not in everything


async def test_a_long_section_comes_in_pieces(users: Users) -> None:
    ada = await users.sign_up()
    await users.sql(
        "insert into colleagues (organization_id, user_id, membership_id, active)"
        " select uuidv7(), cast(:user_id as uuid), uuidv7(), true from generate_series(1, 1200)",
        user_id=ada.id,
    )
    documents = await exported(users, ada.id)
    found = [len(documents[f"users/known_memberships{suffix}.json"]) for suffix in ("", "-2", "-3")]
    assert found == [500, 500, 200]


async def test_only_the_gateway_exports(users: Users) -> None:
    ada = await users.sign_up()
    for caller in (ada.identity, ANONYMOUS, Identity(service="users")):
        error = await users.error(EXPORT_QUERY, {"userId": ada.id}, by=caller)
        assert error["code"] == "FORBIDDEN"
    for cursor in ("", "x", "[]", "[9,1,null]", '{"a":1}', "[0,1]", "null", '["0",1,null]'):
        error = await users.error(EXPORT_QUERY, {"userId": ada.id, "after": cursor}, by=GATEWAY)
        assert error["code"] == "BAD_USER_INPUT", cursor


@pytest.fixture
async def other_domains(users: Users) -> AsyncIterator[None]:
    """Stands in for the workers of the other subgraphs: each confirms what it is told."""
    handled = [
        asyncio.create_task(_confirming(users, domain).run())
        for domain in ERASED
        if domain != "users"
    ]
    yield
    for task in handled:
        task.cancel()
    await asyncio.wait(handled)


def _confirming(users: Users, domain: str) -> Consuming:
    async def handle(session: WriteSession, started: DeletionStarted) -> None:
        await confirm_erased(session, domain, started)

    consumer = Consumer(domain, DeletionStarted.topic, DeletionStarted, handle)
    return Consuming(users.database, EventBus(users.redis), consumer)
