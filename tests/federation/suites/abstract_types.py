"""Interfaces and unions spread over six graphs, each of which declares other fields."""

from __future__ import annotations

from typing import Any

from tests.federation.subgraphs import FED2, Subgraph
from tests.federation.suites import Area, Case, find, only

USERS = [{"id": f"u{n}", "email": f"u{n}@example.com", "name": f"u{n}-name"} for n in (1, 2, 3)]
SELF = {"__typename": "Self", "email": USERS[0]["email"]}
AGENCY_1 = {"__typename": "Agency", "id": "a1"}


def product(
    kind: Any, n: Any, *, title: Any, by: Any, weight: Any, publisher: Any, hidden: Any = False
) -> Any:
    return {
        "__typename": kind,
        "id": f"p{n}",
        "sku": f"sku-{n}",
        "title": title,
        "createdBy": by,
        "dimensions": {"size": "small", "weight": weight},
        "publisherType": publisher,
        "hidden": hidden,
    }


BOOKS = [
    product("Book", 1, title="Book 1", by="u1", weight=0.5, publisher=SELF),
    product("Book", 3, title="Book 2", by="u2", weight=0.6, publisher=AGENCY_1),
]
MAGAZINES = [
    product("Magazine", 2, title="Magazine 1", by="u1", weight=0.2, publisher=AGENCY_1),
    product("Magazine", 4, title="Magazine 2", by="u2", weight=0.3, publisher=SELF, hidden=True),
]
PRODUCTS: list[dict[str, Any]] = BOOKS + MAGAZINES
REVIEWS: list[dict[str, Any]] = [
    {"id": 1, "body": "review 1", "productId": "p1", "score": 3},
    {"id": 2, "body": "review 2", "productId": "p1", "score": 4},
    {"id": 3, "body": "review 3", "productId": "p2", "score": 5},
]
AGENCIES = [{"id": "a1", "companyName": "Agency 1", "email": {"address": "a1@example.com"}}]

AGENCY = Subgraph(
    "agency",
    FED2
    + """
    type Agency @key(fields: "id") { id: ID! companyName: String email: Email }
    type Email { address: String }
    type Group @key(fields: "id") { id: ID! name: String email: String }
    extend union PublisherType = Agency | Group
    """,
    {
        "Agency": {"__resolveReference": lambda key: find(AGENCIES, id=key["id"])},
        "Group": {
            "__resolveReference": lambda key: {
                "id": key["id"],
                "name": f"Group {key['id']}",
                "email": f"group{key['id']}@example.com",
            }
        },
    },
)


def titled(items: Any) -> Any:
    return lambda key: only(find(items, id=key["id"]), "__typename", "id", "title")


BOOK_GRAPH = Subgraph(
    "books",
    FED2 + 'type Book @key(fields: "id") { id: ID! title: String } type Query { books: [Book] }',
    {"Query": {"books": BOOKS}, "Book": {"__resolveReference": titled(BOOKS)}},
)
MAGAZINE_GRAPH = Subgraph(
    "magazines",
    FED2
    + """
    type Magazine @key(fields: "id") { id: ID! title: String }
    type Query { magazines: [Magazine] }
    """,
    {"Query": {"magazines": MAGAZINES}, "Magazine": {"__resolveReference": titled(MAGAZINES)}},
)


def delivery(parent: Any, zip: Any = None) -> Any:  # noqa: A002
    size = parent.get("dimensions")
    if not zip or not size:
        return None
    if size["size"] == "small" and size["weight"] < 1:
        return {"estimatedDelivery": "1 day", "fastestDelivery": "same day"}
    return {"estimatedDelivery": "3 days", "fastestDelivery": "2 days"}


def stocked(items: Any) -> Any:
    def resolve(key: Any) -> Any:
        found = only(find(items, id=key["id"]), "__typename", "id")
        return found and {**found, "dimensions": key.get("dimensions")}

    return resolve


