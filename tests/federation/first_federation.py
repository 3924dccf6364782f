"""Three subgraphs of Federation 1; ``first_federation.graphql`` is what `@apollo/federation` 0.38
composed of them (join specification 0.1)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.federation.subgraphs import Subgraph
from tests.federation.suites import find

__all__ = ["SUBGRAPHS", "SUPERGRAPH_FILE"]

SUPERGRAPH_FILE = Path(__file__).with_name("first_federation.graphql")

PRODUCTS: list[dict[str, Any]] = [
    {
        "__typename": "Book",
        "upc": "1",
        "sku": "s1",
        "brand": {"id": "b1"},
        "title": "Emma",
        "price": 10,
        "weight": 5,
        "dims": {"size": "L", "width": 3},
    },
    {
        "__typename": "Sofa",
        "upc": "2",
        "sku": "s2",
        "brand": {"id": "b2"},
        "seats": 3,
        "price": 200,
        "weight": 50,
        "dims": None,
    },
]
USERS: list[dict[str, Any]] = [
    {"__typename": "User", "id": "u1", "name": "Ada", "username": "@ada", "org": "o1"},
    {"__typename": "User", "id": "u2", "name": "Bob", "username": "@bob", "org": "o2"},
]
REVIEWS: list[dict[str, Any]] = [
    {"id": "r1", "body": "good", "author": USERS[0], "product": PRODUCTS[0]},
    {"id": "r2", "body": "bad", "author": USERS[1], "product": PRODUCTS[1]},
]


def product(key: Any) -> Any:
    name = "upc" if "upc" in key else "sku"
    return find(PRODUCTS, **{name: key[name]})


def reviews_of(one: Any) -> list[Any]:
    return [each for each in REVIEWS if each["product"]["upc"] == one["upc"]]


SUBGRAPHS = (
    Subgraph(
        "accounts",
        """
        extend type Query { me: User users: [User!]! node(id: ID!): Node byline: Byline }
        extend type Mutation { login(id: ID!): User }
        interface Node { id: ID! }
        type Byline { who: User }
        enum Role { ADMIN USER }
        type User implements Node @key(fields: "id") @key(fields: "username org") {
          id: ID! name: String username: String! org: String! role: Role
        }
        """,
        {
            "Query": {
                "me": USERS[0],
                "users": USERS,
                "node": lambda _, id: find(USERS, id=id),  # noqa: A006
                "byline": {"who": USERS[0]},
            },
            "Mutation": {"login": lambda _, id: find(USERS, id=id)},  # noqa: A006
            "User": {"role": "ADMIN", "__resolveReference": lambda key: find(USERS, id=key["id"])},
        },
    ),
    Subgraph(
        "products",
        """
        extend type Query { products(first: Int = 5): [Product] stuff: [Stuff] }
        extend type Mutation { price(upc: ID!, price: Int!): Product }
        interface Product { upc: ID! sku: ID price: Int }
        union Stuff = Book | Sofa
        type Dims { size: String width: Int }
        type Brand @key(fields: "id") { id: ID! name: String }
        type Book implements Product @key(fields: "upc") @key(fields: "sku brand { id }") {
          upc: ID! sku: ID brand: Brand title: String price: Int weight: Int dims: Dims
        }
        type Sofa implements Product @key(fields: "upc") @key(fields: "sku") {
          upc: ID! sku: ID brand: Brand seats: Int price: Int weight: Int dims: Dims
        }
        """,
        {
            "Query": {"products": lambda _, first: PRODUCTS[:first], "stuff": PRODUCTS},
            "Mutation": {"price": lambda _, upc, price: {**product({"upc": upc}), "price": price}},
            "Brand": {"name": lambda one: f"brand {one['id']}"},
            "Book": {"__resolveReference": product},
            "Sofa": {"__resolveReference": product},
        },
    ),
    Subgraph(
        "reviews",
        """
        extend type Query { reviews: [Review!]! lastByline: Byline }
        extend type Mutation { review(upc: ID!, body: String!): Review }
        type Byline { who: User @provides(fields: "username") }
        type Dims { size: String width: Int }
        type Review @key(fields: "id") {
          id: ID! body: String author: User @provides(fields: "username") product: Product
        }
        extend type User @key(fields: "id") {
          id: ID! @external username: String! @external name: String @external
          reviews: [Review] score: Int @requires(fields: "name username")
        }
        extend interface Product { reviews: [Review] }
        extend type Book implements Product @key(fields: "upc") {
          upc: ID! @external weight: Int @external dims: Dims @external
          reviews: [Review] shipping: Int @requires(fields: "weight dims { width }")
        }
        extend type Sofa implements Product @key(fields: "upc") {
          upc: ID! @external weight: Int @external
          reviews: [Review] shipping: Int @requires(fields: "weight")
        }
        """,
        {
            "Query": {"reviews": REVIEWS, "lastByline": {"who": USERS[1]}},
            "Mutation": {
                "review": lambda _, upc, body: {
                    "id": "r3",
                    "body": body,
                    "author": USERS[0],
                    "product": product({"upc": upc}),
                }
            },
            "User": {
                "reviews": lambda one: [r for r in REVIEWS if r["author"]["id"] == one["id"]],
                "score": lambda one: len(one["name"] + one["username"]),
            },
            "Book": {
                "reviews": reviews_of,
                "shipping": lambda one: one["weight"] + one["dims"]["width"],
            },
            "Sofa": {"reviews": reviews_of, "shipping": lambda one: one["weight"]},
        },
    ),
)
