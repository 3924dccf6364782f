"""Federation 2: `extend type`."""

from __future__ import annotations

from tests.federation.external_user import external_user
from tests.federation.subgraphs import FED2

AREA = external_user(
    "fed2-external-extension",
    head=FED2,
    extension='extend type User @key(fields: "id")',
    owner="id: ID! name: String!",
)
