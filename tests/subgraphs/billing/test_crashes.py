"""A process may be killed at any point: doing it again loses nothing and doubles nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.subgraphs.billing.conftest import CHANGE_PLAN, PAY, TOP_UP, Billing, Company
from tests.subgraphs.billing.crashing import Operation, attempt, perform, processes

Prepare = Callable[[Billing, Company], Awaitable[Operation]]


async def a_top_up(_: Billing, company: Company) -> Operation:
    given = {
        "organizationId": company.id,
        "amount": {"amount": 5000, "currency": "EUR"},
        "idempotencyKey": "one",
    }
    return Operation("mutate", (TOP_UP, given, company.by()))


async def a_message(billing: Billing, company: Company) -> Operation:
    payment = (await billing.top_up(company, 5000))["payment"]["id"]
    return Operation("receive", (payment, 5000))


async def a_settlement(billing: Billing, company: Company) -> Operation:
    payment = (await billing.top_up(company, 5000))["payment"]["id"]
    await billing.send_paid(payment, 5000)
    return Operation("handle")


async def an_upgrade(billing: Billing, company: Company) -> Operation:
    await billing.fund(company, 5000)
    given = {"organizationId": company.id, "planCode": "team", "idempotencyKey": "one"}
    return Operation("mutate", (CHANGE_PLAN, given, company.by()))


async def a_downgrade(billing: Billing, company: Company) -> Operation:
    await billing.fund(company, 5000)
    await billing.change_plan(company, "team")
    given = {"organizationId": company.id, "planCode": "free", "idempotencyKey": "one"}
    return Operation("mutate", (CHANGE_PLAN, given, company.by()))


async def a_payment(billing: Billing, company: Company) -> Operation:
    invoice = (await billing.change_plan(company, "team"))["invoice"]["id"]
    await billing.fund(company, 5000)
    given = {"invoiceId": invoice, "idempotencyKey": "one"}
    return Operation("mutate", (PAY, given, company.by()))


async def a_renewal(billing: Billing, company: Company) -> Operation:
    await billing.fund(company, 8000)
    await billing.change_plan(company, "team")
    return Operation("renew", (32,))


async def state(billing: Billing, company: Company) -> dict[str, Any]:
    """Everything about the company that must come out the same."""
    of = {"id": company.id}
    return {
        "account": await billing.rows(
            "select plan_code, period_price, balance, period_started_at from accounts a"
            " join ledger_accounts c on c.owner_id = a.organization_id"
            " where organization_id = :id",
            **of,
        ),
        "invoices": await billing.rows(
            "select number, status, total from invoices where organization_id = :id order by id",
            **of,
        ),
        "payments": await billing.rows(
            "select method, status, amount from payments where organization_id = :id order by id",
            **of,
        ),
        "moves": await billing.rows(
            "select t.kind, e.amount from ledger_entries e"
            " join ledger_accounts a on a.id = e.account_id"
            " join ledger_transactions t on t.id = e.transaction_id"
            " where a.owner_id = :id order by t.id",
            **of,
        ),
        "facts": await billing.rows(
            "select topic, count(*) from outbox where key = cast(:id as text)"
            " group by topic order by topic",
            **of,
        ),
        "messages": await billing.rows(
            "select e.status, count(j.id) from webhook_events e left join pgqueuer j"
            " on j.dedupe_key = 'webhook:' || e.id"
            " where position((select id::text from payments where organization_id = :id"
            " and method = 'stripe' limit 1) in e.body) > 0 group by e.id",
            **of,
        ),
    }


@pytest.mark.parametrize(
    "prepare",
    [a_top_up, a_message, a_settlement, an_upgrade, a_downgrade, a_payment, a_renewal],
)
async def test_what_is_killed_at_any_point_and_done_again_is_done_once(
    billing: Billing, prepare: Prepare
) -> None:
    context = processes()
    undisturbed = Company()
    await perform(billing, await prepare(billing, undisturbed))
    expected = await state(billing, undisturbed)

    point, finished = 0, False
    while not finished:
        point += 1
        company = Company()
        operation = await prepare(billing, company)
        finished = await attempt(context, billing.settings, operation, die_at=point)
        await perform(billing, operation)
        assert await state(billing, company) == expected, f"killed at point {point}"

    assert point > 4
    await billing.check_books()
