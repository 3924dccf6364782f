"""Two requirements of the same field with different arguments, for the same target graph."""

from __future__ import annotations

from typing import Any

from tests.federation.subgraphs import FED2, Subgraph
from tests.federation.suites import Area, Case, find, only

PRODUCTS = [
    {
        "upc": f"p{n}",
        "name": f"p-name-{n}",
        "price": 11 * n,
        "weight": n,
        "category": {"averagePrice": 11 * n},
    }
    for n in (1, 2)
]
RATES = {"USD": 1, "EUR": 1.5}


def known(key: Any) -> Any:
    return {"category": find(PRODUCTS, upc=key["upc"])["category"], **key}


def shipping(parent: Any) -> Any:
    return int(parent["price"] * parent["weight"] * 10)


A = Subgraph(
    "a",
    FED2
    + """
    type Product @key(fields: "upc") {
      upc: String!
      weight: Int @external
      price(currency: String!): Float @external
      shippingEstimate: Int @requires(fields: "price(currency: \\"USD\\") weight")
      shippingEstimateEUR: Int @requires(fields: "price(currency: \\"EUR\\") weight")
      category: Category @external
      isExpensiveCategory: Boolean
        @requires(fields: "category { averagePrice(currency: \\"USD\\") }")
    }
    type Category @external { averagePrice(currency: String!): Int }
    """,
    {
        "Product": {
            "__resolveReference": known,
            "shippingEstimate": shipping,
            "shippingEstimateEUR": shipping,
            "isExpensiveCategory": lambda parent: parent["category"]["averagePrice"] > 11,
        }
    },
)
B = Subgraph(
    "b",
    FED2
    + """
    type Query { products: [Product] }
    type Product @key(fields: "upc") {
      upc: String! name: String price(currency: String!): Float weight: Int category: Category
    }
    type Category { averagePrice(currency: String!): Int }
    """,
    {
        "Query": {"products": PRODUCTS},
        "Product": {
            "__resolveReference": lambda key: find(PRODUCTS, upc=key["upc"]),
            "price": lambda parent, currency: parent["price"] * RATES[currency],
        },
        "Category": {
            "averagePrice": lambda parent, currency: parent["averagePrice"],
        },
    },
)

AREA = Area(
    "requires-with-argument-conflict",
    [A, B],
    [
        Case(
            "{ products { upc name shippingEstimate shippingEstimateEUR isExpensiveCategory } }",
            {
                "products": [
                    {
                        **only(PRODUCTS[0], "upc", "name"),
                        "shippingEstimate": 110,
                        "shippingEstimateEUR": 165,
                        "isExpensiveCategory": False,
                    },
                    {
                        **only(PRODUCTS[1], "upc", "name"),
                        "shippingEstimate": 440,
                        "shippingEstimateEUR": 660,
                        "isExpensiveCategory": True,
                    },
                ]
            },
        )
    ],
)