INVENTORY = Subgraph(
    "inventory",
    FED2
    + """
    interface Product {
      id: ID! dimensions: ProductDimension delivery(zip: String): DeliveryEstimates
    }
    type Book implements Product @key(fields: "id") {
      id: ID!
      dimensions: ProductDimension @external
      delivery(zip: String): DeliveryEstimates @requires(fields: "dimensions { size weight }")
    }
    type Magazine implements Product @key(fields: "id") {
      id: ID!
      dimensions: ProductDimension @external
      delivery(zip: String): DeliveryEstimates @requires(fields: "dimensions { size weight }")
    }
    type ProductDimension @shareable { size: String weight: Float }
    type DeliveryEstimates { estimatedDelivery: String fastestDelivery: String }
    """,
    {
        "Book": {"__resolveReference": stocked(BOOKS), "delivery": delivery},
        "Magazine": {"__resolveReference": stocked(MAGAZINES), "delivery": delivery},
    },
)

SHOWN = ("__typename", "id", "sku", "dimensions", "createdBy", "hidden", "publisherType")


def similar_to(parent: Any) -> Any:
    kind = find(PRODUCTS, id=parent["id"])["__typename"]
    return [
        only(p, *SHOWN) for p in PRODUCTS if p["__typename"] == kind and p["id"] != parent["id"]
    ]


def created_by(parent: Any) -> Any:
    return only(find(USERS, id=parent["createdBy"]), "id", "email")


def total_created(user: Any) -> Any:
    return sum(p["createdBy"] == user["id"] for p in PRODUCTS)


PRODUCT_GRAPH = Subgraph(
    "products",
    FED2
    + """
    type Query { products: [Product] similar(id: ID!): [Product] }
    interface Product {
      id: ID! sku: String dimensions: ProductDimension createdBy: User
      hidden: Boolean @inaccessible
    }
    interface Similar { similar: [Product] }
    type ProductDimension @shareable { size: String weight: Float }
    type Book implements Product & Similar @key(fields: "id") {
      id: ID! sku: String dimensions: ProductDimension @shareable createdBy: User
      similar: [Book] hidden: Boolean publisherType: PublisherType
    }
    type Magazine implements Product & Similar @key(fields: "id") {
      id: ID! sku: String dimensions: ProductDimension @shareable createdBy: User
      similar: [Magazine] hidden: Boolean publisherType: PublisherType
    }
    union PublisherType = Agency | Self
    type Agency { id: ID! @shareable }
    type Self { email: String }
    type User @key(fields: "email") { email: ID! totalProductsCreated: Int @shareable }
    """,
    {
        "Query": {
            "products": [only(p, *SHOWN) for p in PRODUCTS],
            "similar": lambda _, id: similar_to({"id": id}),  # noqa: A006
        },
        "Book": {
            "__resolveReference": lambda key: only(find(BOOKS, id=key["id"]), *SHOWN),
            "similar": similar_to,
            "createdBy": created_by,
        },
        "Magazine": {
            "__resolveReference": lambda key: only(find(MAGAZINES, id=key["id"]), *SHOWN),
            "similar": similar_to,
            "createdBy": created_by,
        },
        "User": {
            "__resolveReference": lambda key: only(find(USERS, email=key["email"]), "id", "email"),
            "totalProductsCreated": total_created,
        },
    },
)


def review(found: Any) -> Any:
    about = only(find(PRODUCTS, id=found["productId"]), "__typename", "id")
    return {"id": found["id"], "body": found["body"], "product": about}


def reviews_of(parent: Any) -> Any:
    return [review(one) for one in REVIEWS if one["productId"] == parent["id"]]


def score_of(parent: Any) -> Any:
    scores = [one["score"] for one in REVIEWS if one["productId"] == parent["id"]]
    return sum(scores) / len(scores) if scores else 0


