"""Making, finding and changing organizations."""

from __future__ import annotations

import asyncio
import random

from shared.access import Role
from shared.auth import ANONYMOUS, GATEWAY, Identity
from subgraphs.orgs.service import MOST_ORGANIZATIONS, MOST_SLUGS
from tests.subgraphs.orgs.conftest import CREATE, Orgs, new_id
from tests.support.asking import noting_statements, spelt

UPDATE = """
mutation($input: UpdateOrganizationInput!) {
  updateOrganization(input: $input) { slug name version viewerRole }
}
"""
BY_SLUG = "query($slug: String!) { organization(slug: $slug) { id slug } }"
BY_ID = "query($id: ID!) { organization(id: $id) { id slug viewerRole } }"


async def test_who_makes_an_organization_owns_it(orgs: Orgs) -> None:
    ada = Identity(new_id(), "session")
    answer = await orgs.data(CREATE, {"input": {"name": " Acme Inc ", "slug": "acme"}}, by=ada)
    made = answer["createOrganization"]
    assert made == {
        "id": made["id"],
        "slug": "acme",
        "name": "Acme Inc",
        "version": 1,
        "viewerRole": "OWNER",
    }
    assert (await orgs.identity(ada.user_id or "")).memberships == {made["id"]: Role.OWNER}
    created, added = await orgs.facts()
    assert created.topic == "orgs.organization.created"
    assert created.payload == {
        "organization_id": made["id"],
        "slug": "acme",
        "name": "Acme Inc",
        "created_by": ada.user_id,
    }
    assert added.topic == "orgs.membership.added"
    assert added.payload["user_id"] == ada.user_id
    assert added.payload["role"] == "owner"


async def test_the_new_organization_can_be_read_in_the_same_answer(orgs: Orgs) -> None:
    ada = Identity(new_id(), "session")
    answer = await orgs.data(
        'mutation { createOrganization(input: {name: "Acme", slug: "acme"}) {'
        " members { edges { node { role user { id } organization { slug } } } }"
        " invitations { edges { cursor } } } }",
        by=ada,
    )
    [edge] = answer["createOrganization"]["members"]["edges"]
    node = {"role": "OWNER", "user": {"id": ada.user_id}, "organization": {"slug": "acme"}}
    assert edge["node"] == node


async def test_a_slug_that_is_not_plain_is_refused(orgs: Orgs) -> None:
    ada = Identity(new_id(), "session")
    misshapen = ["", "ab", "a" * 41, "Acme", "-acme", "acme-", "ac--me", "ac me", "acme\n", "ac_me"]
    lookalikes = [
        "acmé",
        "\u0430cme",
        "\u212aelvin",
        "\uff11\uff12\uff13",
        "acme\u200b",
        "ac\x00me",
    ]
    for slug in (*misshapen, *lookalikes, "admin", "graphql", "well-known"):
        error = await orgs.error(CREATE, {"input": {"name": "Acme", "slug": slug}}, by=ada)
        assert (error["code"], error["field"]) == ("BAD_USER_INPUT", "slug"), slug


async def test_a_name_that_cannot_be_shown_is_refused(orgs: Orgs) -> None:
    ada = Identity(new_id(), "session")
    for name in ("", "  ", "a" * 101, "Ac\x00me", "Ac\nme", "Acme \u202egpj.exe"):
        error = await orgs.error(CREATE, {"input": {"name": name, "slug": "acme"}}, by=ada)
        assert (error["code"], error["field"]) == ("BAD_USER_INPUT", "name"), name


async def test_of_many_who_want_a_slug_at_once_one_gets_it(orgs: Orgs) -> None:
    given = {"input": {"name": "Acme", "slug": "acme"}}
    answers = await asyncio.gather(
        *(orgs.ask(CREATE, given, by=Identity(new_id(), "session")) for _ in range(12))
    )
    refused = [each["errors"][0] for each in answers if each.get("errors")]
    assert len(refused) == 11
    assert {each["extensions"]["code"] for each in refused} == {"CONFLICT"}
    assert len(await orgs.sql("select 1 from organizations")) == 1
    assert len(await orgs.facts("orgs.organization.created")) == 1


async def test_a_stranger_is_told_to_log_in(orgs: Orgs) -> None:
    given = {"input": {"name": "Acme", "slug": "acme"}}
    assert (await orgs.error(CREATE, given))["code"] == "UNAUTHENTICATED"
    assert (await orgs.error(BY_ID, {"id": new_id()}))["code"] == "UNAUTHENTICATED"


