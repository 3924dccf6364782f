"""Subscriptions at subgraphs that stream in their own way, and connections that are lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import chain, repeat
from typing import Any

import pytest

from gateway.context import RequestContext
from gateway.federation.plan import Fetch
from gateway.federation.transport import SubgraphError, SubgraphRequest, SubgraphResponse
from gateway.transports.http import HttpTransport, SubgraphEndpoint
from gateway.transports.streams import Protocol
from shared.auth import ANONYMOUS, Identity
from shared.protocols.endpoint import GraphQLEndpoint
from shared.protocols.http import GraphQLHTTP
from shared.protocols.websocket import GraphQLWebSocket
from tests.gateway.bookshop import Bookshop, make_bookshop
from tests.serving import serving

FETCH = Fetch(0, "books", "subscription", "subscription { bookAdded { title } }")
WRONG = Fetch(0, "books", "subscription", "subscription { nothing }")


async def anyone(*_: object) -> Identity:
    return ANONYMOUS


@pytest.fixture
async def bookshop() -> Bookshop:
    return Bookshop()


@pytest.fixture
async def address(bookshop: Bookshop) -> AsyncIterator[tuple[str, asyncio.Event]]:
    service, draining = make_bookshop(bookshop)["books"], asyncio.Event()
    app = GraphQLEndpoint(
        http=GraphQLHTTP(service, anyone, draining=draining, heartbeat_seconds=0.01),
        websocket=GraphQLWebSocket(service, anyone, draining=draining, ping_seconds=0.01),
    )
    async with serving(app, lifespan="off") as url:
        yield f"{url}/graphql", draining


async def opened(
    url: str, protocol: Protocol, fetch: Fetch
) -> tuple[HttpTransport, AsyncIterator[SubgraphResponse]]:
    transport = HttpTransport({"books": SubgraphEndpoint(url, protocol)}, lambda *_: {})
    return transport, transport.subscribe(SubgraphRequest(fetch, {}, RequestContext()))


@pytest.mark.parametrize("protocol", ["websocket", "sse"])
async def test_events_arrive_until_the_subgraph_completes(
    bookshop: Bookshop, address: tuple[str, asyncio.Event], protocol: Protocol
) -> None:
    transport, stream = await opened(address[0], protocol, FETCH)
    for isbn in ("a", "b", None):
        bookshop.events.put_nowait(isbn)
    titles: list[Any] = [(event.data or {})["bookAdded"]["title"] async for event in stream]
    assert titles == ["Always", "Solaris"]
    await transport.close()


@pytest.mark.parametrize("protocol", ["websocket", "sse"])
async def test_a_refusal_is_an_answer(
    address: tuple[str, asyncio.Event], protocol: Protocol
) -> None:
    transport, stream = await opened(address[0], protocol, WRONG)
    (answer,) = [event async for event in stream]
    assert "nothing" in answer.errors[0]["message"]
    assert answer.data is None
    await transport.close()


@pytest.mark.parametrize("protocol", ["websocket", "sse"])
async def test_a_connection_that_is_lost_is_an_error(
    bookshop: Bookshop, address: tuple[str, asyncio.Event], protocol: Protocol
) -> None:
    transport, stream = await opened(address[0], protocol, FETCH)
    bookshop.events.put_nowait("a")
    await anext(stream)
    address[1].set()
    with pytest.raises(SubgraphError, match="was lost"):
        await anext(stream)
    await transport.close()


@pytest.mark.parametrize("protocol", ["websocket", "sse"])
async def test_a_subgraph_that_is_not_there_is_an_error(protocol: Protocol) -> None:
    transport, stream = await opened("http://127.0.0.1:9/graphql", protocol, FETCH)
    with pytest.raises(SubgraphError, match="opened no stream"):
        await anext(stream)
    await transport.close()


@asynccontextmanager
async def answering(*answer: bytes, then: bytes = b"") -> AsyncIterator[str]:
    """The address of a server that says this to everybody, then one thing without an end."""
    over = asyncio.Event()
    answered: list[asyncio.Task[Any] | None] = []

    async def answer_one(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answered.append(asyncio.current_task())
        with suppress(ConnectionError):
            for piece in chain(answer, repeat(then)) if then else answer:
                writer.write(piece)
                await writer.drain()
            await over.wait()
        writer.close()

    server = await asyncio.start_server(answer_one, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    finally:
        server.close()
        over.set()
        await asyncio.gather(*filter(None, answered))


async def outcome(url: str, protocol: Protocol, *, seconds: float = 10.0) -> str:
    """What becomes of a stream there."""
    endpoint = SubgraphEndpoint(url, protocol, timeout_seconds=seconds)
    transport = HttpTransport({"books": endpoint}, lambda *_: {})
    stream = transport.subscribe(SubgraphRequest(FETCH, {}, RequestContext()))
    with pytest.raises(SubgraphError) as raised:
        await anext(stream)
    await transport.close()
    return str(raised.value)


@pytest.mark.parametrize("protocol", ["websocket", "sse"])
async def test_a_stream_that_does_not_begin_is_given_up(protocol: Protocol) -> None:
    async with answering() as url:
        assert "opened no stream" in await outcome(url, protocol, seconds=0.05)


OK = b"HTTP/1.1 200 OK\r\ncontent-type: "
PIECE = b"a" * 100_000


@pytest.mark.parametrize(
    ("begin", "then", "message"),
    [
        (OK + b"application/json\r\n\r\n", PIECE, "opened no stream"),
        (OK + b"text/event-stream\r\n\r\nevent: next\n", b"data: " + PIECE + b"\n", "was lost"),
        (OK + b"text/event-stream\r\n\r\ndata: ", PIECE, "was lost"),
    ],
    ids=["an answer", "an event", "a line"],
)
async def test_what_has_no_end_is_given_up(begin: bytes, then: bytes, message: str) -> None:
    async with answering(begin, then=then) as url:
        assert message in await outcome(url, "sse")
