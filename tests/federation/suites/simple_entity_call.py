"""A key that is external in the graph that is entered, and not the source's own key."""

from __future__ import annotations

from typing import Any

from tests.federation.subgraphs import FED2, Subgraph
from tests.federation.suites import Area, Case

USER = {"id": "u1", "email": "u1@example.com", "nickname": "user1"}


def by(field: Any) -> Any:
    return lambda key: USER if key[field] == USER[field] else None


EMAIL = Subgraph(
    "email",
    FED2 + 'type Query { user: User } type User @key(fields: "id") { id: ID! email: String! }',
    {"Query": {"user": USER}, "User": {"__resolveReference": by("id")}},
)
NICKNAME = Subgraph(
    "nickname",
    FED2 + 'type User @key(fields: "email") { email: String! @external nickname: String! }',
    {"User": {"__resolveReference": by("email")}},
)

AREA = Area(
    "simple-entity-call",
    [EMAIL, NICKNAME],
    [Case("{ user { id nickname } }", {"user": {"id": "u1", "nickname": "user1"}})],
)
