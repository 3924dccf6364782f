"""A subgraph as its callers see it: whether to send it traffic, and when it has too much."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import httpx
import strawberry

from shared.auth import ANONYMOUS, Identity, ServiceTokens, Verifier, generate_keys
from shared.config import Settings
from shared.graphql import build_schema
from shared.protocols.service import GraphQLRequest, GraphQLResult
from shared.subgraph import Subgraph, SubgraphService, serve


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


async def test_long_new_documents_wait_for_their_turn_and_too_many_are_refused() -> None:
    service = SubgraphService("answers", build_schema(Query), lambda _: None)
    long = [GraphQLRequest("{ __typename }" + f"#{number:0300}") for number in range(102)]
    for turn in range(2):
        results = await asyncio.gather(*(service.execute(one, ANONYMOUS) for one in long))
        assert [result.data for result in results[:101]] == [{"__typename": "Query"}] * 101
        assert results[101].executed is (turn == 1)
    wrong = [GraphQLRequest(f"!{one.query}") for one in long]
    refused = await asyncio.gather(*(service.subscribe(one, ANONYMOUS) for one in wrong))
    codes = [
        result.errors[0]["extensions"]["code"]
        for result in refused
        if isinstance(result, GraphQLResult)
    ]
    assert codes == ["GRAPHQL_PARSE_FAILED"] * 101 + ["TOO_MANY_NEW_OPERATIONS"]
