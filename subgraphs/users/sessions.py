"""Sessions in Redis: opened by logging in, kept alive by refreshing, ended by logging out.

A refresh token is ``session.count.signature``: it can be made again from the
session's secret, so none is stored.  Each refresh with the newest token raises
the count.  A token that was replaced a moment ago answers with the newest one,
so tabs that refresh at once all stay logged in; one that was replaced longer
ago has been stolen, here or there, and ends the session.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from shared.cache import answering
from shared.errors import Unauthenticated

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from shared.cache import Redis

__all__ = ["MOST", "OVERLAP_SECONDS", "Session", "SessionEnded", "Sessions"]

_TOKEN = re.compile(r"([0-9a-f]{32})\.([0-9]{1,9})\.[A-Za-z0-9_-]{43}")

OVERLAP_SECONDS = 30
MOST = 100
"""How many sessions a user can have; one more ends the one used longest ago."""

# KEYS: session.  ARGV: the token's count, now, ttl, overlap.
# Answers {user id, the newest count}, or nothing when the session is gone or was just ended.
# `replaced:N` says when the token with count N was replaced; those before `oldest` are forgotten.
_ROTATE = """
local state = redis.call('HMGET', KEYS[1], 'user_id', 'count', 'oldest')
if not state[1] then return {} end
local newest, oldest = tonumber(state[2]), tonumber(state[3])
local given, now, overlap = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[4])
while oldest < newest do
  local replaced = tonumber(redis.call('HGET', KEYS[1], 'replaced:' .. oldest))
  if now - replaced <= overlap then break end
  redis.call('HDEL', KEYS[1], 'replaced:' .. oldest)
  oldest = oldest + 1
end
redis.call('HSET', KEYS[1], 'oldest', oldest)
if given < oldest or given > newest then
  redis.call('DEL', KEYS[1])
  return {}
end
if given == newest then
  newest = newest + 1
  redis.call('HSET', KEYS[1], 'count', newest, 'replaced:' .. given, now, 'used_at', now)
  redis.call('EXPIRE', KEYS[1], ARGV[3])
end
return {state[1], newest}
"""


class SessionEnded(Unauthenticated):
    """The refresh token is not, or no longer, good for anything."""

    message = "The session has ended. Log in again."


@dataclass(frozen=True, slots=True)
class Session:
    """One place where a user is logged in; times are Unix seconds."""

    id: str
    user_id: str
    user_agent: str | None
    created_at: float
    used_at: float


class Sessions:
    """The sessions of all users; every method raises `Unavailable` when Redis does not answer."""

    def __init__(
        self,
        redis: Redis,
        *,
        secret: str,
        ttl_seconds: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._redis = redis
        self._key = hashlib.sha256(b"refresh:" + secret.encode()).digest()
        self._ttl = ttl_seconds
        self._clock = clock

    async def open(self, user_id: str, *, user_agent: str | None) -> tuple[Session, str]:
        """A new session and its first refresh token."""
        now = self._clock()
        session = Session(uuid.uuid4().hex, user_id, _printable(user_agent), now, now)
        state: Mapping[Any, Any] = {
            "user_id": user_id,
            "user_agent": session.user_agent or "",
            "created_at": now,
            "used_at": now,
            "count": 0,
            "oldest": 0,
        }
        with answering():
            async with self._redis.pipeline(transaction=False) as pipe:
                pipe.hset(_key(session.id), mapping=state)
                pipe.expire(_key(session.id), self._ttl)
                pipe.zadd(_index(user_id), {session.id: now + self._ttl})
                pipe.expire(_index(user_id), self._ttl)
                pipe.zrange(_index(user_id), 0, -MOST - 1)
                surplus = (await pipe.execute())[-1]
            await self.end(user_id, *surplus)
        return session, self._token(session.id, 0)

    async def refresh(self, token: str) -> tuple[str, str, str]:
        """User id, session id and the newest refresh token; raises `SessionEnded`."""
        session_id, count = self._read(token)
        now = self._clock()
        arguments = (str(count), str(now), str(self._ttl), str(OVERLAP_SECONDS))
        with answering():
            found = await cast(
                "Awaitable[list[Any]]", self._redis.eval(_ROTATE, 1, _key(session_id), *arguments)
            )
            if not found:
                raise SessionEnded
            user_id, newest = found
            async with self._redis.pipeline(transaction=False) as pipe:
                # Only if it is there still: an ended session does not come back into the list.
                pipe.zadd(_index(user_id), {session_id: now + self._ttl}, xx=True)
                pipe.expire(_index(user_id), self._ttl)
                await pipe.execute()
        return user_id, session_id, self._token(session_id, int(newest))

    async def end(self, user_id: str, *session_ids: str) -> None:
        """End these sessions; their access tokens stop working at once."""
        if not session_ids:
            return
        with answering():
            async with self._redis.pipeline(transaction=False) as pipe:
                for each in session_ids:
                    pipe.delete(_key(each))
                pipe.zrem(_index(user_id), *session_ids)
                await pipe.execute()

    async def end_all(
        self, user_id: str, *, but: str | None = None, opened_until: float | None = None
    ) -> int:
        """End the user's sessions, except one and those opened later; returns how many."""
        found = [
            each.id
            for each in await self.of(user_id)
            if each.id != but and (opened_until is None or each.created_at <= opened_until)
        ]
        await self.end(user_id, *found)
        return len(found)

    async def of(self, user_id: str) -> list[Session]:
        """The user's sessions, the most recently used first; at most `MOST`."""
        with answering():
            await self._redis.zremrangebyscore(_index(user_id), 0, self._clock())
            ids = cast("list[str]", await self._redis.zrange(_index(user_id), 0, -1))
            async with self._redis.pipeline(transaction=False) as pipe:
                for each in ids:
                    pipe.hmget(_key(each), "user_agent", "created_at", "used_at")
                states = await pipe.execute()
        found = [
            Session(each, user_id, state[0] or None, float(state[1]), float(state[2]))
            for each, state in zip(ids, states, strict=True)
            if state[1] is not None
        ]
        return sorted(found, key=lambda session: -session.used_at)

    async def ping(self) -> None:
        """Return when Redis answers."""
        with answering():
            await self._redis.ping()

    def _token(self, session_id: str, count: int) -> str:
        body = f"{session_id}.{count}"
        digest = hmac.digest(self._key, body.encode(), "sha256")
        return f"{body}.{base64.urlsafe_b64encode(digest).decode().rstrip('=')}"

    def _read(self, token: str) -> tuple[str, int]:
        parts = _TOKEN.fullmatch(token)
        if parts is None:
            raise SessionEnded
        session_id, count = parts[1], int(parts[2])
        if not hmac.compare_digest(token, self._token(session_id, count)):
            raise SessionEnded
        return session_id, count


def _printable(user_agent: str | None) -> str | None:
    return "".join(each for each in user_agent or "" if each.isprintable())[:200] or None


def _key(session_id: str) -> str:
    return f"session:{session_id}"


def _index(user_id: str) -> str:
    return f"sessions:{user_id}"
