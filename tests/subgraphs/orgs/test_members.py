"""Who belongs to an organization in which role, and who may change that."""

from __future__ import annotations

import asyncio
from itertools import product

from shared.access import PERMISSIONS, Permission, Role
from shared.access_lists import AccessLists
from shared.auth import ANONYMOUS, Identity
from tests.subgraphs.orgs.conftest import CHANGE_ROLE, Orgs, new_id
from tests.support.asking import noting_statements

REMOVE = """
mutation($input: RemoveMemberInput!) {
  removeMember(input: $input) { membershipId user { id } }
}
"""
LEAVE = """
mutation($input: LeaveOrganizationInput!) { leaveOrganization(input: $input) { organizationId } }
"""
TRANSFER = """
mutation($input: TransferOwnershipInput!) { transferOwnership(input: $input) { id viewerRole } }
"""
MEMBERSHIPS = """
... on User { memberships(first: 10) { edges { node { role organization { id viewerRole } } } } }
"""


# --- roles --------------------------------------------------------------------------------


async def test_nobody_decides_over_a_role_that_may_do_more(orgs: Orgs) -> None:
    ours, people = await orgs.organization(first="OWNER", a="MEMBER", t="MEMBER")
    target = await orgs.membership_id(ours, people["t"].user_id)
    set_role = "update memberships set role = :role where user_id = :who"
    for actor, old, new in product(Role, Role, Role):
        await orgs.sql(set_role, role=actor, who=people["a"].user_id)
        await orgs.sql(set_role, role=old, who=people["t"].user_id)
        given = {"membershipId": target, "role": new.name}
        answer = await orgs.ask(CHANGE_ROLE, {"input": given}, by=people["a"])
        allowed = (
            Permission.MEMBER_MANAGE in PERMISSIONS[actor]
            and PERMISSIONS[old] <= PERMISSIONS[actor]
            and PERMISSIONS[new] <= PERMISSIONS[actor]
        )
        code = answer["errors"][0]["extensions"]["code"] if answer.get("errors") else None
        assert code == (None if allowed else "FORBIDDEN"), (actor, old, new)
        found = (await orgs.roles(ours))[str(people["t"].user_id)]
        assert found == (new if allowed else old), (actor, old, new)


async def test_an_admin_cannot_make_itself_an_owner_or_take_over_billing(orgs: Orgs) -> None:
    ours, people = await orgs.organization(ada="OWNER", eve="ADMIN")
    own = await orgs.membership_id(ours, people["eve"].user_id)
    for role in ("OWNER", "BILLING"):
        given = {"membershipId": own, "role": role}
        error = await orgs.error(CHANGE_ROLE, {"input": given}, by=people["eve"])
        assert error["code"] == "FORBIDDEN"
    given = {"organizationId": ours, "userId": str(people["eve"].user_id)}
    assert (await orgs.error(TRANSFER, {"input": given}, by=people["eve"]))["code"] == "FORBIDDEN"
    assert (await orgs.roles(ours))[str(people["eve"].user_id)] == Role.ADMIN


async def test_an_admin_cannot_remove_an_owner(orgs: Orgs) -> None:
    ours, people = await orgs.organization(ada="OWNER", bob="OWNER", eve="ADMIN")
    given = {"membershipId": await orgs.membership_id(ours, people["bob"].user_id)}
    assert (await orgs.error(REMOVE, {"input": given}, by=people["eve"]))["code"] == "FORBIDDEN"
    assert len(await orgs.roles(ours)) == 3


async def test_a_role_lost_a_moment_ago_is_worth_nothing(orgs: Orgs) -> None:
    ours, people = await orgs.organization(ada="OWNER", eve="ADMIN", bob="MEMBER")
    stale = people["eve"]
    demote = {"membershipId": await orgs.membership_id(ours, stale.user_id), "role": "MEMBER"}
    await orgs.data(CHANGE_ROLE, {"input": demote}, by=people["ada"])
    given = {"membershipId": await orgs.membership_id(ours, people["bob"].user_id)}
    assert (await orgs.error(REMOVE, {"input": given}, by=stale))["code"] == "FORBIDDEN"


async def test_the_gateway_forgets_what_it_knew_as_soon_as_a_role_changes(orgs: Orgs) -> None:
    ours, people = await orgs.organization(ada="OWNER", eve="ADMIN")
    eve = str(people["eve"].user_id)
    lists = AccessLists(orgs.redis)
    known = await lists.read(eve, "session")
    await lists.keep(eve, people["eve"].memberships, generation=known.generation)
    assert (await lists.read(eve, "session")).memberships == {ours: Role.ADMIN}
    given = {"membershipId": await orgs.membership_id(ours, eve)}
    await orgs.data(REMOVE, {"input": given}, by=people["ada"])
    assert (await lists.read(eve, "session")).memberships is None


