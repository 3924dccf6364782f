"""Compilers of clients, unmodified, against our schema: what they make runs on the gateway."""

from __future__ import annotations

import json
from pathlib import Path

import pytest_asyncio
from graphql import print_schema

from gateway.federation.supergraph import Supergraph
from shared.config import Settings
from tests.clients import node, npm_packages, npm_program, project
from tests.e2e.conftest import Start
from tests.e2e.people import create_organization, sign_up
from tests.support.nexus import ROOT, Nexus, running


@pytest_asyncio.fixture(loop_scope="session")
async def relay(tmp_path: Path) -> Path:
    """A Relay project, compiled against our schema; its texts are in ``persisted.json``."""
    await npm_packages()
    folder = project("relay", tmp_path)
    supergraph = Supergraph.from_sdl((ROOT / "supergraph.graphql").read_text())
    (folder / "schema.graphql").write_text(print_schema(supergraph.api_schema))
    await npm_program("relay-compiler/cli.js", folder=folder)
    return folder


@pytest_asyncio.fixture(loop_scope="session")
async def strict(settings: Settings, relay: Path) -> Settings:
    """Settings of a gateway that answers what the Relay project persisted, and nothing else."""
    section = {
        **settings.graphql.model_dump(),
        "trusted_documents": relay / "persisted.json",
        "untrusted_documents": "enforce",
    }
    values = {name: getattr(settings, name) for name in Settings.model_fields}
    return Settings(**{**values, "graphql": section})


async def test_relay_pages_through_a_connection_by_ids_alone(
    start: Start, strict: Settings, relay: Path
) -> None:
    documents = json.loads((relay / "persisted.json").read_text())
    assert len(documents) == 2
    nexus = await start("monolith")
    ada = await sign_up(nexus, "Ada")
    for _ in range(3):
        await create_organization(ada)
    # The people are in the other gateway's database.
    shared = nexus.settings.model_copy(update={"graphql": strict.graphql})
    async with running(shared, "monolith") as gateway:
        headers = json.dumps({"authorization": f"Bearer {ada.token}"})
        found = await node("relay.mjs", str(relay), f"{gateway.url}/graphql", headers)
        assert found["pages"] == [
            {"names": ["Lumen"] * 2, "hasNextPage": True},
            {"names": ["Lumen"] * 3, "hasNextPage": False},
        ]
        assert found["renamed"] == "Ada Lovelace"
        assert {sent["id"] for sent in found["sent"]} == set(documents)
        assert {sent["text"] for sent in found["sent"]} == {None}
        refused = await gateway.graphql("{ me { id } }", token=ada.token)
        assert refused["errors"][0]["extensions"]["code"] == "QUERY_NOT_IN_SAFELIST"


async def test_typed_documents_of_the_running_gateway_compile_without_an_error(
    start: Start, tmp_path: Path
) -> None:
    await npm_packages()
    nexus: Nexus = await start("monolith")
    folder = project("codegen", tmp_path)
    schema = f"{nexus.url}/graphql"
    await npm_program(
        "@graphql-codegen/cli/cjs/bin.js", "--config=codegen.json", folder=folder, SCHEMA=schema
    )
    await npm_program("typescript/bin/tsc", "--project", ".", folder=folder)
    persisted = json.loads((folder / "src" / "gql" / "persisted-documents.json").read_text())
    (dashboard,) = [text for text in persisted.values() if "query Dashboard" in text]
    ada = await sign_up(nexus, "Ada")
    answer = await ada.data(dashboard, {"first": 1})
    assert answer["me"]["memberships"] == {"edges": []}
