"""Clients that hold a connection without asking for anything, or take nothing of their answer."""

from __future__ import annotations

import asyncio
import resource
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from prometheus_client import REGISTRY
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from cli.connections import CLOSE, HttpConnection, WebSocketConnection, affordable, bounded
from tests.serving import serving

_REQUEST = b"POST / HTTP/1.1\r\nhost: x\r\n"
_UPGRADE = (
    b"GET / HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
    b"sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
_PING = b"\x89\xfd\0\0\0\0" + bytes(125)


class _App:
    """Answers with what was sent; to ``/endless``, and to sockets, without an end."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        try:
            if scope["type"] == "websocket":
                await send({"type": "websocket.accept"})
                while True:
                    await send({"type": "websocket.send", "bytes": bytes(10_000)})
            await self._http(scope, receive, send)
        finally:
            self.ended.set()

    async def _http(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body, more = body + message.get("body", b""), message.get("more_body", False)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while scope["path"] == "/endless" and (await _now(receive)) is None:
            message = {"type": "http.response.body", "body": bytes(10_000), "more_body": True}
            await send(message)
        await send({"type": "http.response.body", "body": body})


async def _now(receive: Any) -> Any:
    """What the server tells without being waited for."""
    try:
        async with asyncio.timeout(0):
            return await receive()
    except TimeoutError:
        return None


@pytest.fixture
def app() -> _App:
    return _App()


@asynccontextmanager
async def _server(app: _App, **options: Any) -> AsyncIterator[int]:
    async with serving(app, lifespan="off", **options) as url:
        yield int(url.rpartition(":")[2])


@asynccontextmanager
async def _connected(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def _sent(port: int, content: bytes) -> bytes:
    """All that comes back until the server closes the connection."""
    async with _connected(port) as (reader, writer):
        writer.write(content)
        async with asyncio.timeout(10):
            return await reader.read()


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (_REQUEST, b"408"),
        (b"P", b"408"),
        (_REQUEST + b"content-length: 9\r\n\r\n{", b"408"),
        (_REQUEST + b"transfer-encoding: chunked\r\n\r\n1\r\n{\r\n", b"408"),
        (_REQUEST + b"content-length: 1\r\n\r\n{" + _REQUEST, b"408"),
        (b"", b""),
    ],
)
async def test_a_request_that_does_not_arrive_is_not_waited_for(
    app: _App, content: bytes, status: bytes
) -> None:
    impatient = bounded(arriving_seconds=0.05, most=9)
    async with _server(app, http=impatient, timeout_keep_alive=60) as port:
        answer = await _sent(port, content)
    assert answer.rpartition(b"HTTP/1.1 ")[2][:3] == status


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n",
        _REQUEST + b"x: " + b"a" * 70_000 + b"\r\n\r\n",
        _REQUEST + b"a:\r\n" * 2_100 + b"\r\n",
        _REQUEST + b"x: " + b"a" * 400_000,
        _REQUEST + b"transfer-encoding: chunked\r\n\r\n0\r\nx: " + b"a" * 400_000,
    ],
    ids=["a long line", "a long header", "many headers", "an endless header", "an endless trailer"],
)
async def test_a_head_has_a_size(app: _App, head: bytes) -> None:
    async with _server(app, http=HttpConnection) as port, _connected(port) as (reader, writer):
        writer.write(head)
        async with asyncio.timeout(10):
            assert (await reader.readline()).startswith(b"HTTP/1.1 431 ")


async def test_what_is_not_too_large_is_answered_as_ever(app: _App) -> None:
    large = b"x: " + b"a" * 60_000 + b"\r\n"
    body = b"b" * 300_000
    length = b"content-length: %d\r\nconnection: close\r\n\r\n" % len(body)
    async with _server(app, http=HttpConnection) as port:
        answer = await _sent(port, _REQUEST + large + length + body)
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert answer.count(b"b") >= len(body)
        assert (await _sent(port, b"no HTTP\r\n\r\n")).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("apart", [False, True])
async def test_a_client_that_would_rather_speak_http_2_is_answered(app: _App, apart: bool) -> None:
    upgrade = b"connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAM\r\n"
    head = _REQUEST + upgrade + b"content-length: 4\r\n\r\n"
    async with _server(app, http=HttpConnection) as port, _connected(port) as (reader, writer):
        for body in (b"body", b"next"):
            writer.write(head + body[:2])
            if apart:
                await writer.drain()
            writer.write(body[2:])
            async with asyncio.timeout(10):
                answer = await reader.readuntil(b"0\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 200 ")
            assert b"\r\n" + body + b"\r\n" in answer


async def test_a_head_that_nothing_follows_is_sent_alone() -> None:
    going_on = asyncio.Event()

    async def app(_scope: object, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await going_on.wait()
        await send({"type": "http.response.body", "body": b"late"})

    async with serving(app, lifespan="off", http=HttpConnection) as url:
        port = int(url.rpartition(":")[2])
        async with _connected(port) as (reader, writer), asyncio.timeout(10):
            writer.write(_REQUEST + b"connection: close\r\n\r\n")
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
            going_on.set()
            assert await reader.read() == b"4\r\nlate\r\n0\r\n\r\n"


async def test_a_client_is_told_to_go_on_before_it_sends_its_body(app: _App) -> None:
    head = _REQUEST + b"expect: 100-continue\r\nconnection: close\r\ncontent-length: 4\r\n\r\n"
    async with _server(app, http=HttpConnection) as port, _connected(port) as (reader, writer):
        async with asyncio.timeout(10):
            writer.write(head)
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            writer.write(b"body")
            answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.endswith(b"4\r\nbody\r\n0\r\n\r\n")


async def test_an_answer_without_a_body_is_sent_before_the_connection_is_closed(app: _App) -> None:
    async with _server(app, http=HttpConnection) as port:
        answer = await _sent(port, b"HEAD / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 ")


async def test_requests_sent_in_a_row_are_answered_in_order(app: _App) -> None:
    row = b"".join(_REQUEST + b"content-length: 1\r\n\r\n%d" % number for number in range(9))
    last = _REQUEST + b"connection: close\r\ncontent-length: 1\r\n\r\n9"
    async with _server(app, http=HttpConnection) as port:
        answers = (await _sent(port, row + last)).split(b"HTTP/1.1 200 ")[1:]
    assert [answer[-8:-7] for answer in answers] == [b"%d" % number for number in range(10)]


class _Impatient(HttpConnection):
    stalled_seconds = 0.05


class _ImpatientSocket(WebSocketConnection):
    stalled_seconds = 0.05


@pytest.mark.parametrize("request_", [b"GET /endless HTTP/1.1\r\n\r\n", _UPGRADE])
async def test_a_client_that_takes_nothing_is_cut_off(app: _App, request_: bytes) -> None:
    async with _server(app, http=_Impatient, ws=_ImpatientSocket) as port:
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(request_)
            async with asyncio.timeout(10):
                await app.ended.wait()


async def test_a_socket_is_ended_by_the_application() -> None:
    stopping = asyncio.Event()

    class Telling(WebSocketConnection):
        def shutdown(self) -> None:
            super().shutdown()
            stopping.set()

    async def app(_scope: object, _receive: object, send: Any) -> None:
        await send({"type": "websocket.accept"})
        await stopping.wait()
        await send({"type": "websocket.send", "text": "the last"})
        await send({"type": "websocket.close", "code": 1012})

    async with serving(app, lifespan="off", http=HttpConnection, ws=Telling) as url:
        socket = await connect(url.replace("http", "ws"))
    assert [message async for message in _said(socket)] == ["the last"]


async def _said(socket: ClientConnection) -> AsyncIterator[str | bytes]:
    with suppress(ConnectionClosed):
        while True:
            yield await socket.recv()


async def test_the_pings_of_a_client_that_takes_nothing_are_not_kept(app: _App) -> None:
    full: asyncio.Future[WebSocketConnection] = asyncio.get_running_loop().create_future()

    class Telling(WebSocketConnection):
        def pause_writing(self) -> None:
            super().pause_writing()
            full.set_result(self)

    async with (
        _server(app, http=HttpConnection, ws=Telling) as port,
        _connected(port) as (_, writer),
    ):
        writer.write(_UPGRADE)
        async with asyncio.timeout(10):
            connection = await full
        waiting = connection.transport.get_write_buffer_size()
        connection.data_received(_PING * 10_000)
        assert connection.transport.get_write_buffer_size() == waiting


def _refused() -> float:
    return REGISTRY.get_sample_value("http_connections_refused_total") or 0.0


async def test_one_connection_too_many_is_refused_until_another_ends() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.accept"})
            while (await receive())["type"] != "websocket.disconnect":
                await send({"type": "websocket.send", "text": "heard"})
        else:
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body"})

    few = bounded(arriving_seconds=60, most=2)
    before = _refused()
    async with serving(app, lifespan="off", http=few, ws=WebSocketConnection) as url:
        port = int(url.rpartition(":")[2])
        async with connect(f"ws://127.0.0.1:{port}") as ws, _connected(port) as (reader, writer):
            refused = await _sent(port, b"")
            assert refused.startswith(b"HTTP/1.1 503 ")
            assert b"connection: close" in refused
            assert _refused() == before + 1
            # Those that were there notice nothing.
            await ws.send("hello")
            assert await ws.recv() == "heard"
            writer.write(b"GET / HTTP/1.1\r\n\r\n")
            assert (await reader.readline()).startswith(b"HTTP/1.1 204 ")
        answer = b""
        async with asyncio.timeout(10):
            while not answer.startswith(b"HTTP/1.1 204 "):
                # What is refused is closed before it was read.
                with suppress(ConnectionError):
                    answer = await _sent(port, b"GET / HTTP/1.0\r\n\r\n")


@pytest.fixture
def files() -> Iterator[int]:
    """The hard limit on open files; what a test makes of the soft one is undone."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield limits[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_connections_take_half_of_the_open_files(files: int) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, files))
    assert affordable(100) == 100
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 512
    assert affordable(300) == 300
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 600
    if files != resource.RLIM_INFINITY:
        assert affordable(files) == files // 2
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == files


@pytest.mark.parametrize("wanted", ["http", "websocket"])
async def test_a_server_about_to_stop_keeps_sockets_and_no_other_connections(wanted: str) -> None:
    async def app(scope: Any, _receive: object, send: Any) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.accept"})
            await send({"type": "websocket.close", "code": 1000})
        else:
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body"})

    headers = [tuple(each.decode() for each in CLOSE)]
    options = {"http": HttpConnection, "ws": WebSocketConnection, "headers": headers}
    async with serving(app, lifespan="off", **options) as url:
        port = int(url.rpartition(":")[2])
        if wanted == "websocket":
            async with connect(url.replace("http", "ws")) as ws:
                assert ws.response is not None
                assert ws.response.headers.get_all("connection") == ["Upgrade"]
        else:
            assert (await _sent(port, b"GET / HTTP/1.1\r\n\r\n")).count(b"connection: close") == 1
