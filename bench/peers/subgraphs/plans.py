"""What each organization pays for."""

from __future__ import annotations

from collections.abc import Sequence

import strawberry

from shared.execution import batched, serve_entities

__all__ = ["schema"]


@strawberry.type
class Plan:
    name: str
    price: int


PLANS = [Plan(name=name, price=price) for name, price in (("free", 0), ("team", 20), ("pro", 50))]


@strawberry.federation.type(keys=["id"])
class Organization:
    id: strawberry.ID

    @batched
    @staticmethod
    async def plan(parents: Sequence[Organization]) -> list[Plan]:
        return [PLANS[int(each.id) % len(PLANS)] for each in parents]


@strawberry.type
class Query:
    @strawberry.field
    def plans(self) -> list[Plan]:
        return PLANS


schema = strawberry.federation.Schema(query=Query, types=[Organization], federation_version="2.9")
serve_entities(schema)
