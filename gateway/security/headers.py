"""Response headers that make browsers careful, and who may read responses from another site."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["SecurityHeaders", "cors"]

_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"strict-transport-security", b"max-age=31536000; includeSubDomains"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)


class SecurityHeaders:
    """ASGI middleware: each of these headers, unless the response has its own."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def careful_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = list(message["headers"])
                names = {name for name, _ in own}
                own.extend(header for header in _HEADERS if header[0] not in names)
                message = {**message, "headers": own}
            await send(message)

        await self._app(scope, receive, careful_send)


def cors(origins: Sequence[str]) -> Middleware:
    """The middleware that lets exactly these origins read responses."""
    return Middleware(
        CORSMiddleware,
        allow_origins=tuple(origins),
        allow_methods=("GET", "POST", "PUT", "DELETE"),
        allow_headers=(
            "accept",
            "apollo-require-preflight",
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
        ),
        expose_headers=(
            "retry-after",
            "x-ratelimit-limit",
            "x-ratelimit-remaining",
            "x-ratelimit-reset",
            "x-request-id",
        ),
        max_age=86_400,
    )
