"""Federation 1: `@extends` and `@external`."""

from __future__ import annotations

from tests.federation.external_user import external_user
from tests.federation.subgraphs import FED1

AREA = external_user(
    "fed1-external-extends",
    head=FED1,
    extension='type User @key(fields: "id") @extends',
    owner="id: ID! name: String!",
)
