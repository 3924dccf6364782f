"""`@defer` as clients see it: both formats on the wire, and published clients."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import orjson
import pytest
from starlette.requests import HTTPConnection

from gateway.context import RequestContext
from gateway.federation.supergraph import Supergraph
from gateway.federation.transport import SubgraphRequest, SubgraphResponse
from gateway.pipeline import Pipeline
from gateway.runtime import Runtime
from shared.protocols.http import GraphQLHTTP
from tests.clients import lines, npm_packages
from tests.federation.subgraphs import InMemory, Subgraph
from tests.serving import serving

SDL = """
schema
  @link(url: "https://specs.apollo.dev/link/v1.0")
  @link(url: "https://specs.apollo.dev/join/v0.3", for: EXECUTION)
{ query: Query }
directive @link(url: String, as: String, for: link__Purpose, import: [link__Import])
  repeatable on SCHEMA
directive @join__graph(name: String!, url: String!) on ENUM_VALUE
directive @join__type(graph: join__Graph!, key: join__FieldSet) repeatable on OBJECT
directive @join__field(graph: join__Graph) repeatable on FIELD_DEFINITION
scalar link__Import
scalar join__FieldSet
enum link__Purpose { SECURITY EXECUTION }
enum join__Graph {
  SHOP @join__graph(name: "shop", url: "")
  STOCK @join__graph(name: "stock", url: "")
  CRITICS @join__graph(name: "critics", url: "")
}
type Query @join__type(graph: SHOP) { books: [Book!] @join__field(graph: SHOP) }
type Book
  @join__type(graph: SHOP, key: "id")
  @join__type(graph: STOCK, key: "id")
  @join__type(graph: CRITICS, key: "id")
{
  id: ID!
  title: String @join__field(graph: SHOP)
  left: Int @join__field(graph: STOCK)
  shelf: String! @join__field(graph: STOCK)
  best: Review @join__field(graph: CRITICS)
}
type Review @join__type(graph: CRITICS) { stars: Int text: String }
"""
BOOKS = [{"__typename": "Book", "id": "1", "title": "Always"}]
SUBGRAPHS = (
    Subgraph(
        "shop",
        'type Query { books: [Book!] } type Book @key(fields: "id") { id: ID! title: String }',
        {"Query": {"books": BOOKS}, "Book": {"title": "Always"}},
    ),
    Subgraph(
        "stock",
        'type Book @key(fields: "id") { id: ID! left: Int shelf: String! }',
        {"Book": {"left": 3, "shelf": None}},
    ),
    Subgraph(
        "critics",
        """type Book @key(fields: "id") { id: ID! best: Review }
        type Review { stars: Int text: String }""",
        {"Book": {"best": {"stars": 5, "text": "Good."}}},
    ),
)
QUERY = """query Q { books { id title
  ... @defer(label: "slow") { best { stars ... @defer(label: "inner") { text } } }
  ... @defer(label: "fast") { left }
} }"""
OLD, NEW = "multipart/mixed;deferSpec=20220824", "multipart/mixed;incrementalSpec=v0.2"


class Gated(InMemory):
    """Subgraphs that answer once their gate is open, and note who was not waited for."""

    def __init__(self) -> None:
        super().__init__(*SUBGRAPHS)
        self.gates: dict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self.started: dict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self.cancelled: dict[str, asyncio.Event] = defaultdict(asyncio.Event)

    def open(self, *names: str) -> None:
        for name in names:
            self.gates[name].set()

    async def execute(self, request: SubgraphRequest) -> SubgraphResponse:
        name = request.fetch.subgraph
        self.started[name].set()
        try:
            await self.gates[name].wait()
        except asyncio.CancelledError:
            self.cancelled[name].set()
            raise
        return await super().execute(request)

    async def close(self) -> None:
        """There is nothing to close."""


@dataclass
class Served:
    """A gateway at an address, and the subgraphs behind it."""

    url: str
    subgraphs: Gated


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    subgraphs = Gated()
    subgraphs.open("shop")
    pipeline = Pipeline(Runtime(Supergraph.from_sdl(SDL), subgraphs))

    async def context(connection: HTTPConnection) -> RequestContext:
        return RequestContext(explain="x-nexus-explain" in connection.headers)

    async with serving(GraphQLHTTP(pipeline, context), lifespan="off") as url:
        yield Served(url, subgraphs)
    await pipeline.close()


async def parts(
    served: Served, accept: str, query: str = QUERY, **headers: str
) -> AsyncGenerator[Any, None]:
    """The parts of an answer, each as soon as its boundary is there."""
    headers["accept"] = f"{accept}, application/json"
    request = {"json": {"query": query}, "headers": headers}
    async with (
        httpx.AsyncClient(timeout=5) as client,
        client.stream("POST", served.url, **request) as response,  # type: ignore[arg-type]
    ):
        content_type = accept.replace(";", ';boundary="graphql";')
        assert response.headers["content-type"] == content_type
        text = ""
        async for piece in response.aiter_text():
            *whole, text = (text + piece).split("\r\n--graphql")
            for part in filter(None, whole):
                yield orjson.loads(part.split("\r\n\r\n")[1])
        assert text == "--\r\n"


async def test_a_fast_part_is_sent_while_a_slow_one_is_waited_for(served: Served) -> None:
    answer = parts(served, OLD)
    books = [{"id": "1", "title": "Always"}]
    assert await anext(answer) == {"hasNext": True, "data": {"books": books}}
    served.subgraphs.open("stock")
    fast = {"path": ["books", 0], "label": "fast", "data": {"left": 3}}
    assert await anext(answer) == {"hasNext": True, "incremental": [fast]}
    served.subgraphs.open("critics")
    slow = {"path": ["books", 0], "label": "slow", "data": {"best": {"stars": 5}}}
    inner = {"path": ["books", 0, "best"], "label": "inner", "data": {"text": "Good."}}
    assert await anext(answer) == {"hasNext": False, "incremental": [slow, inner]}
    assert [one async for one in answer] == []


async def test_the_newer_format_announces_what_it_completes(served: Served) -> None:
    answer = parts(served, NEW)
    assert await anext(answer) == {
        "hasNext": True,
        "pending": [
            {"id": "0", "path": ["books", 0], "label": "slow"},
            {"id": "1", "path": ["books", 0], "label": "fast"},
        ],
        "data": {"books": [{"id": "1", "title": "Always"}]},
    }
    served.subgraphs.open("stock")
    assert await anext(answer) == {
        "hasNext": True,
        "incremental": [{"id": "1", "data": {"left": 3}}],
        "completed": [{"id": "1"}],
    }
    served.subgraphs.open("critics")
    assert await anext(answer) == {
        "hasNext": False,
        "pending": [{"id": "2", "path": ["books", 0, "best"], "label": "inner"}],
        "incremental": [
            {"id": "0", "data": {"best": {"stars": 5}}},
            {"id": "2", "data": {"text": "Good."}},
        ],
        "completed": [{"id": "0"}, {"id": "2"}],
    }
    assert [one async for one in answer] == []


FAILING = "{ books { id ... @defer { left shelf } } }"


async def test_a_part_that_became_null_says_why(served: Served) -> None:
    served.subgraphs.open("stock")
    _, old = [one async for one in parts(served, OLD, FAILING)]
    (patch,) = old["incremental"]
    assert patch["data"] is None
    assert patch["errors"][0]["path"] == ["books", 0, "shelf"]
    _, new = [one async for one in parts(served, NEW, FAILING)]
    assert "incremental" not in new
    assert new["completed"] == [{"id": "0", "errors": patch["errors"]}]


IN_ONE_SUBGRAPH = "{ books { id ... @defer { title } } }"


async def test_who_takes_no_parts_does_not_pay_for_them(served: Served) -> None:
    async with httpx.AsyncClient(timeout=5) as client:
        answer = await client.post(served.url, json={"query": IN_ONE_SUBGRAPH})
    assert answer.json() == {"data": {"books": [{"id": "1", "title": "Always"}]}}
    assert len(served.subgraphs.calls) == 1
    first, second = [one async for one in parts(served, OLD, IN_ONE_SUBGRAPH)]
    assert first == {"hasNext": True, "data": {"books": [{"id": "1"}]}}
    assert second["incremental"] == [{"path": ["books", 0], "data": {"title": "Always"}}]
    assert len(served.subgraphs.calls) == 3


async def test_a_client_that_hangs_up_stops_the_work(served: Served) -> None:
    answer = parts(served, OLD)
    await anext(answer)
    await served.subgraphs.started["critics"].wait()
    await answer.aclose()
    await served.subgraphs.cancelled["critics"].wait()
    await served.subgraphs.cancelled["stock"].wait()


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("multipart/mixed", "deferSpec=20220824"),
        (f"{NEW}, {OLD}", "incrementalSpec=v0.2"),
        (f"{NEW};q=0.5, {OLD}", "deferSpec=20220824"),
        ("multipart/mixed;incrementalSpec=v9, application/json", None),
        ("application/json", None),
        ("text/event-stream;q=0.1, application/json", None),
    ],
)
async def test_the_format_is_the_one_that_the_client_prefers(
    served: Served, accept: str, content_type: str | None
) -> None:
    served.subgraphs.open("stock", "critics")
    async with httpx.AsyncClient(timeout=5) as client:
        headers = {"accept": accept}
        response = await client.post(served.url, json={"query": QUERY}, headers=headers)
    if content_type:
        assert response.headers["content-type"].endswith(content_type)
    else:
        assert response.json()["data"]["books"][0]["best"]["text"] == "Good."


EXPLAINED = {"x-nexus-explain": "1"}


@pytest.mark.parametrize("accept", [OLD, NEW])
async def test_the_explanation_comes_with_the_last_part(served: Served, accept: str) -> None:
    served.subgraphs.open("stock")
    answer = parts(served, accept, **EXPLAINED)
    first, second = await anext(answer), await anext(answer)
    served.subgraphs.open("critics")
    last = await anext(answer)
    assert [part["hasNext"] for part in (first, second, last)] == [True, True, False]
    assert ["extensions" in part for part in (first, second, last)] == [False, False, True]
    explained = last["extensions"]["explain"]
    assert [one["subgraph"] for one in explained["fetches"]] == ["shop", "stock", "critics"]
    assert explained["nulls"] == []
    assert 'deferred: "slow"' in explained["queryPlan"]
    assert [one async for one in answer] == []


async def test_an_explanation_tells_of_the_nulls_of_all_parts(served: Served) -> None:
    served.subgraphs.open("stock", "critics")
    query = """{ books { id ... @defer(label: "a") { left shelf }
      ... @defer(label: "b") { best { stars } } ... @defer(label: "c") { best { text } } } }"""
    served.subgraphs.down.add("critics")
    *_, last = [one async for one in parts(served, OLD, query, **EXPLAINED)]
    nulls = last["extensions"]["explain"]["nulls"]
    told = {".".join(map(str, null["path"])): null["reason"]["code"] for null in nulls}
    assert told == {"books.0.shelf": "DOWNSTREAM_SERVICE_ERROR", "books.0.best": "DOWN"}


async def test_where_nothing_is_deferred_the_whole_is_explained(served: Served) -> None:
    async with httpx.AsyncClient(timeout=5) as client:
        query = "{ books { id ... @defer(if: false) { title } } }"
        headers = {"accept": f"{OLD}, application/json", **EXPLAINED}
        answer = await client.post(served.url, json={"query": query}, headers=headers)
    assert answer.json()["data"] == {"books": [{"id": "1", "title": "Always"}]}
    assert len(answer.json()["extensions"]["explain"]["fetches"]) == 1


@pytest.mark.parametrize("client", ["apollo-20220824", "apollo-v0.2", "urql"])
async def test_a_published_client_shows_each_part_when_it_is_there(
    served: Served, client: str
) -> None:
    await npm_packages()
    shown = {"id": "1", "title": "Always"}
    async with lines("defer.mjs", client, served.url, QUERY) as states:

        async def state() -> tuple[bool, Any]:
            told = orjson.loads(await anext(states))
            assert "error" not in told
            return told["complete"], without_typenames(told["data"]["books"][0])

        assert await state() == (False, shown)
        served.subgraphs.open("stock")
        assert await state() == (False, {**shown, "left": 3})
        served.subgraphs.open("critics")
        whole = {**shown, "left": 3, "best": {"stars": 5, "text": "Good."}}
        assert await state() == (True, whole)


def without_typenames(value: Any) -> Any:
    """The answer without what Apollo Client adds to every selection."""
    if isinstance(value, dict):
        return {k: without_typenames(v) for k, v in value.items() if k != "__typename"}
    return value
