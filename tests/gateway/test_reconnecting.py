"""Streams of a subgraph that are lost, and the clients behind them, who stay."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest
from starlette.requests import HTTPConnection
from starlette.types import Receive, Scope, Send

from gateway.context import RequestContext
from gateway.federation.plan import Fetch
from gateway.federation.transport import SubgraphRequest, SubgraphResponse
from gateway.pipeline import Pipeline
from gateway.runtime import Runtime
from gateway.transports.http import HttpTransport, StreamLost, SubgraphEndpoint
from gateway.transports.reconnecting import Patience, kept_open
from gateway.transports.streams import Protocol
from gateway.transports.traffic import CircuitBreakers, Traffic
from shared.auth import ANONYMOUS, Identity
from shared.errors import Unauthenticated
from shared.protocols.endpoint import GraphQLEndpoint
from shared.protocols.http import GraphQLHTTP
from shared.protocols.service import GraphQLRequest, GraphQLResult
from shared.protocols.websocket import GraphQLWebSocket
from tests.gateway.bookshop import SUPERGRAPH, Bookshop, make_bookshop
from tests.gateway.conftest import as_json
from tests.gateway.test_subscriptions import ALWAYS, QUERY, first
from tests.serving import serving

SOLARIS = {"title": "Solaris", "author": {"name": "Stanisław"}}


@dataclass
class Unreliable:
    """A gateway, and the subgraph ``books``, which a test can break and take away."""

    bookshop: Bookshop = field(default_factory=Bookshop)
    draining: asyncio.Event = field(default_factory=asyncio.Event)
    refusing: bool = False
    away: bool = False
    asked: asyncio.Queue[None] = field(default_factory=asyncio.Queue)
    pipeline: Pipeline = field(init=False)

    async def identity(self, _: HTTPConnection, __: object = None) -> Identity:
        if self.refusing:
            raise Unauthenticated
        return ANONYMOUS

    async def stream(self) -> AsyncIterator[GraphQLResult]:
        stream = await self.pipeline.subscribe(
            GraphQLRequest(QUERY), RequestContext(audience="everybody")
        )
        assert not isinstance(stream, GraphQLResult)
        return stream

    async def lose(self) -> None:
        """End every stream of the subgraph as a restart does."""
        self.bookshop.closed.clear()
        self.draining.set()
        await self.bookshop.closed.wait()
        self.draining.clear()


@pytest.fixture(params=["websocket", "sse"])
async def unreliable(request: pytest.FixtureRequest) -> AsyncIterator[Unreliable]:
    protocol: Protocol = request.param
    found = Unreliable()
    async with AsyncExitStack() as stack:
        endpoints = {}
        for name, service in make_bookshop(found.bookshop).items():
            endpoint = GraphQLEndpoint(
                http=GraphQLHTTP(service, found.identity, draining=found.draining),
                websocket=GraphQLWebSocket(service, found.identity, draining=found.draining),
            )

            async def app(
                scope: Scope, receive: Receive, send: Send, endpoint: GraphQLEndpoint = endpoint
            ) -> None:
                if found.away:
                    found.asked.put_nowait(None)
                    await unavailable(scope, receive, send)
                else:
                    await endpoint(scope, receive, send)

            url = await stack.enter_async_context(serving(app, lifespan="off"))
            endpoints[name] = SubgraphEndpoint(f"{url}/graphql", protocol)
        transport = Traffic(
            HttpTransport(endpoints, lambda *_: {}),
            CircuitBreakers(),
            patience=Patience(attempts=3, pause_seconds=0.05),
        )
        found.pipeline = Pipeline(Runtime(SUPERGRAPH, transport))
        yield found
        await found.pipeline.close()


async def unavailable(scope: Scope, receive: Receive, send: Send) -> None:
    """What a proxy answers whose server is away."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close"})
        return
    await send({"type": "http.response.start", "status": 503, "headers": []})
    await send({"type": "http.response.body", "body": b"<html>"})


Streams = list[AsyncIterator[GraphQLResult]]


