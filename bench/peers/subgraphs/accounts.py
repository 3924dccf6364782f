"""People."""

from __future__ import annotations

import strawberry

from shared.execution import serve_entities

__all__ = ["schema"]

COUNT = 10_000


@strawberry.federation.type(keys=["id"])
class User:
    id: strawberry.ID
    name: str
    email: str
    country: str
    age: int

    @classmethod
    def resolve_reference(cls, id: strawberry.ID) -> User:  # noqa: A002
        return USERS[int(id)]


USERS = [
    User(
        id=strawberry.ID(str(n)),
        name=f"User {n}",
        email=f"user{n}@example.com",
        country="PT",
        age=20 + n % 60,
    )
    for n in range(COUNT)
]


@strawberry.type
class Query:
    @strawberry.field
    def user(self, id: strawberry.ID) -> User:  # noqa: A002
        return USERS[int(id) % COUNT]

    @strawberry.field
    def users(self, offset: int = 0, first: int = 50) -> list[User]:
        start = offset % (COUNT - first)
        return USERS[start : start + first]


schema = strawberry.federation.Schema(query=Query, federation_version="2.9")
serve_entities(schema)
