"""An enum with a value that is inaccessible, and that one graph does not know."""

from __future__ import annotations

from typing import Any

from tests.federation.subgraphs import FED2, Subgraph
from tests.federation.suites import Area, Case, find

USERS = [{"id": "u1", "type": "REGULAR"}, {"id": "u2", "type": "ANONYMOUS"}]


def user(key: Any) -> Any:
    return find(USERS, id=key["id"])


A = Subgraph(
    "a",
    FED2
    + """
    type Query { users: [User] }
    type User @key(fields: "id") { id: ID type: UserType @shareable }
    enum UserType { REGULAR }
    """,
    {"Query": {"users": USERS}, "User": {"__resolveReference": user}},
)
B = Subgraph(
    "b",
    FED2
    + """
    type Query { usersByType(type: UserType!): [User!] usersB: [User!] }
    extend type User @key(fields: "id") { id: ID type: UserType @shareable }
    enum UserType { ANONYMOUS @inaccessible REGULAR }
    """,
    {
        "Query": {
            "usersByType": lambda _, type: [one for one in USERS if one["type"] == type],  # noqa: A006
            "usersB": USERS,
        },
        "User": {"__resolveReference": user},
    },
)

REGULAR = {"id": "u1", "type": "REGULAR"}

AREA = Area(
    "enum-intersection",
    [A, B],
    [
        Case("{ users { id } }", {"users": [{"id": "u1"}, {"id": "u2"}]}),
        Case(
            "{ users { id type } }", {"users": [REGULAR, {"id": "u2", "type": None}]}, errors=True
        ),
        Case("{ usersB { id type } }", {"usersB": [REGULAR, {"id": "u2", "type": None}]}),
        Case("{ usersByType(type: REGULAR) { id type } }", {"usersByType": [REGULAR]}),
        Case("{ usersByType(type: ANONYMOUS) { id type } }", None, errors=True),
    ],
)
