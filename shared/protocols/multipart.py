"""Subscriptions as multipart HTTP, ``subscriptionSpec=1.0``: Apollo Client's transport.

Each part is JSON: an event as ``{"payload": …}``, ``{}`` as a heartbeat; a
failure of the transport itself is ``{"payload": null, "errors": […]}``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from shared.protocols.lifetime import first_of, gone, paced
from shared.protocols.problems import internal_entry

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator

    from starlette.types import Receive, Send

    from shared.protocols.service import GraphQLResult

__all__ = ["send_stream"]

_CONTENT_TYPE = b'multipart/mixed;boundary="graphql";subscriptionSpec=1.0'
_PART = b"\r\n--graphql\r\ncontent-type: application/json\r\n\r\n"
_END = b"\r\n--graphql--\r\n"


async def send_stream(
    results: AsyncIterator[GraphQLResult],
    receive: Receive,
    send: Send,
    *,
    heartbeat_seconds: float,
    draining: asyncio.Event,
) -> None:
    """Send one part per result until the stream ends, the client leaves or ``draining`` is set."""
    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"content-type", _CONTENT_TYPE), (b"cache-control", b"no-cache")],
        }
    )
    await first_of(_write(results, send, heartbeat_seconds), gone(receive), draining.wait())
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _write(
    results: AsyncIterator[GraphQLResult], send: Send, heartbeat_seconds: float
) -> None:
    async def part(body: bytes) -> None:
        await send({"type": "http.response.body", "body": _PART + body, "more_body": True})

    await part(b"{}")
    try:
        async for result in paced(results, heartbeat_seconds):
            if result is None:
                await part(b"{}")
            elif result.executed:
                await part(b'{"payload":' + result.encode() + b"}")
            else:
                await part(orjson.dumps({"payload": None, "errors": list(result.errors)}))
    except Exception as error:  # noqa: BLE001 - the edge: logged, and told to the client
        await part(orjson.dumps({"payload": None, "errors": [internal_entry(error)]}))
    await send({"type": "http.response.body", "body": _END, "more_body": True})