def reviewed(key: Any) -> Any:
    found = only(find(PRODUCTS, id=key["id"]), "__typename", "id")
    return found and {**found, "similar": key.get("similar")}


REVIEWED = {
    "__resolveReference": reviewed,
    "reviews": reviews_of,
    "reviewsCount": lambda parent: len(reviews_of(parent)),
    "reviewsScore": score_of,
    "reviewsOfSimilar": lambda parent: [
        one for other in parent["similar"] for one in reviews_of(other)
    ],
}


def reviewed_type(name: Any) -> Any:
    return f"""
    type {name} implements Product & Similar @key(fields: "id") {{
      id: ID! reviewsCount: Int! reviewsScore: Float! @shareable reviews: [Review!]!
      similar: [{name}] @external
      reviewsOfSimilar: [Review!]! @requires(fields: "similar {{ id }}")
    }}
    """


REVIEW_GRAPH = Subgraph(
    "reviews",
    FED2
    + reviewed_type("Book")
    + reviewed_type("Magazine")
    + """
    interface Product { id: ID! reviewsCount: Int! reviewsScore: Float! reviews: [Review!]! }
    interface Similar { similar: [Product] }
    type Query { review(id: Int!): Review }
    type Review { id: Int! body: String! product: Product }
    """,
    {"Book": REVIEWED, "Magazine": REVIEWED},
)
USER_GRAPH = Subgraph(
    "users",
    FED2
    + """
    type User @key(fields: "email") {
      email: ID! name: String totalProductsCreated: Int @shareable
    }
    """,
    {
        "User": {
            "__resolveReference": lambda key: only(
                find(USERS, email=key["email"]), "id", "email", "name"
            ),
            "totalProductsCreated": total_created,
        }
    },
)

DELIVERED = {"fastestDelivery": "same day", "estimatedDelivery": "1 day"}


def reviewed_products(book: Any, magazine: Any) -> Any:
    """The four products with their reviews, each review's product being as given."""
    return {
        "products": [
            {"id": "p1", "reviews": [{"product": book}, {"product": book}]},
            {"id": "p3", "reviews": []},
            {"id": "p2", "reviews": [{"product": magazine}]},
            {"id": "p4", "reviews": []},
        ]
    }


def conditional(default: Any, book: Any, magazine: Any = "... on Magazine { sku }") -> Any:
    return (
        f"query ($title: Boolean = {default})"
        f" {{ products {{ id reviews {{ product {{ id {book} {magazine} }} }} }} }}"
    )


P1 = {"id": "p1"}
P2 = {"id": "p2", "sku": "sku-2"}
TITLE = {"title": "Book 1"}
SKU = {"sku": "sku-1"}
PUBLISHERS = """
  { products { id reviews { product { id
    ... on Magazine { publisherType { ...Publisher } }
    ... on Book { publisherType { ...Publisher } }
  } } } }
  fragment Publisher on PublisherType {
"""
PUBLISHED = reviewed_products(
    {"id": "p1", "publisherType": {"email": "u1@example.com"}},
    {"id": "p2", "publisherType": {"id": "a1", "companyName": "Agency 1"}},
)

