"""A source type without a key; siblings whose same field differs in nullability."""

from __future__ import annotations

from tests.federation.subgraphs import FED2, Subgraph
from tests.federation.suites import Area, Case, find

USERS = [{"id": "u1", "name": "u1-name"}]
ACCOUNTS = [
    {"__typename": "User", **USERS[0]},
    {"__typename": "Admin", "id": "a1", "name": "a1-name"},
]

A = Subgraph(
    "a",
    FED2 + "type User { id: ID @shareable } type Query { users: [User!]! }",
    {"Query": {"users": [{"id": user["id"]} for user in USERS]}},
)
B = Subgraph(
    "b",
    FED2
    + """
    union Account = User | Admin
    type User @key(fields: "id") { id: ID! name: String similarAccounts: [Account!]! }
    type Admin { id: ID name: String @shareable similarAccounts: [Account!]! }
    type Query { accounts: [Account!]! }
    """,
    {
        "Query": {"accounts": ACCOUNTS},
        "User": {
            "__resolveReference": lambda key: find(USERS, id=key["id"]),
            "similarAccounts": ACCOUNTS,
        },
        "Admin": {"similarAccounts": ACCOUNTS},
    },
)

BOTH = [{"id": "u1", "name": "u1-name"}, {"id": "a1", "name": "a1-name"}]
NAMES = [{"name": "u1-name"}, {"name": "a1-name"}]


def on_both(selections: str) -> str:
    return f"{{ ... on User {{ {selections} }} ... on Admin {{ {selections} }} }}"


def below(levels: int, leaves: str) -> str:
    return (
        leaves if levels == 0 else f"{leaves} similarAccounts {on_both(below(levels - 1, leaves))}"
    )


def nested(levels: int, items: list[dict[str, str]]) -> list[object]:
    if levels == 0:
        return list(items)
    return [{**one, "similarAccounts": nested(levels - 1, items)} for one in items]


AREA = Area(
    "child-type-mismatch",
    [A, B],
    [
        Case(
            f"{{ users {{ id name }} accounts {on_both('id name')} }}",
            {"users": USERS, "accounts": BOTH},
        ),
        Case(
            "query NestedInternalAlias"
            f" {{ users {{ id name }} accounts {on_both(below(1, 'id name'))} }}",
            {"users": USERS, "accounts": nested(1, BOTH)},
        ),
        Case(
            f"query DeeplyNestedInternalAlias"
            f" {{ users {{ id name }} accounts {on_both(below(2, 'id name'))} }}",
            {"users": USERS, "accounts": nested(2, BOTH)},
        ),
        Case(
            f"query DeeplyNested {{ accounts {on_both(below(2, 'name'))} }}",
            {"accounts": nested(2, NAMES)},
        ),
    ],
)
