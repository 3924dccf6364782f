"""Federation 1: `extend type` and `@external`."""

from __future__ import annotations

from tests.federation.external_user import external_user
from tests.federation.subgraphs import FED1

AREA = external_user(
    "fed1-external-extension",
    head=FED1,
    extension='extend type User @key(fields: "id")',
    owner="id: ID! name: String!",
)
