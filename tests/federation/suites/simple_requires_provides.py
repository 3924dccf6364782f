"""Keys, @requires and @provides as in the textbook."""

from __future__ import annotations

from typing import Any

from tests.federation.subgraphs import FED2, Subgraph
from tests.federation.suites import Area, Case, find, only

USERS = [{"id": f"u{n}", "username": f"u-username-{n}", "name": f"u-name-{n}"} for n in (1, 2)]
PRODUCTS = [{"upc": f"p{n}", "name": f"p-name-{n}", "price": 11 * n, "weight": n} for n in (1, 2)]
REVIEWS = [
    {"id": f"r{n}", "body": f"r-body-{n}", "authorId": "u1", "productUpc": f"p{n}"} for n in (1, 2)
]


def user(key: Any) -> Any:
    return find(USERS, id=key["id"])


def shipping(parent: Any) -> Any:
    return parent["price"] * parent["weight"] * 10


ACCOUNTS = Subgraph(
    "accounts",
    FED2
    + """
    type Query { me: User }
    type User @key(fields: "id") { id: ID! name: String username: String @shareable }
    """,
    {"Query": {"me": USERS[0]}, "User": {"__resolveReference": user}},
)
INVENTORY = Subgraph(
    "inventory",
    FED2
    + """
    type Product @key(fields: "upc") {
      upc: String!
      weight: Int @external
      price: Int @external
      inStock: Boolean
      shippingEstimate: Int @requires(fields: "price weight")
      shippingEstimateTag: String @requires(fields: "price weight")
    }
    """,
    {
        "Product": {
            "__resolveReference": lambda key: {
                name: key[name] for name in ("upc", "price", "weight") if name in key
            },
            "inStock": lambda parent: parent["upc"] == "p1",
            "shippingEstimate": shipping,
            "shippingEstimateTag": lambda parent: f"#{parent['upc']}#{shipping(parent)}#",
        }
    },
)
PRODUCT_GRAPH = Subgraph(
    "products",
    FED2
    + """
    type Query { products: [Product] }
    type Product @key(fields: "upc") { upc: String! name: String price: Int weight: Int }
    """,
    {
        "Query": {"products": PRODUCTS},
        "Product": {"__resolveReference": lambda key: find(PRODUCTS, upc=key["upc"])},
    },
)
REVIEW_GRAPH = Subgraph(
    "reviews",
    FED2
    + """
    type Review @key(fields: "id") {
      id: ID! body: String author: User @provides(fields: "username") product: Product
    }
    type User @key(fields: "id") { id: ID! username: String @external reviews: [Review] }
    type Product @key(fields: "upc") { upc: String! reviews: [Review] }
    """,
    {
        "Review": {
            "__resolveReference": lambda key: find(REVIEWS, id=key["id"]),
            "author": lambda parent: find(USERS, id=parent["authorId"]),
            "product": lambda parent: {"upc": parent["productUpc"]},
        },
        "User": {
            "__resolveReference": user,
            "reviews": lambda parent: [r for r in REVIEWS if r["authorId"] == parent["id"]],
        },
        "Product": {
            "reviews": lambda parent: [r for r in REVIEWS if r["productUpc"] == parent["upc"]],
        },
    },
)

AUTHOR = {"id": "u1", "username": "u-username-1"}
ESTIMATES = [110, 440]


def my_products(*products: Any) -> Any:
    return {"me": {"reviews": [{"product": one} for one in products]}}


AREA = Area(
    "simple-requires-provides",
    [ACCOUNTS, INVENTORY, PRODUCT_GRAPH, REVIEW_GRAPH],
    [
        Case("{ me { id } }", {"me": {"id": "u1"}}),
        Case(
            "{ me { id reviews { id } } }",
            {"me": {"id": "u1", "reviews": [{"id": "r1"}, {"id": "r2"}]}},
        ),
        Case(
            "{ me { reviews { id author { id username } product { inStock } } } }",
            {
                "me": {
                    "reviews": [
                        {"id": "r1", "author": AUTHOR, "product": {"inStock": True}},
                        {"id": "r2", "author": AUTHOR, "product": {"inStock": False}},
                    ]
                }
            },
        ),
        Case("{ products { name } }", {"products": [only(p, "name") for p in PRODUCTS]}),
        Case("{ products { price } }", {"products": [only(p, "price") for p in PRODUCTS]}),
        Case(
            "{ products { shippingEstimate } }",
            {"products": [{"shippingEstimate": one} for one in ESTIMATES]},
        ),
        Case(
            "{ products { shippingEstimate weight price } }",
            {
                "products": [
                    {"shippingEstimate": one, **only(p, "weight", "price")}
                    for one, p in zip(ESTIMATES, PRODUCTS, strict=True)
                ]
            },
        ),
        Case(
            """{ products { reviews {
              id author { username } product { name shippingEstimate }
            } } }""",
            {
                "products": [
                    {
                        "reviews": [
                            {
                                "id": f"r{n}",
                                "author": {"username": "u-username-1"},
                                "product": {
                                    "name": f"p-name-{n}",
                                    "shippingEstimate": ESTIMATES[n - 1],
                                },
                            }
                        ]
                    }
                    for n in (1, 2)
                ]
            },
        ),
        Case(
            "{ me { reviews { product { reviews { id } } } } }",
            my_products({"reviews": [{"id": "r1"}]}, {"reviews": [{"id": "r2"}]}),
        ),
        Case(
            "{ me { reviews { product { inStock } } } }",
            my_products({"inStock": True}, {"inStock": False}),
        ),
        Case(
            "{ me { reviews { product { shippingEstimate } } } }",
            my_products({"shippingEstimate": 110}, {"shippingEstimate": 440}),
        ),
        Case(
            "{ me { reviews { product { shippingEstimate shippingEstimateTag } } } }",
            my_products(
                {"shippingEstimate": 110, "shippingEstimateTag": "#p1#110#"},
                {"shippingEstimate": 440, "shippingEstimateTag": "#p2#440#"},
            ),
        ),
    ],
)
