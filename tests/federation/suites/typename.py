"""`__typename` and its aliases on unions, interfaces and an @interfaceObject."""

from __future__ import annotations

from typing import Any

from tests.federation.subgraphs import FED2, Subgraph
from tests.federation.suites import Area, Case, find, only

USERS = [
    {"__typename": "Admin", "id": f"u{n}", "name": f"u{n}-name", "isMain": n == 1} for n in (1, 2)
]


def user(key: Any) -> Any:
    return find(USERS, id=key["id"])


A = Subgraph(
    "a",
    FED2
    + """
    type Query { union: Product interface: Node }
    union Product = Oven | Toaster
    interface Node { id: ID! }
    type Oven implements Node { id: ID! }
    type Toaster implements Node { id: ID! }
    interface User @key(fields: "id") { id: ID! }
    type Admin implements User @key(fields: "id") { id: ID! isMain: Boolean! }
    """,
    {
        "Query": {
            "union": {"__typename": "Oven", "id": "1"},
            "interface": {"__typename": "Toaster", "id": "2"},
        },
        "User": {"__resolveReference": user},
        "Admin": {"__resolveReference": user},
    },
)
B = Subgraph(
    "b",
    FED2
    + """
    type Query { users: [User] }
    type User @key(fields: "id") @interfaceObject { id: ID! name: String! }
    """,
    {
        "Query": {"users": [only(u, "id") for u in USERS]},
        "User": {
            "__resolveReference": lambda key: only(user(key), "id"),
            "name": lambda parent: user(parent)["name"],
        },
    },
)

EACH = "... on Oven { typename: __typename } ... on Toaster { typename: __typename }"
OVEN = {"__typename": "Oven", "typename": "Oven"}
TOASTER = {"__typename": "Toaster", "typename": "Toaster"}

AREA = Area(
    "typename",
    [A, B],
    [
        Case("{ union { __typename typename: __typename } }", {"union": OVEN}),
        Case(
            "{ interface { id __typename typename: __typename t: __typename } }",
            {"interface": {"id": "2", **TOASTER, "t": "Toaster"}},
        ),
        Case(f"{{ union {{ __typename {EACH} }} }}", {"union": OVEN}),
        Case(f"{{ interface {{ __typename {EACH} }} }}", {"interface": TOASTER}),
        Case("{ users { id } }", {"users": [only(u, "id") for u in USERS]}),
        Case("{ users { __typename } }", {"users": [only(u, "__typename") for u in USERS]}),
    ],
)
