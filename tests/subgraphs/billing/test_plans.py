"""Plans: choosing one, changing it, and what that costs."""

from __future__ import annotations

import asyncio
import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.access import Role
from subgraphs.billing.proration import a_month_after, unused
from tests.subgraphs.billing.conftest import CHANGE_PLAN, Billing, Company, key

PLANS = "{ plans { code name monthlyPrice { amount currency } storageLimitBytes } }"


async def test_a_stranger_sees_the_plans_smallest_first(billing: Billing) -> None:
    data = await billing.data(PLANS)

    assert [(plan["code"], plan["monthlyPrice"]["amount"]) for plan in data["plans"]] == [
        ("free", 0),
        ("team", 2900),
        ("business", 9900),
    ]
    assert data["plans"][2]["storageLimitBytes"] == 2 * 2**40


async def test_an_organization_that_billing_has_not_heard_of_has_the_free_plan(
    billing: Billing, company: Company
) -> None:
    account = await billing.account(company)

    assert account["plan"] == {"code": "free"}
    assert account["creditBalance"] == {"amount": 0, "currency": "EUR"}
    assert account["invoices"]["edges"] == []


async def test_with_enough_credits_a_plan_begins_at_once(
    billing: Billing, company: Company
) -> None:
    await billing.fund(company, 5000)

    payload = await billing.change_plan(company, "team")

    assert payload["organization"]["plan"] == {"code": "team"}
    assert payload["organization"]["creditBalance"] == {"amount": 2100}
    assert payload["invoice"]["status"] == "PAID"
    assert payload["invoice"]["payments"] == [{"method": "CREDITS", "status": "SUCCEEDED"}]
    [fact] = await billing.published("billing.plan.changed")
    assert fact == {
        "organization_id": company.id,
        "plan_code": "team",
        "storage_limit_bytes": 100 * 2**30,
    }
    await billing.check_books()


async def test_without_credits_the_old_plan_stays_until_the_invoice_is_paid(
    billing: Billing, company: Company
) -> None:
    payload = await billing.change_plan(company, "team")
    assert payload["organization"]["plan"] == {"code": "free"}
    assert payload["invoice"]["status"] == "OPEN"

    await billing.fund(company, 2900)
    assert (await billing.account(company))["plan"] == {"code": "free"}
    answer = await billing.pay(company, payload["invoice"]["id"])

    assert answer["data"]["payInvoice"]["status"] == "PAID"
    account = await billing.account(company)
    assert account["plan"] == {"code": "team"}
    assert account["creditBalance"]["amount"] == 0
    await billing.check_books()


async def test_an_upgrade_takes_off_the_unused_time_of_the_old_plan(
    billing: Billing, company: Company
) -> None:
    await billing.fund(company, 20_000)
    await billing.change_plan(company, "team")
    billing.clock.advance(days=15.5)  # half of the 31 days from 10 March

    payload = await billing.change_plan(company, "business")

    assert payload["invoice"]["lines"] == [
        {"description": "Business plan, one month", "amount": {"amount": 9900}},
        {"description": "Unused time of the Team plan", "amount": {"amount": -1450}},
    ]
    assert payload["invoice"]["total"] == {"amount": 8450}
    assert payload["organization"]["creditBalance"] == {"amount": 20_000 - 2900 - 8450}
    await billing.check_books()


async def test_a_downgrade_gives_back_what_the_new_plan_does_not_use_up(
    billing: Billing, company: Company
) -> None:
    await billing.fund(company, 9900)
    await billing.change_plan(company, "business")
    billing.clock.advance(days=15.5)

    payload = await billing.change_plan(company, "team")

    assert payload["invoice"] is None
    assert payload["organization"]["plan"] == {"code": "team"}
    assert payload["organization"]["creditBalance"] == {"amount": 4950 - 2900}
    await billing.check_books()


async def test_leaving_for_the_free_plan_gives_the_unused_time_back(
    billing: Billing, company: Company
) -> None:
    await billing.fund(company, 2900)
    await billing.change_plan(company, "team")

    payload = await billing.change_plan(company, "free")

    assert payload["organization"]["plan"] == {"code": "free"}
    assert payload["organization"]["creditBalance"] == {"amount": 2900}
    await billing.check_books()


async def test_going_back_and_forth_makes_no_money(billing: Billing, company: Company) -> None:
    await billing.fund(company, 9900)
    for code in ["business", "team", "business", "free", "team", "free"]:
        await billing.change_plan(company, code)

    assert await billing.credits(company) == 9900
    await billing.check_books()


