"""Subscriptions at a subgraph: graphql-transport-ws, or server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack
from typing import Any, Literal

import aiohttp
import orjson
from aiohttp.http_exceptions import HttpProcessingError

from shared import exact_json

__all__ = ["FAILURES", "Protocol", "StreamEnded", "StreamRefused", "open_stream"]

Protocol = Literal["websocket", "sse"]

_SUBPROTOCOL = "graphql-transport-ws"
_HEARTBEAT = 20.0
_LONGEST_MESSAGE = 10_000_000
# Close codes after which the same request would be closed the same way.
_FINAL = frozenset({4400, 4401, 4403, 4406, 4409, 4429})
_GONE = frozenset({502, 503, 504})

FAILURES = (aiohttp.ClientError, HttpProcessingError, TimeoutError, exact_json.NotJSON)
"""What `open_stream` raises when there never was a stream."""


class StreamEnded(Exception):
    """The stream was open, and ended without completing; opening it again may help."""


class StreamRefused(Exception):
    """The server will have no such stream."""


def open_stream(
    session: aiohttp.ClientSession,
    protocol: Protocol,
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    seconds: float,
) -> AsyncGenerator[Any, None]:
    """The response maps of a subscription, whose request is ``body``, as they come.

    A stream that does not begin within ``seconds`` is given up.
    Raises `StreamEnded`, `StreamRefused` or one of `FAILURES`.
    """
    open_ = _over_websocket if protocol == "websocket" else _over_sse
    return open_(session, url, headers, body, seconds)


async def _over_websocket(
    session: aiohttp.ClientSession,
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    seconds: float,
) -> AsyncGenerator[Any, None]:
    connection = session.ws_connect(
        url.replace("http", "ws", 1),
        protocols=(_SUBPROTOCOL,),
        headers=headers,
        heartbeat=_HEARTBEAT,
        max_msg_size=_LONGEST_MESSAGE,
    )
    async with AsyncExitStack() as stack:
        async with asyncio.timeout(seconds):
            socket = await stack.enter_async_context(connection)
            # Servers read credentials from either place.
            await socket.send_str(_init(headers))
            await _acknowledged(socket)
        await socket.send_str('{"id":"1","type":"subscribe","payload":' + body.decode() + "}")
        while True:
            try:
                message = await _receive(socket)
            except FAILURES as error:
                raise StreamEnded from error
            kind = message.get("type")
            if kind == "next":
                yield message.get("payload")
            elif kind == "error":
                yield {"errors": message.get("payload")}
                return
            elif kind == "complete":
                return


def _init(headers: Mapping[str, str]) -> str:
    payload = {name: headers[name] for name in ("authorization",) if name in headers}
    return orjson.dumps({"type": "connection_init", "payload": payload}).decode()


async def _acknowledged(socket: aiohttp.ClientWebSocketResponse) -> None:
    while (await _receive(socket)).get("type") != "connection_ack":
        pass


async def _receive(socket: aiohttp.ClientWebSocketResponse) -> dict[str, Any]:
    """The next message of the protocol; pings are answered."""
    while True:
        frame = await socket.receive()
        if socket.close_code in _FINAL:
            raise StreamRefused
        if frame.type is not aiohttp.WSMsgType.TEXT:
            raise aiohttp.ClientConnectionError(f"closed with code {socket.close_code}")
        message = exact_json.loads(frame.data)
        if not isinstance(message, dict):
            raise aiohttp.ClientPayloadError("not a message of the protocol")
        if message.get("type") != "ping":
            return message
        await socket.send_str('{"type":"pong"}')


async def _over_sse(
    session: aiohttp.ClientSession,
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    seconds: float,
) -> AsyncGenerator[Any, None]:
    accepting = {**headers, "content-type": "application/json", "accept": "text/event-stream"}
    timeout = aiohttp.ClientTimeout(total=None, sock_read=4 * _HEARTBEAT)
    request = session.post(
        url, data=body, headers=accepting, timeout=timeout, allow_redirects=False
    )
    async with AsyncExitStack() as stack:
        async with asyncio.timeout(seconds):
            response = await stack.enter_async_context(request)
            if response.status in _GONE:
                response.raise_for_status()
            streams = response.content_type == "text/event-stream"
            answer = b"" if streams else await _whole(response.content)
        if not streams:
            yield exact_json.loads(answer)
            return
        async for payload in _events(response.content):
            yield payload


async def _whole(content: aiohttp.StreamReader) -> bytes:
    read = bytearray()
    async for chunk in content.iter_any():
        read += chunk
        _check_length(len(read))
    return bytes(read)


def _check_length(size: int) -> None:
    if size > _LONGEST_MESSAGE:
        raise aiohttp.ClientPayloadError("a message that is too long")


async def _events(lines: aiohttp.StreamReader) -> AsyncGenerator[Any, None]:
    """The payloads of an event stream until it completes; raises `StreamEnded`."""
    event, data, size = b"", list[bytes](), 0
    try:
        async for line in lines:
            name, _, value = line.rstrip(b"\r\n").partition(b":")
            if name == b"event":
                event = value.strip()
            elif name == b"data":
                data.append(value.strip())
                size += len(line)
                _check_length(size)
            elif not line.strip():
                if event == b"complete":
                    return
                if event == b"next" and any(data):
                    yield exact_json.loads(b"\n".join(data))
                event, data, size = b"", [], 0
    except FAILURES as error:
        raise StreamEnded from error
    raise StreamEnded
