"""An object without a key, shared at the root: one field a graph, also in a list."""

from __future__ import annotations

from typing import Any

from tests.federation.subgraphs import FED2, Subgraph
from tests.federation.suites import Area, Case

PRODUCT = {
    "id": "1",
    "name": {"id": "1", "brand": "Brand 1", "model": "Model 1"},
    "category": {"id": "1", "name": "Category 1"},
    "price": {"id": "1", "amount": 1000, "currency": "USD"},
}


def graph(name: Any, type_: Any) -> Any:
    return Subgraph(
        name,
        f"""{FED2}
        type Query {{ product: Product! @shareable products: [Product!]! @shareable }}
        type Product {{ id: ID! @shareable {name}: {name.capitalize()}! }}
        type {name.capitalize()} {{ id: ID! {type_} }}
        """,
        {"Query": {"product": PRODUCT, "products": [PRODUCT]}},
    )


EVERYTHING = "id name { id brand model } category { id name } price { id amount currency }"

AREA = Area(
    "shared-root",
    [
        graph("category", "name: String!"),
        graph("name", "brand: String! model: String!"),
        graph("price", "amount: Int! currency: String!"),
    ],
    [
        Case(f"{{ product {{ {EVERYTHING} }} }}", {"product": PRODUCT}),
        Case(f"{{ products {{ {EVERYTHING} }} }}", {"products": [PRODUCT]}),
    ],
)
