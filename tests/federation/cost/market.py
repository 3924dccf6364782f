"""Three subgraphs with weights and sized lists, and entities that hop between them.

``market.graphql`` is their supergraph; make it anew with
``python -m tests.federation.cost.market``.
"""

from __future__ import annotations

import json
from pathlib import Path

from cli import node
from cli.compose import COMPOSER
from tests.federation.subgraphs import Subgraph

__all__ = ["SUBGRAPHS", "SUPERGRAPH_FILE"]

SUPERGRAPH_FILE = Path(__file__).with_name("market.graphql")

_LINK = (
    'extend schema @link(url: "https://specs.apollo.dev/federation/v2.9", import: ['
    '"@key", "@external", "@requires", "@shareable", "@cost", "@listSize"])\n'
)
_PRODUCTS = [{"id": str(number), "name": f"Product {number}", "size": 2} for number in range(4)]
_USERS = [{"id": "u1", "name": "Ada"}, {"id": "u2", "name": "Bob"}]

SHOP = Subgraph(
    "shop",
    _LINK
    + """
    type Query {
      products(first: Int = 5): Products
        @listSize(slicingArguments: ["first"], sizedFields: ["edges"])
      top: Product
      pair: [Product!]! @listSize(assumedSize: 2)
      guests: [User!]!
    }
    type Mutation { buy(id: ID!): Product @cost(weight: 20) }
    type Subscription { sold: Product }
    type Products { edges: [Edge!]! }
    type Edge { node: Product! }
    type Product @key(fields: "id") { id: ID! name: String size: Int }
    type User @key(fields: "id") @cost(weight: 3) { id: ID! }
    """,
    {
        "Query": {
            "products": lambda _, first: {"edges": [{"node": one} for one in _PRODUCTS[:first]]},
            "top": _PRODUCTS[0],
            "pair": _PRODUCTS[:2],
            "guests": _USERS,
        },
        "Mutation": {"buy": lambda _, id: _PRODUCTS[int(id)]},  # noqa: A006
        "Product": {"__resolveReference": lambda one: _PRODUCTS[int(one["id"])]},
    },
)
REVIEWS = Subgraph(
    "reviews",
    _LINK
    + """
    type Query { motto: String }
    type Product @key(fields: "id") {
      id: ID!
      size: Int @external
      reviews(first: Int): [Review!]!
        @listSize(slicingArguments: ["first"], assumedSize: 3, requireOneSlicingArgument: false)
      shipping: Int @requires(fields: "size") @cost(weight: 4)
    }
    type Review { stars: Int author: User }
    type User @key(fields: "id") { id: ID! }
    """,
    {
        "Product": {
            "reviews": lambda _, first=2: [{"stars": 5, "author": _USERS[0]}] * min(first, 2),
            "shipping": lambda one: one["size"] * 3,
        }
    },
)
USERS = Subgraph(
    "users",
    _LINK
    + """
    type Query { me: User }
    type User @key(fields: "id") { id: ID! name: String }
    """,
    {"User": {"name": lambda one: next(u["name"] for u in _USERS if u["id"] == one["id"])}},
)
SUBGRAPHS = {one.name: one for one in (SHOP, REVIEWS, USERS)}


def _compose() -> None:
    given = [
        {"name": one.name, "url": f"http://{one.name}.test", "typeDefs": one.sdl}
        for one in SUBGRAPHS.values()
    ]
    answer = json.loads(node.run(COMPOSER, stdin=json.dumps(given)))
    if "errors" in answer:
        raise SystemExit(json.dumps(answer["errors"], indent=2))
    SUPERGRAPH_FILE.write_text(answer["supergraphSdl"].strip() + "\n")


if __name__ == "__main__":
    _compose()
