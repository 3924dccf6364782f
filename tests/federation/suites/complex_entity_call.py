"""Keys with lists of nested objects, whose parts come from three other graphs."""

from __future__ import annotations

from typing import Any

from tests.federation.subgraphs import FED2, Subgraph
from tests.federation.suites import Area, Case, find

PRODUCTS = [
    {"id": "1", "pid": "p1", "categoryId": "c1", "price": 100},
    {"id": "2", "pid": "p2", "categoryId": "c2", "price": 200},
]
CATEGORIES = [
    {"id": "c1", "tag": "t1", "mainProduct": "1"},
    {"id": "c2", "tag": "t2", "mainProduct": "2"},
]


def category(product: Any) -> Any:
    return find(CATEGORIES, id=product["categoryId"])


def fits(product: Any, key: Any) -> Any:
    known = category(product)
    wanted = key["category"]
    return (
        product["id"] == key["id"]
        and product["pid"] == key["pid"]
        and known["id"] == wanted["id"]
        and known["tag"] == wanted["tag"]
    )


def linked(key: Any) -> Any:
    if "pid" in key:
        return find(PRODUCTS, id=key["id"], pid=key["pid"])
    return find(PRODUCTS, id=key["id"])


def listed(key: Any) -> Any:
    found = [p for p in PRODUCTS if {"id": p["id"], "pid": p["pid"]} in key["products"]]
    return {"products": found, "first": found[0], "selected": found[1]}


def priced_list(key: Any) -> Any:
    found = [p for p in PRODUCTS if any(fits(p, one) for one in key["products"])]
    return {
        "products": found,
        "first": found[0],
        "selected": find(PRODUCTS, id=key["selected"]["id"]),
    }


LINK = Subgraph(
    "link",
    FED2 + 'type Product @key(fields: "id") @key(fields: "id pid") { id: String! pid: String! }',
    {"Product": {"__resolveReference": linked}},
)
LIST = Subgraph(
    "list",
    FED2
    + """
    type ProductList @key(fields: "products{id pid}") {
      products: [Product!]! first: Product @shareable selected: Product @shareable
    }
    type Product @key(fields: "id pid") { id: String! pid: String }
    """,
    {
        "ProductList": {"__resolveReference": listed},
        "Product": {"__resolveReference": lambda key: find(PRODUCTS, id=key["id"], pid=key["pid"])},
    },
)
PRICE = Subgraph(
    "price",
    FED2
    + """
    type ProductList @key(fields: "products{id pid category{id tag}} selected{id}") {
      products: [Product!]! first: Product @shareable selected: Product @shareable
    }
    type Product @key(fields: "id pid category{id tag}") {
      id: String! price: Price pid: String category: Category
    }
    type Category @key(fields: "id tag") { id: String! tag: String }
    type Price { price: Float! }
    """,
    {
        "Product": {
            "__resolveReference": lambda key: next((p for p in PRODUCTS if fits(p, key)), None),
            "price": lambda product: {"price": product["price"]},
            "category": category,
        },
        "Category": {"__resolveReference": lambda key: find(CATEGORIES, id=key["id"])},
        "ProductList": {"__resolveReference": priced_list},
    },
)
PRODUCT = Subgraph(
    "products",
    FED2
    + """
    type Query { topProducts: ProductList! }
    type ProductList @key(fields: "products{id}") { products: [Product!]! }
    type Product @extends @key(fields: "id") {
      id: String! @external category: Category @shareable
    }
    type Category @key(fields: "id") {
      mainProduct: Product! @shareable id: String! tag: String @shareable
    }
    """,
    {
        "Query": {"topProducts": {"products": PRODUCTS}},
        "ProductList": {
            "__resolveReference": lambda key: {
                "products": [p for p in PRODUCTS if {"id": p["id"]} in key["products"]]
            }
        },
        "Product": {
            "__resolveReference": lambda key: find(PRODUCTS, id=key["id"]),
            "category": category,
        },
        "Category": {
            "__resolveReference": lambda key: find(CATEGORIES, id=key["id"]),
            "mainProduct": lambda parent: find(PRODUCTS, id=parent["mainProduct"]),
        },
    },
)

AREA = Area(
    "complex-entity-call",
    [LINK, LIST, PRICE, PRODUCT],
    [
        Case(
            """{ topProducts {
              products { id pid price { price } category { mainProduct { id } id tag } }
              selected { id }
              first { id }
            } }""",
            {
                "topProducts": {
                    "products": [
                        {
                            "id": n,
                            "pid": f"p{n}",
                            "price": {"price": 100 * int(n)},
                            "category": {"mainProduct": {"id": n}, "id": f"c{n}", "tag": f"t{n}"},
                        }
                        for n in ("1", "2")
                    ],
                    "selected": {"id": "2"},
                    "first": {"id": "1"},
                }
            },
        )
    ],
)
