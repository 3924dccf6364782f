"""Calls over kept-alive connections, to servers that do what HTTP allows and what it does not."""

from __future__ import annotations

import asyncio
import gzip
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import uvloop

from gateway.transports.connections import Answer, Connections, NotAnswered, TooLarge
from tests.support.certificates import certified

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Run = Callable[[Coroutine[Any, Any, None]], None]

FINE = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
LONG = 5.0


@pytest.fixture(params=[asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """Runs a test on either event loop."""
    chosen: Run = request.param
    return chosen


class Server:
    """Reads requests and sends what the test says, counting its connections."""

    def __init__(self, *answers: bytes, closes: bool = False) -> None:
        self.answers = list(answers)
        self.closes = closes
        self.requests: list[bytes] = []
        self.asked = asyncio.Event()
        self.hold: asyncio.Event | None = None
        self.connections = 0
        self.url = ""
        self.open: dict[asyncio.Task[Any], asyncio.StreamWriter] = {}

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self.open[task] = writer
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                self.requests.append(head + await reader.readexactly(length))
                self.asked.set()
                if self.hold is not None:
                    await self.hold.wait()
                answer = self.answers.pop(0)
                if not answer:
                    break
                writer.write(answer)
                if self.closes:
                    break
        writer.close()

    def connections_to(self) -> Connections:
        return Connections(self.url, {"accept": "x/y"}, max_connections=1, max_response_bytes=1_000)


@asynccontextmanager
async def serving(
    server: Server, context: ssl.SSLContext | None = None
) -> AsyncIterator[Connections]:
    listening = await asyncio.start_server(server, "127.0.0.1", 0, ssl=context)
    port = listening.sockets[0].getsockname()[1]
    server.url = f"{'https' if context else 'http'}://127.0.0.1:{port}/graphql?a=b"
    connections = server.connections_to()
    try:
        yield connections
    finally:
        connections.close()
        listening.close()
        for task, writer in server.open.items():
            task.cancel()
            writer.transport.abort()
        if server.open:
            await asyncio.wait(server.open)


async def post(
    connections: Connections, body: bytes = b"{}", *, repeatable: bool = True, **headers: str
) -> Answer:
    return await connections.post(headers, body, seconds=LONG, repeatable=repeatable)


def test_a_request_is_sent_whole_and_the_connection_is_kept(run: Run) -> None:
    async def test() -> None:
        server = Server(FINE, FINE)
        async with serving(server) as connections:
            answer = await post(connections, b'{"a":1}', authorization="me")
            assert (answer.status, answer.body, answer.header("content-length")) == (
                200,
                b"ok",
                "2",
            )
            assert (await post(connections)).body == b"ok"
            place = server.url.split("/")[2].encode()
            assert server.requests[0] == (
                b"POST /graphql?a=b HTTP/1.1\r\nhost: " + place + b"\r\naccept: x/y\r\n"
                b'authorization: me\r\ncontent-length: 7\r\n\r\n{"a":1}'
            )
            assert server.connections == 1

    run(test())


@pytest.mark.parametrize(
    ("sent", "body"),
    [
        (b"transfer-encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\n\r\n", b"abc"),
        (b"\r\nuntil the end", b"until the end"),
        (b"connection: close\r\ncontent-length: 1\r\n\r\na", b"a"),
        (b"content-encoding: gzip\r\n\r\n" + gzip.compress(b"small", mtime=0), b"small"),
    ],
    ids=["chunked", "until closed", "close", "gzip"],
)
def test_every_form_of_body_is_read(run: Run, sent: bytes, body: bytes) -> None:
    async def test() -> None:
        head = b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 418 Teapot\r\n"
        async with serving(Server(head + sent, closes=True)) as connections:
            answer = await post(connections)
            assert (answer.status, answer.body) == (418, body)
            assert answer.header("link") is None

    run(test())


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"SSH-2.0-OpenSSH\r\n", NotAnswered),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf", NotAnswered),
        (b"", NotAnswered),
        (b"HTTP/1.1 200 OK\r\ncontent-encoding: br\r\ncontent-length: 1\r\n\r\na", NotAnswered),
        (b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 1\r\n\r\na", NotAnswered),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 1001\r\n\r\n" + b"a" * 1001, TooLarge),
        (b"HTTP/1.1 200 OK\r\nlong: " + b"a" * 70_000, TooLarge),
        (b"HTTP/1.1 200 OK\r\n" + b"a:\r\n" * 1_001 + b"\r\n", TooLarge),
        (
            b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n" + gzip.compress(b"a" * 9999),
            TooLarge,
        ),
        (
            b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n" + gzip.compress(b"a" * 99)[:-9],
            NotAnswered,
        ),
    ],
    ids=[
        "not HTTP",
        "half a body",
        "nothing",
        "unknown encoding",
        "wrong encoding",
        "long body",
        "long header",
        "many headers",
        "long when unpacked",
        "half an archive",
    ],
)
def test_a_broken_answer_is_an_error_and_the_next_one_is_not(
    run: Run, answer: bytes, error: type[Exception]
) -> None:
    async def test() -> None:
        server = Server(answer, closes=True)
        async with serving(server) as connections:
            with pytest.raises(error):
                await post(connections)
            server.answers = [FINE]
            assert (await post(connections)).body == b"ok"

    run(test())


