"""@requires of a field that a third graph has taken over."""

from __future__ import annotations

from typing import Any

from tests.federation.subgraphs import FED2, Subgraph
from tests.federation.suites import Area, Case, find, only

USERS = [{"id": f"u{n}", "name": f"u{n}-name"} for n in (1, 2, 3)]


def known(key: Any) -> Any:
    return {name: key[name] for name in ("id", "name") if name in key}


def requiring(name: Any, user: Any) -> Any:
    return Subgraph(
        name,
        f"""{FED2}
        type User @key(fields: "id") {{
          id: ID! name: String! @external {name}Name: String! @requires(fields: "name")
        }}
        type Query {{ userIn{name.upper()}: User }}
        """,
        {
            "Query": {f"userIn{name.upper()}": user},
            "User": {
                "__resolveReference": known,
                "name": "NEVER",
                f"{name}Name": lambda parent: f"{name}__{parent['name']}",
            },
        },
    )


B = Subgraph(
    "b",
    FED2
    + """
    type User @key(fields: "id") { id: ID! name: String! @override(from: "c") }
    type Query { userInB: User }
    """,
    {
        "Query": {"userInB": USERS[1]},
        "User": {"__resolveReference": lambda key: find(USERS, id=key["id"])},
    },
)


def everything(user: Any) -> Any:
    name = user["name"]
    return {**only(user, "id", "name"), "aName": f"a__{name}", "cName": f"c__{name}"}


AREA = Area(
    "override-with-requires",
    [requiring("a", USERS[0]), B, requiring("c", USERS[2])],
    [
        Case(
            """{
              userInA { id name aName cName }
              userInB { id name aName cName }
              userInC { id name aName cName }
            }""",
            {f"userIn{g}": everything(u) for g, u in zip("ABC", USERS, strict=True)},
        ),
        Case("{ userInC { cName } }", {"userInC": {"cName": "c__u3-name"}}),
        Case("{ userInA { cName } }", {"userInA": {"cName": "c__u1-name"}}),
        Case("{ userInA { aName } }", {"userInA": {"aName": "a__u1-name"}}),
    ],
)
