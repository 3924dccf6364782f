"""A subgraph as a server of its own says whether to send it traffic."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import httpx
import strawberry

from shared.auth import Identity, ServiceTokens, Verifier, generate_keys
from shared.config import Settings
from shared.graphql import build_schema
from shared.subgraph import Subgraph, serve


@strawberry.type
class Query:
    answer: int = 42


async def fine() -> None:
    return


async def broken() -> None:
    raise ConnectionError


async def test_readiness_is_that_of_what_it_needs_until_it_drains() -> None:
    def context(_: Identity) -> None:
        return None

    tokens = ServiceTokens(ttl_seconds=60, verifier=Verifier(generate_keys()[1]))
    settings = Settings(secret_key="a secret of the tests, long enough to be one")
    draining = asyncio.Event()

    async def ready(**checks: Callable[[], Awaitable[None]]) -> tuple[int, object]:
        subgraph = Subgraph("answers", build_schema(Query), context, checks=checks)
        app = serve(subgraph, settings, tokens, draining=draining)
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://answers") as client:
            response = await client.get("/health/ready")
        return response.status_code, response.json()

    assert await ready(a=fine) == (200, {"status": "ok", "checks": {"a": "ok"}})
    found = {"a": "ok", "b": "ConnectionError"}
    assert await ready(a=fine, b=broken) == (503, {"status": "unavailable", "checks": found})
    draining.set()
    assert await ready() == (503, {"status": "draining", "checks": {}})
