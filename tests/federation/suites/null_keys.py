"""A graph on the way to a key does not know one of the entities."""

from __future__ import annotations

from typing import Any

from tests.federation.subgraphs import FED2, Subgraph
from tests.federation.suites import Area, Case, find, only

BOOKS = [
    {"id": "1", "upc": "b1", "author": {"id": "a1", "name": "Alice"}},
    {"id": "2", "upc": "b2", "author": {"id": "a2", "name": "Bob"}},
    {"id": "3", "upc": "b3", "author": {"id": "a3", "name": "Jack"}},
]


def book(key: Any) -> Any:
    field = "upc" if "upc" in key else "id"
    found = find(BOOKS, **{field: key[field]})
    if found is None:
        raise ValueError("Invalid reference")
    return found


def book_in_b(key: Any) -> Any:
    found = book(key)
    return None if found["id"] == "3" else only(found, "id", "upc")


A = Subgraph(
    "a",
    FED2
    + """
    type Query { bookContainers: [BookContainer] }
    type BookContainer { book: Book }
    type Book @key(fields: "upc") { upc: ID! }
    """,
    {"Query": {"bookContainers": [{"book": only(b, "upc")} for b in BOOKS]}},
)
B = Subgraph(
    "b",
    FED2 + 'type Book @key(fields: "id") @key(fields: "upc") { id: ID! upc: ID! }',
    {"Book": {"__resolveReference": book_in_b}},
)
C = Subgraph(
    "c",
    FED2
    + """
    type Book @key(fields: "id") { id: ID! author: Author }
    type Author { id: ID! name: String }
    """,
    {"Book": {"__resolveReference": book}},
)

AREA = Area(
    "null-keys",
    [A, B, C],
    [
        Case(
            "{ bookContainers { book { upc author { name } } } }",
            {
                "bookContainers": [
                    {"book": {"upc": "b1", "author": {"name": "Alice"}}},
                    {"book": {"upc": "b2", "author": {"name": "Bob"}}},
                    {"book": {"upc": "b3", "author": None}},
                ]
            },
        )
    ],
)
