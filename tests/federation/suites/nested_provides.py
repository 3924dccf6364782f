"""@provides three levels deep; any other way to the same fields is refused."""

from __future__ import annotations

from typing import Any

from tests.federation.subgraphs import FED2, Subgraph
from tests.federation.suites import Area, Case, only

CATEGORIES = {
    id_: {"id": id_, "name": f"Category {id_[1]}", "subCategories": [below]}
    for id_, below in (("c1", "c2"), ("c2", "c3"), ("c3", "c1"))
}
PRODUCTS = [{"id": "p1", "categories": ["c1", "c2"]}, {"id": "p2", "categories": ["c3", "c2"]}]


def detour(_: Any) -> Any:
    raise AssertionError("the category graph provides it all")


def expanded(*, with_sub: bool) -> Any:
    def category(id_: Any) -> Any:
        found = only(CATEGORIES[id_], "id", "name")
        if with_sub:
            below = CATEGORIES[id_]["subCategories"]
            found["subCategories"] = [only(CATEGORIES[one], "id", "name") for one in below]
        return found

    return [
        {"id": p["id"], "categories": [category(one) for one in p["categories"]]} for p in PRODUCTS
    ]


PRODUCT_GRAPH = Subgraph(
    "all-products",
    FED2 + 'type Product @key(fields: "id") { id: ID! }',
    {"Product": {"__resolveReference": detour}},
)
CATEGORY = Subgraph(
    "category",
    FED2
    + """
    type Query {
      products: [Product]
        @shareable
        @provides(fields: "categories { id name subCategories { id name } }")
    }
    type Product @key(fields: "id") { id: ID! categories: [Category] @external }
    type Category @key(fields: "id") {
      id: ID! name: String subCategories: [Category] @external
    }
    """,
    {
        "Query": {"products": expanded(with_sub=True)},
        "Product": {"__resolveReference": detour},
        "Category": {"__resolveReference": detour},
    },
)
SUBCATEGORIES = Subgraph(
    "subcategories",
    FED2
    + """
    type Product @key(fields: "id") { id: ID! categories: [Category] @shareable }
    type Category @key(fields: "id") { id: ID! subCategories: [Category] @shareable }
    """,
    {
        "Product": {"__resolveReference": detour, "categories": detour},
        "Category": {"__resolveReference": lambda key: {"id": key["id"]}, "subCategories": detour},
    },
)

AREA = Area(
    "nested-provides",
    [PRODUCT_GRAPH, CATEGORY, SUBCATEGORIES],
    [
        Case("{ products { id categories { id name } } }", {"products": expanded(with_sub=False)}),
        Case(
            "{ products { id categories { id name subCategories { id name } } } }",
            {"products": expanded(with_sub=True)},
        ),
    ],
)