async def hear(unreliable: Unreliable, streams: Streams, isbn: str) -> list[Any]:
    """What each of the clients gets when there is a book."""
    waiting = [await first(stream) for stream in streams]
    unreliable.bookshop.events.put_nowait(isbn)
    return [as_json(await task) for task in waiting]


async def connected(unreliable: Unreliable, count: int) -> Streams:
    """Clients whose subscription is open at the subgraph; they have heard of a book."""
    streams = [await unreliable.stream() for _ in range(count)]
    assert await hear(unreliable, streams, "a") == [{"data": {"bookAdded": ALWAYS}}] * count
    await unreliable.bookshop.opened.get()
    return streams


async def test_all_clients_of_a_lost_stream_stay_and_are_told(unreliable: Unreliable) -> None:
    streams = await connected(unreliable, 2)
    for _ in range(2):
        await unreliable.lose()
        await unreliable.bookshop.opened.get()
        assert unreliable.bookshop.subscribers == 1
        lagged = {"extensions": {"lagged": {"missed": 0, "interrupted": True}}}
        after = {"data": {"bookAdded": SOLARIS}, **lagged}
        assert await hear(unreliable, streams, "b") == [after] * 2
        assert await hear(unreliable, streams, "a") == [{"data": {"bookAdded": ALWAYS}}] * 2


async def test_a_subgraph_that_is_away_is_asked_again_until_it_is_back(
    unreliable: Unreliable,
) -> None:
    streams = await connected(unreliable, 1)
    unreliable.away = True
    await unreliable.lose()
    await unreliable.asked.get()
    await unreliable.asked.get()
    unreliable.away = False
    await unreliable.bookshop.opened.get()
    (answer,) = await hear(unreliable, streams, "b")
    assert answer["data"] == {"bookAdded": SOLARIS}
    assert answer["extensions"]["lagged"]["interrupted"]


async def test_one_that_stays_away_ends_the_subscription_with_an_error(
    unreliable: Unreliable,
) -> None:
    (stream,) = await connected(unreliable, 1)
    unreliable.away = True
    await unreliable.lose()
    (answer,) = [as_json(result) async for result in stream]
    assert answer["data"] is None
    assert answer["errors"][0]["extensions"]["code"] == "DOWNSTREAM_SERVICE_ERROR"
    assert unreliable.asked.qsize() == 3


async def test_one_that_refuses_is_not_asked_again(unreliable: Unreliable) -> None:
    (stream,) = await connected(unreliable, 1)
    unreliable.refusing = True
    await unreliable.lose()
    (answer,) = [as_json(result) async for result in stream]
    assert answer["data"] is None
    assert answer["errors"]


async def test_one_that_was_never_there_is_asked_once(unreliable: Unreliable) -> None:
    unreliable.away = True
    (answer,) = [as_json(result) async for result in await unreliable.stream()]
    assert answer["data"] is None
    assert unreliable.asked.qsize() == 1


@dataclass(frozen=True)
class Watched(Patience):
    """Patience that does not wait, and tells what it was asked."""

    asked: list[int] = field(default_factory=list)

    def pause(self, losses: int) -> float:
        self.asked.append(losses)
        return super().pause(losses) * 0


@pytest.mark.parametrize(
    ("settled_seconds", "losses"), [(3_600, [1, 2, 3, 4, 5, 6]), (-1, [1] * 6)]
)
async def test_the_pause_grows_unless_streams_live_for_some_time(
    settled_seconds: float, losses: list[int]
) -> None:
    opened = 0

    async def dying(_: SubgraphRequest) -> AsyncIterator[SubgraphResponse]:
        nonlocal opened
        opened += 1
        yield SubgraphResponse({"number": opened}, ())
        if opened < 7:
            raise StreamLost("It is lost after each event.")

    patience = Watched(attempts=3, settled_seconds=settled_seconds)
    fetch = Fetch(1, "books", "subscription", "subscription { bookAdded }", None, ())
    stream = kept_open(dying, SubgraphRequest(fetch, {}, RequestContext()), patience)
    assert [response.data async for response in stream] == [{"number": n} for n in range(1, 8)]
    assert patience.asked == losses


def test_the_pause_has_a_limit() -> None:
    assert 15 <= Patience().pause(10_000) <= 30
