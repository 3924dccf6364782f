"""One path for every protocol: ``/graphql``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.protocols.sse import EventStreams

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["GraphQLEndpoint"]


class GraphQLEndpoint:
    """An ASGI application that hands each connection to the protocol it speaks."""

    def __init__(
        self, *, http: ASGIApp, websocket: ASGIApp, event_streams: ASGIApp | None = None
    ) -> None:
        self._http = http
        self._websocket = websocket
        self._event_streams = event_streams

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        elif self._event_streams is not None and EventStreams.serves(scope):
            await self._event_streams(scope, receive, send)
        else:
            await self._http(scope, receive, send)
