"""The endpoints do what the OpenAPI document says, and the document says all they do."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.config import Settings
from tests.support.nexus import Nexus, running

_SIGN_UP = """
mutation {
  signUp(input: {email: "ada@example.org", password: "correct horse battery", name: "Ada"}) {
    accessToken
  }
}
"""

# No generator can sign a webhook; and a deletion that was cancelled is still there, as such.
_CONFIGURATION = """
[[operations]]
include-tag = "webhooks"
[operations.checks]
positive_data_acceptance.enabled = false

[[operations]]
include-tag = "privacy"
[operations.checks]
use_after_free.enabled = false
"""


@pytest.fixture
async def nexus(settings: Settings) -> AsyncIterator[Nexus]:
    """A running application in which deletions wait for a day."""
    privacy = settings.privacy.model_copy(update={"deletion_grace_seconds": 86_400})
    async with running(settings.model_copy(update={"privacy": privacy}), "monolith") as found:
        yield found


async def schemathesis(nexus: Nexus, schema: str, folder: Path, *options: str) -> tuple[int, str]:
    """The exit code and the report of a run against the application, as somebody logged in."""
    (folder / "schemathesis.toml").write_text(_CONFIGURATION)
    token = (await nexus.data(_SIGN_UP))["signUp"]["accessToken"]
    process = await asyncio.create_subprocess_exec(
        Path(sys.executable).with_name("st"),
        "run",
        f"{nexus.url}{schema}",
        f"--header=Authorization: Bearer {token}",
        "--generation-deterministic",
        "--workers=1",
        *options,
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode()


async def test_schemathesis_is_green_on_the_openapi_document(nexus: Nexus, tmp_path: Path) -> None:
    code, report = await schemathesis(nexus, "/openapi.json", tmp_path, "--max-examples=10")
    assert code == 0, report


async def test_every_path_is_described(nexus: Nexus) -> None:
    response = await nexus.client.get("/openapi.json")
    assert response.headers["content-type"] == "application/json"
    document = response.json()
    assert document["openapi"] == "3.1.0"
    assert set(document["paths"]) == {
        "/health/live",
        "/health/ready",
        "/api/user/export",
        "/api/v1/users/me/export",
        "/api/user/deletion-request",
        "/api/user/deletion-request/{id}",
        "/api/v1/users/me/deletion-requests",
        "/api/v1/users/me/deletion-requests/{id}",
        "/webhooks/stripe",
        "/webhooks/mercadopago",
        "/api/v1/webhooks/stripe",
        "/api/v1/webhooks/mercadopago",
    }
    names = [
        operation["operationId"]
        for path in document["paths"].values()
        for operation in path.values()
    ]
    assert len(names) == len(set(names))


async def test_what_the_endpoints_ask_is_no_part_of_the_public_graph(nexus: Nexus) -> None:
    token = (await nexus.data(_SIGN_UP))["signUp"]["accessToken"]
    for query in (
        'query { privacyExport(userId: "x") { endCursor } }',
        'query { deletionRequest(id: "x") { id } }',
        "mutation { requestDeletion { id } }",
        'mutation { cancelDeletion(id: "x") { id } }',
    ):
        answer = await nexus.graphql(query, token=token)
        assert "data" not in answer
        assert answer["errors"][0]["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"
    names = await nexus.data("{ __schema { types { name } } }", token=token)
    hidden = {"PrivacyExportPage", "PrivacyFile", "DeletionRequest", "DeletionStatus"}
    assert not hidden & {each["name"] for each in names["__schema"]["types"]}
