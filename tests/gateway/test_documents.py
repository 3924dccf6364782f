"""Persisted documents, as clients use them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.context import RequestContext
from gateway.documents import Documents, Mode, read_manifests
from gateway.pipeline import Pipeline
from gateway.runtime import Runtime
from gateway.transports.local import LocalTransport
from shared.config import ConfigurationError
from shared.protocols.service import GraphQLRequest
from tests.gateway.bookshop import SUPERGRAPH, Bookshop, make_bookshop
from tests.gateway.conftest import as_json

QUERY = "{ whoami }"
DIGEST = hashlib.sha256(QUERY.encode()).hexdigest()
ANSWER = {"data": {"whoami": None}}


class Asked:
    """A pipeline with some policy on documents."""

    def __init__(self, documents: Documents) -> None:
        runtime = Runtime(SUPERGRAPH, LocalTransport(make_bookshop(Bookshop())))
        self.pipeline = Pipeline(runtime, documents=documents)

    async def ask(self, query: str = "", digest: str = "", document_id: str | None = None) -> Any:
        persisted = {"persistedQuery": {"version": 1, "sha256Hash": digest}} if digest else {}
        request = GraphQLRequest(query, extensions=persisted, document_id=document_id)
        result = await self.pipeline.execute(request, RequestContext())
        return as_json(result)


def code(answer: Any) -> str:
    (error,) = answer["errors"]
    found: str = error["extensions"]["code"]
    return found


@pytest.fixture
async def automatic() -> Asked:
    return Asked(Documents())


async def test_a_text_is_registered_with_its_hash_and_then_named_by_it(automatic: Asked) -> None:
    missing = await automatic.ask(digest=DIGEST)
    assert code(missing) == "PERSISTED_QUERY_NOT_FOUND"
    assert missing["errors"][0]["message"] == "PersistedQueryNotFound"
    assert await automatic.ask(QUERY, DIGEST) == ANSWER
    assert await automatic.ask(digest=DIGEST) == ANSWER


async def test_a_wrong_hash_is_refused(automatic: Asked) -> None:
    assert code(await automatic.ask("{ authors { id } }", DIGEST)) == (
        "PERSISTED_QUERY_HASH_MISMATCH"
    )
    assert code(await automatic.ask(digest=DIGEST)) == "PERSISTED_QUERY_NOT_FOUND"


async def test_automatic_documents_can_be_off() -> None:
    asked = Asked(Documents(automatic=None))
    assert code(await asked.ask(QUERY, DIGEST)) == "PERSISTED_QUERY_NOT_SUPPORTED"
    assert code(await asked.ask(digest=DIGEST)) == "PERSISTED_QUERY_NOT_SUPPORTED"
    assert await asked.ask(QUERY) == ANSWER


@pytest.mark.parametrize(("mode", "answered"), [("off", True), ("log", True), ("enforce", False)])
async def test_only_refusing_refuses_a_text_that_is_not_trusted(mode: Mode, answered: bool) -> None:
    asked = Asked(Documents(trusted={"who": QUERY}, mode=mode))
    assert await asked.ask(document_id="who") == ANSWER
    assert await asked.ask(QUERY) == ANSWER
    other = await asked.ask("{ authors { id } }")
    assert ("data" in other) is answered
    if not answered:
        assert code(other) == "QUERY_NOT_IN_SAFELIST"


async def test_an_unknown_id_and_an_id_with_a_text_are_refused() -> None:
    asked = Asked(Documents(trusted={"who": QUERY}))
    assert code(await asked.ask(document_id="other")) == "PERSISTED_QUERY_NOT_IN_LIST"
    assert code(await asked.ask(QUERY, document_id="who")) == "CANNOT_SEND_PQ_ID_AND_BODY"


async def test_a_trusted_hash_with_another_text_is_refused() -> None:
    asked = Asked(Documents(trusted={DIGEST: QUERY}))
    assert await asked.ask(QUERY, DIGEST) == ANSWER
    assert code(await asked.ask("{ authors { id } }", DIGEST)) == "PERSISTED_QUERY_HASH_MISMATCH"


@pytest.mark.parametrize(
    "manifest",
    [
        {DIGEST: QUERY},
        {
            "format": "apollo-persisted-query-manifest",
            "version": 1,
            "operations": [{"id": DIGEST, "name": "Who", "type": "query", "body": QUERY}],
        },
    ],
)
async def test_manifests_of_either_form_are_read(tmp_path: Path, manifest: Any) -> None:
    path = tmp_path / "manifest.json"
    path.write_bytes(orjson.dumps(manifest))
    asked = Asked(Documents(trusted=read_manifests([path]), mode="enforce", automatic=None))
    assert await asked.ask(digest=DIGEST) == ANSWER


def test_another_file_is_no_manifest(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    path.write_text('["what"]')
    with pytest.raises(ConfigurationError, match="not a manifest"):
        read_manifests([path])
