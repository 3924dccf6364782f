"""Who can see whom: references, and the facts by which the users subgraph knows colleagues."""

from __future__ import annotations

import uuid

import pytest

from shared.access import Role
from shared.auth import Identity
from subgraphs.users import tasks
from tests.subgraphs.users.conftest import Person, Users

_USER = "query($id: ID!) { user(id: $id) { id name email settings { theme } sessions { id } } }"
_ENTITIES = """
query($representations: [_Any!]!) {
  _entities(representations: $representations) { ... on User { id name email settings { theme } } }
}
"""

# Ids of memberships grow with time.
EARLIER, LATER = "01900000-0000-7000-8000-000000000001", "01900000-0000-7000-8000-000000000002"


async def learn(
    users: Users, what: str, person: str, organization: str, *, membership: str = EARLIER
) -> None:
    """Let the subgraph consume a fact about a membership."""
    handled = await users.consume(
        tasks.consumers(users.sessions(at=0)),
        f"orgs.{what}",
        membership_id=membership,
        organization_id=organization,
        user_id=person,
        role="member",
    )
    assert handled


def member(person: Person, *organizations: str) -> Identity:
    """The person as a member of these."""
    return Identity(person.id, person.session_id, dict.fromkeys(organizations, Role.MEMBER))


@pytest.fixture
def organization() -> str:
    """The id of an organization."""
    return str(uuid.uuid4())


async def test_colleagues_see_each_others_name_and_nothing_private(
    users: Users, organization: str
) -> None:
    ada, bob = await users.sign_up(), await users.sign_up(name="Bob")
    await learn(users, "membership.added", bob.id, organization)
    data = await users.data(_USER, {"id": bob.id}, by=member(ada, organization))
    expected = {"id": bob.id, "name": "Bob", "email": None, "settings": None, "sessions": None}
    assert data == {"user": expected}


async def test_the_own_account_is_found_by_its_id(users: Users) -> None:
    ada = await users.sign_up()
    for spelling in (ada.id, ada.id.upper(), ada.id.replace("-", "")):
        found = (await users.data(_USER, {"id": spelling}, by=ada.identity))["user"]
        assert (found["id"], found["email"]) == (ada.id, ada.email)


async def test_someone_who_is_no_colleague_is_as_unknown_as_nobody(
    users: Users, organization: str
) -> None:
    ada, eve = await users.sign_up(), await users.sign_up()
    await learn(users, "membership.added", ada.id, organization)
    other = str(uuid.uuid4())
    answers = [
        await users.ask(_USER, {"id": id_}, by=member(eve, other))
        for id_ in (ada.id, str(uuid.uuid4()), "", "no id", "\u0000", "a" * 100_000)
    ]
    assert all(answer == answers[0] for answer in answers)
    assert answers[0]["errors"][0]["extensions"]["code"] == "NOT_FOUND"


async def test_references_hide_whom_the_caller_may_not_know(
    users: Users, organization: str
) -> None:
    ada, bob, eve = [await users.sign_up() for _ in range(3)]
    await learn(users, "membership.added", bob.id, organization)
    ids = [ada.id, bob.id, eve.id, str(uuid.uuid4()), "no id", bob.id]
    asked = [{"__typename": "User", "id": each} for each in ids]
    data = await users.data(_ENTITIES, {"representations": asked}, by=member(ada, organization))
    found = [each and each["id"] for each in data["_entities"]]
    assert found == [ada.id, bob.id, None, None, None, bob.id]
    assert data["_entities"][0]["email"] == ada.email
    assert data["_entities"][1]["email"] is None


async def test_a_stranger_gets_no_reference(users: Users) -> None:
    ada = await users.sign_up()
    asked = {"representations": [{"__typename": "User", "id": ada.id}]}
    assert (await users.error(_ENTITIES, asked))["code"] == "UNAUTHENTICATED"


async def test_one_fetch_costs_the_same_statements_for_one_and_for_fifty(
    users: Users, organization: str, statements: list[str]
) -> None:
    people = [await users.sign_up() for _ in range(10)]
    for each in people:
        await learn(users, "membership.added", each.id, organization)
    caller = member(people[0], organization)

    async def cost(ids: list[str]) -> int:
        statements.clear()
        asked = [{"__typename": "User", "id": each} for each in ids]
        data = await users.data(_ENTITIES, {"representations": asked}, by=caller)
        assert all(data["_entities"])
        return len(statements)

    one = await cost([people[0].id])
    fifty = await cost([person.id for person in people] * 5)
    assert one == fifty == 2


async def test_who_left_is_seen_no_more(users: Users, organization: str) -> None:
    ada, bob = await users.sign_up(), await users.sign_up()
    await learn(users, "membership.added", bob.id, organization)
    await learn(users, "membership.changed", bob.id, organization)
    await learn(users, "membership.removed", bob.id, organization)
    caller = member(ada, organization)
    assert (await users.error(_USER, {"id": bob.id}, by=caller))["code"] == "NOT_FOUND"
    await learn(users, "membership.added", bob.id, organization, membership=LATER)
    assert (await users.data(_USER, {"id": bob.id}, by=caller))["user"]["id"] == bob.id


async def test_a_beginning_that_comes_after_its_end_is_not_believed(
    users: Users, organization: str
) -> None:
    ada, bob = await users.sign_up(), await users.sign_up()
    await learn(users, "membership.removed", bob.id, organization)
    await learn(users, "membership.added", bob.id, organization)
    await learn(users, "membership.changed", bob.id, organization)
    caller = member(ada, organization)
    assert (await users.error(_USER, {"id": bob.id}, by=caller))["code"] == "NOT_FOUND"


async def test_an_end_that_comes_after_a_return_does_not_count(
    users: Users, organization: str
) -> None:
    ada, bob = await users.sign_up(), await users.sign_up()
    await learn(users, "membership.added", bob.id, organization, membership=LATER)
    await learn(users, "membership.removed", bob.id, organization, membership=EARLIER)
    caller = member(ada, organization)
    assert (await users.data(_USER, {"id": bob.id}, by=caller))["user"]["id"] == bob.id


async def test_the_members_of_a_closed_organization_are_forgotten(
    users: Users, organization: str
) -> None:
    ada, bob = await users.sign_up(), await users.sign_up()
    await learn(users, "membership.added", bob.id, organization)
    await learn(users, "organization.closed", bob.id, organization)
    caller = member(ada, organization)
    assert (await users.error(_USER, {"id": bob.id}, by=caller))["code"] == "NOT_FOUND"
