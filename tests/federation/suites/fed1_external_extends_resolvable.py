"""External fields of a Federation 1 extension that are resolvable nevertheless."""

from __future__ import annotations

from typing import Any

from tests.federation.subgraphs import FED1, Subgraph
from tests.federation.suites import Area, Case, only

PRODUCT = {"id": "p1", "pid": "p1-pid", "price": 12.3, "upc": "upc1", "name": "p1-name"}


def in_b(key: Any) -> Any:
    by_id = "id" in key
    fits = (
        key["id"] == PRODUCT["id"] and key["name"] == PRODUCT["name"]
        if by_id
        else key["upc"] == PRODUCT["upc"]
    )
    return only(PRODUCT, "id", "name", "upc", "price") if fits else None


A = Subgraph(
    "a",
    FED1
    + """
    type Query { productInA: Product }
    type Product @key(fields: "id") { id: ID! name: String pid: ID }
    """,
    {
        "Query": {"productInA": only(PRODUCT, "id", "name", "pid")},
        "Product": {"__resolveReference": lambda key: PRODUCT if key["id"] == "p1" else None},
    },
)
B = Subgraph(
    "b",
    FED1
    + """
    type Query { productInB: Product }
    extend type Product @key(fields: "id name") @key(fields: "upc") {
      id: ID @external name: String @external upc: String @external price: Float!
    }
    """,
    {
        "Query": {"productInB": only(PRODUCT, "id", "name", "upc", "price")},
        "Product": {"__resolveReference": in_b},
    },
)

AREA = Area(
    "fed1-external-extends-resolvable",
    [A, B],
    [
        Case(
            "{ productInA { id pid price upc name } }",
            {"productInA": only(PRODUCT, "id", "pid", "price", "upc", "name")},
        )
    ],
)
