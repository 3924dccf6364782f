"""From a bearer token to the caller: who it is, and where they are a member."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gateway.cache import LruCache
from gateway.context import RequestContext, remember
from gateway.federation.plan import Fetch
from gateway.federation.transport import SubgraphError, SubgraphRequest
from shared.access import Role
from shared.access_lists import QUERY
from shared.auth import GATEWAY, AccessClaims, AccessTokens, Identity
from shared.cache import answering
from shared.errors import Unauthenticated, Unavailable
from shared.headers import headers_of
from shared.logger import get_logger

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

    from gateway.federation.transport import SubgraphTransport
    from shared.access_lists import AccessLists

__all__ = ["Caller", "Callers", "ask_orgs", "audience_of", "client_in", "context_of"]

logger = get_logger(__name__)

_KEPT = 10_000
_LONGEST_AGENT = 256
_LONGEST_CLIENT = 64
_NO_INIT: Mapping[str, Any] = {}
_FETCH = Fetch(id=0, subgraph="orgs", kind="query", document=QUERY, variables=(("userId",) * 2,))


@dataclass(frozen=True, slots=True)
class Caller:
    """An identity, until when (seconds since the epoch) its token is good, and its scopes."""

    identity: Identity
    expires_at: float | None = None
    scopes: frozenset[str] = frozenset()


class Callers:
    """Identifies callers: one signature check, kept per token, and one round trip to Redis.

    ``read_memberships`` is asked only when Redis does not know them, once for
    all the requests of a user that wait for it.
    """

    def __init__(
        self,
        tokens: AccessTokens,
        lists: AccessLists,
        read_memberships: Callable[[str], Awaitable[Mapping[str, Role]]],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._tokens = tokens
        self._lists = lists
        self._read_memberships = read_memberships
        self._clock = clock
        self._verified: LruCache[str, AccessClaims] = LruCache(entries=_KEPT)
        self._reading: dict[tuple[str, str], asyncio.Task[Mapping[str, Role]]] = {}

    async def identify(self, authorization: str | None, *, user_agent: str | None) -> Caller:
        """The caller with this ``Authorization`` header; without one, a stranger.

        Raises `Unauthenticated` for a token that is forged, expired or of a
        session that has ended, `Unavailable` when that cannot be found out.
        """
        if not authorization:
            return Caller(Identity(user_agent=user_agent))
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise Unauthenticated("Send the access token as: Authorization: Bearer <token>.")
        claims = self._verify(token.strip())
        with answering():
            known = await self._lists.read(claims.user_id, claims.session_id)
        if not known.session_alive:
            raise Unauthenticated("The session has ended. Log in again.")
        memberships = known.memberships
        if memberships is None:
            memberships = await self._memberships(claims.user_id, known.generation)
        identity = Identity(claims.user_id, claims.session_id, memberships, user_agent=user_agent)
        return Caller(identity, claims.expires_at, claims.scopes)

    def _verify(self, token: str) -> AccessClaims:
        claims = self._verified.get(token)
        if claims is None:
            claims = self._tokens.verify(token)
            self._verified.put(token, claims)
        elif claims.expires_at <= self._clock():
            self._verified.drop(token)
            raise Unauthenticated("The token is not valid or has expired.")
        return claims

    async def _memberships(self, user_id: str, generation: str) -> Mapping[str, Role]:
        key = (user_id, generation)
        task = self._reading.get(key)
        if task is None:
            task = self._reading[key] = asyncio.create_task(self._read(user_id, generation))
            task.add_done_callback(lambda _: self._reading.pop(key, None))
        return await asyncio.shield(task)

    async def _read(self, user_id: str, generation: str) -> Mapping[str, Role]:
        memberships = await self._read_memberships(user_id)
        with answering():
            await self._lists.keep(user_id, memberships, generation=generation)
        return memberships


def ask_orgs(
    transport: Callable[[], SubgraphTransport],
) -> Callable[[str], Awaitable[Mapping[str, Role]]]:
    """Reads a user's memberships from the orgs subgraph, in the gateway's own name."""
    context = RequestContext(identity=GATEWAY)

    async def read(user_id: str) -> Mapping[str, Role]:
        request = SubgraphRequest(_FETCH, {"userId": user_id}, context)
        try:
            response = await transport().execute(request)
        except SubgraphError as error:
            raise Unavailable from error
        found: list[dict[str, Any]] | None = (response.data or {}).get("accessOf")
        if found is None or response.errors:
            logger.error("access.unknown", errors=len(response.errors))
            raise Unavailable
        return {item["organizationId"]: Role(item["role"].lower()) for item in found}

    return read


async def context_of(
    connection: HTTPConnection, callers: Callers, init: Mapping[str, Any] = _NO_INIT
) -> RequestContext:
    """The context of a request, or of a socket with the payload of its init message.

    Browsers cannot set headers on a socket, so its init message may carry them.
    """
    headers = headers_of(connection.scope)
    token = headers.get("authorization") or _text(init, "authorization", "Authorization")
    agent = headers.get("user-agent", "")[:_LONGEST_AGENT]
    caller = await callers.identify(token, user_agent=agent or None)
    name, version = client_in(headers)
    context = RequestContext(
        identity=caller.identity,
        audience=audience_of(caller.identity),
        expires_at=caller.expires_at,
        scopes=caller.scopes,
        client_name=name,
        client_version=version,
    )
    remember(context, connection.scope)
    return context


def audience_of(identity: Identity) -> Hashable:
    """One session of a user, with the same memberships."""
    return (identity.user_id, identity.session_id, frozenset(identity.memberships.items()))


def client_in(headers: Mapping[str, str]) -> tuple[str | None, str | None]:
    """What a client calls itself, and its version."""
    return _client(headers, "name"), _client(headers, "version")


def _client(headers: Mapping[str, str], what: str) -> str | None:
    found = headers.get(f"graphql-client-{what}") or headers.get(f"apollographql-client-{what}")
    return found[:_LONGEST_CLIENT] if found else None


def _text(init: Mapping[str, Any], *names: str) -> str | None:
    found = next((init[name] for name in names if name in init), None)
    return found if isinstance(found, str) else None
