"""Invoices: paying and voiding them, listing them, finding them by their keys."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from shared.access import Role
from shared.auth import Identity
from tests.subgraphs.billing.conftest import PAY, VOID, Billing, Company, key, new_id

LIST = """
query List($organizations: [_Any!]!, $first: Int!, $after: String, $status: InvoiceStatus) {
  _entities(representations: $organizations) { ... on Organization {
    invoices(first: $first, after: $after, status: $status) {
      edges { node { number } } pageInfo { hasNextPage endCursor } } } }
}
"""
BY_KEY = """
query ByKey($keys: [_Any!]!) {
  _entities(representations: $keys) { ... on Invoice { id number } }
}
"""


def organizations(*ids: str) -> list[dict[str, str]]:
    """Representations."""
    return [{"__typename": "Organization", "id": each} for each in ids]


async def an_open_invoice(billing: Billing, company: Company) -> str:
    """The id of an invoice for a plan."""
    invoice_id: str = (await billing.change_plan(company, "team"))["invoice"]["id"]
    return invoice_id


def code(answer: dict[str, Any]) -> str:
    """The code of the one error."""
    [error] = answer["errors"]
    found: str = error["extensions"]["code"]
    return found


async def test_paying_without_enough_credits_is_refused_and_says_what_is_missing(
    billing: Billing, company: Company
) -> None:
    invoice = await an_open_invoice(billing, company)
    await billing.fund(company, 900)

    answer = await billing.pay(company, invoice)

    assert answer["errors"][0]["extensions"] == {
        "code": "CONFLICT",
        "missing": {"amount": 2000, "currency": "EUR"},
    }
    assert await billing.credits(company) == 900


async def test_paying_twice_charges_once(billing: Billing, company: Company) -> None:
    invoice = await an_open_invoice(billing, company)
    await billing.fund(company, 9000)

    first = await billing.pay(company, invoice, idempotencyKey="one")
    again = await billing.pay(company, invoice, idempotencyKey="one")
    anew = await billing.pay(company, invoice)

    assert again == first
    assert code(anew) == "CONFLICT"
    assert await billing.credits(company) == 6100
    await billing.check_books()


async def test_of_many_who_pay_at_once_one_does(billing: Billing, company: Company) -> None:
    invoice = await an_open_invoice(billing, company)
    await billing.fund(company, 29_000)

    answers = await asyncio.gather(*(billing.pay(company, invoice) for _ in range(20)))

    assert sum("errors" not in answer for answer in answers) == 1
    assert await billing.credits(company) == 26_100
    await billing.check_books()


async def test_credits_cannot_buy_credits(billing: Billing, company: Company) -> None:
    await billing.fund(company, 9000)
    invoice = (await billing.top_up(company, 100))["invoice"]["id"]

    assert code(await billing.pay(company, invoice)) == "CONFLICT"
    assert await billing.credits(company) == 9000


async def test_an_open_invoice_can_be_voided(billing: Billing, company: Company) -> None:
    invoice = (await billing.top_up(company, 100))["invoice"]["id"]

    answer = await billing.void(company, invoice)

    assert answer["data"]["voidInvoice"]["status"] == "VOID"
    assert answer["data"]["voidInvoice"]["payments"] == [{"status": "CANCELED"}]
    assert await billing.void(company, invoice) == answer
    assert len(await billing.published("billing.invoice.voided")) == 1


async def test_voiding_a_paid_invoice_is_refused(billing: Billing, company: Company) -> None:
    await billing.fund(company, 2900)
    invoice = (await billing.change_plan(company, "team"))["invoice"]["id"]

    assert code(await billing.void(company, invoice)) == "CONFLICT"
    assert code(await billing.pay(company, invoice)) == "CONFLICT"


async def test_paying_a_void_invoice_is_refused(billing: Billing, company: Company) -> None:
    invoice = await an_open_invoice(billing, company)
    await billing.void(company, invoice)
    await billing.fund(company, 9000)

    assert code(await billing.pay(company, invoice)) == "CONFLICT"


async def test_of_paying_and_voiding_at_once_one_wins(billing: Billing) -> None:
    for _ in range(5):
        company = Company()
        invoice = await an_open_invoice(billing, company)
        await billing.fund(company, 2900)

        paid, void = await asyncio.gather(
            billing.pay(company, invoice), billing.void(company, invoice)
        )

        assert ("errors" in paid) != ("errors" in void)
        assert await billing.credits(company) == (2900 if "errors" in paid else 0)


async def test_a_list_is_read_page_by_page(billing: Billing, company: Company) -> None:
    for _ in range(5):
        await billing.top_up(company)
    seen: list[str] = []
    after = None
    while True:
        variables = {"organizations": organizations(company.id), "first": 2, "after": after}
        data = await billing.data(LIST, variables, by=company.by())
        page = data["_entities"][0]["invoices"]
        seen += [edge["node"]["number"] for edge in page["edges"]]
        if not page["pageInfo"]["hasNextPage"]:
            break
        after = page["pageInfo"]["endCursor"]

    assert seen == [f"2031-00000{number}" for number in (5, 4, 3, 2, 1)]


async def test_a_list_can_be_narrowed_to_a_status(billing: Billing, company: Company) -> None:
    first = await billing.top_up(company)
    await billing.top_up(company)
    await billing.void(company, first["invoice"]["id"])
    variables = {"organizations": organizations(company.id), "first": 9, "status": "VOID"}

    data = await billing.data(LIST, variables, by=company.by())

    edges = data["_entities"][0]["invoices"]["edges"]
    assert [edge["node"]["number"] for edge in edges] == [first["invoice"]["number"]]


@pytest.mark.parametrize(
    "bad", [{"first": -1}, {"first": 101}, {"first": 1, "after": "x"}, {"first": 1, "after": ""}]
)
async def test_a_bad_page_is_refused(
    billing: Billing, company: Company, bad: dict[str, Any]
) -> None:
    variables = {"organizations": organizations(company.id), **bad}

    assert (await billing.error(LIST, variables, by=company.by()))["code"] == "BAD_USER_INPUT"


async def test_an_invoice_is_found_by_each_of_its_keys(billing: Billing, company: Company) -> None:
    invoice = (await billing.top_up(company))["invoice"]
    keys = [
        {"__typename": "Invoice", "id": invoice["id"]},
        {
            "__typename": "Invoice",
            "organization": {"id": company.id},
            "number": invoice["number"],
        },
        {"__typename": "Invoice", "organization": {"id": company.id}, "number": "2031-000009"},
        {"__typename": "Invoice", "id": "nothing like an id"},
    ]

    data = await billing.data(BY_KEY, {"keys": keys}, by=company.by())

    found = {"id": invoice["id"], "number": invoice["number"]}
    assert data["_entities"] == [found, found, None, None]


async def test_another_tenants_invoices_are_unknown(billing: Billing) -> None:
    mine, theirs = Company(), Company()
    invoice = (await billing.top_up(theirs))["invoice"]
    keys = [
        {"__typename": "Invoice", "id": invoice["id"]},
        {"__typename": "Invoice", "organization": {"id": theirs.id}, "number": invoice["number"]},
        {"__typename": "Organization", "id": theirs.id},
    ]
    query = "query($id: ID!) { invoice(id: $id) { id } }"

    references = await billing.data(
        "query($keys: [_Any!]!) { _entities(representations: $keys) { __typename } }",
        {"keys": keys},
        by=mine.by(),
    )
    foreign = await billing.error(query, {"id": invoice["id"]}, by=mine.by())
    unknown = await billing.error(query, {"id": new_id()}, by=mine.by())
    paid = await billing.error(
        PAY, {"input": {"invoiceId": invoice["id"], "idempotencyKey": key()}}, by=mine.by()
    )
    void = await billing.error(VOID, {"input": {"invoiceId": invoice["id"]}}, by=mine.by())

    assert references["_entities"] == [None, None, None]
    assert foreign == unknown
    assert {foreign["code"], paid["code"], void["code"]} == {"NOT_FOUND"}


async def test_a_stranger_is_asked_to_log_in(billing: Billing) -> None:
    query = "query($id: ID!) { invoice(id: $id) { id } }"
    assert (await billing.error(query, {"id": new_id()}))["code"] == "UNAUTHENTICATED"
    assert (await billing.error(VOID, {"input": {"invoiceId": new_id()}}))["code"] == (
        "UNAUTHENTICATED"
    )


async def test_a_member_reads_invoices_and_may_not_pay_them(
    billing: Billing, company: Company
) -> None:
    invoice = (await billing.top_up(company))["invoice"]
    member = company.by(Role.MEMBER)

    data = await billing.data(
        "query($id: ID!) { invoice(id: $id) { number } }", {"id": invoice["id"]}, by=member
    )
    error = await billing.error(
        PAY, {"input": {"invoiceId": invoice["id"], "idempotencyKey": key()}}, by=member
    )

    assert data["invoice"]["number"] == invoice["number"]
    assert error["code"] == "FORBIDDEN"


async def test_fifty_organizations_cost_as_many_statements_as_one(
    billing: Billing, statements: list[str]
) -> None:
    companies = [Company() for _ in range(50)]
    everywhere = Identity(companies[0].user_id, "s", {each.id: Role.OWNER for each in companies})
    for company in companies[:5]:
        await billing.top_up(company)
    query = """
    query($organizations: [_Any!]!) { _entities(representations: $organizations) {
      ... on Organization { id plan { name storageLimitBytes } creditBalance { amount }
        billingEmail
        invoices(first: 5) { edges { node { number lines { amount { amount } }
          payments { id } } } } } } }
    """
    counts = []
    for number in (1, 50):
        statements.clear()
        ids = [each.id for each in companies[:number]]
        await billing.data(query, {"organizations": organizations(*ids)}, by=everywhere)
        counts.append(len(statements))

    # Accounts (plan, balance and address together), invoices, lines, payments.
    assert counts == [4, 4]


async def test_fifty_invoices_cost_as_many_statements_as_one(
    billing: Billing, company: Company, statements: list[str]
) -> None:
    numbers = [f"2031-{number:06}" for number in range(1, 26)]
    ids = [(await billing.top_up(company))["invoice"]["id"] for _ in range(25)]
    keys = [
        *({"__typename": "Invoice", "id": each} for each in ids),
        *(
            {"__typename": "Invoice", "organization": {"id": company.id}, "number": each}
            for each in numbers
        ),
    ]
    counts = []
    for some in (keys[:1] + keys[-1:], keys):
        statements.clear()
        data = await billing.data(BY_KEY, {"keys": some}, by=company.by())
        assert None not in data["_entities"]
        counts.append(len(statements))

    assert counts == [2, 2]


@pytest.mark.parametrize(
    "statement",
    [
        "update invoices set total = total + 1",
        "update invoices set status = 'open', paid_at = null where status = 'paid'",
        "update invoices set sequence = sequence + 1",
        "delete from invoices",
        "truncate invoices cascade",
        "update invoice_lines set unit_amount = 1",
        "delete from invoice_lines",
        """
        insert into invoice_lines (invoice_id, position, description, quantity, unit_amount)
        select id, 2, 'More', 1, 5 from invoices
        """,
        """
        insert into invoices (organization_id, purpose, status, currency, total)
        select organization_id, 'top_up', 'draft', 'EUR', 5 from accounts
        """,
    ],
)
async def test_the_database_refuses_to_falsify_an_invoice(
    billing: Billing, company: Company, statement: str
) -> None:
    await billing.fund(company, 100)

    with pytest.raises(DBAPIError):
        async with billing.database.write() as session:
            await session.execute(text(statement))
