"""An inaccessible argument with an inaccessible default, and an inaccessible answer."""

from __future__ import annotations

from typing import Any

from tests.federation.subgraphs import FED2, Subgraph
from tests.federation.suites import Area, Case, find

USERS = [{"id": "u1", "age": 11, "friends": ["u2"]}, {"id": "u2", "age": 22, "friends": ["u1"]}]


def user(key: Any) -> Any:
    return find(USERS, id=key["id"])


def friends(parent: Any, type: Any = None) -> Any:  # noqa: A002
    if type != "FAMILY":
        raise ValueError("the default has not been applied")
    return [find(USERS, id=one) for one in parent["friends"]]


AGE = Subgraph(
    "age",
    FED2
    + """
    type Query { usersInAge: [User!]! @shareable }
    type User @key(fields: "id") { id: ID age: Int }
    """,
    {"Query": {"usersInAge": USERS}, "User": {"__resolveReference": user}},
)
FRIENDS = Subgraph(
    "friends",
    FED2
    + """
    type Query { usersInFriends: [User!]! }
    type User @key(fields: "id") {
      id: ID friends(type: FriendType = FAMILY @inaccessible): [User!]! type: FriendType
    }
    enum FriendType { FAMILY @inaccessible FRIEND }
    """,
    {
        "Query": {"usersInFriends": USERS},
        "User": {"__resolveReference": user, "friends": friends, "type": "FAMILY"},
    },
)


def befriended(**more: Any) -> Any:
    return [
        {"id": "u1", "friends": [{"id": "u2", **more}]},
        {"id": "u2", "friends": [{"id": "u1", **more}]},
    ]


AREA = Area(
    "simple-inaccessible",
    [AGE, FRIENDS],
    [
        Case("{ usersInAge { id friends { id } } }", {"usersInAge": befriended()}),
        Case("{ usersInFriends { id friends { id } } }", {"usersInFriends": befriended()}),
        Case("{ usersInFriends { id friends(type: FRIEND) { id } } }", None, errors=True),
        Case(
            "{ usersInFriends { id friends { id type } } }",
            {"usersInFriends": befriended(type=None)},
        ),
    ],
)
