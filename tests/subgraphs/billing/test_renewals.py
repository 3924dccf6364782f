"""The end of a period: announced, renewed, or given up."""

from __future__ import annotations

from typing import Any

from tests.subgraphs.billing.conftest import Billing, Company


async def invoices(billing: Billing, company: Company) -> list[tuple[str | None, str]]:
    """Number and status of the company's invoices for plans, oldest first."""
    rows = await billing.rows(
        "select number, status from invoices where organization_id = :id and purpose = 'plan'"
        " order by id",
        id=company.id,
    )
    return [(row["number"], row["status"]) for row in rows]


async def on_team(billing: Billing, company: Company, credits: int) -> None:  # noqa: A002
    """Begin a month of the plan team on 10 March, with these credits left."""
    await billing.fund(company, 2900 + credits)
    await billing.change_plan(company, "team")


async def account_row(billing: Billing) -> dict[str, Any]:
    """What is kept of the only account."""
    [row] = await billing.rows("select plan_code, period_ends_at from accounts")
    return row


async def test_a_renewal_is_announced_by_a_draft(billing: Billing, company: Company) -> None:
    await on_team(billing, company, 5000)
    billing.clock.advance(days=27)
    await billing.renew_plans()
    assert len(await invoices(billing, company)) == 1

    billing.clock.advance(days=1.5)
    for _ in range(3):
        await billing.renew_plans()

    assert (await invoices(billing, company))[1:] == [(None, "draft")]
    assert await billing.credits(company) == 5000


async def test_a_renewal_is_paid_from_credits_when_the_period_ends(
    billing: Billing, company: Company
) -> None:
    await on_team(billing, company, 5000)
    ended = (await account_row(billing))["period_ends_at"]
    billing.clock.advance(days=29)
    await billing.renew_plans()
    billing.clock.advance(days=2, hours=5)
    for _ in range(3):
        await billing.renew_plans()

    assert [status for _, status in await invoices(billing, company)] == ["paid", "paid"]
    assert await billing.credits(company) == 2100
    row = await account_row(billing)
    assert row["plan_code"] == "team"
    assert (row["period_ends_at"] - ended).days == 30  # from one 10th to the next
    assert len(await billing.published("billing.plan.changed")) == 1
    await billing.check_books()


async def test_a_renewal_without_credits_can_be_paid_for_a_week(
    billing: Billing, company: Company
) -> None:
    await on_team(billing, company, 0)
    billing.clock.advance(days=32)
    await billing.renew_plans()
    assert (await account_row(billing))["plan_code"] == "team"

    [_, (number, status)] = await invoices(billing, company)
    assert (number, status) == ("2031-000003", "open")
    await billing.fund(company, 2900)
    rows = await billing.rows("select id from invoices where status = 'open'")
    answer = await billing.pay(company, str(rows[0]["id"]))

    assert answer["data"]["payInvoice"]["status"] == "PAID"
    assert await billing.credits(company) == 0


async def test_a_renewal_that_nobody_pays_ends_the_plan(billing: Billing, company: Company) -> None:
    await on_team(billing, company, 0)
    billing.clock.advance(days=32)
    await billing.renew_plans()
    billing.clock.advance(days=7)
    for _ in range(3):
        await billing.renew_plans()

    assert (await account_row(billing)) == {"plan_code": "free", "period_ends_at": None}
    assert [status for _, status in await invoices(billing, company)] == ["paid", "void"]
    assert len(await billing.published("billing.plan.changed")) == 2


async def test_a_change_of_plan_takes_the_place_of_an_announced_renewal(
    billing: Billing, company: Company
) -> None:
    await on_team(billing, company, 9900)
    billing.clock.advance(days=30)
    await billing.renew_plans()

    await billing.change_plan(company, "business")

    assert [status for _, status in await invoices(billing, company)] == ["paid", "void", "paid"]
    await billing.renew_plans()
    assert (await account_row(billing))["plan_code"] == "business"


async def test_a_draft_cannot_be_voided_or_paid(billing: Billing, company: Company) -> None:
    await on_team(billing, company, 5000)
    billing.clock.advance(days=30)
    await billing.renew_plans()
    [row] = await billing.rows("select id from invoices where status = 'draft'")

    for answer in (
        await billing.void(company, str(row["id"])),
        await billing.pay(company, str(row["id"])),
    ):
        assert answer["errors"][0]["extensions"]["code"] == "CONFLICT"


async def test_an_upgrade_that_nobody_pays_lapses_and_the_plan_stays(
    billing: Billing, company: Company
) -> None:
    await on_team(billing, company, 0)
    await billing.change_plan(company, "business")
    billing.clock.advance(days=8)
    await billing.renew_plans()

    assert [status for _, status in await invoices(billing, company)] == ["paid", "void"]
    assert (await account_row(billing))["plan_code"] == "team"


async def test_a_plan_that_ends_while_an_upgrade_lapses_is_renewed(
    billing: Billing, company: Company
) -> None:
    await on_team(billing, company, 0)
    billing.clock.advance(days=29)
    await billing.change_plan(company, "business")
    await billing.fund(company, 2900)
    billing.clock.advance(days=8)
    await billing.renew_plans()

    assert [status for _, status in await invoices(billing, company)] == ["paid", "void", "paid"]
    assert (await account_row(billing))["plan_code"] == "team"
    assert await billing.credits(company) == 0


async def test_credits_that_nobody_paid_for_in_time_are_no_longer_owed(
    billing: Billing, company: Company
) -> None:
    payment = (await billing.top_up(company, 5000))["payment"]["id"]
    billing.clock.advance(days=8)
    await billing.renew_plans()
    [row] = await billing.rows("select status from invoices")
    assert row["status"] == "void"

    await billing.send_paid(payment, 5000)
    await billing.handle_webhooks()

    assert await billing.credits(company) == 5000


async def test_nothing_one_asks_for_makes_an_unpaid_plan_last(
    billing: Billing, company: Company
) -> None:
    await on_team(billing, company, 0)
    billing.clock.advance(days=32)
    for _ in range(3):
        await billing.renew_plans()
        for row in await billing.rows("select id from invoices where status = 'open'"):
            await billing.void(company, str(row["id"]))
        await billing.change_plan(company, "business")
        billing.clock.advance(days=2.5)
    await billing.renew_plans()

    assert (await account_row(billing)) == {"plan_code": "free", "period_ends_at": None}
    assert await billing.rows("select 1 from invoices where status in ('open', 'draft')") == []


async def test_a_renewal_that_comes_late_is_still_paid_from_credits(
    billing: Billing, company: Company
) -> None:
    await on_team(billing, company, 5000)
    billing.clock.advance(days=45)
    await billing.renew_plans()

    assert (await account_row(billing))["plan_code"] == "team"
    assert await billing.credits(company) == 2100
