"""Requirements that have requirements, over four graphs, from a field that is inaccessible."""

from __future__ import annotations

from typing import Any

from tests.federation.subgraphs import FED2, Subgraph
from tests.federation.suites import Area, Case

PRODUCT = {"id": "p1", "price": 699.99, "hasDiscount": True}


def derive(key: Any, given: Any, name: Any, value: Any) -> Any:
    return {name: value(key[given])} if given in key else {}


def in_c(key: Any) -> Any:
    return {
        "id": key["id"],
        **derive(key, "price", "isExpensive", lambda price: price > 500),
        **derive(key, "hasDiscount", "isExpensiveWithDiscount", lambda has: not has),
    }


def in_d(key: Any) -> Any:
    return {
        "id": key["id"],
        **derive(key, "isExpensive", "canAfford", lambda it: not it),
        **derive(key, "isExpensiveWithDiscount", "canAffordWithDiscount", lambda it: not it),
    }


A = Subgraph(
    "a",
    FED2 + 'type Product @key(fields: "id") { id: ID! price: Float! @inaccessible }',
    {"Product": {"__resolveReference": lambda _: PRODUCT}},
)
B = Subgraph(
    "b",
    FED2
    + """
    type Query { product: Product }
    type Product @key(fields: "id") { id: ID! hasDiscount: Boolean! }
    """,
    {"Query": {"product": PRODUCT}, "Product": {"__resolveReference": lambda _: PRODUCT}},
)
C = Subgraph(
    "c",
    FED2
    + """
    type Product @key(fields: "id") {
      id: ID!
      price: Float! @external
      isExpensive: Boolean! @requires(fields: "price")
      hasDiscount: Boolean! @external
      isExpensiveWithDiscount: Boolean! @requires(fields: "hasDiscount")
    }
    """,
    {"Product": {"__resolveReference": in_c}},
)
D = Subgraph(
    "d",
    FED2
    + """
    type Product @key(fields: "id") {
      id: ID!
      isExpensive: Boolean! @external
      canAfford: Boolean! @requires(fields: "isExpensive")
      isExpensiveWithDiscount: Boolean! @external
      canAffordWithDiscount: Boolean! @requires(fields: "isExpensiveWithDiscount")
    }
    """,
    {"Product": {"__resolveReference": in_d}},
)

ANSWERS = {"isExpensive": True, "canAfford": False, "canAffordWithDiscount": True}

AREA = Area(
    "requires-requires",
    [A, B, C, D],
    [
        Case(f"{{ product {{ {fields} }} }}", {"product": {f: ANSWERS[f] for f in fields.split()}})
        for fields in (
            "canAfford",
            "isExpensive",
            "isExpensive canAfford",
            "canAffordWithDiscount",
            "canAfford canAffordWithDiscount",
        )
    ],
)
