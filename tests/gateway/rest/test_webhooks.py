"""Webhooks as providers reach them: through the gateway, with billing in it or behind it."""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import hmac
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from gateway.rest import webhooks
from gateway.rest.operations import routes
from gateway.transports.http import HttpTransport, SubgraphEndpoint
from gateway.transports.local import LocalTransport
from shared.auth import ServiceTokens, Signer, Verifier
from shared.cache import connect
from shared.config import Settings
from shared.db import Database
from shared.subgraph import Subgraph, serve
from subgraphs.billing import simulation
from subgraphs.billing.app import create
from tests.serving import serving
from tests.support.nexus import MERCADOPAGO_SECRET, STRIPE_SECRET


@dataclass(frozen=True, slots=True)
class Gateway:
    """The gateway's webhooks, and what billing has stored."""

    http: httpx.AsyncClient
    database: Database

    async def stored(self) -> int:
        """How many messages billing has."""
        async with self.database.read() as session:
            connection = await session.connection()
            result = await connection.exec_driver_sql("select count(*) from webhook_events")
            return int(result.scalar_one())


def local(subgraph: Subgraph) -> LocalTransport:
    """A transport to a subgraph in this process."""
    return LocalTransport({"billing": subgraph.service}, routes={"billing": subgraph.routes})


async def over_http(stack: AsyncExitStack, subgraph: Subgraph, settings: Settings) -> HttpTransport:
    """A transport to a subgraph that is served."""
    auth = settings.service_auth
    assert auth.signing_key is not None
    assert auth.verification_keys is not None
    verifier = Verifier(auth.verification_keys.get_secret_value())
    signer = Signer(auth.signing_key.get_secret_value())
    tokens = ServiceTokens(ttl_seconds=60, verifier=verifier, signer=signer)
    app = serve(subgraph, settings, tokens, draining=asyncio.Event())
    url = await stack.enter_async_context(serving(app)) + "/graphql"
    transport = HttpTransport(
        {"billing": SubgraphEndpoint(url)},
        lambda context, name: {
            "authorization": f"Bearer {tokens.sign(context.identity, subgraph=name)}"
        },
    )
    stack.push_async_callback(transport.close)
    return transport


@pytest.fixture(params=["monolith", "services"])
async def gateway(request: pytest.FixtureRequest, settings: Settings) -> AsyncIterator[Gateway]:
    """The webhooks' routes over billing, in both modes."""
    async with AsyncExitStack() as stack:
        redis = connect(settings.redis)
        stack.push_async_callback(redis.aclose)
        subgraph = create(settings, redis)
        stack.push_async_callback(subgraph.close)
        transport: Any = (
            local(subgraph)
            if request.param == "monolith"
            else await over_http(stack, subgraph, settings)
        )
        app = Starlette(routes=routes(webhooks.operations(lambda: transport)))
        url = settings.billing.database_url
        assert url is not None
        database = Database(url.get_secret_value(), settings.database, name="billing")
        stack.push_async_callback(database.close)
        client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://nexus")
        yield Gateway(await stack.enter_async_context(client), database)


def paid() -> tuple[dict[str, str], bytes]:
    """Headers and body of Stripe's message that it has the money."""
    now = dt.datetime.now(dt.UTC)
    payment = str(uuid.uuid4())
    return simulation.paid(payment, amount=5, currency="EUR", secret=STRIPE_SECRET, now=now)


@pytest.mark.parametrize("path", ["/webhooks/stripe", "/api/v1/webhooks/stripe"])
async def test_the_very_bytes_reach_billing(gateway: Gateway, path: str) -> None:
    headers, body = paid()

    response = await gateway.http.post(path, content=body, headers=headers)
    spoilt = await gateway.http.post(path, content=body + b"\n", headers=headers)

    assert response.status_code == 204
    assert response.content == b""
    assert spoilt.status_code == 400
    assert spoilt.headers["content-type"] == "application/problem+json"
    assert await gateway.stored() == 1


async def test_the_query_and_the_signed_headers_reach_billing(gateway: Gateway) -> None:
    sent_at = int(time.time())
    manifest = f"id:pay123;request-id:abc-1;ts:{sent_at};"
    signature = hmac.digest(MERCADOPAGO_SECRET.encode(), manifest.encode(), hashlib.sha256).hex()

    response = await gateway.http.post(
        "/webhooks/mercadopago?data.id=pay123&type=payment",
        content=b'{"type": "payment", "data": {"id": "another"}}',
        headers={"x-signature": f"ts={sent_at},v1={signature}", "x-request-id": "abc-1"},
    )

    assert response.status_code == 204
    assert await gateway.stored() == 1


async def test_an_unsigned_or_empty_message_is_refused(gateway: Gateway) -> None:
    empty = await gateway.http.post("/webhooks/stripe")
    unsigned = await gateway.http.post("/webhooks/mercadopago", content=b"{}")
    huge = await gateway.http.post("/webhooks/stripe", content=b" " * 300_000)

    assert [empty.status_code, unsigned.status_code, huge.status_code] == [400, 400, 413]
    assert await gateway.stored() == 0


async def test_only_posts_to_known_providers_are_passed_on(gateway: Gateway) -> None:
    assert (await gateway.http.get("/webhooks/stripe")).status_code == 405
    assert (await gateway.http.post("/webhooks/paypal", content=b"{}")).status_code == 404


async def test_while_billing_is_away_the_provider_is_asked_to_come_back() -> None:
    transport = HttpTransport(
        {"billing": SubgraphEndpoint("http://127.0.0.1:1/graphql")}, lambda _, __: {}
    )
    app = Starlette(routes=routes(webhooks.operations(lambda: transport)))
    headers, body = paid()
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://nexus"
    ) as client:
        response = await client.post("/webhooks/stripe", content=body, headers=headers)
    await transport.close()

    assert response.status_code == 503
    assert response.json()["code"] == "UNAVAILABLE"
