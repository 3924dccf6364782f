"""`__schema` and `__type` are answered from the API schema."""

from __future__ import annotations

from gateway.federation.operation.introspection import Introspection
from tests.federation.scripted import operation_of, run, supergraph


def introspection(source: str, **variables: object) -> tuple[Introspection, dict[str, object]]:
    operation, coerced = operation_of(source, variables, area="requires-requires")
    return Introspection(supergraph("requires-requires").api_schema, operation), coerced


def test_an_operation_without_it_asks_for_nothing() -> None:
    one, variables = introspection("{ product { id } }")
    assert not one
    assert one.answer(variables) == {}


def test_what_is_inaccessible_is_not_there() -> None:
    one, variables = introspection(
        '{ t: __type(name: "Product") { fields { name } } product { id } }'
    )
    fields = {field["name"] for field in one.answer(variables)["t"]["fields"]}
    assert "canAfford" in fields
    assert "price" not in fields


def test_a_constant_answer_is_computed_once() -> None:
    one, variables = introspection("{ __schema { queryType { name ... on __Type { kind } } } }")
    assert one.answer(variables) is one.answer(variables)
    assert one.answer(variables) == {"__schema": {"queryType": {"name": "Query", "kind": "OBJECT"}}}


def test_variables_reach_the_answer() -> None:
    one, _ = introspection("query ($name: String!) { __type(name: $name) { name } }", name="Query")
    assert one.answer({"name": "Product"}) == {"__type": {"name": "Product"}}
    assert one.answer({"name": "Nothing"}) == {"__type": None}


async def test_an_operation_may_ask_subgraphs_nothing_at_all() -> None:
    response, transport = await run("{ __typename kind: __typename __schema { description } }", {})
    assert response.data == {
        "__typename": "Query",
        "kind": "Query",
        "__schema": {"description": None},
    }
    assert not transport.requests
