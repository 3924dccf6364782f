"""Federation 2: `@extends`, with a shareable owner."""

from __future__ import annotations

from tests.federation.external_user import external_user
from tests.federation.subgraphs import FED2

AREA = external_user(
    "fed2-external-extends",
    head=FED2,
    extension='type User @key(fields: "id") @extends',
    owner="id: ID! name: String! @shareable",
)
