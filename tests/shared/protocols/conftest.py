"""A counting service behind every protocol, on a real server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import httpx
import pytest

from shared.protocols.endpoint import GraphQLEndpoint
from shared.protocols.http import GraphQLHTTP
from shared.protocols.sse import EventStreams
from shared.protocols.websocket import GraphQLWebSocket
from tests.serving import serving
from tests.shared.protocols.counting import Counting, name_of


@dataclass
class Served:
    """A running server and the service behind it."""

    service: Counting
    draining: asyncio.Event
    url: str = ""
    ws_url: str = ""
    tokens: dict[str, float] = field(default_factory=dict)


def endpoint(served: Served) -> GraphQLEndpoint:
    service, draining = served.service, served.draining
    return GraphQLEndpoint(
        http=GraphQLHTTP(
            service,
            name_of,
            max_body_bytes=2_000,
            batch_limit=3,
            heartbeat_seconds=0.05,
            draining=draining,
        ),
        websocket=GraphQLWebSocket(
            service,
            name_of,
            expires_at=served.tokens.get,
            init_timeout_seconds=0.2,
            ping_seconds=0.05,
            max_message_bytes=2_000,
            max_operations=3,
            allowed_origins=["https://app.example"],
            draining=draining,
        ),
        event_streams=EventStreams(
            service,
            name_of,
            max_body_bytes=2_000,
            max_reserved=2,
            max_operations=3,
            reserved_seconds=30,
            heartbeat_seconds=0.05,
            draining=draining,
        ),
    )


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    served = Served(Counting(), asyncio.Event())
    async with serving(endpoint(served), lifespan="off") as address:
        served.url = f"{address}/graphql"
        served.ws_url = served.url.replace("http", "ws")
        yield served


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=5) as client:
        yield client
