"""Organizations, three for each person."""

from __future__ import annotations

from collections.abc import Sequence

import strawberry

from shared.execution import batched, batched_reference, serve_entities

__all__ = ["schema"]

COUNT = 1_000


@strawberry.federation.type(keys=["id"])
class Organization:
    id: strawberry.ID
    slug: str
    name: str

    @batched_reference
    @classmethod
    async def references(cls, keys: Sequence[strawberry.ID]) -> list[Organization]:
        return [ORGANIZATIONS[int(key)] for key in keys]


ORGANIZATIONS = [
    Organization(id=strawberry.ID(str(n)), slug=f"org-{n}", name=f"Organization {n}")
    for n in range(COUNT)
]


@strawberry.federation.type(keys=["id"])
class User:
    id: strawberry.ID

    @batched
    @staticmethod
    async def organizations(parents: Sequence[User]) -> list[list[Organization]]:
        return [_of(int(each.id)) for each in parents]


def _of(user: int) -> list[Organization]:
    return [ORGANIZATIONS[(user + step) % COUNT] for step in range(3)]


@strawberry.type
class Query:
    @strawberry.field
    def organization(self, id: strawberry.ID) -> Organization:  # noqa: A002
        return ORGANIZATIONS[int(id) % COUNT]


schema = strawberry.federation.Schema(query=Query, types=[User], federation_version="2.9")
serve_entities(schema)
