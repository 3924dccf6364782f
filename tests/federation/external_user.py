"""What the four areas on external fields of extensions have in common: only spelling differs."""

from __future__ import annotations

from tests.federation.subgraphs import Subgraph
from tests.federation.suites import Area, Case, find, only

USERS = [
    {"id": f"u{n}", "name": f"u{n}-name", "nickname": f"u{n}-nickname", "rid": f"u{n}-rid"}
    for n in (1, 2)
]


def external_user(name: str, *, head: str, extension: str, owner: str) -> Area:
    """An area in which graph `a` extends, and graph `b` owns the user."""
    first = USERS[0]
    a = Subgraph(
        "a",
        f"""{head}
        type Query {{ randomUser: User providedRandomUser: User @provides(fields: "name") }}
        {extension} {{ id: ID! @external name: String! @external rid: ID }}
        """,
        {
            "Query": {
                "randomUser": only(first, "id", "rid"),
                "providedRandomUser": only(first, "id", "rid", "name"),
            },
            "User": {
                "__resolveReference": lambda key: only(find(USERS, id=key["id"]), "id", "rid"),
                "name": lambda parent: parent.get("name", "never"),
            },
        },
    )
    b = Subgraph(
        "b",
        f"""{head}
        type Query {{ userById(id: ID): User }}
        type User @key(fields: "id") {{ {owner} nickname: String }}
        """,
        {
            "Query": {"userById": lambda _, id: find(USERS, id=id)},  # noqa: A006
            "User": {"__resolveReference": lambda key: find(USERS, id=key["id"])},
        },
    )
    cases = [
        Case(
            '{ randomUser { id name } userById(id: "u2") { id name nickname } }',
            {
                "randomUser": only(first, "id", "name"),
                "userById": only(USERS[1], "id", "name", "nickname"),
            },
        ),
        Case("{ randomUser { id rid } }", {"randomUser": only(first, "id", "rid")}),
        Case(
            "{ providedRandomUser { id name } }", {"providedRandomUser": only(first, "id", "name")}
        ),
    ]
    return Area(name, [a, b], cases)