# --- the last owner -----------------------------------------------------------------------


async def test_the_last_owner_cannot_leave_or_step_down(orgs: Orgs) -> None:
    ours, people = await orgs.organization(ada="OWNER", eve="ADMIN")
    ada = people["ada"]
    own = await orgs.membership_id(ours, ada.user_id)
    errors = [
        await orgs.error(LEAVE, {"input": {"organizationId": ours}}, by=ada),
        await orgs.error(REMOVE, {"input": {"membershipId": own}}, by=ada),
        await orgs.error(CHANGE_ROLE, {"input": {"membershipId": own, "role": "ADMIN"}}, by=ada),
    ]
    assert {error["code"] for error in errors} == {"CONFLICT"}
    assert (await orgs.roles(ours))[str(ada.user_id)] == Role.OWNER


async def test_of_owners_who_leave_at_once_the_last_one_stays(orgs: Orgs) -> None:
    names = [f"owner{n}" for n in range(6)]
    ours, people = await orgs.organization(**dict.fromkeys(names, "OWNER"))
    answers = await asyncio.gather(
        *(orgs.ask(LEAVE, {"input": {"organizationId": ours}}, by=people[name]) for name in names)
    )
    refused = [each["errors"][0]["extensions"]["code"] for each in answers if each.get("errors")]
    assert refused == ["CONFLICT"]
    assert list((await orgs.roles(ours)).values()) == [Role.OWNER]
    assert len(await orgs.facts("orgs.membership.removed")) == 5


async def test_two_owners_who_demote_each_other_at_once_leave_one(orgs: Orgs) -> None:
    ours, people = await orgs.organization(ada="OWNER", bob="OWNER")
    targets = {
        name: await orgs.membership_id(ours, people[other].user_id)
        for name, other in (("ada", "bob"), ("bob", "ada"))
    }
    answers = await asyncio.gather(
        *(
            orgs.ask(
                CHANGE_ROLE,
                {"input": {"membershipId": membership, "role": "MEMBER"}},
                by=people[name],
            )
            for name, membership in targets.items()
        )
    )
    assert sum(bool(each.get("errors")) for each in answers) == 1
    assert sorted((await orgs.roles(ours)).values()) == [Role.MEMBER, Role.OWNER]


async def test_an_owner_who_transfers_while_the_heir_leaves_keeps_an_owner(orgs: Orgs) -> None:
    ours, people = await orgs.organization(ada="OWNER", bob="MEMBER")
    given = {"organizationId": ours, "userId": people["bob"].user_id}
    transferred, left = await asyncio.gather(
        orgs.ask(TRANSFER, {"input": given}, by=people["ada"]),
        orgs.ask(LEAVE, {"input": {"organizationId": ours}}, by=people["bob"]),
    )
    assert bool(transferred.get("errors")) != bool(left.get("errors"))
    assert Role.OWNER in (await orgs.roles(ours)).values()


async def test_ownership_passes_to_another_member(orgs: Orgs) -> None:
    ours, people = await orgs.organization(ada="OWNER", bob="MEMBER")
    given = {"organizationId": ours, "userId": people["bob"].user_id}
    answer = await orgs.data(TRANSFER, {"input": given}, by=people["ada"])
    assert answer["transferOwnership"] == {"id": ours, "viewerRole": "ADMIN"}
    roles = await orgs.roles(ours)
    assert [roles[str(people[name].user_id)] for name in ("ada", "bob")] == ["admin", "owner"]


async def test_ownership_does_not_pass_to_a_stranger_or_to_oneself(orgs: Orgs) -> None:
    ours, people = await orgs.organization(ada="OWNER")
    codes = [
        (
            await orgs.error(
                TRANSFER, {"input": {"organizationId": ours, "userId": who}}, by=people["ada"]
            )
        )["code"]
        for who in (new_id(), "nonsense", people["ada"].user_id)
    ]
    assert codes == ["NOT_FOUND", "NOT_FOUND", "BAD_USER_INPUT"]


# --- leaving and removing -----------------------------------------------------------------


async def test_who_leaves_is_gone_at_once(orgs: Orgs) -> None:
    ours, people = await orgs.organization(ada="OWNER", bob="MEMBER")
    answer = await orgs.data(LEAVE, {"input": {"organizationId": ours}}, by=people["bob"])
    assert answer["leaveOrganization"] == {"organizationId": ours}
    again = await orgs.error(LEAVE, {"input": {"organizationId": ours}}, by=people["bob"])
    assert again["code"] == "NOT_FOUND"
    [fact] = await orgs.facts("orgs.membership.removed")
    assert fact.payload["user_id"] == people["bob"].user_id
    assert fact.payload["role"] == "member"


