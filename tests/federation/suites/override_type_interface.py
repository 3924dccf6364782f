"""An overridden field that its old graph still declares, because an interface needs it."""

from __future__ import annotations

from tests.federation.subgraphs import FED2, Subgraph
from tests.federation.suites import Area, Case, find, only

IMAGES = [
    {"__typename": "ImagePost", "id": f"i{n}", "createdAt": f"i{n}-createdAt"} for n in (1, 2)
]
TEXTS = [
    {"__typename": "TextPost", "id": f"t{n}", "createdAt": f"t{n}-createdAt", "body": f"t{n}-body"}
    for n in (1, 2)
]

A = Subgraph(
    "a",
    FED2
    + """
    interface Post { id: ID! createdAt: String! }
    type ImagePost implements Post @key(fields: "id") { id: ID! createdAt: String! }
    type Query { feed: [Post] }
    """,
    {
        "Query": {"feed": IMAGES},
        "ImagePost": {
            "__resolveReference": lambda key: find(IMAGES, id=key["id"]),
            "createdAt": "NEVER",
        },
    },
)
B = Subgraph(
    "b",
    FED2
    + """
    interface Post { id: ID! createdAt: String! }
    type TextPost implements Post @key(fields: "id") { id: ID! createdAt: String! body: String! }
    interface AnotherPost { id: ID! createdAt: String! }
    type ImagePost implements AnotherPost @key(fields: "id") {
      id: ID! createdAt: String! @override(from: "a")
    }
    type Query { anotherFeed: [AnotherPost] }
    """,
    {
        "Query": {"anotherFeed": IMAGES},
        "TextPost": {"__resolveReference": lambda key: find(TEXTS, id=key["id"])},
        "ImagePost": {"__resolveReference": lambda key: find(IMAGES, id=key["id"])},
    },
)

AREA = Area(
    "override-type-interface",
    [A, B],
    [
        Case("{ feed { id createdAt } }", {"feed": [only(i, "id", "createdAt") for i in IMAGES]}),
        Case("{ feed { ... on TextPost { id body } } }", {"feed": [{}, {}]}),
        Case(
            "{ anotherFeed { createdAt } }", {"anotherFeed": [only(i, "createdAt") for i in IMAGES]}
        ),
        Case(
            "{ anotherFeed { createdAt id ... on ImagePost { createdAt id } } }",
            {"anotherFeed": [only(i, "createdAt", "id") for i in IMAGES]},
        ),
    ],
)
