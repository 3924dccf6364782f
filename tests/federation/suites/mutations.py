"""Serial root fields over three graphs; reference resolvers that delete what they resolve."""

from __future__ import annotations

from typing import Any

from tests.federation.subgraphs import FED2, Subgraph
from tests.federation.suites import Area, Case, find, only

STATE: dict[str, Any] = {}


def reset() -> None:
    STATE.update(products=[], categories=[], numbers={})


def products() -> Any:
    if find(STATE["products"], id="p1") is None:
        STATE["products"].append({"id": "p1", "name": "p1-name", "price": 9.99})
    return STATE["products"]


def add_product(_: Any, input: Any) -> Any:  # noqa: A002
    added = {"id": f"p-added-{len(STATE['products'])}", **input}
    STATE["products"].append(added)
    return added


def take_product(key: Any) -> Any:
    """Resolve a reference once: the second entity call to any graph finds nothing."""
    found = find(STATE["products"], id=key["id"])
    STATE["products"] = [one for one in STATE["products"] if one is not found]
    return found


def add_category(_: Any, name: Any, requestId: Any) -> Any:  # noqa: N803
    added = {"id": f"c-added-{requestId}", "name": name}
    if find(STATE["categories"], id=added["id"]):
        raise ValueError("Category with this requestId was already added")
    STATE["categories"].append(added)
    return added


def add(_: Any, num: Any, requestId: Any) -> Any:  # noqa: N803
    STATE["numbers"][requestId] = STATE["numbers"].get(requestId, 0) + num
    return STATE["numbers"][requestId]


def multiply(_: Any, by: Any, requestId: Any) -> Any:  # noqa: N803
    STATE["numbers"][requestId] = STATE["numbers"].get(requestId, 0) * by
    return STATE["numbers"][requestId]


def is_expensive(parent: Any) -> Any:
    if not isinstance(parent.get("price"), float):
        raise TypeError("Price is not available")
    return parent["price"] > 100


A = Subgraph(
    "a",
    FED2
    + """
    type Mutation {
      addProduct(input: AddProductInput!): Product!
      addCategory(name: String!, requestId: String!): Category! @shareable
      multiply(by: Int!, requestId: String!): Int!
    }
    type Query { product(id: ID!): Product! products: [Product!]! }
    input AddProductInput { name: String! price: Float! }
    type Product @key(fields: "id") { id: ID! name: String! price: Float! }
    type Category @key(fields: "id") { id: ID! }
    """,
    {
        "Mutation": {"addProduct": add_product, "addCategory": add_category, "multiply": multiply},
        "Query": {
            "product": lambda _, id: find(products(), id=id),  # noqa: A006
            "products": lambda _: products(),
        },
        "Product": {"__resolveReference": take_product},
        "Category": {
            "__resolveReference": lambda key: only(find(STATE["categories"], id=key["id"]), "id")
        },
    },
)
B = Subgraph(
    "b",
    FED2
    + """
    type Product @key(fields: "id") {
      id: ID!
      price: Float! @external
      isExpensive: Boolean! @requires(fields: "price")
      isAvailable: Boolean!
    }
    type Mutation {
      delete(requestId: String!): Int!
      addCategory(name: String!, requestId: String!): Category! @shareable
    }
    type Category @key(fields: "id") { id: ID! name: String! }
    """,
    {
        "Mutation": {
            "delete": lambda _, requestId: STATE["numbers"].pop(requestId, 0),  # noqa: N803
            "addCategory": add_category,
        },
        "Product": {
            "__resolveReference": take_product,
            "isExpensive": is_expensive,
            "isAvailable": True,
        },
        "Category": {"__resolveReference": lambda key: find(STATE["categories"], id=key["id"])},
    },
)
C = Subgraph(
    "c",
    FED2 + "type Mutation { add(num: Int!, requestId: String!): Int! }",
    {"Mutation": {"add": add}},
)

AREA = Area(
    "mutations",
    [A, B, C],
    [
        Case(
            """mutation { addProduct(input: { name: "new", price: 599.99 }) {
              name price isExpensive isAvailable
            } }""",
            {
                "addProduct": {
                    "name": "new",
                    "price": 599.99,
                    "isExpensive": True,
                    "isAvailable": True,
                }
            },
        ),
        Case(
            '{ product(id: "p1") { id name price isExpensive isAvailable } }',
            {
                "product": {
                    "id": "p1",
                    "name": "p1-name",
                    "price": 9.99,
                    "isExpensive": False,
                    "isAvailable": True,
                }
            },
        ),
        Case(
            """mutation {
              five: add(num: 5, requestId: "r")
              ten: multiply(by: 2, requestId: "r")
              twelve: add(num: 2, requestId: "r")
              final: delete(requestId: "r")
            }""",
            {"five": 5, "ten": 10, "twelve": 12, "final": 12},
        ),
        Case(
            'mutation { addCategory(name: "new", requestId: "r") { id name } }',
            {"addCategory": {"id": "c-added-r", "name": "new"}},
        ),
    ],
    reset,
)