async def test_one_of_many_removals_at_once_removes(orgs: Orgs) -> None:
    ours, people = await orgs.organization(ada="OWNER", bob="MEMBER")
    given = {"membershipId": await orgs.membership_id(ours, people["bob"].user_id)}
    answers = await asyncio.gather(
        *(orgs.ask(REMOVE, {"input": given}, by=people["ada"]) for _ in range(6))
    )
    codes = [each["errors"][0]["extensions"]["code"] for each in answers if each.get("errors")]
    assert codes == ["NOT_FOUND"] * 5
    assert len(await orgs.facts("orgs.membership.removed")) == 1


async def test_members_of_another_tenant_answer_like_unknown_ones(orgs: Orgs) -> None:
    theirs, them = await orgs.organization(bob="OWNER", eve="MEMBER")
    _, people = await orgs.organization(ada="OWNER")
    foreign = await orgs.membership_id(theirs, them["eve"].user_id)
    for given in (foreign, new_id(), "nonsense"):
        change = {"membershipId": given, "role": "ADMIN"}
        errors = [
            await orgs.error(REMOVE, {"input": {"membershipId": given}}, by=people["ada"]),
            await orgs.error(CHANGE_ROLE, {"input": change}, by=people["ada"]),
        ]
        assert errors == [{"message": "Not found.", "code": "NOT_FOUND"}] * 2
    assert len(await orgs.roles(theirs)) == 2


async def test_a_stranger_changes_nothing(orgs: Orgs) -> None:
    ours, people = await orgs.organization(ada="OWNER", bob="MEMBER")
    membership = await orgs.membership_id(ours, people["bob"].user_id)
    errors = [
        await orgs.error(REMOVE, {"input": {"membershipId": membership}}),
        await orgs.error(CHANGE_ROLE, {"input": {"membershipId": membership, "role": "ADMIN"}}),
        await orgs.error(LEAVE, {"input": {"organizationId": ours}}),
        await orgs.error(
            TRANSFER, {"input": {"organizationId": ours, "userId": people["bob"].user_id}}
        ),
    ]
    assert {error["code"] for error in errors} == {"UNAUTHENTICATED"}


# --- reading ------------------------------------------------------------------------------


async def test_members_come_in_pages(orgs: Orgs) -> None:
    ours, people = await orgs.organization(ada="OWNER")
    await orgs.sql(
        "insert into memberships (organization_id, user_id, role)"
        " select :org, uuidv7(), 'member' from generate_series(1, 4)",
        org=ours,
    )
    query = """query($id: ID!, $after: String) { organization(id: $id) {
      members(first: 2, after: $after) {
        edges { node { id } } pageInfo { hasNextPage hasPreviousPage endCursor } } } }"""
    seen: list[str] = []
    after = None
    for expected in ((2, True, False), (2, True, True), (1, False, True)):
        answer = await orgs.data(query, {"id": ours, "after": after}, by=people["ada"])
        members = answer["organization"]["members"]
        info = members["pageInfo"]
        page = (len(members["edges"]), info["hasNextPage"], info["hasPreviousPage"])
        assert page == expected
        seen += [edge["node"]["id"] for edge in members["edges"]]
        after = info["endCursor"]
    assert len(set(seen)) == 5
    assert seen == sorted(seen)


async def test_a_cursor_that_is_not_ours_is_refused(orgs: Orgs) -> None:
    ours, people = await orgs.organization(ada="OWNER")
    query = """query($id: ID!, $after: String) { organization(id: $id) {
      members(after: $after) { edges { cursor } } } }"""
    for after in ("", "nonsense", "AAAA", "e30=", "\x00", "é"):
        error = await orgs.error(query, {"id": ours, "after": after}, by=people["ada"])
        assert (error["code"], error["field"]) == ("BAD_USER_INPUT", "after")


async def test_a_cursor_of_another_list_is_refused(orgs: Orgs) -> None:
    ours, people = await orgs.organization(ada="OWNER")
    query = "query($id: ID!) { organization(id: $id) { members { pageInfo { endCursor } } } }"
    answer = await orgs.data(query, {"id": ours}, by=people["ada"])
    cursor = answer["organization"]["members"]["pageInfo"]["endCursor"]
    query = """query($id: ID!, $after: String) { organization(id: $id) {
      invitations(after: $after) { edges { cursor } } } }"""
    error = await orgs.error(query, {"id": ours, "after": cursor}, by=people["ada"])
    assert error["code"] == "BAD_USER_INPUT"
    altered = cursor[:-6] + ("A" if cursor[-6] != "A" else "B") + cursor[-5:]
    query = query.replace("invitations", "members")
    error = await orgs.error(query, {"id": ours, "after": altered}, by=people["ada"])
    assert error["code"] == "BAD_USER_INPUT"


