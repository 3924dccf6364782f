"""Arguments in @requires, beside the client's own use of the same field with others."""

from __future__ import annotations

from typing import Any

from tests.federation.subgraphs import FED2, Subgraph
from tests.federation.suites import Area, Case, find, only

PRODUCTS = [{"upc": f"p{n}", "name": f"p-name-{n}", "price": 11 * n, "weight": n} for n in (1, 2)]
POSTS = [{"id": "p1"}, {"id": "p2"}]
COMMENTS = [
    {"id": f"c{n}", "postId": post, "authorId": author, "body": f"c{body}-body"}
    for n, post, author, body in (
        (1, "p1", "a2", 1),
        (2, "p1", "a2", 2),
        (3, "p1", "a2", 3),
        (4, "p2", "a1", 4),
        (5, "p2", "a1", 5),
        (6, "p2", "a1", 6),
        (7, "p2", "a1", 3),
    )
]
AUTHORS = [{"id": "a1", "name": "a1-name"}, {"id": "a2", "name": "a2-name"}]


def known_product(key: Any) -> Any:
    found = only(find(PRODUCTS, upc=key["upc"]), "upc")
    return (
        {**found, **only(key, "price", "weight")} if "price" in key and "weight" in key else found
    )


A = Subgraph(
    "a",
    FED2
    + """
    type Product @key(fields: "upc") {
      upc: String!
      weight: Int @external
      price(currency: String!): Int @external
      shippingEstimate: Int @requires(fields: "price(currency: \\"USD\\") weight")
      category: Category @external
      isExpensiveCategory: Boolean
        @requires(fields: "category { averagePrice(currency: \\"USD\\") }")
    }
    type Category @external { averagePrice(currency: String!): Int }
    """,
    {
        "Product": {
            "__resolveReference": known_product,
            "shippingEstimate": lambda parent: parent["price"] * parent["weight"] * 10,
        }
    },
)
B = Subgraph(
    "b",
    FED2
    + """
    type Query { products: [Product] }
    type Product @key(fields: "upc") {
      upc: String! name: String price(currency: String!): Int weight: Int category: Category
    }
    type Category { averagePrice(currency: String!): Int }
    """,
    {
        "Query": {"products": PRODUCTS},
        "Product": {
            "__resolveReference": lambda key: find(PRODUCTS, upc=key["upc"]),
            "price": lambda parent, currency: parent["price"],
        },
    },
)


def comments(post: Any, limit: Any) -> Any:
    return [one for one in COMMENTS if one["postId"] == post["id"]][:limit]


def judged(key: Any) -> Any:
    found = only(find(COMMENTS, id=key["id"]), "id", "authorId", "body")
    same = key.get("sameCommentOnOtherPosts")
    spam = bool(same) and all(one["id"] for post in same for one in post["comments"])
    return {**found, "isCommentSpam": spam}


def authored(key: Any) -> Any:
    if "comments" not in key:
        return only(key, "id")
    if len(key["comments"]) != 3:
        raise ValueError("Expected 3 comments")
    return {"id": key["id"], "author": find(AUTHORS, id=key["comments"][2]["authorId"])}


def same_comment(parent: Any) -> Any:
    found = find(COMMENTS, id=parent["id"])
    return [
        {"id": one["postId"]}
        for one in COMMENTS
        if one["body"] == found["body"] and one["postId"] != found["postId"]
    ]


C = Subgraph(
    "c",
    FED2
    + """
    type Query { feed: [Post] }
    type Post @key(fields: "id") { id: ID! comments(limit: Int!): [Comment] @external }
    type Comment @key(fields: "id") {
      id: ID!
      authorId: ID
      body: String!
      sameCommentOnOtherPosts: [Post] @external
      isCommentSpam: Boolean
        @requires(fields: "sameCommentOnOtherPosts { comments(limit: 50) { id } }")
    }
    """,
    {
        "Query": {"feed": POSTS},
        "Post": {"__resolveReference": lambda key: only(key, "id"), "comments": comments},
        "Comment": {"__resolveReference": judged},
    },
)
D = Subgraph(
    "d",
    FED2
    + """
    type Post @key(fields: "id") {
      id: ID!
      author: Author @requires(fields: "comments(limit: 3) { authorId }")
      comments(limit: Int!): [Comment]
    }
    type Comment @key(fields: "id") {
      id: ID! date: String authorId: ID @external sameCommentOnOtherPosts: [Post]
    }
    type Author { id: ID! name: String }
    """,
    {
        "Post": {
            "__resolveReference": authored,
            "comments": lambda post, limit: [only(one, "id") for one in comments(post, limit)],
        },
        "Comment": {
            "__resolveReference": lambda key: only(key, "id"),
            "sameCommentOnOtherPosts": same_comment,
        },
    },
)

WITH_FIRST = {
    "feed": [
        {"author": {"id": "a2"}, "comments": [{"id": "c1"}]},
        {"author": {"id": "a1"}, "comments": [{"id": "c4"}]},
    ]
}

AREA = Area(
    "requires-with-argument",
    [A, B, C, D],
    [
        Case(
            "{ products { upc name shippingEstimate } }",
            {
                "products": [
                    {"upc": "p1", "name": "p-name-1", "shippingEstimate": 110},
                    {"upc": "p2", "name": "p-name-2", "shippingEstimate": 440},
                ]
            },
        ),
        Case(
            "{ feed { author { id } } }",
            {"feed": [{"author": {"id": "a2"}}, {"author": {"id": "a1"}}]},
        ),
        Case("{ feed { author { id } comments(limit: 1) { id } } }", WITH_FIRST),
        Case(
            "{ feed { comments(limit: 3) { isCommentSpam } } }",
            {
                "feed": [
                    {"comments": [{"isCommentSpam": n == 2} for n in range(3)]},
                    {"comments": [{"isCommentSpam": False} for _ in range(3)]},
                ]
            },
        ),
        Case(
            "query ($limit: Int = 1) { feed { author { id } comments(limit: $limit) { id } } }",
            WITH_FIRST,
        ),
        Case(
            """query ($limit: Int = 1) { feed { author { id } ...Foo ...Bar } }
            fragment Foo on Post { comments(limit: $limit) { id } }
            fragment Bar on Post { comments(limit: $limit) { id } }""",
            WITH_FIRST,
        ),
    ],
)
