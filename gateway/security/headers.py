"""Response headers that make browsers careful, and who may read responses from another site."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

__all__ = ["SECURITY_HEADERS", "cors"]

SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"strict-transport-security", b"max-age=31536000; includeSubDomains"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)
"""Sent with each response, unless it has its own."""

_ALLOWED = (
    "accept",
    "apollo-require-preflight",
    "apollographql-client-name",
    "apollographql-client-version",
    "authorization",
    "content-type",
    "graphql-client-name",
    "graphql-client-version",
    "graphql-require-preflight",
    "idempotency-key",
    "traceparent",
    "tracestate",
    "x-apollo-operation-name",
    "x-graphql-event-stream-token",
    "x-request-id",
)
_EXPOSED = (
    "retry-after",
    "x-ratelimit-limit",
    "x-ratelimit-remaining",
    "x-ratelimit-reset",
    "x-request-id",
)


def cors(
    origins: Sequence[str],
    *,
    credentials: bool = False,
    headers: Sequence[str] = (),
    expose_headers: Sequence[str] = (),
) -> Middleware:
    """The middleware that lets exactly these origins read responses.

    With ``credentials`` their pages may send cookies.  Both kinds of headers are
    allowed beside the usual ones.
    """
    return Middleware(
        CORSMiddleware,
        allow_origins=tuple(origins),
        allow_credentials=credentials,
        allow_methods=("GET", "POST", "PUT", "DELETE"),
        allow_headers=(*_ALLOWED, *headers),
        expose_headers=(*_EXPOSED, *expose_headers),
        max_age=86_400,
    )