async def test_a_page_has_bounds(orgs: Orgs) -> None:
    ours, people = await orgs.organization(ada="OWNER")
    query = """query($id: ID!, $first: Int!) { organization(id: $id) {
      members(first: $first) { edges { cursor } } } }"""
    for first in (-1, 101):
        error = await orgs.error(query, {"id": ours, "first": first}, by=people["ada"])
        assert (error["code"], error["field"]) == ("BAD_USER_INPUT", "first")


async def test_of_others_one_sees_the_memberships_one_shares(orgs: Orgs) -> None:
    ours, people = await orgs.organization(ada="OWNER")
    theirs, them = await orgs.organization(bob="OWNER")
    await orgs.add(ours, str(them["bob"].user_id), "BILLING", by=people["ada"])
    ada, bob = people["ada"], await orgs.identity(str(them["bob"].user_id))
    users = [{"__typename": "User", "id": each} for each in (ada.user_id, bob.user_id, new_id())]

    def shown(entity: dict[str, object] | None) -> list[tuple[str, str, str]]:
        assert entity is not None
        connection: dict[str, list[dict[str, dict[str, dict[str, str]]]]] = entity["memberships"]  # type: ignore[assignment]
        return [
            (str(n["role"]), n["organization"]["id"], n["organization"]["viewerRole"])
            for n in (edge["node"] for edge in connection["edges"])
        ]

    seen_by_ada = [shown(each) for each in await orgs.entities(users, MEMBERSHIPS, by=ada)]
    assert seen_by_ada == [[("OWNER", ours, "OWNER")], [("BILLING", ours, "OWNER")], []]
    seen_by_bob = [shown(each) for each in await orgs.entities(users, MEMBERSHIPS, by=bob)]
    assert seen_by_bob == [
        [("OWNER", ours, "BILLING")],
        [("OWNER", theirs, "OWNER"), ("BILLING", ours, "BILLING")],
        [],
    ]
    answer = await orgs.ask(
        "query($all: [_Any!]!) { _entities(representations: $all) { " + MEMBERSHIPS + " } }",
        {"all": users},
        by=ANONYMOUS,
    )
    assert {each["extensions"]["code"] for each in answer["errors"]} == {"UNAUTHENTICATED"}


async def test_memberships_of_one_or_fifty_users_cost_the_same_statements(orgs: Orgs) -> None:
    ours, people = await orgs.organization(ada="OWNER")
    rows = await orgs.sql(
        "insert into memberships (organization_id, user_id, role)"
        " select :org, uuidv7(), 'member' from generate_series(1, 49) returning user_id",
        org=ours,
    )
    users = [str(people["ada"].user_id), *(str(row.user_id) for row in rows)]
    for count in (1, 50):
        representations = [{"__typename": "User", "id": each} for each in users[:count]]
        with noting_statements() as sent:
            found = await orgs.entities(representations, MEMBERSHIPS, by=people["ada"])
        assert len(sent) == 2  # memberships, their organizations
        assert all(each and len(each["memberships"]["edges"]) == 1 for each in found)


async def test_a_membership_is_found_by_its_id_and_by_organization_and_user(orgs: Orgs) -> None:
    ours, people = await orgs.organization(ada="OWNER", bob="MEMBER")
    theirs, them = await orgs.organization(eve="OWNER")
    ids = {
        name: await orgs.membership_id(org, identity.user_id)
        for org, members in ((ours, people), (theirs, them))
        for name, identity in members.items()
    }

    def pair(organization: str, user: str | None) -> dict[str, object]:
        return {
            "__typename": "Membership",
            "organization": {"id": organization},
            "user": {"id": user},
        }

    representations: list[dict[str, object]] = [
        {"__typename": "Membership", "id": ids["ada"]},
        {"__typename": "Membership", "id": ids["bob"]},
        {"__typename": "Membership", "id": ids["eve"]},
        {"__typename": "Membership", "id": "nonsense"},
        pair(ours, people["bob"].user_id),
        pair(theirs, them["eve"].user_id),
        pair(theirs, people["bob"].user_id),
        pair("nonsense", people["bob"].user_id),
    ]
    selection = "... on Membership { id role }"
    with noting_statements() as sent:
        found = await orgs.entities(representations, selection, by=people["bob"])
    assert len(sent) == 1
    ada, bob = {"id": ids["ada"], "role": "OWNER"}, {"id": ids["bob"], "role": "MEMBER"}
    assert found == [ada, bob, None, None, bob, None, None, None]


async def test_ones_own_membership_is_seen_before_the_gateway_knows_it(orgs: Orgs) -> None:
    ours, people = await orgs.organization(ada="OWNER")
    early = Identity(people["ada"].user_id, "session")
    me = [{"__typename": "User", "id": early.user_id}]
    [found] = await orgs.entities(me, MEMBERSHIPS, by=early)
    assert found is not None
    [edge] = found["memberships"]["edges"]
    assert edge["node"]["organization"] == {"id": ours, "viewerRole": "OWNER"}
