"""A live invoice, completed from another subgraph, over both transports."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import orjson
import websockets

from tests.e2e.people import Person, buy_credits, create_organization, invite, sign_up
from tests.support.nexus import Nexus

SUBSCRIPTION = (
    "subscription($id: ID!) { invoiceUpdated(organizationId: $id) {"
    " status total { amount } organization { name slug viewerRole } } }"
)


@asynccontextmanager
async def over_websocket(
    person: Person, variables: dict[str, Any]
) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
    url = person.nexus.url.replace("http://", "ws://") + "/graphql"
    protocol = websockets.Subprotocol("graphql-transport-ws")
    async with websockets.connect(url, subprotocols=[protocol]) as socket:
        await socket.send(
            orjson.dumps(
                {"type": "connection_init", "payload": {"authorization": f"Bearer {person.token}"}}
            ).decode()
        )
        assert orjson.loads(await socket.recv())["type"] == "connection_ack"
        payload = {"query": SUBSCRIPTION, "variables": variables}
        await socket.send(
            orjson.dumps({"type": "subscribe", "id": "1", "payload": payload}).decode()
        )

        async def messages() -> AsyncIterator[dict[str, Any]]:
            async for text in socket:
                message = orjson.loads(text)
                if message["type"] == "next":
                    yield message["payload"]
                elif message["type"] == "error":
                    yield {"errors": message["payload"]}

        yield messages()


@asynccontextmanager
async def over_sse(
    person: Person, variables: dict[str, Any]
) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
    headers = {"accept": "text/event-stream", "authorization": f"Bearer {person.token}"}
    body = {"query": SUBSCRIPTION, "variables": variables}
    async with (
        httpx.AsyncClient(base_url=person.nexus.url, timeout=30) as client,
        client.stream("POST", "/graphql", json=body, headers=headers) as response,
    ):
        assert response.status_code == 200

        async def messages() -> AsyncIterator[dict[str, Any]]:
            async for line in response.aiter_lines():
                if line.startswith("data:") and line[5:].strip():
                    yield orjson.loads(line[5:])

        yield messages()


async def test_an_invoice_is_seen_to_be_paid(nexus: Nexus) -> None:
    for transport in (over_websocket, over_sse):
        ada = await sign_up(nexus, "Ada")
        organization = await create_organization(ada)
        async with transport(ada, {"id": organization}) as messages:
            paying = asyncio.create_task(_keep_paying(ada, organization))
            async with asyncio.timeout(30):
                async for message in messages:
                    assert "errors" not in message, message
                    invoice = message["data"]["invoiceUpdated"]
                    assert invoice["organization"]["name"] == "Lumen"
                    assert invoice["organization"]["viewerRole"] == "OWNER"
                    if invoice["status"] == "PAID":
                        break
            await paying
        assert invoice["total"]["amount"] >= 1_000


async def _keep_paying(person: Person, organization: str) -> None:
    # The stream may begin a little after its request was sent, so more than one event is made.
    for amount in (1_000, 2_000, 3_000):
        await buy_credits(person, organization, amount)


async def test_a_stranger_to_the_organization_hears_nothing(nexus: Nexus) -> None:
    ada, eve, bob = [await sign_up(nexus, name) for name in ("Ada", "Eve", "Bob")]
    organization = await create_organization(ada)
    await invite(ada, bob, organization)
    for transport in (over_websocket, over_sse):
        async with transport(eve, {"id": organization}) as messages, asyncio.timeout(20):
            message = await anext(messages)
            assert message["errors"][0]["extensions"]["code"] == "NOT_FOUND"
            assert not message.get("data")
