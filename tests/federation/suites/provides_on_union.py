"""@provides with a fragment: one member's field is provided, the other's is not."""

from __future__ import annotations

from typing import Any

from tests.federation.subgraphs import FED2, Subgraph
from tests.federation.suites import Area, Case, find, only

BOOK = {"__typename": "Book", "id": "m1", "title": "Book 1"}
MOVIE = {"__typename": "Movie", "id": "m2", "title": "Movie 1"}


def detour(*_: Any) -> Any:
    raise AssertionError("graph b provides it")


A = Subgraph(
    "a",
    FED2
    + """
    type Query { media: [Media] @shareable }
    union Media = Book | Movie
    type Book @key(fields: "id") { id: ID! }
    type Movie @key(fields: "id") { id: ID! }
    """,
    {"Query": {"media": detour}},
)
B = Subgraph(
    "b",
    FED2
    + """
    type Query { media: [Media] @shareable @provides(fields: "... on Book { title }") }
    union Media = Book | Movie
    type Book @key(fields: "id") { id: ID! title: String @external }
    type Movie @key(fields: "id") { id: ID! }
    """,
    {"Query": {"media": [BOOK, only(MOVIE, "__typename", "id")]}},
)
C = Subgraph(
    "c",
    FED2
    + """
    type Book @key(fields: "id") { id: ID! title: String @shareable }
    type Movie @key(fields: "id") { id: ID! title: String @shareable }
    """,
    {
        "Book": {"__resolveReference": detour},
        "Movie": {"__resolveReference": lambda key: find([MOVIE], id=key["id"])},
    },
)

AREA = Area(
    "provides-on-union",
    [A, B, C],
    [
        Case(
            "{ media { ... on Book { id title } ... on Movie { id } } }",
            {"media": [only(BOOK, "id", "title"), {"id": "m2"}]},
        ),
        Case(
            "{ media { ... on Book { id title } ... on Movie { id title } } }",
            {"media": [only(BOOK, "id", "title"), only(MOVIE, "id", "title")]},
        ),
    ],
)
