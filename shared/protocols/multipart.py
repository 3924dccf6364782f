"""Streams as multipart HTTP: Apollo Client's transport.

Of a subscription (``subscriptionSpec=1.0``) each part is JSON: an event as
``{"payload": …}``, ``{}`` as a heartbeat; a failure of the transport itself is
``{"payload": null, "errors": […]}``.  Of an answer with deferred fragments
(``deferSpec=20220824`` or ``incrementalSpec=v0.2``) each part is a piece of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from shared import exact_json
from shared.protocols.lifetime import ClientGone, closing, first_of, gone, paced
from shared.protocols.problems import internal_entry

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.types import Receive, Send

    from shared.protocols.openings import Openings
    from shared.protocols.service import GraphQLResult, IncrementalFormat, IncrementalStream

__all__ = ["send_parts", "send_stream"]

_CONTENT_TYPE = b'multipart/mixed;boundary="graphql";subscriptionSpec=1.0'
_INCREMENTAL: dict[IncrementalFormat, bytes] = {
    "deferspec=20220824": b'multipart/mixed;boundary="graphql";deferSpec=20220824',
    "incrementalspec=v0.2": b'multipart/mixed;boundary="graphql";incrementalSpec=v0.2',
}
# A client knows that a part is whole when it sees the boundary, so that goes with the part.
_BOUNDARY = b"\r\n--graphql"
_PART = b"\r\ncontent-type: application/json\r\n\r\n"
_END = b"--\r\n"


async def send_stream(
    results: AsyncIterator[GraphQLResult],
    receive: Receive,
    send: Send,
    *,
    heartbeat_seconds: float,
    openings: Openings,
) -> None:
    """Send one part per result until the stream ends or is over, or the client leaves."""
    send = openings.patient(send)
    await _start(send, _CONTENT_TYPE)
    await first_of(_write(results, send, heartbeat_seconds), gone(receive), openings.over())
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _write(
    results: AsyncIterator[GraphQLResult], send: Send, heartbeat_seconds: float
) -> None:
    await _send_part(send, b"{}")
    try:
        async for result in paced(results, heartbeat_seconds):
            if result is None:
                await _send_part(send, b"{}")
            elif result.executed:
                await _send_part(send, b'{"payload":' + result.encode() + b"}")
            else:
                failed = exact_json.dumps({"payload": None, "errors": list(result.errors)})
                await _send_part(send, failed)
    except ClientGone:
        raise
    except Exception as error:  # noqa: BLE001 - the edge: logged, and told to the client
        failed = orjson.dumps({"payload": None, "errors": [internal_entry(error)]})
        await _send_part(send, failed)
    await send({"type": "http.response.body", "body": _END, "more_body": True})


async def send_parts(parts: IncrementalStream, receive: Receive, send: Send) -> None:
    """Send one answer in parts, until it is whole or the client leaves."""
    await _start(send, _INCREMENTAL[parts.format])
    await first_of(_write_parts(parts, send), gone(receive))
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _write_parts(parts: AsyncIterator[GraphQLResult], send: Send) -> None:
    try:
        async for part in parts:
            await _send_part(send, part.encode())
    except Exception as error:  # noqa: BLE001 - the edge: logged, and told to the client
        failed = orjson.dumps({"errors": [internal_entry(error)], "hasNext": False})
        await _send_part(send, failed)
    finally:
        await closing(parts)
    await send({"type": "http.response.body", "body": _END, "more_body": True})


async def _send_part(send: Send, body: bytes) -> None:
    whole = _PART + body + _BOUNDARY
    await send({"type": "http.response.body", "body": whole, "more_body": True})


async def _start(send: Send, content_type: bytes) -> None:
    headers = [(b"content-type", content_type), (b"cache-control", b"no-cache")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": _BOUNDARY, "more_body": True})
