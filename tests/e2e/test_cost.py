"""What operations on our own graph may cost, and what they did cost."""

from __future__ import annotations

from typing import Any

from tests.e2e.people import Person, create_organization, sign_up
from tests.support.nexus import Nexus

MEMBERS = """query($n: Int!, $m: Int!) {
  me { memberships(first: $n) { edges { node {
    organization { plan { name } members(first: $m) { edges { cursor } } }
  } } } }
}"""


async def ask(nexus: Nexus, person: Person, n: int, m: int) -> tuple[int, dict[str, Any]]:
    response = await nexus.client.post(
        "/graphql",
        json={
            "query": MEMBERS,
            "variables": {"n": n, "m": m},
            "extensions": {"cost": True},
        },
        headers={
            "authorization": f"Bearer {person.token}",
            "accept": "application/graphql-response+json",
        },
    )
    return response.status_code, response.json()


async def test_pages_cost_what_is_asked_for_and_did_cost_what_was_there(nexus: Nexus) -> None:
    ada = await sign_up(nexus, "Ada")
    await create_organization(ada)
    status, answer = await ask(nexus, ada, 5, 10)
    assert status == 200
    cost = answer["extensions"]["cost"]
    # Me; me again, a page with five edges, memberships, organizations, pages of ten; five plans.
    orgs = 1 + 1 + 5 * (1 + 1 + 1 + 1 + 10)
    billing = 5 * (1 + 1)
    assert cost["subgraphs"] == {
        "users": {"estimated": 1, "actual": 1},
        "orgs": {"estimated": orgs, "actual": 1 + 1 + (1 + 1 + 1 + 1 + 1)},
        "billing": {"estimated": billing, "actual": 1 + 1},
    }
    assert cost["estimated"] == 1 + orgs + billing
    assert cost["result"] == "COST_OK"


async def test_pages_of_pages_are_refused_when_they_get_too_long(nexus: Nexus) -> None:
    ada = await sign_up(nexus, "Ada")
    status, answer = await ask(nexus, ada, 100, 100)
    assert status == 400
    assert answer["errors"][0]["extensions"] == {
        "code": "COST_ESTIMATED_TOO_EXPENSIVE",
        "cost": {"estimated": 1 + 2 + 100 * 104 + 100 * 2, "max": 10_000},
    }
