"""A child without a key: the graph that has more of it is entered at the parent."""

from __future__ import annotations

from typing import Any

from tests.federation.subgraphs import FED2, Subgraph
from tests.federation.suites import Area, Case, find

PRODUCTS = [
    {"id": f"p{n}", "pid": f"p{n}-pid", "categoryId": category}
    for n, category in ((1, "c1"), (2, "c2"), (3, "c1"))
]
CATEGORIES = [
    {"id": "c1", "name": "c1-name", "details": {"products": 2}},
    {"id": "c2", "name": "c2-name", "details": {"products": 1}},
]


def product(key: Any) -> Any:
    return find(PRODUCTS, **{name: key[name] for name in ("id", "pid") if name in key})


def category(parent: Any) -> Any:
    return find(CATEGORIES, id=parent["categoryId"])


def graph(name: Any, keys: Any, more: Any, category_type: Any, *, is_entity: Any) -> Any:
    resolvers: dict[str, Any] = {"Product": {"__resolveReference": product, "category": category}}
    if is_entity:
        resolvers["Category"] = {"__resolveReference": lambda key: find(CATEGORIES, id=key["id"])}
    if more:
        resolvers["Query"] = {"products": PRODUCTS}
    return Subgraph(
        name,
        f"""{FED2}
        {more}
        type Product {keys} {{ id: ID! pid: ID! category: Category @shareable }}
        {category_type}
        """,
        resolvers,
    )


CATEGORY = 'type Category @key(fields: "id") { id: ID! name: String! @shareable }'

AREA = Area(
    "parent-entity-call",
    [
        graph(
            "a",
            '@key(fields: "id") @key(fields: "id pid")',
            "type Query { products: [Product!]! }",
            CATEGORY,
            is_entity=True,
        ),
        graph("b", '@key(fields: "id pid")', "", CATEGORY, is_entity=True),
        graph(
            "c",
            '@key(fields: "id pid")',
            "",
            "type Category { details: CategoryDetails } type CategoryDetails { products: Int }",
            is_entity=False,
        ),
    ],
    [
        Case(
            "{ products { id category { id details { products } } } }",
            {
                "products": [
                    {"id": f"p{n}", "category": {"id": c, "details": {"products": count}}}
                    for n, c, count in ((1, "c1", 2), (2, "c2", 1), (3, "c1", 2))
                ]
            },
        )
    ],
)
