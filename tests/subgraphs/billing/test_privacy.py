"""What billing holds about a person, and how it forgets them."""

from __future__ import annotations

from typing import Any

import orjson

from shared.auth import GATEWAY, Identity
from shared.privacy import EXPORT_QUERY
from tests.subgraphs.billing.conftest import Billing, Company, new_id
from tests.subgraphs.billing.test_organizations import EMAIL


async def export(billing: Billing, user_id: str) -> dict[str, Any]:
    """The documents by path."""
    found: dict[str, Any] = {}
    after = None
    while True:
        variables = {"userId": user_id, "after": after}
        page = (await billing.data(EXPORT_QUERY, variables, by=GATEWAY))["privacyExport"]
        found |= {each["path"]: orjson.loads(each["json"]) for each in page["documents"]}
        after = page["endCursor"]
        if after is None:
            return found


async def erase(billing: Billing, user_id: str) -> None:
    """Handle the announcement that the person is to be erased."""
    await billing.consume(
        billing.tasks.consumers(),
        "users.deletion.started",
        request_id=new_id(),
        user_id=user_id,
    )


async def active(billing: Billing) -> Company:
    """A company whose owner has done everything once."""
    company = Company()
    await billing.fund(company, 5000)
    await billing.change_plan(company, "team")
    given = {"organizationId": company.id, "email": "ada@example.org"}
    await billing.data(EMAIL, {"input": given}, by=company.by())
    return company


async def test_an_export_holds_what_the_person_asked_for(billing: Billing) -> None:
    company, other = await active(billing), await active(billing)

    found = await export(billing, company.user_id)

    assert set(found) == {
        "billing/invoices.json",
        "billing/payments.json",
        "billing/billing-emails.json",
    }
    assert [each["total"] for each in found["billing/invoices.json"]] == [5000, 2900]
    assert [each["method"] for each in found["billing/payments.json"]] == ["stripe", "credits"]
    assert found["billing/billing-emails.json"][0]["billing_email"] == "ada@example.org"
    assert other.id not in str(found)


async def test_only_the_gateway_may_export(billing: Billing, company: Company) -> None:
    for identity in (company.by(), Identity(), Identity(company.user_id, service="other")):
        error = await billing.error(EXPORT_QUERY, {"userId": company.user_id}, by=identity)
        assert error["code"] == "FORBIDDEN"


async def test_erasing_a_person_keeps_the_invoices_without_them(billing: Billing) -> None:
    company, other = await active(billing), await active(billing)
    before = await billing.account(company)

    for _ in range(2):
        await erase(billing, company.user_id)

    found = await export(billing, company.user_id)
    assert list(found.values()) == [[], [], []]
    account = await billing.account(company)
    assert account == before | {"billingEmail": None}
    assert (await billing.account(other))["billingEmail"] == "ada@example.org"
    assert len(await billing.published("billing.subject.erased")) == 2
    await billing.check_books()


async def test_what_providers_said_of_an_erased_person_is_emptied(billing: Billing) -> None:
    company, other = await active(billing), await active(billing)

    await erase(billing, company.user_id)

    rows = await billing.rows("select body from webhook_events order by received_at, id")
    assert [row["body"] == "" for row in rows] == [True, False]
    assert other.id


async def test_nothing_in_the_database_names_an_erased_person(billing: Billing) -> None:
    company = await active(billing)
    await erase(billing, company.user_id)
    tables = await billing.rows(
        "select table_name from information_schema.tables where table_schema = 'billing'"
    )

    # The outbox holds the confirmation itself.
    for table in {row["table_name"] for row in tables} - {"outbox"}:
        found = await billing.rows(
            f'select count(*) as found from "{table}" t where t::text like :pattern',  # noqa: S608
            pattern=f"%{company.user_id}%",
        )
        assert found == [{"found": 0}], table
