"""A requirement on a field of an interface type, plain and with a concrete fragment."""

from __future__ import annotations

from typing import Any

from tests.federation.subgraphs import FED2, Subgraph
from tests.federation.suites import Area, Case, find, only

USERS = [
    {"id": "u1", "name": "u1-name", "address": "a1"},
    {"id": "u2", "name": "u2-name", "address": "a2"},
]
ADDRESSES = [
    {"__typename": "HomeAddress", "id": "a1", "city": "a1-city", "country": "a1-country"},
    {"__typename": "WorkAddress", "id": "a2", "city": "a2-city", "country": "a2-country"},
]


def address(key: Any) -> Any:
    return find(ADDRESSES, id=key["id"])


def known_user(key: Any) -> Any:
    found = only(find(USERS, id=key["id"]), "id", "name")
    given = (key.get("address") or {}).get("id")
    return {**found, "address": {"id": given}} if found and given else found


def of_address(field: Any) -> Any:
    def resolve(parent: Any) -> Any:
        given = (parent.get("address") or {}).get("id")
        return address({"id": given})[field] if given else None

    return resolve


A = Subgraph(
    "a",
    FED2
    + """
    type Query { a: User }
    interface Address { id: ID! }
    type HomeAddress implements Address @key(fields: "id") { id: ID! city: String @shareable }
    type WorkAddress implements Address @key(fields: "id") { id: ID! city: String @shareable }
    type User @key(fields: "id") {
      id: ID!
      name: String! @shareable
      address: Address @external
      city: String @requires(fields: "address { id }")
      country: String @requires(fields: "address { ... on WorkAddress { id } }")
    }
    """,
    {
        "Query": {"a": only(USERS[0], "id", "name")},
        "User": {
            "__resolveReference": known_user,
            "city": of_address("city"),
            "country": of_address("country"),
        },
        "HomeAddress": {"__resolveReference": address},
        "WorkAddress": {"__resolveReference": address},
    },
)
B = Subgraph(
    "b",
    FED2
    + """
    type Query { b: User }
    interface Address { id: ID! }
    type HomeAddress implements Address @key(fields: "id") { id: ID! city: String @shareable }
    type WorkAddress implements Address @key(fields: "id") { id: ID! city: String @shareable }
    type SecondAddress implements Address @key(fields: "id") { id: ID! city: String @shareable }
    type User @key(fields: "id") {
      id: ID! name: String! @shareable address: Address @shareable
    }
    """,
    {
        "Query": {"b": USERS[1]},
        "User": {
            "__resolveReference": lambda key: find(USERS, id=key["id"]),
            "address": lambda parent: address({"id": parent["address"]}),
        },
        "HomeAddress": {"__resolveReference": address},
        "WorkAddress": {"__resolveReference": address},
    },
)

AREA = Area(
    "requires-interface",
    [A, B],
    [
        Case("{ a { city } }", {"a": {"city": "a1-city"}}),
        Case("{ b { city } }", {"b": {"city": "a2-city"}}),
        Case("{ a { country } }", {"a": {"country": None}}),
        Case(
            "{ a { address { __typename id } } }",
            {"a": {"address": {"__typename": "HomeAddress", "id": "a1"}}},
        ),
        Case(
            "{ b { address { __typename id } } }",
            {"b": {"address": {"__typename": "WorkAddress", "id": "a2"}}},
        ),
    ],
)
