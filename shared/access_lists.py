"""Which organizations a user belongs to, kept in Redis for the gateway to read at each request.

orgs is the source and answers `QUERY`; the gateway keeps the answer under a
generation number that orgs raises after each change, so an answer that was read
before a change can never outlive it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson

from shared.access import Role

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from shared.cache import Redis

__all__ = ["QUERY", "AccessLists", "Known"]

QUERY = "query Access($userId: ID!) { accessOf(userId: $userId) { organizationId role } }"
"""What the gateway, in its own name, asks the orgs subgraph; the field is `@inaccessible`."""

_TTL_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Known:
    """What Redis knows of a caller; without `memberships` the gateway has to ask orgs."""

    session_alive: bool
    memberships: Mapping[str, Role] | None
    generation: str


class AccessLists:
    """Reads and keeps memberships."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def read(self, user_id: str, session_id: str) -> Known:
        """What is known, in one round trip."""
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.hget(f"session:{session_id}", "user_id")
            pipe.mget(f"access:{user_id}", f"access:gen:{user_id}")
            owner, (kept, generation) = await pipe.execute()
        current = generation or "0"
        return Known(owner == user_id, _parse(kept, current), current)

    async def keep(self, user_id: str, memberships: Mapping[str, Role], *, generation: str) -> None:
        """Keep what orgs answered, under the generation that was read before asking."""
        value = orjson.dumps({"generation": generation, "memberships": dict(memberships)})
        await self._redis.set(f"access:{user_id}", value, ex=_TTL_SECONDS)

    async def invalidate(self, user_ids: Iterable[str]) -> None:
        """Make what is kept for these users worthless; orgs calls this after each commit."""
        async with self._redis.pipeline(transaction=False) as pipe:
            for user_id in user_ids:
                pipe.incr(f"access:gen:{user_id}")
                # Outlives every kept answer, so a number cannot come around again.
                pipe.expire(f"access:gen:{user_id}", 10 * _TTL_SECONDS)
            await pipe.execute()


def _parse(kept: str | None, generation: str) -> Mapping[str, Role] | None:
    if kept is None:
        return None
    value = orjson.loads(kept)
    if value["generation"] != generation:
        return None
    return {organization: Role(role) for organization, role in value["memberships"].items()}
