"""`__schema` and `__type` are answered from the API schema, wherever the root is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from graphql import execute_sync, parse

from gateway.federation.execution import Response, compile_plan
from gateway.federation.execution.introspection import Introspection
from gateway.federation.operation.prepare import parse_and_validate, prepare
from gateway.federation.planner import plan
from gateway.federation.supergraph import Supergraph
from tests.federation.scripted import Scripted, answer, operation_of, run, supergraph
from tests.federation.subgraphs import InMemory, Subgraph
from tests.federation.supergraph.sdl import supergraph_sdl
from tests.federation.test_differential import check


def introspection(source: str, **variables: object) -> tuple[Introspection, dict[str, object]]:
    operation, coerced = operation_of(source, variables, area="requires-requires")
    one = Introspection.of(supergraph("requires-requires").api_schema, operation)
    assert one is not None
    return one, coerced


def test_an_operation_without_it_asks_for_nothing() -> None:
    operation, _ = operation_of("{ product { id } }", area="requires-requires")
    assert Introspection.of(supergraph("requires-requires").api_schema, operation) is None


def test_what_is_inaccessible_is_not_there() -> None:
    one, variables = introspection(
        '{ t: __type(name: "Product") { fields { name } } product { id } }'
    )
    fields = {field["name"] for field in one.fill({}, variables)["t"]["fields"]}
    assert "canAfford" in fields
    assert "price" not in fields


def test_a_constant_answer_is_computed_once_and_nothing_is_written_into_the_data() -> None:
    one, variables = introspection("{ __schema { queryType { name ... on __Type { kind } } } }")
    data = {"product": None}
    first, second = one.fill(data, variables), one.fill(data, variables)
    assert first["__schema"] is second["__schema"]
    assert first == {
        "product": None,
        "__schema": {"queryType": {"name": "Query", "kind": "OBJECT"}},
    }
    assert data == {"product": None}


def test_variables_reach_the_answer() -> None:
    one, _ = introspection("query ($name: String!) { __type(name: $name) { name } }", name="Query")
    assert one.fill({}, {"name": "Product"}) == {"__type": {"name": "Product"}}
    assert one.fill({}, {"name": "Nothing"}) == {"__type": None}


async def test_an_operation_may_ask_subgraphs_nothing_at_all() -> None:
    response, transport = await run("{ __typename kind: __typename __schema { description } }", {})
    assert response.data == {
        "__typename": "Query",
        "kind": "Query",
        "__schema": {"description": None},
    }
    assert not transport.requests


@pytest.mark.parametrize(
    ("source", "variables"),
    [
        ("{ root { __schema { queryType { name } } } }", {}),
        ('{ root { me { name } root { id: __type(name: "Book") { kind } } } a: __typename }', {}),
        ("query ($t: String!) { root { __type(name: $t) { name } } me { id } }", {"t": "Film"}),
        (
            """{ root { ...A me { name } ...B } } fragment B on Query { __schema { description } }
            fragment A on Query { __schema { mutationType { name } } }""",
            {},
        ),
        (
            """mutation { leave { visits { __schema { queryType { kind } } books { id inStock } }
            query { __typename n: __type(name: "Nothing") { name } } } }""",
            {},
        ),
        ("{ root { me { name } __schema @skip(if: true) { description } } }", {}),
    ],
)
async def test_the_root_below_the_root_tells_of_the_schema(
    source: str, variables: dict[str, Any]
) -> None:
    await check(source, variables)


ABSTRACT = Supergraph.from_sdl(
    supergraph_sdl("""
    type Query implements Place
      @join__type(graph: ALL_THINGS) @join__type(graph: OTHERS)
      @join__implements(graph: ALL_THINGS, interface: "Place")
    {
      place: Place @join__field(graph: ALL_THINGS)
      ways: [[Way]] @join__field(graph: ALL_THINGS)
      nowhere: Place @join__field(graph: ALL_THINGS)
      others: [String!] @join__field(graph: OTHERS)
    }
    interface Place @join__type(graph: ALL_THINGS) { place: Place }
    type House implements Place @join__type(graph: ALL_THINGS)
      @join__implements(graph: ALL_THINGS, interface: "Place") { place: Place rooms: Int }
    union Way @join__type(graph: ALL_THINGS)
      @join__unionMember(graph: ALL_THINGS, member: "Query")
      @join__unionMember(graph: ALL_THINGS, member: "House") = Query | House
    """)
)
HOME = {"__typename": "Query"}
HOUSE = {"__typename": "House", "place": HOME, "rooms": 3}
VALUES: dict[str, Any] = {"place": HOUSE, "ways": [[HOUSE, None, HOME], None], "nowhere": None}
SUBGRAPHS = (
    Subgraph(
        "all-things",
        """
        type Query implements Place { place: Place ways: [[Way]] nowhere: Place }
        interface Place { place: Place }
        type House implements Place { place: Place rooms: Int }
        union Way = Query | House
        """,
        {"Query": {key: lambda _, key=key: VALUES[key] for key in VALUES}},
    ),
    Subgraph("others", "type Query { others: [String!] }", {"Query": {"others": ["one"]}}),
)


async def abstract(source: str) -> tuple[Response, Any]:
    """The engine's answer, and that of one executor over the merged schema."""
    schema = ABSTRACT.api_schema
    operation = prepare(schema, parse_and_validate(schema, source)).fold({})
    executable = compile_plan(ABSTRACT, operation, plan(ABSTRACT, operation))
    transport = InMemory(*SUBGRAPHS)
    response = await executable.run(transport, {}, None)
    assert not transport.invalid
    assert not any("__schema" in call.document for call in transport.calls)

    def resolve(parent: Any, info: Any, **_: Any) -> Any:
        at_root = info.parent_type.name == "Query"
        return (
            {**VALUES, "others": ["one"]}[info.field_name] if at_root else parent[info.field_name]
        )

    expected = execute_sync(schema, parse(source), field_resolver=resolve)
    assert not expected.errors
    return response, expected.data


@pytest.mark.parametrize(
    "source",
    [
        "{ place { ... on Query { __schema { queryType { name } } } } }",
        "{ place { place { ... on Query { __schema { queryType { name } } others } } } }",
        """{ ways { ... on House { place { ... on Query { t: __type(name: "Way") { kind } } } }
          ... on Query { t: __type(name: "House") { name } place { __typename } } } }""",
        """{ ways { ... on Place { ... on Query { __schema { queryType { name } } } }
          ... on Query { __schema { queryType { kind } } } } }""",
        "{ nowhere { ... on Query { __schema { queryType { name } } } } }",
    ],
)
async def test_what_the_root_is_behind_an_abstract_type_counts(source: str) -> None:
    response, expected = await abstract(source)
    assert response.errors == []
    assert json.dumps(response.data) == json.dumps(expected)


async def test_what_subgraphs_answer_amiss_has_no_schema() -> None:
    source = "{ place { ... on Query { __schema { description } } } }"
    schema = ABSTRACT.api_schema
    operation = prepare(schema, parse_and_validate(schema, source)).fold({})
    executable = compile_plan(ABSTRACT, operation, plan(ABSTRACT, operation))
    answers: tuple[Any, ...] = ("Query", 3, [], {}, {"__typename": "Way"}, {"__typename": 3})
    for amiss in answers:
        response = await executable.run(Scripted({0: answer({"place": amiss})}), {}, None)
        assert response.data == {"place": None}
        (error,) = response.errors
        assert error["path"] == ["place"]
