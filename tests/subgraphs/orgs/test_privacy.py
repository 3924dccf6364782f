"""What the orgs subgraph knows about a person, and forgetting it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
import redis.asyncio
import redis.exceptions
from pydantic import SecretStr

from shared.access import Role
from shared.access_lists import AccessLists
from shared.auth import GATEWAY, Identity
from shared.config import RedisSettings, Settings
from shared.privacy import EXPORT_QUERY, DeletionStarted
from subgraphs.orgs.tasks import consumers
from tests.subgraphs.orgs.conftest import CREATE, Orgs, new_id
from tests.support.asking import asking

NOBODY_LISTENS = "redis://127.0.0.1:1"


async def erase(orgs: Orgs, user_id: str | None) -> None:
    """Have the users subgraph announce a deletion."""
    await orgs.consume(
        consumers(AccessLists(orgs.redis)),
        DeletionStarted.topic,
        request_id="request",
        user_id=user_id,
    )


async def test_an_export_holds_memberships_and_invitations(orgs: Orgs) -> None:
    ours, people = await orgs.organization(ada="OWNER", bob="MEMBER")
    documents: dict[str, Any] = {}
    after = None
    while True:
        given = {"userId": people["bob"].user_id, "after": after}
        answer = await orgs.data(EXPORT_QUERY, given, by=GATEWAY)
        page = answer["privacyExport"]
        documents |= {each["path"]: json.loads(each["json"]) for each in page["documents"]}
        after = page["endCursor"]
        if after is None:
            break
    [membership] = documents["orgs/memberships.json"]
    assert membership["organization"]["id"] == ours
    assert membership["role"] == "member"
    [invitation] = documents["orgs/invitations.json"]
    assert invitation["sentByYou"] is False
    assert "token" not in str(documents).lower()


async def test_only_the_gateway_exports(orgs: Orgs) -> None:
    _, people = await orgs.organization(ada="OWNER")
    given = {"userId": people["ada"].user_id}
    assert (await orgs.error(EXPORT_QUERY, given, by=people["ada"]))["code"] == "FORBIDDEN"


async def test_a_member_who_is_erased_is_gone(orgs: Orgs) -> None:
    ours, people = await orgs.organization(ada="OWNER", bob="MEMBER", eve="ADMIN")
    await orgs.invite(ours, by=people["eve"])
    await erase(orgs, people["eve"].user_id)
    assert set(await orgs.roles(ours)) == {people["ada"].user_id, people["bob"].user_id}
    rows = await orgs.sql("select invitations::text as everything from invitations")
    assert all(str(people["eve"].user_id) not in row.everything for row in rows)
    open_ones = await orgs.sql(
        "select 1 from invitations where accepted_at is null and revoked_at is null"
    )
    assert open_ones == []
    [fact] = await orgs.facts("orgs.subject.erased")
    assert fact.payload == {"request_id": "request", "user_id": people["eve"].user_id}


async def test_a_sole_owners_organization_passes_to_the_longest_standing_admin(
    orgs: Orgs,
) -> None:
    ours, people = await orgs.organization(ada="OWNER", bob="MEMBER", eve="ADMIN", mal="ADMIN")
    await erase(orgs, people["ada"].user_id)
    roles = await orgs.roles(ours)
    assert roles[str(people["eve"].user_id)] == Role.OWNER
    assert roles[str(people["mal"].user_id)] == Role.ADMIN


async def test_without_admins_it_passes_to_the_longest_standing_member(orgs: Orgs) -> None:
    ours, people = await orgs.organization(ada="OWNER", bob="BILLING", eve="MEMBER")
    await erase(orgs, people["ada"].user_id)
    assert (await orgs.roles(ours))[str(people["bob"].user_id)] == Role.OWNER


async def test_an_organization_without_other_members_is_closed(orgs: Orgs) -> None:
    ours, people = await orgs.organization(ada="OWNER")
    await orgs.invite(ours, by=people["ada"])
    await erase(orgs, people["ada"].user_id)
    for table in ("organizations", "memberships", "invitations", "organization_slugs"):
        assert await orgs.sql(f"select 1 from {table}") == []  # noqa: S608
    [closed] = await orgs.facts("orgs.organization.closed")
    assert closed.payload == {"organization_id": ours}
    topics = [fact.topic for fact in await orgs.facts()]
    assert topics.index("orgs.membership.removed") < topics.index("orgs.organization.closed")


async def test_erasing_again_or_a_stranger_is_harmless(orgs: Orgs) -> None:
    _, people = await orgs.organization(ada="OWNER")
    for user_id in (people["ada"].user_id, people["ada"].user_id, new_id()):
        await erase(orgs, user_id)
    assert len(await orgs.facts("orgs.subject.erased")) == 3


async def test_two_sole_owners_of_two_organizations_can_be_erased_at_once(orgs: Orgs) -> None:
    first, people = await orgs.organization(ada="OWNER")
    second, others = await orgs.organization(bob="OWNER")
    await orgs.add(first, str(others["bob"].user_id), "ADMIN", by=people["ada"])
    await orgs.add(second, str(people["ada"].user_id), "ADMIN", by=others["bob"])
    await asyncio.gather(erase(orgs, people["ada"].user_id), erase(orgs, others["bob"].user_id))
    assert await orgs.sql("select 1 from organizations") == []


async def test_a_change_stands_while_redis_is_away(orgs: Orgs, settings: Settings) -> None:
    away = settings.model_copy(update={"redis": RedisSettings(url=SecretStr(NOBODY_LISTENS))})
    async with asking(away, "orgs") as cut_off:
        ada = Identity(new_id(), "session")
        given = {"input": {"name": "Acme", "slug": "acme"}}
        made = (await cut_off.data(CREATE, given, by=ada))["createOrganization"]
    assert await orgs.roles(made["id"]) == {ada.user_id: Role.OWNER}


async def test_an_access_list_is_invalidated_by_the_fact_if_redis_was_away(orgs: Orgs) -> None:
    bob = new_id()
    lists = AccessLists(orgs.redis)
    before = (await lists.read(bob, "session")).generation
    await orgs.consume(consumers(lists), "orgs.membership.added", user_id=bob)
    assert (await lists.read(bob, "session")).generation != before
    async with redis.asyncio.from_url(NOBODY_LISTENS) as away:
        with pytest.raises(redis.exceptions.ConnectionError):
            await orgs.consume(consumers(AccessLists(away)), "orgs.membership.added", user_id=bob)
    # Not taken for done: the inbox has no row for it, so it comes again.
    assert len(await orgs.sql("select 1 from inbox")) == 1


async def test_the_whole_way_of_a_deletion(orgs: Orgs) -> None:
    """Through the bus and the worker, as in production."""
    _, people = await orgs.organization(ada="OWNER")
    user_id = str(people["ada"].user_id)
    async with orgs.working() as bus:
        from shared.events import Event

        payload = json.dumps({"request_id": "r", "user_id": user_id})
        async with bus.listen("orgs.subject.erased", user_id, DeletionStarted) as erased:
            await bus.send([Event(new_id(), DeletionStarted.topic, user_id, payload, {})])
            async with asyncio.timeout(20):
                assert (await anext(erased)).request_id == "r"
    assert await orgs.sql("select 1 from organizations") == []
