"""Four keys a type, most of them not resolvable, in both graphs."""

from __future__ import annotations

from typing import Any

from tests.federation.subgraphs import FED2, Subgraph
from tests.federation.suites import Area, Case, find

THINGS = [
    {
        "id": n,
        "pId": f"a.{n}.pId",
        "name": f"a.{n}",
        "compositeId": {part: f"a.{n}.compositeId.{part}" for part in ("one", "two", "three")},
    }
    for n in ("1", "2")
]


def without_name(key: Any) -> Any:
    found = find(THINGS, id=key["id"])
    if found is None:
        return None
    rest = {name: found[name] for name in ("id", "pId", "compositeId")}
    return {**rest, "name": key["name"]} if key.get("name") else rest


def name_in_b(parent: Any) -> Any:
    if not parent.get("name"):
        raise ValueError("A.name was not provided")
    return f"b.a.nameInB {parent['name']}"


A = Subgraph(
    "a",
    FED2
    + """
    type A
      @key(fields: "id", resolvable: true)
      @key(fields: "pId", resolvable: false)
      @key(fields: "compositeId { one two }", resolvable: false)
      @key(fields: "id compositeId { two three }", resolvable: false) {
      id: ID! pId: ID! compositeId: CompositeID! name: String!
    }
    type CompositeID { one: ID! two: ID! three: ID! }
    """,
    {"A": {"__resolveReference": lambda key: find(THINGS, id=key["id"])}},
)
B = Subgraph(
    "b",
    FED2
    + """
    type Query { b: B }
    type B @key(fields: "id") { id: ID! a: [A!]! }
    type A
      @key(fields: "compositeId { one two }", resolvable: false)
      @key(fields: "id compositeId { two three }", resolvable: true)
      @key(fields: "pId", resolvable: false)
      @key(fields: "id", resolvable: false) {
      id: ID! pId: ID! compositeId: CompositeID!
      name: String! @external
      nameInB: String! @requires(fields: "name")
    }
    type CompositeID { one: ID! two: ID! three: ID! }
    """,
    {
        "Query": {"b": {"id": "100"}},
        "B": {"a": [without_name({"id": "1"})]},
        "A": {"__resolveReference": without_name, "nameInB": name_in_b},
    },
)

AREA = Area(
    "keys-mashup",
    [A, B],
    [
        Case(
            "{ b { id a { id name nameInB } } }",
            {"b": {"id": "100", "a": [{"id": "1", "name": "a.1", "nameInB": "b.a.nameInB a.1"}]}},
        )
    ],
)
