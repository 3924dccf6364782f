"""Sessions in Redis: opened by logging in, kept alive by refreshing, ended by logging out.

A refresh token is ``session.count.signature``: it can be made again from the
session's secret, so none is stored.  Each refresh raises the count.  The
previous token still answers for a short overlap, with the same successor, so
tabs that refresh at once all stay logged in; any older token means that one was
stolen, and ends the session.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from shared.errors import Unauthenticated

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from shared.cache import Redis

__all__ = ["Session", "Sessions"]

OVERLAP_SECONDS = 30

# KEYS: session.  ARGV: the token's count, now, ttl, overlap.
# Answers the successor's count, or -1 when the session is gone or was just ended.
_ROTATE = """
local state = redis.call('HMGET', KEYS[1], 'count', 'rotated_at')
if not state[1] then return -1 end
local current, given, now = tonumber(state[1]), tonumber(ARGV[1]), tonumber(ARGV[2])
if given == current then
  redis.call('HSET', KEYS[1], 'count', current + 1, 'rotated_at', now, 'used_at', now)
  redis.call('EXPIRE', KEYS[1], ARGV[3])
  return current + 1
end
if given == current - 1 and now - tonumber(state[2]) <= tonumber(ARGV[4]) then return current end
redis.call('DEL', KEYS[1])
return -1
"""


@dataclass(frozen=True, slots=True)
class Session:
    """One place where a user is logged in; times are Unix seconds."""

    id: str
    user_id: str
    user_agent: str | None
    created_at: int
    used_at: int


class Sessions:
    """The sessions of all users."""

    def __init__(self, redis: Redis, *, secret: str, ttl_seconds: int) -> None:
        self._redis = redis
        self._key = hashlib.sha256(b"refresh:" + secret.encode()).digest()
        self._ttl = ttl_seconds

    async def open(self, user_id: str, *, user_agent: str | None) -> tuple[Session, str]:
        """A new session and its first refresh token."""
        now = int(time.time())
        session = Session(uuid.uuid4().hex, user_id, (user_agent or "")[:200] or None, now, now)
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.hset(
                _key(session.id),
                mapping={
                    "user_id": user_id,
                    "user_agent": session.user_agent or "",
                    "created_at": now,
                    "used_at": now,
                    "count": 0,
                    "rotated_at": now,
                },
            )
            pipe.expire(_key(session.id), self._ttl)
            pipe.zadd(_index(user_id), {session.id: now + self._ttl})
            pipe.expire(_index(user_id), self._ttl)
            await pipe.execute()
        return session, self._token(session.id, 0)

    async def refresh(self, token: str) -> tuple[str, str, str]:
        """User id, session id and the next refresh token; raises `Unauthenticated`."""
        session_id, count = self._read(token)
        key = _key(session_id)
        now = int(time.time())
        successor = await cast(
            "Awaitable[int]",
            self._redis.eval(
                _ROTATE, 1, key, str(count), str(now), str(self._ttl), str(OVERLAP_SECONDS)
            ),
        )
        user_id = cast("str | None", await self._redis.hget(key, "user_id"))
        if successor < 0 or user_id is None:
            raise Unauthenticated("The session has ended. Log in again.")
        await self._redis.zadd(_index(user_id), {session_id: now + self._ttl})
        await self._redis.expire(_index(user_id), self._ttl)
        return user_id, session_id, self._token(session_id, successor)

    async def end(self, user_id: str, *session_ids: str) -> None:
        """End these sessions; their access tokens stop working at once."""
        if session_ids:
            await self._redis.delete(*map(_key, session_ids))
            await self._redis.zrem(_index(user_id), *session_ids)

    async def end_all(self, user_id: str, *, but: str | None = None) -> None:
        """End every session of the user, except perhaps one."""
        ids = cast("list[str]", await self._redis.zrange(_index(user_id), 0, -1))
        await self.end(user_id, *(each for each in ids if each != but))

    async def of(self, user_id: str) -> list[Session]:
        """The user's sessions, the most recently used first; at most a hundred."""
        await self._redis.zremrangebyscore(_index(user_id), 0, time.time())
        ids = cast("list[str]", await self._redis.zrange(_index(user_id), 0, 99, desc=True))
        async with self._redis.pipeline(transaction=False) as pipe:
            for each in ids:
                pipe.hgetall(_key(each))
            states = await pipe.execute()
        found = [
            Session(
                each,
                user_id,
                state["user_agent"] or None,
                int(state["created_at"]),
                int(state["used_at"]),
            )
            for each, state in zip(ids, states, strict=True)
            if state
        ]
        return sorted(found, key=lambda session: -session.used_at)

    def _token(self, session_id: str, count: int) -> str:
        body = f"{session_id}.{count}"
        digest = hmac.digest(self._key, body.encode(), "sha256")
        return f"{body}.{base64.urlsafe_b64encode(digest).decode().rstrip('=')}"

    def _read(self, token: str) -> tuple[str, int]:
        session_id, _, rest = token.partition(".")
        count, _, _ = rest.partition(".")
        if not count.isdecimal() or len(count) > 9:
            raise Unauthenticated("The session has ended. Log in again.")
        if not hmac.compare_digest(token.encode(), self._token(session_id, int(count)).encode()):
            raise Unauthenticated("The session has ended. Log in again.")
        return session_id, int(count)


def _key(session_id: str) -> str:
    return f"session:{session_id}"


def _index(user_id: str) -> str:
    return f"sessions:{user_id}"
