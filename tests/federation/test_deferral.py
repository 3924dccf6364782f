"""What is deferred at the root is planned by itself, so that nothing waits for it."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any

import orjson
import pytest
from graphql import OperationDefinitionNode, parse, print_ast

from gateway.context import RequestContext
from gateway.federation.deferral import deferred_apart, plan_apart
from gateway.federation.operation.prepare import parse_and_validate, prepare
from gateway.federation.plan import QueryPlan
from gateway.federation.transport import SubgraphRequest, SubgraphResponse
from gateway.pipeline import Pipeline
from gateway.runtime import Runtime
from shared.protocols.service import GraphQLRequest, GraphQLResult
from tests.federation.deferring import deferring, put
from tests.federation.operations import random_operation
from tests.federation.scripted import supergraph
from tests.federation.subgraphs import InMemory
from tests.federation.world import WORLD


class Held(InMemory):
    """Subgraphs; what asks for users waits for the gate."""

    def __init__(self) -> None:
        super().__init__(*WORLD.subgraphs)
        self.gate = asyncio.Event()

    async def execute(self, request: SubgraphRequest) -> SubgraphResponse:
        if "users" in request.fetch.document:
            await self.gate.wait()
        return await super().execute(request)

    async def close(self) -> None:
        """There is nothing to close."""


def planned(source: str) -> tuple[list[str], tuple[frozenset[str], ...]]:
    """The documents of an operation's plan, and what was planned apart."""
    prepared = prepare(supergraph().api_schema, parse_and_validate(supergraph().api_schema, source))
    apart = deferred_apart(*prepared.split({}))
    made = plan_apart(supergraph(), prepared.fold({}), apart, labels={})
    ids = [fetch.id for fetch in made.fetches]
    assert ids == sorted(set(ids))
    for index, fetch in enumerate(made.fetches):
        assert set(fetch.depends_on) <= set(ids[:index])
    return [fetch.document for fetch in made.fetches], apart


@pytest.mark.parametrize(
    ("source", "apart", "fetches"),
    [
        ("{ me { id } ... @defer { users { id } } }", [{"users"}], 2),
        ("{ me { id } ... @defer { users { id } me { email } } }", [{"users"}], 2),
        ("{ ... @defer { me { id } } ... @defer { users { id } } }", [{"me"}, {"users"}], 2),
        ("{ ... @defer { me { id } ... @defer { users { id } } } }", [{"me"}, {"users"}], 2),
        ("{ me { id ... @defer { email } } }", [], 1),
        ("{ me { id } ... @defer { me { email } } }", [], 1),
        ("{ ... @defer { a: me { id } } ... @defer { a: me { email } } }", [], 1),
        ("{ me { id } ... @defer { __typename } }", [{"__typename"}], 1),
        ("{ books { title reviewCount } ... @defer { grid { reviewCount } } }", [{"grid"}], 4),
    ],
)
def test_fields_that_only_one_fragment_defers_are_fetched_by_themselves(
    source: str, apart: list[set[str]], fetches: int
) -> None:
    documents, found = planned(source)
    assert list(found) == apart
    assert len(documents) == fetches


def test_plans_that_call_different_fields_by_one_key_are_made_as_one() -> None:
    now = "a: books { id price: title shipping }"
    later = "b: books { id isbn: title inStock }"
    documents, found = planned(f"{{ {now} ... @defer {{ {later} }} }}")
    assert found == (frozenset({"b"}),)
    assert documents == planned(f"{{ {now} {later} }}")[0]
    same = now.replace("a:", "b:")
    documents, _ = planned(f"{{ {now} ... @defer {{ {same} }} }}")
    assert documents != planned(f"{{ {now} {same} }}")[0]


async def test_a_deferred_root_field_of_the_same_subgraph_is_not_waited_for() -> None:
    transport = Held()
    pipeline = Pipeline(Runtime(supergraph(), transport))
    query = "{ me { id } ... @defer { users(ids: [1]) { id } } }"
    request = GraphQLRequest(query, incremental="deferspec=20220824")
    stream = await pipeline.subscribe(request, RequestContext())
    assert not isinstance(stream, GraphQLResult)
    first = await anext(stream)
    shown = orjson.loads(first.encode())
    assert (shown["hasNext"], list(shown["data"])) == (True, ["me"])
    transport.gate.set()
    last = orjson.loads((await anext(stream)).encode())
    assert last["hasNext"] is False
    assert last["incremental"] == [{"path": [], "data": {"users": [{"id": "1"}]}}]
    assert [part async for part in stream] == []
    # Who takes no parts is given the same.
    whole = await pipeline.execute(GraphQLRequest(query), RequestContext())
    assert whole.data == {**shown["data"], "users": [{"id": "1"}]}
    await pipeline.close()


def half_deferred(source: str) -> str | None:
    """The operation with half of its root fields deferred, if it has as many."""
    document = parse(source)
    operation, *fragments = document.definitions
    assert isinstance(operation, OperationDefinitionNode)
    written = [print_ast(one) for one in operation.selection_set.selections]
    if len(written) < 2:
        return None
    middle = len(written) // 2
    head = source[: source.index("{ ")] if source.startswith("query") else "query "
    now, later = " ".join(written[:middle]), " ".join(written[middle:])
    return " ".join([f"{head} {{ {now} ... @defer {{ {later} }} }}", *map(print_ast, fragments)])


async def test_random_operations_planned_apart_have_the_same_answer() -> None:
    transport = Held()
    transport.gate.set()
    pipeline = Pipeline(Runtime(supergraph(), transport), introspection=True)
    seen = 0
    for seed in range(200):
        random = Random(seed)  # noqa: S311
        whole = random_operation(supergraph().api_schema, random)
        parts = half_deferred(whole)
        if parts is None:
            continue
        request = GraphQLRequest(deferring(parts, random), incremental="deferspec=20220824")
        stream = await pipeline.subscribe(request, RequestContext())
        if isinstance(stream, GraphQLResult):
            continue
        first, *rest = [orjson.loads(part.encode()) async for part in stream]
        together: Any = first["data"]
        patches = [patch for part in rest for patch in part["incremental"]]
        if together is None or any(patch["data"] is None for patch in patches):
            continue
        for patch in patches:
            together = put(together, patch["path"], patch["data"])
        seen += 1
        plain = await pipeline.execute(GraphQLRequest(whole), RequestContext())
        assert together == orjson.loads(plain.encode())["data"], request.query
    assert not transport.invalid
    assert seen > 20
    await pipeline.close()


def test_a_query_of_nothing_allowed_has_no_fetches() -> None:
    prepared = prepare(
        supergraph().api_schema, parse_and_validate(supergraph().api_schema, "{ __typename }")
    )
    empty = prepared.fold({})
    assert plan_apart(supergraph(), empty, (), labels={}) == QueryPlan((), {})
