"""Limits before work, over HTTP: each has its own code, and each may be measured only."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import REGISTRY

from gateway import standalone
from gateway.configuration import read
from tests.gateway.bookshop import SDL
from tests.serving import serving

OVER = {
    "body": ("server: {max_body_bytes: 1000}", "{ __typename }" + " " * 1_000),
    "characters": ("limits: {characters: 100", "{ __typename }" + " " * 100),
    "tokens": ("limits: {tokens: 10", "{" + " __typename" * 10 + "}"),
    "depth": ("limits: {depth: 1", "{ __schema { queryType { name } } }"),
    "aliases": ("limits: {aliases: 1", "{ a: __typename b: __typename }"),
    "root_fields": ("limits: {root_fields: 1", "{ __typename a: __typename }"),
    "fields": ("limits: {fields: 1", "{ __schema { queryType { __typename } } }"),
    "directives": ("limits: {directives: 1", "{ __typename @skip(if: false) @include(if: true) }"),
    "cost": ("cost: {max: 1", "{ a: author(id: 1) { id } b: author(id: 1) { id } }"),
}
CODES = {limit: f"MAX_{limit.upper()}_LIMIT" for limit in OVER} | {
    "body": "PAYLOAD_TOO_LARGE",
    "cost": "COST_ESTIMATED_TOO_EXPENSIVE",
}


@asynccontextmanager
async def gateway(folder: Path, settings: str) -> AsyncIterator[str]:
    """The address of `nexus gateway` with these settings; no subgraph is there."""
    (folder / "supergraph.graphql").write_text(SDL)
    (folder / "gateway.yaml").write_text(settings)
    draining = asyncio.Event()
    location = str(folder / "supergraph.graphql")
    app = await standalone.create(location, read(folder / "gateway.yaml"), draining=draining)
    async with serving(app) as url:
        yield f"{url}/graphql"
        draining.set()


def settings(limit: str, *, measured: bool) -> str:
    """Settings with one limit."""
    section, _ = OVER[limit]
    if limit == "cost":
        return f"{section}, mode: {'measure' if measured else 'enforce'}}}"
    listed = f"measured: [{limit if measured else ''}]}}"
    return f"{section}\nlimits: {{{listed}" if limit == "body" else f"{section}, {listed}"


def exceeded(limit: str, *, enforced: bool) -> float:
    labels = {"limit": limit, "enforced": str(enforced).lower()}
    return REGISTRY.get_sample_value("graphql_limit_exceeded_total", labels) or 0.0


async def post(url: str, query: str) -> tuple[int, dict[str, Any]]:
    accept = {"accept": "application/graphql-response+json"}
    async with httpx.AsyncClient(timeout=5, headers=accept) as client:
        response = await client.post(url, json={"query": query})
    return response.status_code, response.json()


@pytest.mark.parametrize("limit", OVER)
async def test_a_request_over_a_limit_is_refused_with_the_limits_code(
    tmp_path: Path, limit: str
) -> None:
    before = exceeded(limit, enforced=True)
    async with gateway(tmp_path, settings(limit, measured=False)) as url:
        status, answer = await post(url, OVER[limit][1])
    assert status == (413 if limit == "body" else 400)
    assert {error["extensions"]["code"] for error in answer["errors"]} == {CODES[limit]}
    assert "data" not in answer
    assert exceeded(limit, enforced=True) == before + 1


@pytest.mark.parametrize("limit", OVER)
async def test_a_request_over_a_measured_limit_is_counted_and_served(
    tmp_path: Path, limit: str
) -> None:
    before = exceeded(limit, enforced=False)
    async with gateway(tmp_path, settings(limit, measured=True)) as url:
        status, answer = await post(url, OVER[limit][1])
    assert status == 200
    assert "data" in answer
    assert exceeded(limit, enforced=False) == before + 1


@pytest.mark.parametrize("limit", ["body", "characters", "tokens"])
async def test_a_measured_limit_still_bounds_what_is_read(tmp_path: Path, limit: str) -> None:
    query = "{" + " __typename" * 2_000 + "}"
    async with gateway(tmp_path, settings(limit, measured=True)) as url:
        _, answer = await post(url, query)
    assert answer["errors"][0]["extensions"]["code"] == CODES[limit]
