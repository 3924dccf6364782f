"""Who is calling: identities, users' access tokens, and the gateway's service tokens.

Both kinds of token are JWTs signed with Ed25519; a token names its key by the
key's thumbprint, so several keys can be valid while one replaces another.
"""

from __future__ import annotations

import base64
import hashlib
import re
import time
import uuid
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from shared.access import Role
from shared.config import ConfigurationError
from shared.errors import Unauthenticated

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

__all__ = [
    "ANONYMOUS",
    "GATEWAY",
    "AccessClaims",
    "AccessTokens",
    "Identity",
    "ServiceTokens",
    "Signer",
    "Verifier",
    "generate_keys",
]

_ALGORITHM = "EdDSA"


@dataclass(frozen=True, slots=True)
class Identity:
    """The caller as a subgraph knows it.

    ``memberships`` maps the ids of the caller's organizations to the caller's
    role in each.  ``service`` is set when the gateway calls on its own behalf.
    ``user_agent`` is what the client calls itself: shown in lists of sessions,
    never a reason to allow or refuse.
    """

    user_id: str | None = None
    session_id: str | None = None
    memberships: Mapping[str, Role] = field(default_factory=dict)
    service: str | None = None
    user_agent: str | None = None


ANONYMOUS = Identity()
"""A stranger."""

GATEWAY = Identity(service="gateway")
"""The gateway itself: reads memberships, hands on webhooks, gathers exports."""


def generate_keys() -> tuple[str, str]:
    """A new Ed25519 key pair as PEM texts: private, public."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return private.decode(), _public_pem(key.public_key())


def _public_pem(key: Ed25519PublicKey) -> str:
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def _thumbprint(key: Ed25519PublicKey) -> str:
    raw = key.public_bytes(Encoding.Raw, PublicFormat.Raw)
    return base64.urlsafe_b64encode(hashlib.sha256(raw).digest()[:12]).decode()


class Signer:
    """Signs JWTs with one private key."""

    def __init__(self, private_pem: str) -> None:
        try:
            key = load_pem_private_key(private_pem.encode(), password=None)
        except (ValueError, UnsupportedAlgorithm) as error:
            raise ConfigurationError(f"a signing key is not a PEM private key: {error}") from error
        if not isinstance(key, Ed25519PrivateKey):
            raise ConfigurationError("a signing key must be an Ed25519 key")
        self._key = key
        self._headers = {"kid": _thumbprint(key.public_key())}

    @property
    def public_pem(self) -> str:
        """The key others verify with."""
        return _public_pem(self._key.public_key())

    def sign(self, claims: Mapping[str, Any]) -> str:
        """A compact JWT of these claims."""
        return jwt.encode(dict(claims), self._key, algorithm=_ALGORITHM, headers=self._headers)


class Verifier:
    """Verifies JWTs against the public keys in a PEM text (one or several)."""

    def __init__(self, public_pem: str) -> None:
        self._keys: dict[str, Ed25519PublicKey] = {}
        for block in re.findall(r"-----BEGIN.+?-----END[^\n]+", public_pem, re.DOTALL):
            key = load_pem_public_key(block.encode())
            if not isinstance(key, Ed25519PublicKey):
                raise ConfigurationError("a verification key must be an Ed25519 public key")
            self._keys[_thumbprint(key)] = key
        if not self._keys:
            raise ConfigurationError("a verification key is not a PEM public key")

    def verify(self, token: str, *, issuer: str, audience: str) -> dict[str, Any]:
        """The claims of a token that is genuine, ours and not expired.

        Raises `Unauthenticated` for any other, with one message for all.
        """
        try:
            key = self._keys[jwt.get_unverified_header(token)["kid"]]
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=[_ALGORITHM],
                issuer=issuer,
                audience=audience,
                options={"require": ["exp", "iat", "iss", "aud"]},
            )
        except (jwt.InvalidTokenError, KeyError, TypeError) as error:
            raise Unauthenticated("The token is not valid or has expired.") from error
        return claims


@dataclass(frozen=True, slots=True)
class AccessClaims:
    """What a user's access token says; ``scopes`` are what `@requiresScopes` may ask for."""

    user_id: str
    session_id: str
    expires_at: int
    scopes: frozenset[str] = frozenset()


