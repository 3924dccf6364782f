"""An interface whose entities three graphs know, and one can say something about."""

from __future__ import annotations

from typing import Any

from tests.federation.subgraphs import FED2, Subgraph
from tests.federation.suites import Area, Case, find, only

PRODUCTS = [
    {"id": "p-1", "name": "Product 1", "price": 10.0},
    {"id": "p-2", "name": "Product 2", "price": 20.0},
]
CATEGORIES = [{"id": "pc-1", "name": "Category 1"}, {"id": "c-2", "name": "Category 2"}]


def graph(
    name: Any, more: Any = "", product: Any = "", category: Any = "", query: Any = None
) -> Any:
    return Subgraph(
        name,
        f"""{FED2}
        {more}
        interface Node {{ id: ID! }}
        type Product implements Node @key(fields: "id") @shareable {{ id: ID! {product} }}
        type Category implements Node @key(fields: "id") {{ id: ID! {category} }}
        """,
        {
            **({"Query": query} if query else {}),
            "Product": {"__resolveReference": lambda key: find(PRODUCTS, id=key["id"])},
            "Category": {"__resolveReference": lambda key: find(CATEGORIES, id=key["id"])},
        },
    )


NODE = graph(
    "node",
    "type Query { productNode: Node categoryNode: Node }",
    query={
        "productNode": {"__typename": "Product", **only(PRODUCTS[0], "id")},
        "categoryNode": {"__typename": "Category", **only(CATEGORIES[0], "id")},
    },
)

AREA = Area(
    "node",
    [
        NODE,
        graph("node-two"),
        graph("types", product="name: String! price: Float!", category="name: String!"),
    ],
    [
        Case(
            "{ productNode { ... on Product { id name __typename price } } }",
            {
                "productNode": {
                    "id": "p-1",
                    "name": "Product 1",
                    "__typename": "Product",
                    "price": 10,
                }
            },
        )
    ],
)
