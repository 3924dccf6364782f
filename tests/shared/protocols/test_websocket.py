"""graphql-transport-ws, as clients see it."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest
from structlog.testing import capture_logs
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from tests.clients import node, npm_packages
from tests.shared.protocols.conftest import Served

COUNT = {"query": "subscription { count(to: 3) }"}


def opened(served: Served, subprotocol: str = "graphql-transport-ws") -> connect:
    return connect(served.ws_url, subprotocols=[Subprotocol(subprotocol)], compression=None)


async def say(socket: ClientConnection, **message: Any) -> None:
    await socket.send(json.dumps(message))


async def hear(socket: ClientConnection) -> dict[str, Any]:
    """The next message that is not a ping."""
    while True:
        async with asyncio.timeout(5):
            message: dict[str, Any] = json.loads(await socket.recv())
        if message["type"] != "ping":
            return message


async def init(socket: ClientConnection, **payload: Any) -> None:
    await say(socket, type="connection_init", payload=payload)
    assert await hear(socket) == {"type": "connection_ack"}


async def closed(socket: ClientConnection) -> tuple[int, str]:
    while True:
        try:
            await hear(socket)
        except ConnectionClosed as end:
            frame = end.rcvd or end.sent
            return (frame.code, frame.reason) if frame else (1006, "")


async def test_graphql_ws_runs_several_operations_on_one_socket(served: Served) -> None:
    await npm_packages()
    requests = [COUNT, {"query": "{ apple }"}, {"query": "{ nothing }"}]
    counted, apple, invalid = await node("graphql_ws.mjs", served.ws_url, json.dumps(requests))
    assert counted == {"results": [{"data": {"count": n}} for n in (1, 2, 3)]}
    assert apple == {"results": [{"data": {"apple": 2}}]}
    assert "nothing" in invalid["error"][0]["message"]


async def test_another_subprotocol_is_not_acceptable(served: Served) -> None:
    async with opened(served, "graphql-ws") as socket:
        assert await closed(socket) == (4406, "Subprotocol not acceptable")


async def test_an_init_that_does_not_come_ends_the_connection(served: Served) -> None:
    async with opened(served) as socket:
        assert await closed(socket) == (4408, "Connection initialisation timeout")


async def test_a_subscribe_before_the_init_is_unauthorized(served: Served) -> None:
    async with opened(served) as socket:
        await say(socket, type="subscribe", id="1", payload=COUNT)
        assert await closed(socket) == (4401, "Unauthorized")


async def test_a_refused_token_is_forbidden(served: Served) -> None:
    async with opened(served) as socket:
        await say(socket, type="connection_init", payload={"token": "expired"})
        assert await closed(socket) == (4403, "The token is not valid or has expired.")


async def test_a_token_that_expires_ends_the_connection(served: Served) -> None:
    served.tokens["short"] = time.time() + 0.1
    async with opened(served) as socket:
        await init(socket, token="short")
        assert await closed(socket) == (4403, "Token expired")


async def test_a_second_init_is_too_many(served: Served) -> None:
    async with opened(served) as socket:
        await init(socket)
        await say(socket, type="connection_init")
        assert await closed(socket) == (4429, "Too many initialisation requests")


async def test_an_id_in_use_ends_the_connection(served: Served) -> None:
    async with opened(served) as socket:
        await init(socket)
        for _ in range(2):
            await say(socket, type="subscribe", id="1", payload={"query": "subscription{forever}"})
        assert await closed(socket) == (4409, "Subscriber for 1 already exists")
    assert served.service.stopped.is_set()


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "{}",
        '{"type":"next"}',
        '{"type":"subscribe","payload":{"query":"{apple}"}}',
        '{"type":"subscribe","id":"1"}',
        '{"type":"ping","payload":1}',
    ],
)
async def test_a_message_outside_the_protocol_is_invalid(served: Served, text: str) -> None:
    async with opened(served) as socket:
        await init(socket)
        await socket.send(text)
        assert (await closed(socket))[0] == 4400


async def test_a_binary_message_is_invalid(served: Served) -> None:
    async with opened(served) as socket:
        await socket.send(b"{}")
        assert (await closed(socket))[0] == 4400


async def test_a_message_that_is_too_long_ends_the_connection(served: Served) -> None:
    async with opened(served) as socket:
        await socket.send(" " * 2_001)
        assert (await closed(socket))[0] == 1009


async def test_a_ping_is_answered_with_its_payload(served: Served) -> None:
    async with opened(served) as socket:
        await init(socket)
        await say(socket, type="pong")
        await say(socket, type="ping")
        assert await hear(socket) == {"type": "pong"}
        await say(socket, type="ping", payload={"n": 1})
        assert await hear(socket) == {"type": "pong", "payload": {"n": 1}}


async def test_the_server_pings(served: Served) -> None:
    async with opened(served) as socket:
        await init(socket)
        assert json.loads(await socket.recv()) == {"type": "ping"}


async def test_completing_an_operation_stops_it(served: Served) -> None:
    async with opened(served) as socket:
        await init(socket)
        await say(socket, type="subscribe", id="1", payload={"query": "subscription { forever }"})
        assert (await hear(socket))["payload"] == {"data": {"forever": 1}}
        await say(socket, type="complete", id="1")
        await say(socket, type="complete", id="unknown")
        async with asyncio.timeout(5):
            await served.service.stopped.wait()
        await say(socket, type="subscribe", id="1", payload={"query": "{ apple }"})
        assert (await hear(socket))["payload"] == {"data": {"apple": 2}}


async def test_operations_on_one_socket_are_bounded(served: Served) -> None:
    async with opened(served) as socket:
        await init(socket)
        for number in range(4):
            payload = {"query": "subscription { forever }"}
            await say(socket, type="subscribe", id=str(number), payload=payload)
        messages = [await hear(socket) for _ in range(4)]
        (error,) = [message for message in messages if message["type"] == "error"]
        assert error["id"] == "3"
        assert error["payload"][0]["extensions"]["code"] == "TOO_MANY_OPERATIONS"


@pytest.mark.parametrize("query", ["{ explode }", "subscription { broken }"])
async def test_our_own_failure_ends_the_operation_only(served: Served, query: str) -> None:
    async with opened(served) as socket:
        await init(socket)
        await say(socket, type="subscribe", id="1", payload={"query": query})
        message = await hear(socket)
        if message["type"] == "next":
            message = await hear(socket)
        assert message["type"] == "error"
        assert message["payload"][0]["extensions"]["code"] == "INTERNAL"
        assert "secret" not in json.dumps(message)


async def test_a_draining_server_answers_what_is_under_way(served: Served) -> None:
    async with opened(served) as socket:
        await init(socket)
        await say(socket, type="subscribe", id="1", payload={"query": "{ wait }"})
        await served.service.waiting.wait()
        served.draining.set()
        # Whoever asks now is not heard any more, and asks again elsewhere.
        await say(socket, type="subscribe", id="2", payload={"query": "mutation { add(by: 1) }"})
        await say(socket, type="ping")
        assert await hear(socket) == {"type": "pong"}
        served.service.going_on.set()
        answer = {"id": "1", "type": "next", "payload": {"data": {"wait": 0}}}
        assert await hear(socket) == answer
        assert await hear(socket) == {"id": "1", "type": "complete"}
        assert await closed(socket) == (1012, "Service restart")
    assert served.service.total == 0


async def test_a_draining_server_asks_to_connect_elsewhere(served: Served) -> None:
    async with opened(served) as socket:
        await init(socket)
        await say(socket, type="subscribe", id="1", payload={"query": "subscription { forever }"})
        await hear(socket)
        served.draining.set()
        assert await closed(socket) == (1012, "Service restart")
    assert served.service.stopped.is_set()


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [("https://evil.example", False), ("https://app.example", True), (None, True)],
)
async def test_a_page_of_another_site_cannot_open_a_socket(
    served: Served, origin: str | None, allowed: bool
) -> None:
    subprotocols = [Subprotocol("graphql-transport-ws")]
    headers = {"origin": origin} if origin else {}
    opening = connect(
        served.ws_url, subprotocols=subprotocols, additional_headers=headers, compression=None
    )
    if allowed:
        async with opening as socket:
            await init(socket)
    else:
        with pytest.raises(InvalidStatus, match="403"):
            await opening


async def test_our_own_page_may_open_a_socket(served: Served) -> None:
    origin = served.url.removesuffix("/graphql")
    async with connect(
        served.ws_url,
        subprotocols=[Subprotocol("graphql-transport-ws")],
        additional_headers={"origin": origin},
    ) as socket:
        await init(socket)


async def test_a_client_that_vanishes_is_no_failure_of_ours(served: Served) -> None:
    with capture_logs() as logged:
        async with opened(served) as socket:
            await init(socket)
            for number in range(3):
                query = "subscription { forever }" if number else "subscription { count(to: 9999) }"
                await say(socket, type="subscribe", id=str(number), payload={"query": query})
            await hear(socket)
            socket.transport.abort()
        async with asyncio.timeout(5):
            await served.service.stopped.wait()
    assert "graphql.internal_error" not in {line["event"] for line in logged}
