"""@interfaceObject: fields of an interface from graphs that do not know its types."""

from __future__ import annotations

from typing import Any

from tests.federation.subgraphs import FED2, Subgraph
from tests.federation.suites import Area, Case, find, only

USERS = [
    {"id": f"u{n}", "name": f"u{n}-name", "username": f"u{n}-username", "age": 11 * n}
    for n in (1, 2)
]
ACCOUNTS = [
    {"__typename": "Admin", "id": "u1", "name": "Alice", "isMain": False, "isActive": True},
    {"__typename": "Admin", "id": "u2", "name": "Bob", "isMain": True, "isActive": True},
    {"__typename": "Regular", "id": "u3", "name": "Charlie", "isMain": False, "isActive": True},
]


def user(key: Any) -> Any:
    found = find(USERS, id=key["id"])
    return found and {"__typename": "User", **only(found, "id", "name", "age")}


def account(key: Any) -> Any:
    return only(find(ACCOUNTS, id=key["id"]), "__typename", "id", "isActive")


def admin(key: Any) -> Any:
    found = find(ACCOUNTS, id=key["id"])
    return found if found and found["__typename"] == "Admin" else None


def is_main(parent: Any) -> Any:
    return find(ACCOUNTS, id=parent["id"])["isMain"]


def nameless(key: Any) -> Any:
    # A wrong type name on purpose: nobody may believe it.
    return {"__typename": "Never", "id": key["id"]} if find(ACCOUNTS, id=key["id"]) else None


A = Subgraph(
    "a",
    FED2
    + """
    type Query { users: [NodeWithName!]! }
    interface NodeWithName @key(fields: "id") { id: ID! name: String }
    type User implements NodeWithName @key(fields: "id") { id: ID! name: String age: Int }
    interface Account @key(fields: "id") { id: ID! }
    type Admin implements Account @key(fields: "id") {
      id: ID! isMain: Boolean! isActive: Boolean! @shareable
    }
    type Regular implements Account @key(fields: "id") { id: ID! isMain: Boolean! }
    """,
    {
        "Query": {"users": [{"__typename": "User", **only(u, "id", "name", "age")} for u in USERS]},
        "NodeWithName": {"__resolveReference": user},
        "User": {"__resolveReference": user},
        "Account": {"__resolveReference": account},
        "Admin": {"__resolveReference": admin, "isMain": is_main},
        "Regular": {
            "__resolveReference": lambda key: find(ACCOUNTS, id=key["id"]),
            "isMain": is_main,
        },
    },
)

B = Subgraph(
    "b",
    FED2
    + """
    type Query { anotherUsers: [NodeWithName] accounts: [Account] @shareable }
    type Account @key(fields: "id") @interfaceObject { id: ID! name: String! }
    type NodeWithName @key(fields: "id") @interfaceObject { id: ID! username: String }
    """,
    {
        "Query": {
            "anotherUsers": [{"__typename": "User", "id": u["id"]} for u in USERS],
            "accounts": [{"__typename": "Never", "id": a["id"]} for a in ACCOUNTS],
        },
        "NodeWithName": {
            "__resolveReference": lambda key: only(find(USERS, id=key["id"]), "id"),
            "username": lambda parent: find(USERS, id=parent["id"])["username"],
        },
        "Account": {
            "__resolveReference": nameless,
            "name": lambda parent: find(ACCOUNTS, id=parent["id"])["name"],
        },
    },
)

C = Subgraph(
    "c",
    FED2
    + """
    type Account @key(fields: "id") @interfaceObject { id: ID! isActive: Boolean! @shareable }
    """,
    {"Account": {"__resolveReference": nameless, "isActive": False}},
)

AGES = [{"age": 11}, {"age": 22}]
NAMES = [only(u, "id", "name", "username") for u in USERS]
FULL = [only(u, "age", "id", "name", "username") for u in USERS]

AREA = Area(
    "simple-interface-object",
    [A, B, C],
    [
        Case("{ anotherUsers { id name username } }", {"anotherUsers": NAMES}),
        Case("{ users { id name username } }", {"users": NAMES}),
        Case("{ anotherUsers { ... on User { age } } }", {"anotherUsers": AGES}),
        Case("{ users { ... on User { age } } }", {"users": AGES}),
        Case(
            "{ anotherUsers { ... on User { age id name username } id name } }",
            {"anotherUsers": FULL},
        ),
        Case("{ users { ... on User { age id name username } id name } }", {"users": FULL}),
        Case("{ accounts { name } }", {"accounts": [only(a, "name") for a in ACCOUNTS]}),
        Case(
            "{ accounts { ... on Admin { name } } }",
            {"accounts": [{"name": "Alice"}, {"name": "Bob"}, {}]},
        ),
        Case(
            "{ accounts { name __typename } }",
            {"accounts": [only(a, "name", "__typename") for a in ACCOUNTS]},
        ),
        Case(
            "{ accounts { ... on Admin { __typename } } }",
            {"accounts": [{"__typename": "Admin"}, {"__typename": "Admin"}, {}]},
        ),
        Case(
            "{ accounts { id isActive } }",
            {"accounts": [{"id": a["id"], "isActive": False} for a in ACCOUNTS]},
        ),
        Case(
            "{ accounts { id ... on Admin { isActive } } }",
            {
                "accounts": [
                    {"id": "u1", "isActive": True},
                    {"id": "u2", "isActive": True},
                    {"id": "u3"},
                ]
            },
        ),
    ],
)
