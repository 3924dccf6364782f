"""A union with more members in the only graph that has the path to it."""

from __future__ import annotations

from tests.federation.subgraphs import FED2, Subgraph
from tests.federation.suites import Area, Case, only

ALPHA = {"__typename": "Alpha", "id": "alpha-1", "value": "alpha value"}
BETA = {"__typename": "Beta", "id": "beta-1", "name": "beta name", "details": "beta details"}
GAMMA = {"__typename": "Gamma", "id": "gamma-1", "label": "gamma label"}
MESSAGE = "Hello, Federation!"

A = Subgraph(
    "a",
    FED2
    + """
    type Query { getResponse: Response }
    type Response @shareable { actions: [Action!]! message: String }
    union Action = Alpha | Beta | Gamma
    type Alpha @shareable { id: ID! value: String }
    type Beta { id: ID! name: String details: String }
    type Gamma { id: ID! label: String }
    """,
    {"Query": {"getResponse": {"message": MESSAGE, "actions": [ALPHA, BETA, GAMMA]}}},
)
B = Subgraph(
    "b",
    FED2
    + """
    type Response @shareable { actions: [Action!]! message: String }
    union Action = Alpha
    type Alpha @shareable { id: ID! value: String }
    """,
)

AREA = Area(
    "partial-union",
    [A, B],
    [
        Case(
            """{ getResponse { message actions {
              __typename
              ... on Alpha { id value } ... on Beta { id name details } ... on Gamma { id label }
            } } }""",
            {"getResponse": {"message": MESSAGE, "actions": [ALPHA, BETA, GAMMA]}},
        ),
        Case(
            """{ getResponse { actions {
              __typename ... on Beta { name } ... on Gamma { label }
            } } }""",
            {
                "getResponse": {
                    "actions": [
                        only(ALPHA, "__typename"),
                        only(BETA, "__typename", "name"),
                        only(GAMMA, "__typename", "label"),
                    ]
                }
            },
        ),
    ],
)
