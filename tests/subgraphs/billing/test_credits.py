"""Buying credits."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from shared.access import Role
from shared.auth import Identity
from tests.subgraphs.billing.conftest import TOP_UP, Billing, Company, key, new_id


def asked(company: Company, **changes: Any) -> dict[str, Any]:
    """The variables of a top-up."""
    return {
        "input": {
            "organizationId": company.id,
            "amount": {"amount": 5000, "currency": "EUR"},
            "idempotencyKey": key(),
            **changes,
        }
    }


async def test_a_top_up_opens_an_invoice_and_waits_for_the_provider(
    billing: Billing, company: Company
) -> None:
    payload = await billing.top_up(company, 5000)

    assert payload["invoice"] | {"id": "-"} == {
        "id": "-",
        "number": "2031-000001",
        "status": "OPEN",
        "purpose": "TOP_UP",
        "total": {"amount": 5000, "currency": "EUR"},
        "paidAt": None,
        "lines": [{"description": "Credits", "quantity": 1, "amount": {"amount": 5000}}],
        "organization": {"id": company.id},
    }
    assert payload["payment"]["status"] == "PENDING"
    assert payload["payment"]["method"] == "STRIPE"
    assert await billing.credits(company) == 0
    [created] = await billing.published("billing.invoice.created")
    assert (created["number"], created["status"]) == ("2031-000001", "open")
    assert await billing.published("billing.invoice.updated") == [created]


async def test_credits_arrive_when_the_provider_has_the_money(
    billing: Billing, company: Company
) -> None:
    payload = await billing.top_up(company, 5000)

    response = await billing.send_paid(payload["payment"]["id"], 5000)
    await billing.handle_webhooks()

    assert response.status_code == 204
    account = await billing.account(company)
    assert account["creditBalance"] == {"amount": 5000, "currency": "EUR"}
    assert account["invoices"]["edges"][0]["node"]["status"] == "PAID"
    assert len(await billing.published("billing.credits.changed")) == 1
    assert len(await billing.published("billing.invoice.paid")) == 1
    await billing.check_books()


async def test_the_worker_settles_what_the_webhook_stored(
    billing: Billing, company: Company
) -> None:
    payload = await billing.top_up(company, 700)
    async with (
        asyncio.timeout(30),
        billing.working() as bus,
        bus.listen("billing.credits.changed", company.id, dict) as facts,
    ):
        await billing.send_paid(payload["payment"]["id"], 700)
        fact: dict[str, Any] = await anext(facts)

    assert fact["balance"] == 700
    assert await billing.credits(company) == 700


async def test_fifty_calls_at_once_with_one_key_make_one_invoice(
    billing: Billing, company: Company
) -> None:
    variables = asked(company, idempotencyKey="one")

    answers = await asyncio.gather(
        *(billing.data(TOP_UP, variables, by=company.by()) for _ in range(50))
    )

    assert all(answer == answers[0] for answer in answers)
    assert len(await billing.rows("select id from invoices")) == 1
    assert len(await billing.rows("select id from payments")) == 1
    assert len(await billing.published("billing.invoice.created")) == 1


async def test_a_key_stands_for_one_request(billing: Billing, company: Company) -> None:
    await billing.top_up(company, 5000, idempotencyKey="one")

    error = await billing.error(
        TOP_UP,
        asked(company, idempotencyKey="one", amount={"amount": 5001, "currency": "EUR"}),
        by=company.by(),
    )

    assert error["code"] == "CONFLICT"
    assert len(await billing.rows("select id from invoices")) == 1


async def test_another_organization_may_use_the_same_key(billing: Billing) -> None:
    first, second = Company(), Company()

    await billing.top_up(first, idempotencyKey="one")
    payload = await billing.top_up(second, idempotencyKey="one")

    assert payload["invoice"]["organization"]["id"] == second.id


async def test_a_refused_call_leaves_its_key_free(billing: Billing, company: Company) -> None:
    wrong = {"amount": 5000, "currency": "USD"}
    await billing.error(TOP_UP, asked(company, idempotencyKey="one", amount=wrong), by=company.by())

    payload = await billing.top_up(company, idempotencyKey="one")

    assert payload["invoice"]["number"] == "2031-000001"


@pytest.mark.parametrize("amount", [0, -1, -(2**63), 100_000_000, 2**63 - 1])
async def test_an_amount_out_of_bounds_is_refused(
    billing: Billing, company: Company, amount: int
) -> None:
    given = {"amount": amount, "currency": "EUR"}

    error = await billing.error(TOP_UP, asked(company, amount=given), by=company.by())

    assert (error["code"], error["field"]) == ("BAD_USER_INPUT", "amount")
    assert await billing.rows("select 1 from accounts") == []


@pytest.mark.parametrize("amount", [2**63, 1.5, "100", True, None])
async def test_what_is_no_64_bit_number_is_no_amount(
    billing: Billing, company: Company, amount: object
) -> None:
    given = {"amount": amount, "currency": "EUR"}

    error = await billing.error(TOP_UP, asked(company, amount=given), by=company.by())

    assert error["code"] == "BAD_USER_INPUT"


@pytest.mark.parametrize("currency", ["USD", "eur", "", "€", "EUR\x00"])
async def test_another_currency_than_the_organizations_is_refused(
    billing: Billing, company: Company, currency: str
) -> None:
    given = {"amount": 100, "currency": currency}

    error = await billing.error(TOP_UP, asked(company, amount=given), by=company.by())

    assert (error["code"], error["field"]) == ("BAD_USER_INPUT", "currency")


@pytest.mark.parametrize("given", ["", " ", "a b", "x" * 256, "é", "a\x00b", "a\n"])
async def test_a_key_is_visible_ascii(billing: Billing, company: Company, given: str) -> None:
    error = await billing.error(TOP_UP, asked(company, idempotencyKey=given), by=company.by())

    assert (error["code"], error["field"]) == ("BAD_USER_INPUT", "idempotencyKey")


async def test_a_stranger_is_asked_to_log_in(billing: Billing, company: Company) -> None:
    assert (await billing.error(TOP_UP, asked(company)))["code"] == "UNAUTHENTICATED"


@pytest.mark.parametrize("role", [Role.ADMIN, Role.MEMBER])
async def test_who_may_not_manage_billing_may_not_top_up(
    billing: Billing, company: Company, role: Role
) -> None:
    error = await billing.error(TOP_UP, asked(company), by=company.by(role))

    assert error["code"] == "FORBIDDEN"


async def test_another_tenants_organization_answers_as_an_unknown_one(billing: Billing) -> None:
    mine, theirs = Company(), Company()
    await billing.top_up(theirs)

    foreign = await billing.error(TOP_UP, asked(theirs), by=mine.by())
    unknown = await billing.error(TOP_UP, asked(mine, organizationId=new_id()), by=mine.by())
    malformed = await billing.error(TOP_UP, asked(mine, organizationId="x' or 1=1"), by=mine.by())

    assert foreign == unknown == malformed
    assert foreign["code"] == "NOT_FOUND"


async def test_the_gateway_itself_cannot_spend(billing: Billing, company: Company) -> None:
    error = await billing.error(TOP_UP, asked(company), by=Identity(service="gateway"))

    assert error["code"] == "UNAUTHENTICATED"


async def test_numbers_have_no_gaps_under_concurrency(billing: Billing, company: Company) -> None:
    async def attempt(number: int) -> None:
        # Every third call is refused after it has locked the account.
        currency = "USD" if number % 3 == 0 else "EUR"
        await billing.ask(
            TOP_UP, asked(company, amount={"amount": 10, "currency": currency}), by=company.by()
        )

    await asyncio.gather(*(attempt(number) for number in range(30)))

    rows = await billing.rows("select sequence from invoices order by sequence")
    assert [row["sequence"] for row in rows] == list(range(1, 21))


async def test_numbers_begin_anew_each_year(billing: Billing, company: Company) -> None:
    await billing.top_up(company)
    billing.clock.advance(days=365)

    payload = await billing.top_up(company)

    assert payload["invoice"]["number"] == "2032-000001"