async def test_one_user_is_in_a_limited_number_of_organizations(orgs: Orgs) -> None:
    ada = Identity(new_id(), "session")
    await orgs.sql(
        "with o as (insert into organizations (slug, name)"
        " select 'o' || n, 'O' from generate_series(1, :n) n returning id)"
        " insert into memberships (organization_id, user_id, role) select id, :who, 'member'"
        " from o",
        n=MOST_ORGANIZATIONS - 1,
        who=ada.user_id,
    )
    given = [{"input": {"name": "Acme", "slug": f"acme-{n}"}} for n in range(4)]
    answers = await asyncio.gather(*(orgs.ask(CREATE, each, by=ada) for each in given))
    assert sum("errors" not in each for each in answers) == 1
    assert len((await orgs.identity(ada.user_id or "")).memberships) == MOST_ORGANIZATIONS


async def test_another_tenants_organization_answers_like_an_unknown_one(orgs: Orgs) -> None:
    theirs, _ = await orgs.organization(bob="OWNER")
    _, people = await orgs.organization(ada="OWNER")
    ada = people["ada"]
    [row] = await orgs.sql("select slug from organizations where id = :id", id=theirs)
    errors = [
        await orgs.error(BY_ID, {"id": each}, by=ada)
        for each in (theirs, new_id(), "nonsense", "", "'; drop table organizations --")
    ]
    errors += [
        await orgs.error(BY_SLUG, {"slug": each}, by=ada) for each in (row.slug, "nobodys", "\x00")
    ]
    assert errors == [{"message": "Not found.", "code": "NOT_FOUND"}] * 8
    change = {"organizationId": theirs, "version": 1, "name": "Mine"}
    unknown = {**change, "organizationId": new_id()}
    assert await orgs.error(UPDATE, {"input": change}, by=ada) == await orgs.error(
        UPDATE, {"input": unknown}, by=ada
    )


async def test_an_identity_that_claims_a_membership_cannot_change_what_is_not_its_own(
    orgs: Orgs,
) -> None:
    """The table decides: an identity of some seconds ago may still name a lost role."""
    theirs, _ = await orgs.organization(bob="OWNER")
    stale = Identity(new_id(), "session", {theirs: Role.OWNER})
    change = {"organizationId": theirs, "version": 1, "name": "Mine"}
    assert (await orgs.error(UPDATE, {"input": change}, by=stale))["code"] == "NOT_FOUND"


async def test_the_id_is_understood_in_any_spelling(orgs: Orgs) -> None:
    ours, people = await orgs.organization(ada="OWNER")
    for spelling in (ours.upper(), ours.replace("-", "")):
        found = await orgs.data(BY_ID, {"id": spelling}, by=people["ada"])
        assert found["organization"]["id"] == ours


async def test_either_id_or_slug_is_to_be_given(orgs: Orgs) -> None:
    ada = Identity(new_id(), "session")
    assert (await orgs.error("{ organization { id } }", by=ada))["code"] == "BAD_USER_INPUT"
    both = f'{{ organization(id: "{new_id()}", slug: "acme") {{ id }} }}'
    assert (await orgs.error(both, by=ada))["code"] == "BAD_USER_INPUT"


async def test_a_change_needs_the_version_that_was_seen(orgs: Orgs) -> None:
    ours, people = await orgs.organization(ada="OWNER", eve="ADMIN")
    change = {"organizationId": ours, "version": 1, "name": "Acme Ltd"}
    answers = await asyncio.gather(
        *(orgs.ask(UPDATE, {"input": change}, by=people[who]) for who in ("ada", "eve"))
    )
    [refused] = [each for each in answers if each.get("errors")]
    assert refused["errors"][0]["extensions"]["code"] == "CONFLICT"
    [changed] = [each for each in answers if not each.get("errors")]
    assert changed["data"]["updateOrganization"]["version"] == 2
    assert len(await orgs.facts("orgs.organization.updated")) == 1


async def test_only_owners_and_admins_change_an_organization(orgs: Orgs) -> None:
    ours, people = await orgs.organization(ada="OWNER", bob="MEMBER", eve="BILLING")
    change = {"organizationId": ours, "version": 1, "name": "Acme Ltd"}
    for name in ("bob", "eve"):
        error = await orgs.error(UPDATE, {"input": change}, by=people[name])
        assert error["code"] == "FORBIDDEN"


async def test_an_old_slug_goes_on_working_and_nobody_else_gets_it(orgs: Orgs) -> None:
    ours, people = await orgs.organization(ada="OWNER")
    ada = people["ada"]
    [before] = await orgs.sql("select slug from organizations")
    change = {"organizationId": ours, "version": 1, "slug": "acme-new"}
    await orgs.data(UPDATE, {"input": change}, by=ada)
    for slug in (before.slug, "acme-new"):
        found = await orgs.data(BY_SLUG, {"slug": slug}, by=ada)
        assert found["organization"] == {"id": ours, "slug": "acme-new"}
    taken = {"input": {"name": "Thief", "slug": before.slug}}
    assert (await orgs.error(CREATE, taken, by=ada))["code"] == "CONFLICT"
    back = {"organizationId": ours, "version": 2, "slug": before.slug}
    assert (await orgs.data(UPDATE, {"input": back}, by=ada))["updateOrganization"]["version"] == 3


