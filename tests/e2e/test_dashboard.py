"""The README's question: one query, four subgraphs, one whole answer."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from tests.e2e.people import create_organization, new_slug, sign_up
from tests.support.nexus import Nexus

README = Path(__file__).resolve().parents[2] / "README.md"


def dashboard_query() -> str:
    """The query as the README shows it."""
    found = re.search(r"```graphql\n(query Dashboard .+?)```", README.read_text(), re.DOTALL)
    assert found is not None
    return found.group(1)


async def test_the_dashboard_comes_back_whole(nexus: Nexus) -> None:
    ada = await sign_up(nexus, "Ada")
    slug = new_slug()
    organization = await create_organization(ada, slug=slug)
    await ada.upload("report.txt", b"hello, world")

    answer = await ada.graphql(dashboard_query())

    assert "errors" not in answer, answer
    me = answer["data"]["me"]
    assert (me["name"], me["email"]) == ("Ada", ada.email)
    (edge,) = me["memberships"]["edges"]
    assert edge["node"]["role"] == "OWNER"
    assert edge["node"]["organization"] == {
        "id": organization,
        "slug": slug,
        "name": "Lumen",
        "plan": {"name": "Free", "storageLimitBytes": 1_073_741_824},
        "creditBalance": {"amount": 0, "currency": "EUR"},
        "invoices": {"edges": [], "pageInfo": {"hasNextPage": False, "endCursor": None}},
        "storageUsage": {"usedBytes": 0, "limitBytes": 1_073_741_824},
    }
    (file,) = me["files"]["edges"]
    assert file["node"]["name"] == "report.txt"
    assert file["node"]["sizeBytes"] == 12
    assert await ada.download(file["node"]["downloadUrl"]) == b"hello, world"


async def test_keys_come_in_the_order_in_which_the_client_wrote_them(nexus: Nexus) -> None:
    ada = await sign_up(nexus, "Ada")
    await create_organization(ada)
    answer = await ada.data(
        "{ me { memberships(first: 1) { edges { node { organization {"
        " storageUsage { limitBytes } name plan { code } slug } } } } id } }"
    )
    me: dict[str, Any] = answer["me"]
    assert list(me) == ["memberships", "id"]
    organization = me["memberships"]["edges"][0]["node"]["organization"]
    assert list(organization) == ["storageUsage", "name", "plan", "slug"]


async def test_a_stranger_has_no_dashboard(nexus: Nexus) -> None:
    answer = await nexus.graphql(dashboard_query())
    assert answer == {"data": {"me": None}}


DEFERRED = """query Dashboard { me { name memberships(first: 1) { edges { node { role organization {
  name
  ... @defer(label: "money") { plan { name } creditBalance { amount } }
  ... @defer(label: "files") { storageUsage { limitBytes } }
} } } } } }"""


async def test_what_is_deferred_comes_after_the_rest(nexus: Nexus) -> None:
    ada = await sign_up(nexus, "Ada")
    await create_organization(ada)
    response = await nexus.client.post(
        "/graphql",
        json={"query": DEFERRED},
        headers={
            "authorization": f"Bearer {ada.token}",
            "accept": "multipart/mixed;incrementalSpec=v0.2",
        },
    )
    pieces = response.text.split("\r\n--graphql")[1:-1]
    first, *rest = (json.loads(piece.split("\r\n\r\n")[1]) for piece in pieces)
    organization = first["data"]["me"]["memberships"]["edges"][0]["node"]["organization"]
    assert organization == {"name": "Lumen"}
    labels = {one["id"]: one["label"] for one in first["pending"]}
    parts = [patch for part in rest for patch in part["incremental"]]
    assert {labels[patch["id"]] for patch in parts} == {"money", "files"}
    for patch in parts:
        organization.update(patch["data"])
    assert first["data"] == await ada.data(DEFERRED)
