"""How many streams there may be, and when they end although nothing is wrong with them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import httpx
import pytest

from shared.protocols.endpoint import GraphQLEndpoint
from shared.protocols.http import GraphQLHTTP
from shared.protocols.openings import Openings
from shared.protocols.sse import TOKEN_HEADER, EventStreams
from shared.protocols.websocket import GraphQLWebSocket
from tests.serving import serving
from tests.shared.protocols.conftest import Served
from tests.shared.protocols.counting import Counting, name_of
from tests.shared.protocols.test_websocket import closed, hear, init, opened, say

FOREVER = {"query": "subscription { forever }"}
STREAMS = ["text/event-stream", "multipart/mixed"]


@asynccontextmanager
async def served_with(openings: Openings, *, idle_seconds: float = 60) -> AsyncIterator[Served]:
    service = Counting()
    app = GraphQLEndpoint(
        http=GraphQLHTTP(service, name_of, openings=openings),
        websocket=GraphQLWebSocket(service, name_of, openings=openings, idle_seconds=idle_seconds),
        event_streams=EventStreams(service, name_of, openings=openings),
    )
    async with serving(app, lifespan="off") as address:
        url = f"{address}/graphql"
        yield Served(service, asyncio.Event(), url, url.replace("http", "ws"))


async def refused(client: httpx.AsyncClient, served: Served) -> None:
    """Every protocol refuses one more stream, and says that it may work later."""
    for accept in STREAMS:
        response = await client.post(served.url, json=FOREVER, headers={"accept": accept})
        assert response.status_code == 503
        assert response.json()["errors"][0]["extensions"]["code"] == "UNAVAILABLE"
    token = (await client.put(served.url)).text
    headers = {"accept": "text/event-stream", TOKEN_HEADER: token}
    assert (await client.get(served.url, headers=headers)).status_code == 503
    async with opened(served) as socket:
        code, reason = await closed(socket)
        assert code == 1013
        assert "Try again later" in reason


@pytest.mark.parametrize("accept", STREAMS)
async def test_one_stream_too_many_is_refused_until_another_ends(
    client: httpx.AsyncClient, accept: str
) -> None:
    async with served_with(Openings(most=1)) as served:

        def streaming() -> AbstractAsyncContextManager[httpx.Response]:
            return client.stream("POST", served.url, json=FOREVER, headers={"accept": accept})

        async with streaming() as response:
            assert response.status_code == 200
            await refused(client, served)
            apple = await client.post(served.url, json={"query": "{ apple }"})
            assert apple.json() == {"data": {"apple": 2}}
        status = 503
        async with asyncio.timeout(5):
            while status == 503:
                async with streaming() as response:
                    status = response.status_code
        assert status == 200


async def test_a_socket_counts_once(client: httpx.AsyncClient) -> None:
    async with served_with(Openings(most=1)) as served, opened(served) as socket:
        await init(socket)
        for number in range(3):
            await say(socket, type="subscribe", id=str(number), payload=FOREVER)
            assert (await hear(socket))["type"] == "next"
        await refused(client, served)


@pytest.mark.parametrize("accept", STREAMS)
async def test_a_stream_ends_at_its_age_without_completing(
    client: httpx.AsyncClient, accept: str
) -> None:
    async with served_with(Openings(lifetime_seconds=0.2)) as served:
        response = await client.post(served.url, json=FOREVER, headers={"accept": accept})
        assert '"forever":1' in response.text
        assert "complete" not in response.text
        assert "--graphql--" not in response.text
        assert served.service.stopped.is_set()


async def test_a_socket_is_asked_at_its_age_to_connect_again() -> None:
    async with served_with(Openings(lifetime_seconds=0.2)) as served, opened(served) as socket:
        await init(socket)
        await say(socket, type="subscribe", id="1", payload=FOREVER)
        assert (await hear(socket))["type"] == "next"
        assert await closed(socket) == (1012, "Service restart")
        assert served.service.stopped.is_set()


async def test_only_a_socket_without_operations_is_idle() -> None:
    async with served_with(Openings(), idle_seconds=0.05) as served, opened(served) as busy:
        await say(busy, type="connection_init")
        await say(busy, type="subscribe", id="1", payload=FOREVER)
        async with opened(served) as idle:
            await init(idle)
            assert await closed(idle) == (1000, "Idle")
        assert (await hear(busy))["type"] == "connection_ack"
        assert (await hear(busy))["type"] == "next"
        await say(busy, type="complete", id="1")
        assert await closed(busy) == (1000, "Idle")


@pytest.mark.parametrize("accept", STREAMS)
async def test_a_client_that_takes_nothing_is_left(accept: str) -> None:
    service = Counting()
    app = GraphQLHTTP(service, name_of, openings=Openings(stalled_seconds=0.05))
    body = b'{"query": "subscription { forever }"}'
    headers = [(b"content-type", b"application/json"), (b"accept", accept.encode())]
    scope = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": headers}
    requests = iter([{"type": "http.request", "body": body}])

    async def receive() -> Any:
        return next(requests, None) or await asyncio.Event().wait()

    async def send(message: Any) -> None:
        if b"forever" in message.get("body", b""):
            await asyncio.Event().wait()

    async with asyncio.timeout(5):
        await app(scope, receive, send)
    assert service.stopped.is_set()
