"""@provides through a field of an interface type; only one graph is acceptable."""

from __future__ import annotations

from typing import Any

from tests.federation.subgraphs import FED2, Subgraph
from tests.federation.suites import Area, Case, find

DOG = {"__typename": "Dog", "id": "a1", "name": "Fido", "age": 3}
CAT = {"__typename": "Cat", "id": "a2", "name": "Whiskers", "age": 6}
BOOK = {"__typename": "Book", "id": "m1", "animals": [DOG, CAT]}


def detour(*_: Any) -> Any:
    raise AssertionError("graph b provides it")


A = Subgraph(
    "a",
    FED2
    + """
    type Query {
      media: Media @shareable
      book: Book @provides(fields: "animals { ... on Dog { name } }")
    }
    interface Media { id: ID! }
    interface Animal { id: ID! }
    type Book implements Media @key(fields: "id") { id: ID! animals: [Animal] @shareable }
    type Dog implements Animal @key(fields: "id") { id: ID! @external name: String @external }
    type Cat implements Animal @key(fields: "id") { id: ID! @external }
    """,
    {"Query": {"media": detour, "book": BOOK}},
)
B = Subgraph(
    "b",
    FED2
    + """
    type Query { media: Media @shareable @provides(fields: "animals { id name }") }
    interface Media { id: ID! animals: [Animal] }
    interface Animal { id: ID! name: String }
    type Book implements Media { id: ID! @shareable animals: [Animal] @external }
    type Dog implements Animal { id: ID! @external name: String @external }
    type Cat implements Animal { id: ID! @external name: String @external }
    """,
    {"Query": {"media": BOOK}},
)
C = Subgraph(
    "c",
    FED2
    + """
    interface Media { id: ID! animals: [Animal] }
    interface Animal { id: ID! name: String }
    type Book implements Media @key(fields: "id") { id: ID! animals: [Animal] @shareable }
    type Dog implements Animal @key(fields: "id") { id: ID! name: String @shareable age: Int }
    type Cat implements Animal @key(fields: "id") { id: ID! name: String @shareable age: Int }
    """,
    {
        "Book": {"__resolveReference": lambda key: find([BOOK], id=key["id"])},
        "Dog": {"__resolveReference": detour},
        "Cat": {"__resolveReference": lambda key: find([CAT], id=key["id"])},
    },
)

AREA = Area(
    "provides-on-interface",
    [A, B, C],
    [
        Case(
            "{ media { id animals { id name } } }",
            {
                "media": {
                    "id": "m1",
                    "animals": [{"id": "a1", "name": "Fido"}, {"id": "a2", "name": "Whiskers"}],
                }
            },
        ),
        Case(
            "{ media { id animals { id name ... on Cat { age } } } }",
            {
                "media": {
                    "id": "m1",
                    "animals": [
                        {"id": "a1", "name": "Fido"},
                        {"id": "a2", "name": "Whiskers", "age": 6},
                    ],
                }
            },
        ),
    ],
)
