"""What billing adds to an organization, and what it does when one is made."""

from __future__ import annotations

import pytest

from shared.access import Role
from shared.events import Event
from tests.subgraphs.billing.conftest import ACCOUNT, Billing, Company, eventually, new_id

EMAIL = """
mutation Email($input: UpdateBillingEmailInput!) {
  updateBillingEmail(input: $input) { id billingEmail }
}
"""


async def test_a_new_organization_gets_an_account(billing: Billing, company: Company) -> None:
    event = Event(
        id=new_id(),
        topic="orgs.organization.created",
        key=company.id,
        payload=f'{{"organization_id": "{company.id}", "slug": "acme", "name": "ACME"}}',
        headers={},
    )
    async with billing.working() as bus:
        await bus.send([event, event])
        await eventually(
            lambda: billing.rows(
                "select 1 from accounts where organization_id = :id", id=company.id
            )
        )

    assert (await billing.account(company))["plan"] == {"code": "free"}


async def test_money_can_come_before_the_news_of_the_organization(
    billing: Billing, company: Company
) -> None:
    await billing.fund(company, 100)
    consumers = billing.tasks.consumers()
    await billing.consume(consumers, "orgs.organization.created", organization_id=company.id)

    assert await billing.credits(company) == 100


async def test_a_closed_organization_owes_nothing_more(billing: Billing, company: Company) -> None:
    await billing.fund(company, 3000)
    await billing.change_plan(company, "team")
    await billing.change_plan(company, "business")
    await billing.top_up(company)
    consumers = billing.tasks.consumers()
    for closed in (company.id, company.id, Company().id):
        await billing.consume(consumers, "orgs.organization.closed", organization_id=closed)

    account = await billing.account(company)
    statuses = [edge["node"]["status"] for edge in account["invoices"]["edges"]]
    assert statuses == ["VOID", "VOID", "PAID", "PAID"]
    assert account["plan"] == {"code": "free"}
    assert account["creditBalance"]["amount"] == 100


async def test_the_billing_address_can_be_set_and_taken_away(
    billing: Billing, company: Company
) -> None:
    given = {"organizationId": company.id, "email": "bills@acme.example"}
    data = await billing.data(EMAIL, {"input": given}, by=company.by(Role.BILLING))
    assert data["updateBillingEmail"]["billingEmail"] == "bills@acme.example"

    data = await billing.data(
        EMAIL, {"input": {"organizationId": company.id}}, by=company.by(Role.BILLING)
    )
    assert data["updateBillingEmail"]["billingEmail"] is None


@pytest.mark.parametrize("email", ["", "x", "a@b", "a b@c.de", "a@b.c\nBcc: d@e.f", "a\x00@b.cd"])
async def test_what_is_no_address_is_refused(
    billing: Billing, company: Company, email: str
) -> None:
    given = {"organizationId": company.id, "email": email}

    error = await billing.error(EMAIL, {"input": given}, by=company.by())

    assert (error["code"], error["field"]) == ("BAD_USER_INPUT", "email")


async def test_a_stranger_and_another_tenant_learn_nothing(
    billing: Billing, company: Company
) -> None:
    await billing.fund(company, 100)
    representation = [{"__typename": "Organization", "id": company.id}]

    theirs = await billing.data(ACCOUNT, {"organizations": representation}, by=Company().by())
    strangers = await billing.data(ACCOUNT, {"organizations": representation})

    assert theirs == strangers == {"_entities": [None]}