class AccessTokens:
    """Users' access tokens: issued by the users subgraph, verified by the gateway."""

    AUDIENCE = "nexus-api"

    def __init__(
        self, *, issuer: str, ttl_seconds: int, signer: Signer | None, verifier: Verifier
    ) -> None:
        self._issuer = issuer
        self._ttl = ttl_seconds
        self._signer = signer
        self._verifier = verifier

    def issue(
        self, user_id: str, session_id: str, *, scopes: Collection[str] = ()
    ) -> tuple[str, int]:
        """A new token and its life in seconds; ``scopes`` are written as RFC 9068 has it."""
        if self._signer is None:
            raise ConfigurationError("NEXUS_AUTH__SIGNING_KEY is not set: tokens cannot be issued")
        now = int(time.time())
        claims = {
            "iss": self._issuer,
            "aud": self.AUDIENCE,
            "sub": user_id,
            "sid": session_id,
            "iat": now,
            "exp": now + self._ttl,
            "jti": uuid.uuid4().hex,
            **({"scope": " ".join(sorted(scopes))} if scopes else {}),
        }
        return self._signer.sign(claims), self._ttl

    def verify(self, token: str) -> AccessClaims:
        """The claims of a genuine token; raises `Unauthenticated`."""
        claims = self._verifier.verify(token, issuer=self._issuer, audience=self.AUDIENCE)
        user_id, session_id = claims.get("sub"), claims.get("sid")
        if not isinstance(user_id, str) or not isinstance(session_id, str):
            raise Unauthenticated("The token is not valid or has expired.")
        scope = claims.get("scope")
        scopes = frozenset(scope.split()) if isinstance(scope, str) else frozenset()
        return AccessClaims(user_id, session_id, int(claims["exp"]), scopes)


class ServiceTokens:
    """The gateway's signature under each call to a subgraph, which also says who is calling.

    A signed token is reused for the same identity and subgraph during half of
    its life, so that signing stays off the hot path.
    """

    _ISSUER = "nexus-gateway"
    _KEPT = 4096

    def __init__(
        self, *, ttl_seconds: int, signer: Signer | None = None, verifier: Verifier | None = None
    ) -> None:
        self._ttl = ttl_seconds
        self._signer = signer
        self._verifier = verifier
        self._signed: OrderedDict[tuple[Any, ...], tuple[str, float]] = OrderedDict()

    def sign(self, identity: Identity, *, subgraph: str) -> str:
        """A token that tells ``subgraph``, and nobody else, who is calling."""
        if self._signer is None:
            raise ConfigurationError("NEXUS_SERVICE_AUTH__SIGNING_KEY is not set")
        memberships = tuple(sorted(identity.memberships.items()))
        key = (
            subgraph,
            identity.user_id,
            identity.session_id,
            memberships,
            identity.service,
            identity.user_agent,
        )
        now = time.time()
        kept = self._signed.get(key)
        if kept is not None and kept[1] > now:
            return kept[0]
        claims = {
            "iss": self._ISSUER,
            "aud": subgraph,
            "iat": int(now),
            "exp": int(now) + self._ttl,
            "sub": identity.user_id,
            "sid": identity.session_id,
            "org": dict(memberships),
            "svc": identity.service,
            "ua": identity.user_agent,
        }
        # A registered claim that is null makes a JWT invalid.
        token = self._signer.sign({k: v for k, v in claims.items() if v is not None})
        self._signed[key] = (token, now + self._ttl / 2)
        if len(self._signed) > self._KEPT:
            self._signed.popitem(last=False)
        return token

    def verify(self, token: str, *, subgraph: str) -> Identity:
        """Who is calling; raises `Unauthenticated` unless the gateway signed this for us."""
        if self._verifier is None:
            raise ConfigurationError("NEXUS_SERVICE_AUTH__VERIFICATION_KEYS is not set")
        claims = self._verifier.verify(token, issuer=self._ISSUER, audience=subgraph)
        memberships = {org: Role(role) for org, role in claims.get("org", {}).items()}
        return Identity(
            claims.get("sub"), claims.get("sid"), memberships, claims.get("svc"), claims.get("ua")
        )
