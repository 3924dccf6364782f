"""A field of an @interfaceObject that requires a field of the interface."""

from __future__ import annotations

from typing import Any

from tests.federation.subgraphs import FED2, Subgraph
from tests.federation.suites import Area, Case, find, only

USERS = [
    {
        "__typename": "User",
        "id": f"u{n}",
        "name": f"u{n}-name",
        "username": f"u{n}-username",
        "age": 11 * n,
    }
    for n in (1, 2)
]


def known(key: Any) -> Any:
    return {name: key[name] for name in ("id", "name") if name in key}


def username(parent: Any) -> Any:
    if not parent.get("name"):
        raise ValueError("the required name is missing")
    return find(USERS, id=parent["id"])["username"]


def user(key: Any) -> Any:
    return find(USERS, id=key["id"])


A = Subgraph(
    "a",
    FED2
    + """
    type Query { users: [NodeWithName!]! }
    interface NodeWithName @key(fields: "id") { id: ID! name: String }
    type User implements NodeWithName @key(fields: "id") { id: ID! name: String age: Int }
    """,
    {
        "Query": {"users": USERS},
        "NodeWithName": {"__resolveReference": user},
        "User": {"__resolveReference": user},
    },
)
B = Subgraph(
    "b",
    FED2
    + """
    type Query { anotherUsers: [NodeWithName] }
    type NodeWithName @key(fields: "id") @interfaceObject {
      id: ID! name: String @external username: String @requires(fields: "name")
    }
    """,
    {
        "Query": {"anotherUsers": [{"__typename": "User", "id": u["id"]} for u in USERS]},
        "NodeWithName": {"__resolveReference": known, "username": username},
    },
)

PLAIN = [only(u, "id", "name", "username") for u in USERS]
AGES = [only(u, "age") for u in USERS]
FULL = [only(u, "age", "id", "name", "username") for u in USERS]

AREA = Area(
    "interface-object-with-requires",
    [A, B],
    [
        Case("{ anotherUsers { id name username } }", {"anotherUsers": PLAIN}),
        Case("{ users { id name username } }", {"users": PLAIN}),
        Case("{ anotherUsers { ... on User { age } } }", {"anotherUsers": AGES}),
        Case("{ users { ... on User { age } } }", {"users": AGES}),
        Case(
            "{ anotherUsers { ... on User { age id name username } id name } }",
            {"anotherUsers": FULL},
        ),
        Case("{ users { ... on User { age id name username } id name } }", {"users": FULL}),
    ],
    is_kept=True,
)
