"""A person's right to everything held about them, and to be forgotten, over all four subgraphs."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import orjson
import pytest

from tests.e2e.people import PASSWORD, Person, buy_credits, create_organization, eventually, sign_up
from tests.e2e.test_accounts import LOG_IN, code
from tests.support.nexus import Nexus

EXPORT = ("/api/user/export", "/api/v1/users/me/export")
DELETION = ("/api/user/deletion-request", "/api/v1/users/me/deletion-requests")


def _headers(person: Person) -> dict[str, str]:
    return {"authorization": f"Bearer {person.token}"}


async def _busy_person(nexus: Nexus) -> Person:
    ada = await sign_up(nexus, "Ada")
    organization = await create_organization(ada)
    await buy_credits(ada, organization, 5_000)
    await ada.upload("diary.txt", b"dear diary")
    return ada


@pytest.mark.parametrize("path", EXPORT)
async def test_the_export_holds_what_every_subgraph_knows(nexus: Nexus, path: str) -> None:
    ada = await _busy_person(nexus)
    response = await nexus.client.get(path, headers=_headers(ada))
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
        assert archive.testzip() is None
        contents = {name: archive.read(name) for name in archive.namelist()}
    folders = {name.split("/")[0] for name in contents}
    assert {"users", "orgs", "billing", "storage"} <= folders
    documents = {
        name: orjson.loads(data) for name, data in contents.items() if name.endswith("json")
    }
    assert ada.email in str(documents)
    assert "lumen" in str(documents)
    assert b"dear diary" in contents.values()
    assert "password" not in str(documents).lower()


async def test_a_stranger_gets_no_export_and_no_deletion(nexus: Nexus) -> None:
    for path in EXPORT:
        response = await nexus.client.get(path)
        assert response.status_code == 401
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json()["code"] == "UNAUTHENTICATED"
    for path in DELETION:
        assert (await nexus.client.post(path)).status_code == 401


@pytest.mark.parametrize("path", DELETION)
async def test_a_person_is_forgotten_by_every_subgraph(nexus: Nexus, path: str) -> None:
    ada = await _busy_person(nexus)
    accepted = await nexus.client.post(path, headers=_headers(ada))
    assert accepted.status_code == 202, accepted.text
    location = accepted.headers["location"]
    shown = await eventually(
        lambda: nexus.client.get(location), lambda found: found.json()["status"] == "completed"
    )
    assert shown.json()["endedAt"]

    async def log_in() -> dict[str, Any]:
        return await nexus.graphql(LOG_IN, {"input": {"email": ada.email, "password": PASSWORD}})

    answer = await eventually(log_in, lambda found: "errors" in found)
    assert code(answer) == "UNAUTHENTICATED"
    gone = await eventually(
        lambda: nexus.graphql("{ me { id } }", token=ada.token), lambda found: "errors" in found
    )
    assert code(gone) == "UNAUTHENTICATED"
    again = await sign_up(nexus, "Ada", email=ada.email)
    assert again.id != ada.id
    held = await again.data(
        "{ me { memberships(first: 1) { edges { node { id } } }"
        " files(first: 1) { edges { node { id } } } } }"
    )
    assert held["me"] == {"memberships": {"edges": []}, "files": {"edges": []}}
