"""Credits, plans, invoices and the provider's messages through the gateway."""

from __future__ import annotations

import asyncio
import datetime as dt
import uuid

from subgraphs.billing import simulation
from tests.e2e.people import (
    BALANCE,
    TOP_UP,
    buy_credits,
    create_organization,
    eventually,
    send_paid,
    sign_up,
    top_up_variables,
)
from tests.e2e.test_accounts import code
from tests.support.nexus import STRIPE_SECRET, Nexus

INVOICES = (
    "query($id: ID!, $first: Int!, $after: String) { organization(id: $id) {"
    " invoices(first: $first, after: $after) {"
    " edges { node { id number status total { amount currency } lines { amount { amount } } } }"
    " pageInfo { hasNextPage endCursor } } } }"
)


async def test_credits_are_bought_once_however_often_the_provider_says_so(nexus: Nexus) -> None:
    ada = await sign_up(nexus, "Ada")
    organization = await create_organization(ada)
    bought = await ada.data(TOP_UP, top_up_variables(organization, 5_000))
    payment = bought["topUpCredits"]["payment"]
    assert payment["status"] == "PENDING"
    answers = await asyncio.gather(*(send_paid(nexus, payment["id"], 5_000) for _ in range(5)))
    assert {answer.status_code for answer in answers} == {204}

    async def balance() -> int:
        data = await ada.data(BALANCE, {"id": organization})
        found: int = data["organization"]["creditBalance"]["amount"]
        return found

    assert await eventually(balance, lambda found: found > 0) == 5_000
    again = await ada.data(TOP_UP, top_up_variables(organization, 5_000))
    assert again["topUpCredits"]["payment"] == {"id": payment["id"], "status": "SUCCEEDED"}
    assert await balance() == 5_000


async def test_a_plan_is_paid_from_credits_and_raises_the_storage_limit(nexus: Nexus) -> None:
    ada = await sign_up(nexus, "Ada")
    organization = await create_organization(ada)
    await buy_credits(ada, organization, 50_000)
    changed = await ada.data(
        "mutation($input: ChangePlanInput!) { changePlan(input: $input) {"
        " organization { name plan { code storageLimitBytes } storageUsage { limitBytes } }"
        " invoice { status number } } }",
        {
            "input": {
                "organizationId": organization,
                "planCode": "team",
                "idempotencyKey": f"to-team-{organization}",
            }
        },
    )
    payload = changed["changePlan"]
    assert payload["organization"]["name"] == "Lumen"
    assert payload["organization"]["plan"]["code"] == "team"
    limit = payload["organization"]["plan"]["storageLimitBytes"]
    assert payload["organization"]["storageUsage"]["limitBytes"] == limit
    assert payload["invoice"]["status"] == "PAID"
    assert payload["invoice"]["number"]


async def test_invoices_are_paged_and_a_cursor_that_was_tampered_with_is_refused(
    nexus: Nexus,
) -> None:
    ada = await sign_up(nexus, "Ada")
    organization = await create_organization(ada)
    for amount in (1_000, 2_000, 3_000):
        await ada.data(TOP_UP, top_up_variables(organization, amount))
    first = await ada.data(INVOICES, {"id": organization, "first": 2})
    page = first["organization"]["invoices"]
    assert page["pageInfo"]["hasNextPage"] is True
    cursor = page["pageInfo"]["endCursor"]
    rest = await ada.data(INVOICES, {"id": organization, "first": 2, "after": cursor})
    nodes = [e["node"] for e in page["edges"] + rest["organization"]["invoices"]["edges"]]
    assert sorted(node["total"]["amount"] for node in nodes) == [1_000, 2_000, 3_000]
    assert all(
        sum(line["amount"]["amount"] for line in node["lines"]) == node["total"]["amount"]
        for node in nodes
    )
    wrong = ("A" if cursor[0] != "A" else "B") + cursor[1:]
    refused = await ada.graphql(INVOICES, {"id": organization, "first": 2, "after": wrong})
    assert code(refused) == "BAD_USER_INPUT"


async def test_an_open_invoice_is_voided_and_a_paid_one_is_not(nexus: Nexus) -> None:
    ada = await sign_up(nexus, "Ada")
    organization = await create_organization(ada)
    opened = await ada.data(TOP_UP, top_up_variables(organization, 1_000))
    void = "mutation($input: VoidInvoiceInput!) { voidInvoice(input: $input) { status } }"
    invoice = opened["topUpCredits"]["invoice"]["id"]
    assert (await ada.data(void, {"input": {"invoiceId": invoice}}))["voidInvoice"] == {
        "status": "VOID"
    }
    await buy_credits(ada, organization, 7_000)
    data = await ada.data(INVOICES, {"id": organization, "first": 10})
    nodes = [edge["node"] for edge in data["organization"]["invoices"]["edges"]]
    (paid,) = [node["id"] for node in nodes if node["status"] == "PAID"]
    assert code(await ada.graphql(void, {"input": {"invoiceId": paid}})) == "CONFLICT"
    pay = "mutation($input: PayInvoiceInput!) { payInvoice(input: $input) { status } }"
    again = await ada.graphql(pay, {"input": {"invoiceId": paid, "idempotencyKey": "again"}})
    assert code(again) == "CONFLICT"


async def test_bad_amounts_change_nothing(nexus: Nexus) -> None:
    ada, eve = await sign_up(nexus, "Ada"), await sign_up(nexus, "Eve")
    organization = await create_organization(ada)
    for amount in (0, -5, 2**63):
        answer = await ada.graphql(TOP_UP, top_up_variables(organization, amount))
        assert code(answer) == "BAD_USER_INPUT"
    foreign = await eve.graphql(TOP_UP, top_up_variables(organization, 1_000))
    assert code(foreign) == "NOT_FOUND"
    data = await ada.data(INVOICES, {"id": organization, "first": 10})
    assert data["organization"]["invoices"]["edges"] == []


async def test_a_forged_stale_or_empty_message_is_refused(nexus: Nexus) -> None:
    now = dt.datetime.now(dt.UTC)
    body = simulation.event(
        "payment_intent.succeeded", {}, event_id=f"evt_{uuid.uuid4().hex}", now=now
    )
    forged = simulation.signed(body, secret="whsec_" + "x" * 32, now=now)
    stale = simulation.signed(body, secret=STRIPE_SECRET, now=now - dt.timedelta(seconds=301))
    genuine = simulation.signed(body, secret=STRIPE_SECRET, now=now)
    for path in ("/webhooks/stripe", "/api/v1/webhooks/stripe"):
        for content, headers in ((body, forged), (body, stale), (b"", genuine), (body, {})):
            response = await nexus.client.post(path, content=content, headers=headers)
            assert response.status_code == 400, response.text
            assert response.headers["content-type"] == "application/problem+json"
        assert (await nexus.client.post(path, content=body, headers=genuine)).status_code == 204
    unknown = await nexus.client.post("/webhooks/nobody", content=body, headers=genuine)
    assert unknown.status_code == 404