def test_an_answer_nobody_asked_for_is_never_the_next_ones(run: Run) -> None:
    async def test() -> None:
        stray = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nstray"
        server = Server(FINE + stray, FINE)
        async with serving(server) as connections:
            assert (await post(connections)).body == b"ok"
            assert (await post(connections)).body == b"ok"
            assert server.connections == 2

    run(test())


def test_only_what_is_repeatable_is_sent_again_when_a_kept_connection_closes(run: Run) -> None:
    async def test() -> None:
        server = Server(FINE, b"", FINE, b"")
        async with serving(server) as connections:
            await post(connections)
            assert (await post(connections)).body == b"ok"
            with pytest.raises(NotAnswered):
                await post(connections, repeatable=False)
            assert len(server.requests) == 4

    run(test())


def test_who_finds_all_connections_in_use_waits_and_who_leaves_makes_room(run: Run) -> None:
    async def test() -> None:
        server = Server(*[FINE] * 9)
        server.hold = asyncio.Event()
        async with serving(server) as connections:
            first = asyncio.create_task(post(connections))
            await server.asked.wait()
            waiting = asyncio.create_task(post(connections))
            with pytest.raises(TimeoutError):
                await connections.post({}, b"", seconds=0.01, repeatable=True)
            waiting.cancel()
            first.cancel()
            await asyncio.wait([first, waiting])
            with pytest.raises(TimeoutError):
                await connections.post({}, b"", seconds=0.05, repeatable=True)
            server.hold.set()
            assert (await post(connections)).body == b"ok"

    run(test())


def test_a_connection_that_is_not_kept_is_closed(run: Run) -> None:
    async def test() -> None:
        upgrade = b"HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n"
        server = Server(FINE + b"no HTTP", upgrade)
        async with serving(server) as connections:
            assert (await post(connections)).body == b"ok"
            await asyncio.wait_for(asyncio.wait(server.open), LONG)
            with pytest.raises(NotAnswered, match="not HTTP"):
                await post(connections)
            await asyncio.wait_for(asyncio.wait(server.open), LONG)

    run(test())


def test_who_leaves_just_when_the_answer_comes_leaves_no_connection_open(run: Run) -> None:
    async def test() -> None:
        server = Server(FINE)
        server.hold = asyncio.Event()
        async with serving(server) as connections:
            asking = asyncio.create_task(post(connections))
            await server.asked.wait()
            (connection,) = connections._busy
            answer = connection._answer
            assert answer is not None
            loop = asyncio.get_running_loop()

            def leave() -> None:
                if answer.done():
                    asking.cancel()
                else:
                    loop.call_soon(leave)

            leave()
            server.hold.set()
            with pytest.raises(asyncio.CancelledError):
                await asking
            await asyncio.wait_for(asyncio.wait(server.open), LONG)

    run(test())


def test_closing_ends_what_is_under_way(run: Run) -> None:
    async def test() -> None:
        server = Server(FINE)
        server.hold = asyncio.Event()
        async with serving(server) as connections:
            asking = asyncio.create_task(post(connections))
            await server.asked.wait()
            connections.close()
            with pytest.raises(NotAnswered):
                await asking

    run(test())


def test_a_server_that_is_not_there_does_not_answer(run: Run) -> None:
    async def test() -> None:
        server = Server()
        server.url = "http://127.0.0.1:9/"
        with pytest.raises(NotAnswered):
            await post(server.connections_to())

    run(test())


@pytest.mark.parametrize(
    "headers",
    [{"a": "b\r\nc: d"}, {"a": "b\n"}, {"a": "b\0"}, {"a b": "c"}, {"a\r\nb": "c"}, {"": "c"}],
)
async def test_a_value_never_becomes_a_header_of_its_own(headers: dict[str, str]) -> None:
    server = Server(FINE)
    async with serving(server) as connections:
        with pytest.raises(ValueError, match="header"):
            await connections.post(headers, b"", seconds=LONG, repeatable=True)
        assert server.connections == 0


async def test_a_value_beyond_latin_1_goes_as_utf_8() -> None:
    server = Server(FINE)
    async with serving(server) as connections:
        await post(connections, name="Ada → Lovelace")
        assert "name: Ada → Lovelace\r\n".encode() in server.requests[0]


def test_a_certificate_is_checked(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = certified(tmp_path)

    async def test() -> None:
        async with serving(Server(FINE), context) as connections:
            with pytest.raises(NotAnswered):
                await post(connections)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
        async with serving(Server(FINE), context) as connections:
            assert (await post(connections)).body == b"ok"

    run(test())


def test_a_certificate_for_another_name_is_refused(run: Run, tmp_path: Path) -> None:
    context = certified(tmp_path)
    trusting = ssl.create_default_context(cafile=tmp_path / "certificate.pem")
    bounds = {"max_connections": 1, "max_response_bytes": 1_000}

    async def test() -> None:
        server = Server(FINE)
        async with serving(server, context):
            named = Connections(server.url, {}, **bounds, tls=trusting)
            assert (await post(named)).body == b"ok"
            elsewhere = server.url.replace("127.0.0.1", "localhost")
            misnamed = Connections(elsewhere, {}, **bounds, tls=trusting)
            with pytest.raises(NotAnswered, match="not valid for 'localhost'"):
                await post(misnamed)
            named.close()
            assert len(server.requests) == 1

    run(test())
