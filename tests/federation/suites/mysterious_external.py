"""An extension whose @external key is really its own."""

from __future__ import annotations

from typing import Any

from tests.federation.subgraphs import FED2, Subgraph
from tests.federation.suites import Area, Case, find, only

PRODUCTS = [{"id": n, "name": f"name-{n}", "price": 100 * int(n)} for n in ("1", "2")]


def resolve(*keys: Any) -> Any:
    return lambda key: only(find(PRODUCTS, id=key["id"]), *keys)


PRICE = Subgraph(
    "price",
    FED2
    + """
    extend type Product @key(fields: "id") { id: ID! @external price: Float }
    type Query { cheapestProduct: Product }
    """,
    {
        "Query": {"cheapestProduct": PRODUCTS[0]},
        "Product": {"__resolveReference": resolve("id", "price")},
    },
)
PRODUCT = Subgraph(
    "product",
    FED2
    + """
    type Product @key(fields: "id") { id: ID! name: String! }
    type Query { products: [Product!]! }
    """,
    {
        "Query": {"products": [only(p, "id", "name") for p in PRODUCTS]},
        "Product": {"__resolveReference": resolve("id", "name")},
    },
)

AREA = Area(
    "mysterious-external",
    [PRICE, PRODUCT],
    [
        Case(
            "{ cheapestProduct { id price name } }",
            {"cheapestProduct": only(PRODUCTS[0], "id", "price", "name")},
        ),
        Case(
            "{ products { name price id } }",
            {"products": [only(p, "name", "price", "id") for p in PRODUCTS]},
        ),
    ],
)
