"""A mutation's payload leads back to the query root, whose fields are another subgraph's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from gateway import standalone
from gateway.context import RequestContext
from gateway.federation.supergraph import Supergraph
from gateway.pipeline import Pipeline
from gateway.runtime import Runtime
from shared.protocols.service import GraphQLRequest, GraphQLResult
from tests.federation.subgraphs import InMemory, Subgraph
from tests.federation.supergraph.sdl import supergraph_sdl
from tests.serving import serving

SDL = supergraph_sdl(
    """
    type Query @join__type(graph: ALL_THINGS) @join__type(graph: OTHERS) {
      things: [Thing!]! @join__field(graph: ALL_THINGS)
      others: [String!]! @join__field(graph: OTHERS)
    }
    type Mutation @join__type(graph: ALL_THINGS) { add(name: String!): Added! }
    type Added @join__type(graph: ALL_THINGS) { thing: Thing! query: Query! }
    type Thing @join__type(graph: ALL_THINGS) { name: String! root: Query }
    """,
    roots="query: Query mutation: Mutation",
)


THINGS = [{"name": "lost", "root": None}, {"name": "found", "root": {}}]
SUBGRAPHS = [
    Subgraph(
        "all-things",
        """
        type Query { things: [Thing!]! }
        type Mutation { add(name: String!): Added! }
        type Added { thing: Thing! query: Query! }
        type Thing { name: String! root: Query }
        """,
        {
            "Query": {"things": THINGS},
            "Mutation": {"add": lambda _parent, name: {"thing": {"name": name}, "query": {}}},
        },
    ),
    Subgraph("others", "type Query { others: [String!]! }", {"Query": {"others": ["one", "two"]}}),
]


def app(subgraph: Subgraph) -> Starlette:
    """A server of a subgraph."""

    async def answer(request: Request) -> JSONResponse:
        asked = await request.json()
        answer = subgraph.answer(asked["query"], asked.get("variables") or {})
        return JSONResponse(answer.formatted)

    return Starlette(routes=[Route("/{path:path}", answer, methods=["POST"])])


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[str]:
    """The address of a gateway before the two subgraphs."""
    async with AsyncExitStack() as stack:
        sdl = SDL.replace('"others", url: ""', '"others", url: "http://others.test"')
        for subgraph in SUBGRAPHS:
            address = await stack.enter_async_context(serving(app(subgraph)))
            sdl = sdl.replace(f"http://{subgraph.name}.test", address)
        path = tmp_path / "supergraph.graphql"
        path.write_text(sdl)
        draining = asyncio.Event()
        made = await standalone.create(str(path), draining=draining)
        yield await stack.enter_async_context(serving(made))
        draining.set()


@pytest.mark.parametrize(
    ("query", "data"),
    [
        (
            'mutation { add(name: "x") { thing { name } query { others things { name } } } }',
            {
                "add": {
                    "thing": {"name": "x"},
                    "query": {
                        "others": ["one", "two"],
                        "things": [{"name": "lost"}, {"name": "found"}],
                    },
                }
            },
        ),
        (
            "{ things { name root { mine: others } } }",
            {
                "things": [
                    {"name": "lost", "root": None},
                    {"name": "found", "root": {"mine": ["one", "two"]}},
                ]
            },
        ),
        (
            'mutation { add(name: "x") { query { __schema { queryType { name } } } } }',
            {"add": {"query": {"__schema": {"queryType": {"name": "Query"}}}}},
        ),
    ],
)
async def test_the_root_is_entered_again_over_http(gateway: str, query: str, data: object) -> None:
    async with httpx.AsyncClient(timeout=5) as client:
        answer = await client.post(f"{gateway}/graphql", json={"query": query})
    assert answer.json() == {"data": data}


class _InProcess(InMemory):
    async def close(self) -> None:
        return


@pytest.mark.parametrize(
    "source",
    [
        "{ things { root { __schema { types { name } } } } }",
        '{ things { name root { others __type(name: "Thing") { name } } } }',
        'mutation { add(name: "x") { query { things { root { s: __schema { description } } } } } }',
        """{ things { ...A } } fragment A on Thing { root { ...B } }
        fragment B on Query { others ... { ... on Query { __schema { description } } } }""",
        "{ things { name ... @defer { root { others __schema { description } } } } }",
        "{ things { root { others ... @include(if: true) { __schema { description } } } } }",
    ],
)
async def test_where_introspection_is_off_it_is_off_below_the_root_too(source: str) -> None:
    transport = _InProcess(*SUBGRAPHS)
    pipeline = Pipeline(Runtime(Supergraph.from_sdl(SDL), transport))
    for request in (
        GraphQLRequest(source),
        GraphQLRequest(source, incremental="incrementalspec=v0.2"),
    ):
        answer = await pipeline.subscribe(request, RequestContext())
        assert isinstance(answer, GraphQLResult)
        assert answer.data is None
        assert [one["extensions"]["code"] for one in answer.errors] == ["INTROSPECTION_DISABLED"]
    await pipeline.close()
    assert not transport.calls