AREA = Area(
    "abstract-types",
    [AGENCY, BOOK_GRAPH, INVENTORY, MAGAZINE_GRAPH, PRODUCT_GRAPH, REVIEW_GRAPH, USER_GRAPH],
    [
        Case(
            "{ products { id dimensions { size weight } } }",
            {"products": [only(p, "id", "dimensions") for p in PRODUCTS]},
        ),
        Case('{ similar(id: "p1") { id sku } }', {"similar": [{"id": "p3", "sku": "sku-3"}]}),
        Case(
            """{
              book: similar(id: "p1") {
                id sku delivery(zip: "1234") { fastestDelivery estimatedDelivery }
              }
              magazine: similar(id: "p2") {
                id sku delivery(zip: "1234") { fastestDelivery estimatedDelivery }
              }
            }""",
            {
                "book": [{"id": "p3", "sku": "sku-3", "delivery": DELIVERED}],
                "magazine": [{"id": "p4", "sku": "sku-4", "delivery": DELIVERED}],
            },
        ),
        Case(
            """{ products {
              sku ... on Product { sku } ... on Book { sku } ... on Magazine { sku }
              ... on Similar { __typename type: __typename }
            } }""",
            {
                "products": [
                    {"sku": p["sku"], "__typename": p["__typename"], "type": p["__typename"]}
                    for p in PRODUCTS
                ]
            },
        ),
        Case(
            """{ products {
              author: createdBy { email totalProductsCreated } ... on Magazine { title }
            } }""",
            {
                "products": [
                    {"author": {"email": "u1@example.com", "totalProductsCreated": 2}},
                    {"author": {"email": "u2@example.com", "totalProductsCreated": 2}},
                    {
                        "author": {"email": "u1@example.com", "totalProductsCreated": 2},
                        "title": "Magazine 1",
                    },
                    {
                        "author": {"email": "u2@example.com", "totalProductsCreated": 2},
                        "title": "Magazine 2",
                    },
                ]
            },
        ),
        Case(
            """{ products { id reviews { product {
              sku ... on Magazine { title } ... on Book { reviewsCount }
            } } } }""",
            reviewed_products(
                {"sku": "sku-1", "reviewsCount": 2}, {"sku": "sku-2", "title": "Magazine 1"}
            ),
        ),
        Case(
            "{ products { id reviews { id } } }",
            {
                "products": [
                    {"id": "p1", "reviews": [{"id": 1}, {"id": 2}]},
                    {"id": "p3", "reviews": []},
                    {"id": "p2", "reviews": [{"id": 3}]},
                    {"id": "p4", "reviews": []},
                ]
            },
        ),
        Case(
            conditional("true", "... on Book @include(if: $title) { title }"),
            reviewed_products({**P1, **TITLE}, P2),
        ),
        Case(
            conditional("false", "... on Book @include(if: $title) { title }"),
            reviewed_products(P1, P2),
        ),
        Case(
            conditional("false", "... on Book @skip(if: $title) { title }"),
            reviewed_products({**P1, **TITLE}, P2),
        ),
        Case(
            conditional("true", "... on Book @skip(if: $title) { title }"),
            reviewed_products(P1, P2),
        ),
        Case(
            conditional("true", "... on Book @skip(if: $title) { title } ... on Book { sku }"),
            reviewed_products({**P1, **SKU}, P2),
        ),
        Case(
            conditional("false", "... on Book @skip(if: $title) { title } ... on Book { sku }"),
            reviewed_products({**P1, **TITLE, **SKU}, P2),
        ),
        Case(
            conditional("true", "... on Book @include(if: $title) { title ... on Book { sku } }"),
            reviewed_products({**P1, **TITLE, **SKU}, P2),
        ),
        Case(
            conditional(
                "true",
                "... on Book @include(if: $title) { title ... on Book @skip(if: $title) { sku } }",
            ),
            reviewed_products({**P1, **TITLE}, P2),
        ),
        Case(
            f"{PUBLISHERS} ... on Agency {{ id companyName }} ... on Self {{ email }} }}", PUBLISHED
        ),
        Case(
            f"{PUBLISHERS} ... on Agency {{ id companyName }} ... on Self {{ email }}"
            " ... on Group { name } }",
            PUBLISHED,
        ),
        Case(
            f"{PUBLISHERS} ... on Agency {{ emailObj: email {{ address }} }}"
            " ... on Self { emailStr: email } ... on Group { emailStr: email } }",
            reviewed_products(
                {"id": "p1", "publisherType": {"emailStr": "u1@example.com"}},
                {"id": "p2", "publisherType": {"emailObj": {"address": "a1@example.com"}}},
            ),
        ),
    ],
)