async def test_waiting_with_an_upgrade_does_not_make_used_time_free(
    billing: Billing, company: Company
) -> None:
    await billing.fund(company, 2900)
    await billing.change_plan(company, "team")
    upgrade = await billing.change_plan(company, "business")
    await billing.fund(company, 7000)
    billing.clock.advance(days=6.2)  # a fifth of the 31 days from 10 March

    await billing.pay(company, upgrade["invoice"]["id"])
    await billing.change_plan(company, "free")

    assert await billing.credits(company) == 9900 - 2900 // 5
    await billing.check_books()


async def test_a_new_change_takes_the_place_of_one_that_waits(
    billing: Billing, company: Company
) -> None:
    first = await billing.change_plan(company, "team")
    second = await billing.change_plan(company, "business")

    account = await billing.account(company)
    states = {edge["node"]["id"]: edge["node"]["status"] for edge in account["invoices"]["edges"]}
    assert states == {first["invoice"]["id"]: "VOID", second["invoice"]["id"]: "OPEN"}


async def test_a_change_that_was_not_paid_in_time_has_to_be_made_again(
    billing: Billing, company: Company
) -> None:
    payload = await billing.change_plan(company, "team")
    await billing.fund(company, 2900)
    billing.clock.advance(days=7)

    answer = await billing.pay(company, payload["invoice"]["id"])

    assert answer["errors"][0]["extensions"]["code"] == "CONFLICT"
    assert await billing.credits(company) == 2900


async def test_many_changes_at_once_with_one_key_are_one_change(
    billing: Billing, company: Company
) -> None:
    await billing.fund(company, 29_000)

    payloads = await asyncio.gather(
        *(billing.change_plan(company, "team", idempotencyKey="one") for _ in range(20))
    )

    assert len({payload["invoice"]["id"] for payload in payloads}) == 1
    assert await billing.credits(company) == 26_100
    await billing.check_books()


async def test_a_repeated_downgrade_gives_back_once(billing: Billing, company: Company) -> None:
    await billing.fund(company, 2900)
    await billing.change_plan(company, "team")

    for _ in range(3):
        payload = await billing.change_plan(company, "free", idempotencyKey="down")
        assert payload["invoice"] is None

    assert await billing.credits(company) == 2900


async def test_a_forgotten_key_can_be_used_anew(billing: Billing, company: Company) -> None:
    await billing.fund(company, 9000)
    for _ in range(2):
        await billing.change_plan(company, "team")
        await billing.change_plan(company, "free", idempotencyKey="down")
        billing.clock.advance(days=8)
        await billing.tasks.forget()

    assert await billing.credits(company) == 9000


@pytest.mark.parametrize(
    ("code", "expected"),
    [("free", "CONFLICT"), ("gold", "BAD_USER_INPUT"), ("\x00", "BAD_USER_INPUT")],
)
async def test_a_plan_that_cannot_be_changed_to_is_refused(
    billing: Billing, company: Company, code: str, expected: str
) -> None:
    given = {"organizationId": company.id, "planCode": code, "idempotencyKey": key()}

    error = await billing.error(CHANGE_PLAN, {"input": given}, by=company.by())

    assert error["code"] == expected


async def test_a_member_may_not_change_the_plan(billing: Billing, company: Company) -> None:
    given = {"organizationId": company.id, "planCode": "team", "idempotencyKey": key()}

    error = await billing.error(CHANGE_PLAN, {"input": given}, by=company.by(Role.MEMBER))

    assert error["code"] == "FORBIDDEN"


MOMENTS = st.integers(1_580_000_000, 3_780_000_000).map(
    lambda seconds: dt.datetime.fromtimestamp(seconds, dt.UTC)
)


@given(price=st.integers(0, 10**9), start=MOMENTS, now=MOMENTS)
def test_what_is_unused_lies_between_nothing_and_the_price(
    price: int, start: dt.datetime, now: dt.datetime
) -> None:
    end = a_month_after(start)

    left = unused(price, start=start, end=end, now=now)

    assert 0 <= left <= price
    assert unused(price, start=start, end=end, now=start) == price
    assert unused(price, start=start, end=end, now=end) == 0


@given(price=st.integers(0, 10**9), start=MOMENTS, steps=st.lists(st.integers(0, 10**6)))
def test_less_is_unused_as_time_passes(price: int, start: dt.datetime, steps: list[int]) -> None:
    end, now, left = a_month_after(start), start, price
    for step in steps:
        now += dt.timedelta(seconds=step)
        later = unused(price, start=start, end=end, now=now)
        assert later <= left
        left = later


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("2031-01-31T10:00:00+00:00", "2031-02-28T10:00:00+00:00"),
        ("2032-01-31T10:00:00+00:00", "2032-02-29T10:00:00+00:00"),
        ("2031-12-05T00:00:00+00:00", "2032-01-05T00:00:00+00:00"),
    ],
)
def test_a_month_ends_on_the_same_day_or_the_last(start: str, end: str) -> None:
    assert a_month_after(dt.datetime.fromisoformat(start)) == dt.datetime.fromisoformat(end)
