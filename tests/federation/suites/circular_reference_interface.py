"""An interface's field that an implementer narrows to itself and provides a field of."""

from __future__ import annotations

from typing import Any

from tests.federation.subgraphs import FED2, Subgraph
from tests.federation.suites import Area, Case, find

BOOKS = [
    {"__typename": "Book", "id": id_, "price": price}
    for id_, price in (("1", 10.99), ("2", 5.99), ("3", 10.99))
]


def same_price(parent: Any) -> Any:
    return next(
        (b for b in BOOKS if b["price"] == parent["price"] and b["id"] != parent["id"]), None
    )


A = Subgraph(
    "a",
    FED2
    + """
    type Query { product: Product }
    interface Product { samePriceProduct: Product }
    type Book implements Product @key(fields: "id") {
      id: ID! samePriceProduct: Book @provides(fields: "price") price: Float @external
    }
    """,
    {"Query": {"product": BOOKS[0]}, "Book": {"samePriceProduct": same_price}},
)
B = Subgraph(
    "b",
    FED2 + 'type Book @key(fields: "id") { id: ID! price: Float @shareable }',
    {"Book": {"__resolveReference": lambda key: find(BOOKS, id=key["id"])}},
)

AREA = Area(
    "circular-reference-interface",
    [A, B],
    [
        Case(
            """{ product { samePriceProduct {
              ... on Product { samePriceProduct { __typename } }
            } } }""",
            {"product": {"samePriceProduct": {"samePriceProduct": {"__typename": "Book"}}}},
        ),
        Case(
            """{ product { __typename
              samePriceProduct {
                __typename ... on Book { id }
                samePriceProduct { __typename ... on Book { id } }
              }
              ... on Book { __typename id price samePriceProduct { id price } }
            } }""",
            {
                "product": {
                    "__typename": "Book",
                    "samePriceProduct": {
                        "__typename": "Book",
                        "id": "3",
                        "samePriceProduct": {"__typename": "Book", "id": "1"},
                        "price": 10.99,
                    },
                    "id": "1",
                    "price": 10.99,
                }
            },
        ),
    ],
)
