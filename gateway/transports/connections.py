"""Kept-alive HTTP/1.1 connections to one server: a small body there, a bounded body back.

This is what every fetch to a subgraph pays, so it does no more than that: no
redirects, no cookies, no proxies, no streams.  Other calls go through aiohttp.
The parser is llhttp's, as in httptools.
"""

from __future__ import annotations

import asyncio
import re
import ssl
import zlib
from collections import deque
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple, cast
from urllib.parse import urlsplit

import httptools

__all__ = ["Answer", "Connections", "NotAnswered", "TooLarge"]

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_IDLE = 15.0
_FRESH = 1.0
"""Seconds: a server may close what is idle just when it is used, and not everything may be
sent twice."""
_HEAD = 65_536
_MOST_HEADERS = 1_000


class NotAnswered(Exception):
    """There is no connection, or it broke before the answer was whole."""


class TooLarge(Exception):
    """The answer has more bytes than allowed."""


class _Unused(NotAnswered):
    """A kept connection was closed before a byte of the answer came."""


class Answer(NamedTuple):
    """A whole answer; the names of the headers are in lower case."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        """The first header of this name."""
        return next((value for known, value in self.headers if known == name), None)


class Connections:
    """At most so many connections to the server of an http(s) URL, made when they are needed."""

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str],
        *,
        max_connections: int,
        max_response_bytes: int,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        parts = urlsplit(url)
        secure = parts.scheme == "https"
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if secure else 80)
        self._ssl = (tls or ssl.create_default_context()) if secure else None
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        place = parts.netloc.rpartition("@")[2]
        self._head = f"POST {target} HTTP/1.1\r\nhost: {place}\r\n" + _lines(headers)
        self._max_response_bytes = max_response_bytes
        self._free = max_connections
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._idle: list[_Connection] = []
        self._busy: set[_Connection] = set()

    async def post(
        self, headers: Mapping[str, str], body: bytes, *, seconds: float, repeatable: bool
    ) -> Answer:
        """The answer to a POST.

        What is ``repeatable`` is sent again if the server closed the connection
        at that very moment.  Raises TimeoutError, `NotAnswered`, `TooLarge`, and
        ValueError for headers that cannot be sent.
        """
        head = f"{self._head}{_lines(headers)}content-length: {len(body)}\r\n\r\n"
        message = _encoded(head) + body
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        await self._place(end)
        try:
            while True:
                connection = self._kept(loop.time() - (_IDLE if repeatable else _FRESH))
                is_new = connection is None
                if connection is None:
                    connection = await self._connect(end)
                self._busy.add(connection)
                try:
                    answer = await connection.exchange(message, end)
                except _Unused:
                    if is_new or not repeatable:
                        raise
                    continue
                finally:
                    self._busy.discard(connection)
                if connection.reusable:
                    self._idle.append(connection)
                else:
                    connection.abort()
                return answer
        finally:
            self._leave()

    def close(self) -> None:
        """Close every connection; what is under way fails."""
        for connection in [*self._idle, *self._busy]:
            connection.abort()
        self._idle.clear()

    def _kept(self, used_after: float) -> _Connection | None:
        """The connection used last, unless that is too long ago."""
        while self._idle:
            connection = self._idle.pop()
            if connection.reusable and connection.used_at >= used_after:
                return connection
            connection.abort()
        return None

    async def _connect(self, end: float) -> _Connection:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout_at(end):
                _, connection = await loop.create_connection(
                    lambda: _Connection(self._max_response_bytes),
                    self._host,
                    self._port,
                    ssl=self._ssl,
                )
        except (OSError, ssl.CertificateError) as error:
            if isinstance(error, TimeoutError):
                raise
            raise NotAnswered(str(error)) from error
        return connection

    async def _place(self, end: float) -> None:
        """Wait until there are fewer connections in use than allowed."""
        if self._free:
            self._free -= 1
            return
        # Those who have left meanwhile are passed over when it would be their turn.
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout_at(end):
                await turn
        except BaseException:
            if turn.done() and not turn.cancelled():
                self._leave()
            raise

    def _leave(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1


class _Connection(asyncio.Protocol):
    """One request at a time."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[Answer] | None = None
        self._parser: Any = httptools.HttpResponseParser(self)
        self.reusable = True
        self.used_at = 0.0
        self._clear()

    def _clear(self) -> None:
        self._headers: list[tuple[str, str]] = []
        self._chunks: list[bytes] = []
        self._size = 0
        self._received = 0
        self._ends_with_connection = False

    async def exchange(self, message: bytes, end: float) -> Answer:
        """Send a whole request; the whole answer, by the loop's time ``end``."""
        transport, loop = self._transport, self._loop
        answer = self._answer = loop.create_future()
        if transport is None or transport.is_closing():
            self.reusable = False
            raise _Unused("The connection was closed.")
        transport.write(message)
        expiry = loop.call_at(end, self._fail, TimeoutError())
        try:
            found: Answer = await answer
            return found
        except BaseException:
            # Also when the answer is there: who stops waiting in that moment gives nothing back.
            self.abort()
            raise
        finally:
            expiry.cancel()
            self._answer = None
            self.used_at = loop.time()

    def abort(self) -> None:
        """Close the connection now."""
        self.reusable = False
        if self._transport is not None:
            self._transport.abort()

    def _fail(self, error: Exception) -> None:
        self.reusable = False
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not a subclass of asyncio's where the loop is uvloop's.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self._answer is None:
            # Nobody asked for this.
            self.abort()
            return
        self._received += len(data)
        if self._received > self._max_bytes + _HEAD:
            self._fail(TooLarge())
            self.abort()
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail(NotAnswered(f"That is not HTTP: {error}"))

    def connection_lost(self, exc: Exception | None) -> None:
        self.reusable = False
        if self._ends_with_connection and exc is None:
            self.on_message_complete()
        elif self._received:
            self._fail(NotAnswered("The connection broke in the middle of an answer."))
        else:
            self._fail(_Unused("The connection was closed."))

    # What the parser calls.

    def on_message_begin(self) -> None:
        if self._answer is None or self._answer.done():
            # A second answer to one question must not become that of the next.
            self.abort()

    def on_header(self, name: bytes, value: bytes) -> None:
        if len(self._headers) == _MOST_HEADERS:
            self._fail(TooLarge())
            raise TooLarge
        self._headers.append((name.decode("latin-1").lower(), value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        known = {name for name, _ in self._headers}
        self._ends_with_connection = not known & {"content-length", "transfer-encoding"}

    def on_body(self, chunk: bytes) -> None:
        self._size += len(chunk)
        if self._size > self._max_bytes:
            self._fail(TooLarge())
            self.abort()
        else:
            self._chunks.append(chunk)

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        answer, headers, body = self._answer, self._headers, b"".join(self._chunks)
        self._clear()
        if status < 200 or answer is None or answer.done():
            return
        self.reusable = self.reusable and self._parser.should_keep_alive()
        try:
            found = Answer(status, headers, body)
            answer.set_result(_decompressed(found, self._max_bytes))
        except (TooLarge, NotAnswered) as error:
            answer.set_exception(error)


def _decompressed(answer: Answer, max_bytes: int) -> Answer:
    """We accept no encoding, and some use one all the same."""
    encoding = answer.header("content-encoding")
    if encoding is None or encoding == "identity":
        return answer
    if encoding not in ("gzip", "deflate"):
        raise NotAnswered(f"The answer has content-encoding {encoding}.")
    # 32 more than the window's size: either format's header is recognised.
    inflating = zlib.decompressobj(wbits=zlib.MAX_WBITS + 32)
    try:
        body = inflating.decompress(answer.body, max_bytes)
    except zlib.error as error:
        raise NotAnswered(f"The answer is not {encoding}.") from error
    if inflating.unconsumed_tail:
        raise TooLarge
    if not inflating.eof:
        raise NotAnswered(f"The answer is not {encoding}.")
    return Answer(answer.status, answer.headers, body)


def _lines(headers: Mapping[str, str]) -> str:
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    # A client's value must not become a header, or a request, of its own.
    if lines.count("\n") != len(headers) or lines.count("\r") != len(headers) or "\0" in lines:
        raise ValueError("A header's value has a line break.")
    _check_names(tuple(headers))
    return lines


@lru_cache(maxsize=1024)
def _check_names(names: tuple[str, ...]) -> None:
    for name in names:
        if not _TOKEN.fullmatch(name):
            raise ValueError(f"There cannot be a header {name!r}.")


def _encoded(head: str) -> bytes:
    try:
        return head.encode("latin-1")
    except UnicodeEncodeError:
        return head.encode()
