"""@skip and @include on fields behind a chain of @requires; values are variables' defaults."""

from __future__ import annotations

from typing import Any

from tests.federation.subgraphs import FED2, Subgraph
from tests.federation.suites import Area, Case

PRODUCT = {"id": "p1", "price": 699.99}


def known(*kept: Any) -> Any:
    return lambda key: {name: key[name] for name in ("id", *kept) if name in key}


def is_expensive(parent: Any) -> Any:
    if "price" not in parent:
        raise ValueError("Price is missing")
    return parent["price"] > 500


def yes(parent: Any) -> Any:
    if not isinstance(parent.get("isExpensive"), bool):
        raise TypeError("isExpensive is missing")
    return True


def never(_: Any) -> Any:
    raise AssertionError("must not be called")


A = Subgraph(
    "a",
    FED2
    + 'type Query { product: Product } type Product @key(fields: "id") { id: ID! price: Float! }',
    {"Query": {"product": PRODUCT}, "Product": {"__resolveReference": lambda _: PRODUCT}},
)
B = Subgraph(
    "b",
    FED2
    + """
    type Product @key(fields: "id") {
      id: ID! price: Float! @external isExpensive: Boolean! @requires(fields: "price")
    }
    """,
    {"Product": {"__resolveReference": known("price"), "isExpensive": is_expensive}},
)
C = Subgraph(
    "c",
    FED2
    + """
    type Product @key(fields: "id") {
      id: ID!
      isExpensive: Boolean! @external
      include: Boolean! @requires(fields: "isExpensive")
      skip: Boolean! @requires(fields: "isExpensive")
      neverCalledInclude: Boolean! @requires(fields: "isExpensive")
      neverCalledSkip: Boolean! @requires(fields: "isExpensive")
    }
    """,
    {
        "Product": {
            "__resolveReference": known("isExpensive"),
            "include": yes,
            "skip": yes,
            "neverCalledInclude": never,
            "neverCalledSkip": never,
        }
    },
)

AREA = Area(
    "include-skip",
    [A, B, C],
    [
        Case(
            f"query ($bool: Boolean = {default}) {{ product {{ price {field} }} }}",
            {"product": {"price": 699.99, **more}},
        )
        for default, field, more in (
            ("false", "neverCalledInclude @include(if: $bool)", {}),
            ("true", "neverCalledSkip @skip(if: $bool)", {}),
            ("true", "include @include(if: $bool)", {"include": True}),
            ("false", "skip @skip(if: $bool)", {"skip": True}),
        )
    ],
)
