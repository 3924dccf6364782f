"""An input field that only one graph knows cannot be used."""

from __future__ import annotations

from typing import Any

from tests.federation.subgraphs import FED2, Subgraph
from tests.federation.suites import Area, Case, find

USERS = [{"id": f"u{n}", "name": f"u{n}-name"} for n in (1, 2)]


def users(_: Any, filter: Any) -> Any:  # noqa: A002
    return [] if "offset" in filter else USERS


def graph(name: Any, field: Any, inputs: Any) -> Any:
    return Subgraph(
        name,
        f"""{FED2}
        input UsersFilter {{ {inputs} }}
        type User @key(fields: "id") {{ id: ID! name: String! @shareable }}
        type Query {{ {field}(filter: UsersFilter!): [User!] }}
        """,
        {
            "Query": {field: users},
            "User": {"__resolveReference": lambda key: find(USERS, id=key["id"])},
        },
    )


AREA = Area(
    "input-object-intersection",
    [graph("a", "usersInA", "first: Int!"), graph("b", "usersInB", "offset: Int first: Int!")],
    [
        Case(
            "{ usersInA(filter: { first: 1 }) { id } }", {"usersInA": [{"id": "u1"}, {"id": "u2"}]}
        ),
        Case("{ usersInA(filter: { first: 1, offset: 2 }) { id } }", None, errors=True),
        Case("{ usersInB(filter: { first: 1, offset: 2 }) { id } }", None, errors=True),
    ],
)
