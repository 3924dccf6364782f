"""@interfaceObject with a key that is not resolvable, on either side."""

from __future__ import annotations

from typing import Any

from tests.federation.subgraphs import FED2, Subgraph
from tests.federation.suites import Area, Case

BREAD = {"__typename": "Bread", "id": "p1", "name": "p1-name"}


def never(_: Any) -> Any:
    raise AssertionError("Not resolvable")


def bread(key: Any) -> Any:
    return BREAD if key["id"] == "p1" else None


A = Subgraph(
    "a",
    FED2
    + """
    interface Node @key(fields: "id") { id: ID! }
    type Product @key(fields: "id", resolvable: false) @interfaceObject { id: ID! }
    type Query { a: Node product: Product! }
    """,
    {
        "Query": {"a": {"__typename": "Node", "id": "n1"}, "product": {"id": "p1"}},
        "Node": {"__resolveReference": never},
    },
)
B = Subgraph(
    "b",
    FED2
    + """
    type Node @key(fields: "id", resolvable: false) @interfaceObject { id: ID! field: String }
    interface Product @key(fields: "id") { id: ID! }
    type Bread implements Product @key(fields: "id") { id: ID! name: String! }
    type Query { b: Node }
    """,
    {
        "Query": {"b": {"id": "n1"}},
        "Node": {"__resolveReference": never, "field": "foo"},
        "Product": {"__resolveReference": bread},
        "Bread": {"__resolveReference": bread},
    },
)

AREA = Area(
    "non-resolvable-interface-object",
    [A, B],
    [
        Case("{ b { id field } }", {"b": {"id": "n1", "field": "foo"}}),
        Case("{ a { field } }", None, errors=True),
        Case("{ b { id } }", {"b": {"id": "n1"}}),
        Case("{ a { id } }", {"a": None}, errors=True),
        Case("{ product { id } }", {"product": {"id": "p1"}}),
        Case("{ product { id name } }", None, errors=True),
        Case("{ product { ... on Bread { id } } }", {"product": {"id": "p1"}}),
    ],
)
