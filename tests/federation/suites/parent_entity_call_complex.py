"""Two graphs each have a part of a child without a key, and a third continues from one part."""

from __future__ import annotations

from typing import Any

from tests.federation.subgraphs import FED2, Subgraph
from tests.federation.suites import Area, Case


def named(kind: Any) -> Any:
    return lambda key: {"id": key["id"], "name": f"{kind}#{key['id']}"}


A = Subgraph(
    "a",
    FED2
    + """
    type Product @key(fields: "id") { id: ID @external category: Category @shareable }
    type Category { details: String }
    """,
    {
        "Product": {
            "__resolveReference": lambda key: {
                "id": key["id"],
                "category": {"details": f"Details for Product#{key['id']}"},
            }
        }
    },
)
B = Subgraph(
    "b",
    FED2
    + """
    type Product @key(fields: "id") { id: ID @external category: Category @shareable }
    type Category { id: ID @shareable }
    """,
    {"Product": {"__resolveReference": lambda key: {"id": key["id"], "category": {"id": 3}}}},
)
C = Subgraph(
    "c",
    FED2 + 'type Category @key(fields: "id") { id: ID name: String }',
    {"Category": {"__resolveReference": named("Category")}},
)
D = Subgraph(
    "d",
    FED2
    + """
    type Query { productFromD(id: ID!): Product }
    type Product @key(fields: "id") { id: ID name: String }
    """,
    {
        "Query": {"productFromD": lambda _, id: named("Product")({"id": id})},  # noqa: A006
        "Product": {"__resolveReference": named("Product")},
    },
)

AREA = Area(
    "parent-entity-call-complex",
    [A, B, C, D],
    [
        Case(
            '{ productFromD(id: "1") { id name category { id name details } } }',
            {
                "productFromD": {
                    "id": "1",
                    "name": "Product#1",
                    "category": {
                        "id": "3",
                        "name": "Category#3",
                        "details": "Details for Product#1",
                    },
                }
            },
        )
    ],
)
