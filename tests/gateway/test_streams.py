"""Subscriptions at subgraphs that stream in their own way, and connections that are lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
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
