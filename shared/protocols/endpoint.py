"""One path for every protocol: ``/graphql``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.routing import Route

from shared.protocols.sse import EventStreams

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["GraphQLEndpoint", "Shortcut"]


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


class Shortcut:
    """ASGI middleware that finds the path which nearly all requests are for.

    It hands them to ``endpoint`` as a router would that has it as a `Route`, which
    looks at every route, and for exceptions that the endpoint does not raise.
    """

    def __init__(self, app: ASGIApp, *, path: str, endpoint: ASGIApp) -> None:
        self._app = app
        self._route = Route(path, endpoint)
        self._endpoint = endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == self._route.path:
            scope["route"] = self._route
            await self._endpoint(scope, receive, send)
        else:
            await self._app(scope, receive, send)
