"""Who calls the gateway of any supergraph: bearer tokens (JWT) of issuers that it trusts.

Without a token a caller is a stranger.  A token that is not valid is refused, and
never taken for none.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import jwt

from gateway.cache import LruCache
from gateway.keys import KeySet, KeysUnavailable
from shared.config import ConfigurationError
from shared.errors import Unauthenticated
from shared.logger import get_logger

__all__ = ["Authentication", "Caller", "Decide", "Issuer", "Policies", "decide_by_name", "listed"]

logger = get_logger(__name__)

_KEPT = 10_000
_LONGEST = 16_384
_DECIDING_SECONDS = 5.0
_REFUSED = "The token is not valid or has expired."

Decide = Callable[[Mapping[str, Any], Mapping[str, str]], Iterable[str] | Awaitable[Iterable[str]]]
"""Given a token's claims (none of a stranger) and the request's headers: the policies that hold."""


@dataclass(frozen=True, slots=True)
class Issuer:
    """Whose tokens are taken: ``name`` is their ``iss``, one of ``audiences`` their ``aud``.

    What is None or empty is not asked for.
    """

    keys: KeySet
    name: str | None
    audiences: tuple[str, ...]
    algorithms: frozenset[str]


@dataclass(frozen=True, slots=True)
class Caller:
    """What a valid token says; ``expires_at`` is in seconds since the epoch."""

    claims: Mapping[str, Any]
    scopes: frozenset[str]
    expires_at: float

    @property
    def id(self) -> str:
        """Whom the token is about; empty if it does not say."""
        named = (self.claims.get(claim) for claim in ("sub", "client_id", "azp"))
        return next((name for name in named if isinstance(name, str)), "")


@dataclass(frozen=True, slots=True)
class _Verified:
    caller: Caller
    issuer: Issuer
    generation: int


class Authentication:
    """Verifies tokens; one that was verified is known until it expires or keys change."""

    def __init__(
        self,
        issuers: tuple[Issuer, ...],
        *,
        header: str = "authorization",
        scheme: str = "Bearer",
        leeway_seconds: float = 30.0,
        scope_claims: tuple[str, ...] = ("scope", "scp"),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._issuers = issuers
        self._header = header.lower()
        self._scheme = scheme
        self._leeway = leeway_seconds
        self._scope_claims = scope_claims
        self._clock = clock
        self._known: LruCache[str, _Verified] = LruCache(entries=_KEPT, weight=_KEPT * 1_000)

    def __bool__(self) -> bool:
        return bool(self._issuers)

    async def load(self) -> None:
        """Read all keys; raises `ConfigurationError` for a file that cannot be read.

        An address that does not answer is tried again when a token comes.
        """
        for issuer in self._issuers:
            try:
                await issuer.keys.load()
            except KeysUnavailable as error:
                if not isinstance(issuer.keys.location, str):
                    raise ConfigurationError(f"authentication.issuers: {error}") from error
                logger.warning("authentication.keys_unavailable", reason=str(error), kept=0)

    async def check(self) -> None:
        """Return if tokens of every issuer can be verified."""
        for issuer in self._issuers:
            await issuer.keys.check()

    async def close(self) -> None:
        """Stop reading keys."""
        for issuer in self._issuers:
            await issuer.keys.close()

    async def identify(self, headers: Mapping[str, str]) -> Caller | None:
        """The caller, None for a stranger; names of ``headers`` are in lower case.

        Without any issuer a token says nothing to us, and everybody is a stranger.
        Raises `Unauthenticated`, or `Unavailable` while no key is known.
        """
        value = headers.get(self._header, "").strip() if self._issuers else ""
        if not value:
            return None
        token = self._token(value)
        known = self._known.get(token)
        if known is None or known.generation != known.issuer.keys.generation:
            known = await self._verify(token)
            self._known.put(token, known, weight=len(token))
        elif known.caller.expires_at <= self._clock():
            self._known.drop(token)
            raise Unauthenticated(_REFUSED)
        known.issuer.keys.keep_fresh()
        return known.caller

    def _token(self, value: str) -> str:
        if not self._scheme:
            token = value
        else:
            scheme, _, token = value.partition(" ")
            if scheme.lower() != self._scheme.lower() or not token.strip():
                raise Unauthenticated(
                    f"Send the access token as: {self._header}: {self._scheme} <token>."
                )
        if len(token) > _LONGEST:
            raise Unauthenticated(_REFUSED)
        return token.strip()

    async def _verify(self, token: str) -> _Verified:
        try:
            return await self._by_an_issuer(token)
        except (jwt.PyJWTError, ArithmeticError, TypeError, ValueError, RecursionError) as error:
            logger.info("authentication.refused", reason=type(error).__name__)
            raise Unauthenticated(_REFUSED) from error

    async def _by_an_issuer(self, token: str) -> _Verified:
        unsure = jwt.decode_complete(token, options={"verify_signature": False})
        header, said = unsure["header"], unsure["payload"].get("iss")
        algorithm, key_id = header.get("alg"), header.get("kid")
        last: Exception = jwt.InvalidIssuerError("no such issuer")
        for issuer in self._issuers:
            if issuer.name not in (None, said):
                continue
            if algorithm not in issuer.algorithms:
                last = jwt.InvalidAlgorithmError("not an algorithm of this issuer")
                continue
            for key in await issuer.keys.find(key_id, algorithm):
                try:
                    caller = self._read(token, key, issuer)
                    return _Verified(caller, issuer, issuer.keys.generation)
                except jwt.InvalidTokenError as error:
                    last = error
        raise last

    def _read(self, token: str, key: jwt.PyJWK, issuer: Issuer) -> Caller:
        claims = jwt.decode(
            token,
            key,
            algorithms=[key.algorithm_name],
            issuer=issuer.name,
            audience=issuer.audiences or None,
            leeway=self._leeway,
            options={
                "require": ["exp"],
                "verify_aud": bool(issuer.audiences),
                "enforce_minimum_key_length": True,
            },
        )
        scopes = frozenset(name for claim in self._scope_claims for name in listed(claims, claim))
        return Caller(claims, scopes, float(claims["exp"]) + self._leeway)


def listed(claims: Mapping[str, Any], claim: str) -> list[str]:
    """The names in a claim: a list of them, or one text with spaces between (RFC 8693)."""
    value = claims.get(claim)
    if isinstance(value, str):
        return value.split()
    return [name for name in value if isinstance(name, str)] if isinstance(value, list) else []


@dataclass(frozen=True, slots=True)
class Policies:
    """Which policies hold for a caller: those in a claim, and those that a function says."""

    claim: str | None = None
    decide: Decide | None = None

    async def of(self, caller: Caller | None, headers: Mapping[str, str]) -> frozenset[str]:
        """The policies that hold; one that nobody could decide on does not."""
        claims: Mapping[str, Any] = caller.claims if caller is not None else {}
        found = set(listed(claims, self.claim)) if self.claim else set()
        if self.decide is not None:
            try:
                async with asyncio.timeout(_DECIDING_SECONDS):
                    decided = self.decide(claims, headers)
                    found.update(await decided if inspect.isawaitable(decided) else decided)
            except Exception:
                # The edge to other people's code: what it did not grant is refused.
                logger.exception("authorization.policies_undecided")
        return frozenset(found)


def decide_by_name(name: str) -> Decide:
    """The function that ``package.module:function`` names; raises `ConfigurationError`."""
    module, _, attribute = name.partition(":")
    try:
        found = getattr(import_module(module), attribute)
    except Exception as error:
        raise ConfigurationError(f"authorization.policies.function: {name}: {error}") from error
    if not callable(found):
        raise ConfigurationError(f"authorization.policies.function: {name} is not a function")
    decide: Decide = found
    return decide
