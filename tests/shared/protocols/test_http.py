"""GraphQL over HTTP, as a client sees it."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from starlette.requests import HTTPConnection

from cli.connections import HttpConnection
from shared.protocols.http import GraphQLHTTP
from tests.clients import node, npm_packages
from tests.serving import serving
from tests.shared.protocols.conftest import Served, endpoint
from tests.shared.protocols.counting import Counting

GRAPHQL = "application/graphql-response+json"


async def test_the_published_audit_passes_whole(served: Served) -> None:
    await npm_packages()
    results = await node("audit.mjs", served.url)
    assert len(results) == 61
    assert [result for result in results if result["status"] != "ok"] == []


async def test_the_answer_keeps_the_selections_order(
    served: Served, client: httpx.AsyncClient
) -> None:
    response = await client.post(served.url, json={"query": "{ zebra apple hello }"})
    assert response.text == '{"data":{"zebra":1,"apple":2,"hello":"hello world"}}'


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("", "application/json; charset=utf-8"),
        ("*/*", "application/json; charset=utf-8"),
        ("application/*;q=0.5", "application/json; charset=utf-8"),
        (f"{GRAPHQL}, application/json", f"{GRAPHQL}; charset=utf-8"),
        (f"application/json, {GRAPHQL}", f"{GRAPHQL}; charset=utf-8"),
        (f"application/json;q=0.9, {GRAPHQL};q=0.8", "application/json; charset=utf-8"),
        (f"{GRAPHQL};q=0, application/json", "application/json; charset=utf-8"),
        (f"{GRAPHQL};q=x, text/event-stream, */*", "application/json; charset=utf-8"),
    ],
)
async def test_the_preferred_media_type_is_sent(
    served: Served, client: httpx.AsyncClient, accept: str, content_type: str
) -> None:
    response = await client.post(
        served.url, json={"query": "{ apple }"}, headers={"accept": accept}
    )
    assert response.headers["content-type"] == content_type
    assert response.json() == {"data": {"apple": 2}}


@pytest.mark.parametrize(
    ("status", "code", "request_"),
    [
        (405, "METHOD_NOT_ALLOWED", {"method": "PATCH", "json": {}}),
        (406, "NOT_ACCEPTABLE", {"method": "POST", "headers": {"accept": "text/html"}}),
        (
            415,
            "UNSUPPORTED_MEDIA_TYPE",
            {"method": "POST", "content": "{}", "headers": {"content-type": "text/plain"}},
        ),
        (
            415,
            "UNSUPPORTED_MEDIA_TYPE",
            {
                "method": "POST",
                "content": "{}",
                "headers": {"content-type": "application/json; charset=latin-1"},
            },
        ),
        (400, "BAD_REQUEST", {"method": "POST", "json": 1}),
        (400, "BAD_REQUEST", {"method": "POST", "json": {"query": ""}}),
        (400, "BAD_REQUEST", {"method": "POST", "json": {"query": "{apple}", "documentId": 7}}),
        (400, "BAD_REQUEST", {"method": "POST", "json": []}),
        (400, "BAD_REQUEST", {"method": "POST", "json": [{"query": "{apple}"}] * 4}),
        (400, "BAD_REQUEST", {"method": "GET", "params": {"query": "{apple}", "variables": "{"}}),
        (400, "BAD_REQUEST", {"method": "GET", "params": {str(n): "" for n in range(21)}}),
        (413, "PAYLOAD_TOO_LARGE", {"method": "POST", "json": {"query": "#" * 2_000}}),
        (
            401,
            "UNAUTHENTICATED",
            {
                "method": "POST",
                "json": {"query": "{apple}"},
                "headers": {"authorization": "expired"},
            },
        ),
        (500, "INTERNAL", {"method": "POST", "json": {"query": "{explode}"}}),
    ],
)
async def test_a_bad_request_gets_its_status_and_code(
    served: Served, client: httpx.AsyncClient, status: int, code: str, request_: dict[str, object]
) -> None:
    response = await client.request(url=served.url, **request_)  # type: ignore[arg-type]
    assert response.status_code == status
    (error,) = response.json()["errors"]
    assert error["extensions"]["code"] == code
    assert "data" not in response.json()
    assert "secret" not in response.text


async def test_a_body_of_unknown_length_is_cut_off(
    served: Served, client: httpx.AsyncClient
) -> None:
    async def chunks() -> object:
        for _ in range(5):
            yield b" " * 500

    response = await client.post(
        served.url,
        content=chunks(),  # type: ignore[arg-type]
        headers={"content-type": "application/json"},
    )
    assert response.status_code == 413


async def test_a_mutation_over_get_is_refused(served: Served, client: httpx.AsyncClient) -> None:
    response = await client.get(served.url, params={"query": "mutation { add(by: 1) }"})
    assert response.status_code == 405
    assert response.headers["allow"] == "GET, POST"
    assert served.service.total == 0


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"sec-fetch-site": "same-origin", "cookie": "a=b"}, 200),
        ({"sec-fetch-site": "none"}, 200),
        ({"sec-fetch-site": "cross-site"}, 400),
        ({"sec-fetch-site": "cross-site", "content-type": "text/plain"}, 400),
        ({"sec-fetch-site": "cross-site", "content-type": "application/json"}, 200),
        ({"sec-fetch-site": "cross-site", "apollo-require-preflight": "1"}, 200),
        ({"origin": "https://evil.example"}, 400),
        ({"cookie": "a=b"}, 400),
    ],
)
async def test_a_get_that_another_site_could_forge_is_refused(
    served: Served, client: httpx.AsyncClient, headers: dict[str, str], status: int
) -> None:
    response = await client.get(served.url, params={"query": "{apple}"}, headers=headers)
    assert response.status_code == status
    if status == 400:
        assert response.json()["errors"][0]["extensions"]["code"] == "CSRF_PREVENTED"


async def test_a_batch_is_answered_in_order(served: Served, client: httpx.AsyncClient) -> None:
    batch = [{"query": "{zebra}"}, {"query": "{"}, {"query": "{apple}"}]
    first, second, third = (await client.post(served.url, json=batch)).json()
    assert (first, third) == ({"data": {"zebra": 1}}, {"data": {"apple": 2}})
    assert "Syntax Error" in second["errors"][0]["message"]


@pytest.mark.parametrize("connection", ["httptools", HttpConnection])
async def test_a_client_that_hangs_up_cancels_the_work(connection: Any) -> None:
    served = Served(Counting(), asyncio.Event())
    async with (
        serving(endpoint(served), http=connection, lifespan="off") as address,
        asyncio.timeout(5),
    ):
        await _ask_and_hang_up(f"{address}/graphql", served.service.waiting)
        await served.service.cancelled.wait()


@pytest.mark.parametrize("connection", ["httptools", HttpConnection])
async def test_work_does_not_begin_for_a_client_that_is_gone(connection: Any) -> None:
    service, arrived, decided = Counting(), asyncio.Event(), asyncio.Event()

    async def name_late(_: HTTPConnection) -> str:
        arrived.set()
        await decided.wait()
        return "late"

    app = GraphQLHTTP(service, name_late)
    done = asyncio.Event()

    async def observed(scope: Any, receive: Any, send: Any) -> None:
        await app(scope, receive, send)
        done.set()

    async with (
        serving(observed, http=connection, lifespan="off") as address,
        asyncio.timeout(5),
    ):
        await _ask_and_hang_up(address, arrived)
        async with httpx.AsyncClient() as another:
            # What the server sees after it has seen the first one's end.
            await another.put(address)
        done.clear()
        decided.set()
        await done.wait()
    assert not service.waiting.is_set() or service.cancelled.is_set()


async def _ask_and_hang_up(url: str, when: asyncio.Event) -> None:
    async with httpx.AsyncClient() as client:
        task = asyncio.create_task(client.post(url, json={"query": "{wait}"}))
        await when.wait()
        task.cancel()
        await asyncio.wait([task])