async def test_an_organization_cannot_hoard_slugs(orgs: Orgs) -> None:
    ours, people = await orgs.organization(ada="OWNER")
    for number in range(1, MOST_SLUGS):
        change = {"organizationId": ours, "version": number, "slug": f"acme-{number}"}
        await orgs.data(UPDATE, {"input": change}, by=people["ada"])
    change = {"organizationId": ours, "version": MOST_SLUGS, "slug": "one-more"}
    assert (await orgs.error(UPDATE, {"input": change}, by=people["ada"]))["code"] == "CONFLICT"
    free = {"input": {"name": "Other", "slug": "one-more"}}
    assert (await orgs.data(CREATE, free, by=people["ada"]))["createOrganization"]["slug"]


async def test_references_show_what_the_caller_may_see(orgs: Orgs) -> None:
    ours, people = await orgs.organization(ada="OWNER")
    theirs, _ = await orgs.organization(bob="OWNER")
    slugs = {str(r.id): r.slug for r in await orgs.sql("select id, slug from organizations")}
    found = await orgs.entities(
        [
            {"__typename": "Organization", "id": ours},
            {"__typename": "Organization", "slug": slugs[ours]},
            {"__typename": "Organization", "id": theirs},
            {"__typename": "Organization", "slug": slugs[theirs]},
            {"__typename": "Organization", "id": "nonsense"},
            {"__typename": "Organization", "id": ours.upper()},
        ],
        "... on Organization { id viewerRole }",
        by=people["ada"],
    )
    seen = {"id": ours, "viewerRole": "OWNER"}
    assert found == [seen, seen, None, None, None, seen]


async def test_ten_thousand_guesses_find_nothing_of_another_tenant(orgs: Orgs) -> None:
    theirs, them = await orgs.organization(bob="OWNER")
    _, people = await orgs.organization(ada="OWNER")
    bob, membership = them["bob"].user_id, await orgs.membership_id(theirs, them["bob"].user_id)
    [row] = await orgs.sql("select slug from organizations where id = :id", id=theirs)
    chance = random.Random(7)  # noqa: S311 - the same at each run

    def guess() -> dict[str, object]:
        near = chance.choice([theirs, membership, str(bob), new_id(), row.slug])
        if chance.random() < 0.5:
            near = spelt(near, chance)
        pair = {"organization": {"id": chance.choice([theirs, near])}, "user": {"id": bob}}
        return chance.choice(
            [
                {"__typename": "Organization", "id": near},
                {"__typename": "Organization", "slug": near},
                {"__typename": "Membership", "id": near},
                {"__typename": "Membership", **pair},
            ]
        )

    selection = "... on Organization { name } ... on Membership { role }"
    for _ in range(20):
        guesses = [guess() for _ in range(500)]
        assert await orgs.entities(guesses, selection, by=people["ada"]) == [None] * 500


async def test_one_or_fifty_organizations_cost_the_same_statements(orgs: Orgs) -> None:
    ada = Identity(new_id(), "session")
    await orgs.sql(
        "with o as (insert into organizations (slug, name)"
        " select 'o' || n, 'O' from generate_series(1, 50) n returning id),"
        " m as (insert into memberships (organization_id, user_id, role)"
        " select id, :who, 'owner' from o) insert into memberships (organization_id, user_id, role)"
        " select id, uuidv7(), 'member' from o, generate_series(1, 3)",
        who=ada.user_id,
    )
    ada = await orgs.identity(ada.user_id or "")
    selection = """... on Organization {
      slug members(first: 2) { edges { node { role user { id } organization { slug } } } }
      invitations(first: 2) { edges { cursor } } }"""
    for count in (1, 50):
        representations = [
            {"__typename": "Organization", "id": each} for each in list(ada.memberships)[:count]
        ]
        with noting_statements() as sent:
            found = await orgs.entities(representations, selection, by=ada)
        assert len(sent) == 4  # organizations, members, the members' organizations, invitations
        assert [len(each["members"]["edges"]) for each in found if each] == [2] * count


async def test_only_the_gateway_reads_who_may_what(orgs: Orgs) -> None:
    _, people = await orgs.organization(ada="OWNER")
    query = "query($id: ID!) { accessOf(userId: $id) { organizationId role } }"
    given = {"id": people["ada"].user_id}
    for caller in (people["ada"], ANONYMOUS, Identity(service="billing")):
        assert (await orgs.error(query, given, by=caller))["code"] == "FORBIDDEN"
    assert len((await orgs.data(query, given, by=GATEWAY))["accessOf"]) == 1
