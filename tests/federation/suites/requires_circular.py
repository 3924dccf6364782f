"""a requires b's field, which requires a's data: a, b, a, b, a on one entity."""

from __future__ import annotations

from typing import Any

from tests.federation.subgraphs import FED2, Subgraph
from tests.federation.suites import Area, Case, find

AUTHORS = [
    {"id": "a1", "name": "John", "yearsOfExperience": 5},
    {"id": "a2", "name": "Jane", "yearsOfExperience": 20},
]
POSTS = [{"id": "p1", "author": AUTHORS[0]}, {"id": "p2", "author": AUTHORS[1]}]


def by_expert(parent: Any) -> Any:
    known = parent.get("byNovice")
    return None if known is None else not known


def by_novice(parent: Any) -> Any:
    years = (parent.get("author") or {}).get("yearsOfExperience")
    return None if years is None else years < 10


def post(key: Any) -> Any:
    found = find(POSTS, id=key["id"])
    return found and {**found, **key}


A = Subgraph(
    "a",
    FED2
    + """
    type Query { feed: [Post] }
    type Post @key(fields: "id") {
      id: ID! byNovice: Boolean! @external byExpert: Boolean! @requires(fields: "byNovice")
    }
    type Author @key(fields: "id") { id: ID! name: String! yearsOfExperience: Int! }
    """,
    {
        "Query": {"feed": [{"id": p["id"]} for p in POSTS]},
        "Post": {"__resolveReference": dict, "byExpert": by_expert},
        "Author": {"__resolveReference": lambda key: find(AUTHORS, id=key["id"])},
    },
)
B = Subgraph(
    "b",
    FED2
    + """
    type Post @key(fields: "id") {
      id: ID! author: Author! byNovice: Boolean! @requires(fields: "author { yearsOfExperience }")
    }
    type Author @key(fields: "id") { id: ID! yearsOfExperience: Int! @external }
    """,
    {
        "Post": {
            "__resolveReference": dict,
            "author": lambda parent: {"id": find(POSTS, id=parent["id"])["author"]["id"]},
            "byNovice": by_novice,
        }
    },
)

AREA = Area(
    "requires-circular",
    [A, B],
    [
        Case("{ feed { byNovice } }", {"feed": [{"byNovice": True}, {"byNovice": False}]}),
        Case("{ feed { byExpert } }", {"feed": [{"byExpert": False}, {"byExpert": True}]}),
    ],
)
