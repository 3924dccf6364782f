"""Connections of clients: how many, and what each may hold here without asking for anything.

uvicorn has any number of them, reads heads of any length for any time, and keeps for
ever what a client does not take.  A proxy in front may prevent that; this does not
rely on one.
"""

from __future__ import annotations

import asyncio
import resource
import sys
from contextlib import suppress
from itertools import chain
from typing import Any, ClassVar, cast

import httptools
from prometheus_client import Counter
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from shared.protocols.lifetime import LINE, Line

__all__ = ["CLOSE", "HttpConnection", "WebSocketConnection", "affordable", "bounded"]

CLOSE = (b"connection", b"close")
"""The header of an answer after which its connection is closed."""

_MOST = 65_536
"""Bytes of a request that are no body."""
_CONTINUE = b"HTTP/1.1 100 "
_UPGRADE = frozenset({b"connection", b"http2-settings", b"upgrade"})
_PER_HEADER = 32
"""What a header costs beside its text, as HTTP/2 counts (RFC 9113, 10.5.1)."""


_REFUSED = Counter("http_connections_refused_total", "Connections that were one too many.")


class _TooLarge(Exception):
    """Ends the parsing of a request."""


class _Taken(asyncio.Protocol):
    """A connection that is cut off when its client takes nothing although much waits for it."""

    stalled_seconds: ClassVar[float] = 60.0
    loop: asyncio.AbstractEventLoop
    transport: asyncio.Transport
    _stalled: asyncio.TimerHandle | None = None

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stalled = self.loop.call_later(self.stalled_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        self._flows()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._flows()
        super().connection_lost(exc)

    def _flows(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None


class _Joining:
    """What an answer is written to: its head leaves together with what follows at once.

    uvicorn writes them one by one, and each write is a system call that wakes the client.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._head: bytes | None = None
        self._begins = False
        self.is_closing = transport.is_closing

    def begin(self) -> None:
        """What is written next is a head."""
        self._begins = True

    def write(self, data: bytes) -> None:
        if self._head is not None:
            head, self._head = self._head, None
            self._transport.writelines((head, data))
        elif self._begins and not data.startswith(_CONTINUE):
            self._begins, self._head = False, data
            self._loop.call_soon(self._flush)
        else:
            self._transport.write(data)

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._head is not None:
            head, self._head = self._head, None
            self._transport.write(head)


class HttpConnection(_Taken, HttpToolsProtocol):
    """One of ``most``; refuses large heads, and requests that do not arrive.

    Who would rather go on in HTTP/2 is answered in HTTP/1.1, as Java's own client and
    `curl --http2` expect.
    """

    arriving_seconds: ClassVar[float] = 30.0
    most: ClassVar[int] = 12_000

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._late: asyncio.TimerHandle | None = None
        self._arriving = False
        # What came since the parser last understood anything.
        self._unread = 0
        self._is_too_large = False
        # Whether the request asks for a protocol that is not spoken here, and what came last.
        self._declines = False
        self._data = b""
        self._line = Line()
        self._extensions: dict[str, dict[object, object]] = {LINE: {"line": self._line}}

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._joining = _Joining(transport, self.loop)
        if len(self.connections) > self.most:
            _REFUSED.inc()
            self._refuse(503)
        else:
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._wait_no_more()
        super().connection_lost(exc)
        self._line.cut()

    def data_received(self, data: bytes) -> None:
        self._unread += len(data)
        self._data = data
        super().data_received(data)
        self._data = b""
        if self._unread > _MOST:
            self._refuse(431)
        elif not self._arriving:
            self._wait_no_more()
        elif self._late is None:
            # Nearly every request is there in one piece, and needs no clock.
            self._wait()

    def handle_websocket_upgrade(self) -> None:
        self._wait_no_more()
        self._flows()
        super().handle_websocket_upgrade()

    def _unsupported_upgrade_warning(self) -> None:
        """Read the request again, as one that asks for no other protocol (RFC 9110, 7.8)."""
        upgrade = sys.exception()
        assert isinstance(upgrade, httptools.HttpParserUpgrade)
        lines = [self.scope["method"].encode() + b" " + self.url + b" HTTP/1.1"]
        lines += [name + b": " + value for name, value in self.headers if name not in _UPGRADE]
        self.parser = httptools.HttpRequestParser(self)
        self.data_received(b"\r\n".join([*lines, b"", b""]) + self._data[upgrade.args[0] :])

    def send_400_response(self, msg: str) -> None:
        if self._is_too_large:
            self._refuse(431)
        else:
            super().send_400_response(msg)

    def _wait(self) -> None:
        self._late = self.loop.call_later(self.arriving_seconds, self._is_late)

    def _wait_no_more(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _is_late(self) -> None:
        # Browsers open connections that they do not use; those have asked nothing.
        if self._arriving:
            self._refuse(408)
        else:
            self.transport.close()

    def _refuse(self, status: int) -> None:
        """Answer, unless another answer has begun, and close."""
        self._unread = 0
        cycle: Any = self.cycle  # None before the first request
        if not (cycle and cycle.response_started and not cycle.response_complete):
            close = b"content-length: 0\r\nconnection: close\r\n\r\n"
            self.transport.write(STATUS_LINE[status] + close)
        self.transport.close()

    # What the parser calls.

    def on_message_begin(self) -> None:
        self._arriving = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        texts = sum(map(len, chain.from_iterable(self.headers)))
        if len(self.url) + texts + _PER_HEADER * len(self.headers) > _MOST:
            self._is_too_large = True
            raise _TooLarge
        self._unread = 0
        self._declines = self.parser.should_upgrade() and not self._should_upgrade()
        if self._declines:
            self.scope["method"] = self.parser.get_method().decode("ascii")
        else:
            self.scope["extensions"] = self._extensions
            super().on_headers_complete()
            if self.cycle is not None:  # as it is where a socket begins
                self._joining.begin()
                self.cycle.transport = cast("asyncio.Transport", self._joining)

    def on_body(self, body: bytes) -> None:
        self._unread = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._arriving, self._unread = False, 0
        if not self._declines:
            super().on_message_complete()


def bounded(*, arriving_seconds: float, most: int) -> type[HttpConnection]:
    """At most so many connections, on which a request must have arrived whole in this time."""
    bounds = {"arriving_seconds": arriving_seconds, "most": most}
    return type("BoundedConnection", (HttpConnection,), bounds)


def affordable(wanted: int) -> int:
    """As many of the connections as half of the files that this process may open.

    The other half is for what requests need: connections to subgraphs, databases and
    Redis.  The limit on files is raised first where the system lets this process do so.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return wanted
    needed = 2 * wanted if hard == resource.RLIM_INFINITY else min(2 * wanted, hard)
    # macOS has a limit of its own, lower than what it calls the hard one.
    with suppress(OSError, ValueError):
        if soft < needed:
            resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
            soft = needed
    return min(wanted, soft // 2)


class WebSocketConnection(_Taken, WebSocketsSansIOProtocol):
    """Leaves its end to the application, and unanswered the pings of a client that takes nothing.

    The application is told when the server stops, and knows what is under way.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        # A server that is about to stop closes no connection that becomes a socket.
        self.default_headers = [each for each in self.default_headers if each != CLOSE]

    def shutdown(self) -> None:
        if self.close_sent or not self.handshake_complete:
            super().shutdown()

    def handle_ping(self) -> None:
        if self.writable.is_set():
            super().handle_ping()
        else:
            self.conn.data_to_send()
