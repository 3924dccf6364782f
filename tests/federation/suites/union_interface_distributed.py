"""A type that implements an interface only in another graph than the one that is asked."""

from __future__ import annotations

from tests.federation.subgraphs import FED2, Subgraph
from tests.federation.suites import Area, Case, find

OVENS = [{"__typename": "Oven", "id": f"oven{n}"} for n in (1, 2)]
TOASTERS = [{"__typename": "Toaster", "id": f"toaster{n}", "warranty": n + 2} for n in (1, 2)]

A = Subgraph(
    "a",
    FED2
    + """
    type Query { products: [Product] node(id: ID!): Node nodes: [Node] toasters: [Toaster] }
    union Product = Oven | Toaster
    interface Node { id: ID! }
    type Oven @key(fields: "id") { id: ID! }
    type Toaster implements Node @key(fields: "id") { id: ID! warranty: Int }
    """,
    {
        "Query": {
            "products": OVENS + TOASTERS,
            "node": lambda _, id: find(OVENS + TOASTERS, id=id),  # noqa: A006
            "nodes": TOASTERS,
            "toasters": TOASTERS,
        },
        "Oven": {"__resolveReference": lambda key: find(OVENS, id=key["id"])},
        "Toaster": {"__resolveReference": lambda key: find(TOASTERS, id=key["id"])},
    },
)
B = Subgraph(
    "b",
    FED2
    + """
    interface Node { id: ID! }
    type Oven implements Node @key(fields: "id") { id: ID! warranty: Int }
    """,
    {"Oven": {"__resolveReference": lambda key: find(OVENS, id=key["id"]), "warranty": 1}},
)

AREA = Area(
    "union-interface-distributed",
    [A, B],
    [
        Case(
            "{ products { ... on Node { id } } }",
            {"products": [{"id": one["id"]} for one in OVENS + TOASTERS]},
        ),
        Case(
            "{ nodes { ... on Toaster { warranty } ... on Oven { id } } }",
            {"nodes": [{"warranty": 3}, {"warranty": 4}]},
        ),
        Case("{ nodes { id } }", {"nodes": [{"id": "toaster1"}, {"id": "toaster2"}]}),
        Case(
            """{ toasters { ...ToasterFragment ...NodeFragment } }
            fragment ToasterFragment on Toaster { id }
            fragment NodeFragment on Node { id __typename }""",
            {"toasters": [{"id": one["id"], "__typename": "Toaster"} for one in TOASTERS]},
        ),
        Case('{ node(id: "oven1") { ... on Oven { warranty } } }', {"node": None}, errors=True),
        Case('{ node(id: "oven1") { ... on Toaster { warranty } } }', {"node": None}, errors=True),
        Case('{ node(id: "toaster1") { ... on Toaster { warranty } } }', {"node": {"warranty": 3}}),
    ],
)
