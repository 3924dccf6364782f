"""`invoiceUpdated`: each change of an organization's invoices, while the caller may see them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from shared.access import Role
from shared.auth import ANONYMOUS, Identity
from shared.protocols.service import GraphQLRequest, GraphQLResult
from tests.subgraphs.billing.conftest import Billing, Company, eventually

SUBSCRIBE = """
subscription Watch($organization: ID!) {
  invoiceUpdated(organizationId: $organization) {
    id number status organization { id } lines { description }
  }
}
"""


@asynccontextmanager
async def watching(billing: Billing, company: Company, by: Identity) -> AsyncIterator[Any]:
    """A stream that has begun, with the worker that relays facts."""
    request = GraphQLRequest(SUBSCRIBE, variables={"organization": company.id})
    stream: Any = await billing.subgraph.service.subscribe(request, by)
    assert not isinstance(stream, GraphQLResult), stream
    first = asyncio.create_task(anext(stream))
    async with billing.working(), asyncio.timeout(30):
        await eventually(lambda: _listeners(billing, company))
        yield Stream(stream, first)
    await stream.aclose()


async def _listeners(billing: Billing, company: Company) -> int:
    channel = f"live:billing.invoice.updated:{company.id}"
    [(_, number)] = await billing.redis.pubsub_numsub(channel)
    return int(number)


class Stream:
    """The stream; its first event was asked for already."""

    def __init__(self, stream: Any, first: asyncio.Task[Any]) -> None:
        self._stream = stream
        self._first: asyncio.Task[Any] | None = first

    async def next(self) -> dict[str, Any]:
        """The next payload."""
        waiting, self._first = self._first, None
        result = await (waiting or anext(self._stream))
        payload: dict[str, Any] = result.payload()
        return payload


async def log_in(billing: Billing, company: Company, role: Role = Role.OWNER) -> Identity:
    """A caller whose session and memberships the gateway has in Redis."""
    await billing.redis.hset("session:session", "user_id", company.user_id)
    await billing.access.keep(company.user_id, {company.id: role}, generation="0")
    return company.by(role)


async def test_each_change_of_an_invoice_is_seen(billing: Billing, company: Company) -> None:
    identity = await log_in(billing, company)
    async with watching(billing, company, identity) as stream:
        invoice = (await billing.top_up(company))["invoice"]
        opened = await stream.next()
        await billing.top_up(Company())
        await billing.void(company, invoice["id"])
        while (payload := await stream.next())["data"]["invoiceUpdated"]["status"] == "OPEN":
            pass

    assert opened["data"]["invoiceUpdated"] | {"status": "-"} == {
        "id": invoice["id"],
        "number": "2031-000001",
        "status": "-",
        "organization": {"id": company.id},
        "lines": [{"description": "Credits"}],
    }
    assert payload["data"]["invoiceUpdated"]["status"] == "VOID"


@pytest.mark.parametrize("identity", [ANONYMOUS, Company().by()])
async def test_who_may_not_see_invoices_may_not_watch_them(
    billing: Billing, company: Company, identity: Identity
) -> None:
    request = GraphQLRequest(SUBSCRIBE, variables={"organization": company.id})
    refused = await billing.subgraph.service.subscribe(request, identity)

    assert isinstance(refused, GraphQLResult)
    [error] = refused.payload()["errors"]
    assert error["extensions"]["code"] in {"UNAUTHENTICATED", "NOT_FOUND"}


async def test_who_is_removed_sees_nothing_more(billing: Billing, company: Company) -> None:
    identity = await log_in(billing, company)
    async with watching(billing, company, identity) as stream:
        await billing.access.invalidate([company.user_id])
        await billing.top_up(company)
        [error] = (await stream.next())["errors"]

    assert error["extensions"]["code"] == "UNAUTHENTICATED"


async def test_who_is_known_to_be_removed_sees_nothing_more(
    billing: Billing, company: Company
) -> None:
    identity = await log_in(billing, company)
    async with watching(billing, company, identity) as stream:
        await billing.access.keep(company.user_id, {}, generation="0")
        await billing.top_up(company)
        [error] = (await stream.next())["errors"]

    assert error["extensions"]["code"] == "NOT_FOUND"


async def test_who_logs_out_sees_nothing_more(billing: Billing, company: Company) -> None:
    identity = await log_in(billing, company)
    async with watching(billing, company, identity) as stream:
        await billing.redis.delete("session:session")
        await billing.top_up(company)
        [error] = (await stream.next())["errors"]

    assert error["extensions"]["code"] == "UNAUTHENTICATED"
