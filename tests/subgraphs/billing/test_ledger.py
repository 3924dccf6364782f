"""The ledger: nothing appears, nothing vanishes, nobody spends what they do not have."""

from __future__ import annotations

import asyncio
import os
import random
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from subgraphs.billing import repository
from subgraphs.billing.proration import unused
from tests.subgraphs.billing.conftest import CHANGE_PLAN, Billing, Company, key, new_id

OPERATIONS = int(os.environ.get("LEDGER_OPERATIONS", "400"))
"""Give 10000 for the long run."""


async def test_after_concurrent_random_operations_the_books_balance(billing: Billing) -> None:
    companies = [Company() for _ in range(6)]
    chosen = random.Random(20310310)  # noqa: S311 - a walk that can be repeated
    answers: list[dict[str, Any]] = []

    async def operate(number: int) -> None:
        company = chosen.choice(companies)
        match chosen.randrange(6):
            case 0 | 1:
                amount = chosen.randrange(1, 6000)
                payment = (await billing.top_up(company, amount))["payment"]["id"]
                for _ in range(chosen.randrange(1, 4)):
                    await billing.send_paid(payment, amount)
            case 2:
                given = {
                    "organizationId": company.id,
                    "planCode": chosen.choice(["free", "team", "business"]),
                    "idempotencyKey": key(),
                }
                answers.append(await billing.ask(CHANGE_PLAN, {"input": given}, by=company.by()))
            case 3 | 4:
                rows = await billing.rows(
                    "select id from invoices where organization_id = :id and status = 'open'",
                    id=company.id,
                )
                if rows:
                    invoice = str(chosen.choice(rows)["id"])
                    answers.extend(
                        await asyncio.gather(
                            billing.pay(company, invoice), billing.void(company, invoice)
                        )
                    )
            case _:
                billing.clock.advance(hours=chosen.randrange(40))
                await billing.handle_webhooks()
                await billing.renew_plans()

    for batch in range(0, OPERATIONS, 20):
        await asyncio.gather(*(operate(number) for number in range(batch, batch + 20)))
    await billing.handle_webhooks()

    await billing.check_books()
    errors = [error for answer in answers for error in answer.get("errors", ())]
    assert {error["extensions"]["code"] for error in errors} == {"CONFLICT"}
    gaps = await billing.rows(
        "select organization_id, year from invoices where sequence is not null"
        " group by 1, 2 having max(sequence) <> count(*)"
    )
    assert gaps == []
    for row in await billing.rows(
        """
        select a.period_price, a.period_started_at, a.period_ends_at, c.balance,
            (select count(*) from ledger_transactions) as roundings,
            (select coalesce(sum(amount), 0) from payments p where p.method <> 'credits'
                and p.status = 'succeeded' and p.organization_id = a.organization_id) as paid
        from accounts a join ledger_accounts c on c.owner_id = a.organization_id
        """
    ):
        left = 0
        if row["period_ends_at"] is not None:
            left = unused(
                row["period_price"],
                start=row["period_started_at"],
                end=row["period_ends_at"],
                now=billing.clock.now,
            )
        # Nobody ends up with more than they have paid for.
        assert row["balance"] + left <= row["paid"] + row["roundings"]
    unexplained = await billing.rows(
        "select p.id from payments p where p.status = 'succeeded' and not exists ("
        " select from ledger_transactions t where t.source_id = "
        " case p.method when 'credits' then p.invoice_id else p.id end)"
    )
    assert unexplained == []


async def post(billing: Billing, entries: dict[tuple[str, str], int], cause: str = "") -> None:
    """Write a transaction as it is given."""
    async with billing.database.write() as session:
        await repository.post(
            session,
            "payment",
            cause or new_id(),
            entries,
            currency="EUR",
            now=billing.clock.now,
        )


async def test_the_database_refuses_what_does_not_sum_to_zero(
    billing: Billing, company: Company
) -> None:
    await billing.fund(company, 100)
    for entries in (
        {("credits", company.id): 5, ("revenue", repository.HOUSE): -4},
        {("credits", company.id): 5},
        {("credits", company.id): 5, ("nothing", repository.HOUSE): -5},
        {("credits", new_id()): 5, ("revenue", repository.HOUSE): -5},
        {},
    ):
        with pytest.raises(DBAPIError):
            await post(billing, entries)

    assert await billing.credits(company) == 100
    await billing.check_books()


async def test_the_database_refuses_to_go_below_zero(billing: Billing, company: Company) -> None:
    await billing.fund(company, 100)

    with pytest.raises(DBAPIError):
        await post(billing, {("credits", company.id): -101, ("revenue", repository.HOUSE): 101})

    assert await billing.credits(company) == 100


async def test_the_database_refuses_to_overflow(billing: Billing, company: Company) -> None:
    await billing.fund(company, 100)
    most = 2**63 - 1

    with pytest.raises(DBAPIError):
        await post(billing, {("credits", company.id): most, ("stripe", repository.HOUSE): -most})

    assert await billing.credits(company) == 100


async def test_one_cause_moves_money_once(billing: Billing, company: Company) -> None:
    await billing.fund(company, 100)
    cause = new_id()
    entries = {("credits", company.id): 5, ("stripe", repository.HOUSE): -5}
    await post(billing, entries, cause)

    with pytest.raises(DBAPIError):
        await post(billing, entries, cause)

    assert await billing.credits(company) == 105


@pytest.mark.parametrize(
    "statement",
    [
        "update ledger_entries set amount = amount * 2",
        "delete from ledger_entries",
        "delete from ledger_transactions",
        "truncate ledger_entries",
        "update ledger_transactions set currency = 'USD'",
        """
        insert into ledger_entries (transaction_id, account_id, currency, amount)
        select t.id, a.id, t.currency, 7 from ledger_transactions t
        join ledger_accounts a on a.kind = 'mercadopago' and a.currency = t.currency
        """,
    ],
)
async def test_the_database_refuses_to_rewrite_history(
    billing: Billing, company: Company, statement: str
) -> None:
    await billing.fund(company, 100)

    with pytest.raises(DBAPIError):
        async with billing.database.write() as session:
            await session.execute(text(statement))

    await billing.check_books()
