"""@requires with nested fragments on abstract types, one of whose types is inaccessible."""

from __future__ import annotations

from typing import Any

from tests.federation.subgraphs import FED2, Subgraph
from tests.federation.suites import Area, Case, find

ENTITIES = [{"id": "e1", "data": "b1"}, {"id": "e2", "data": "q1"}]
FOOS = [
    {"__typename": "Baz", "id": "b1", "foo": "b1-foo", "bar": "b1-bar", "baz": "b1-baz"},
    {"__typename": "Qux", "id": "q1", "foo": "q1-foo", "bar": "q1-bar", "qux": "q1-qux"},
]


def data(parent: Any) -> Any:
    return find(FOOS, id=find(ENTITIES, id=parent["id"])["data"])


def requirer(suffix: Any) -> Any:
    return lambda parent: f"{parent['data']['foo']}_{suffix}"


A = Subgraph(
    "a",
    FED2
    + """
    type Query @shareable { a: Entity }
    type Entity @key(fields: "id") { id: ID! data: Foo }
    interface Foo { foo: String! }
    interface Bar implements Foo { foo: String! bar: String! }
    type Baz implements Foo & Bar @shareable { foo: String! bar: String! baz: String! }
    type Qux implements Foo & Bar @shareable { foo: String! bar: String! qux: String! }
    """,
    {
        "Query": {"a": ENTITIES[1]},
        "Entity": {"__resolveReference": lambda key: find(ENTITIES, id=key["id"]), "data": data},
    },
)
B = Subgraph(
    "b",
    FED2
    + """
    type Query @shareable { b: Entity bb: Entity }
    type Entity @key(fields: "id") {
      id: ID!
      data: Foo @external
      requirer: String! @requires(
        fields: "data { foo ... on Bar { bar ... on Baz { baz } ... on Qux { qux } } }"
      )
      requirer2: String! @requires(fields: "data { ... on Foo { foo } }")
    }
    interface Foo { foo: String! }
    interface Bar implements Foo { foo: String! bar: String! }
    type Baz implements Foo & Bar @shareable @inaccessible {
      foo: String! bar: String! baz: String!
    }
    type Qux implements Foo & Bar @shareable { foo: String! bar: String! qux: String! }
    """,
    {
        "Query": {"b": ENTITIES[0], "bb": ENTITIES[1]},
        "Entity": {
            "__resolveReference": lambda key: {**find(ENTITIES, id=key["id"]), **key},
            "data": data,
            "requirer": requirer("requirer"),
            "requirer2": requirer("requirer2"),
        },
    },
)

QUX = {"__typename": "Qux"}

AREA = Area(
    "requires-with-fragments",
    [A, B],
    [
        Case(
            "{ b { id data { __typename } } bb { id data { __typename } } }",
            {"b": {"id": "e1", "data": None}, "bb": {"id": "e2", "data": QUX}},
        ),
        Case("{ a { requirer } }", {"a": {"requirer": "q1-foo_requirer"}}),
        Case(
            "{ a { data { __typename } requirer } }",
            {"a": {"data": QUX, "requirer": "q1-foo_requirer"}},
        ),
        Case(
            "{ bb { data { __typename } requirer } }",
            {"bb": {"data": QUX, "requirer": "q1-foo_requirer"}},
        ),
        Case(
            "{ b { data { __typename } requirer } }",
            {"b": {"data": None, "requirer": "b1-foo_requirer"}},
        ),
        Case(
            "{ bb { data { __typename } requirer2 } }",
            {"bb": {"data": QUX, "requirer2": "q1-foo_requirer2"}},
        ),
    ],
    is_kept=True,
)
