"""The billing subgraph on real servers, asked as the gateway asks it."""

from __future__ import annotations

import datetime as dt
import itertools
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import httpx
import pytest
import stamina
from sqlalchemy import text
from starlette.applications import Starlette

from shared.access import Role
from shared.access_lists import AccessLists
from shared.auth import Identity
from shared.cache import connect
from shared.config import Settings
from shared.db import Database
from subgraphs.billing import simulation
from subgraphs.billing.app import create
from subgraphs.billing.providers import Providers
from subgraphs.billing.tasks import Tasks
from tests.support import asking, databases, nexus
from tests.support.asking import Asked
from tests.support.servers import Servers

TOP_UP = """
mutation TopUp($input: TopUpCreditsInput!) {
  topUpCredits(input: $input) {
    invoice { id number status purpose total { amount currency } paidAt
      lines { description quantity amount { amount } } organization { id } }
    payment { id status method checkoutUrl amount { amount currency } }
  }
}
"""
CHANGE_PLAN = """
mutation Change($input: ChangePlanInput!) {
  changePlan(input: $input) {
    organization { id plan { code } creditBalance { amount } }
    invoice { id number status total { amount }
      lines { description amount { amount } } payments { method status } }
  }
}
"""
PAY = """
mutation Pay($input: PayInvoiceInput!) {
  payInvoice(input: $input) { id number status paidAt payments { method status } }
}
"""
VOID = """
mutation Void($input: VoidInvoiceInput!) {
  voidInvoice(input: $input) { id status voidedAt payments { status } }
}
"""
ACCOUNT = """
query Account($organizations: [_Any!]!) {
  _entities(representations: $organizations) {
    ... on Organization { id plan { code } creditBalance { amount currency } billingEmail
      invoices { edges { node { id number status total { amount } } } } }
  }
}
"""

_KEYS = itertools.count(1)


def new_id() -> str:
    """An id that nothing has yet."""
    return str(uuid.uuid4())


def key() -> str:
    """An idempotency key that was not used yet."""
    return f"key-{next(_KEYS)}"


async def eventually(check: Callable[[], Awaitable[object]]) -> None:
    """Return when the check has found something."""
    async for attempt in stamina.retry_context(
        on=AssertionError, attempts=None, timeout=30, wait_initial=0.005, wait_max=0.1
    ):
        with attempt:
            assert await check()


class Clock:
    """A clock that stands until a test moves it."""

    def __init__(self) -> None:
        self.now = dt.datetime(2031, 3, 10, 12, tzinfo=dt.UTC)

    def __call__(self) -> dt.datetime:
        return self.now

    def advance(self, **step: float) -> None:
        """Time passes."""
        self.now += dt.timedelta(**step)


@dataclass(frozen=True, slots=True)
class Company:
    """An organization, and someone of each role."""

    id: str = field(default_factory=new_id)
    user_id: str = field(default_factory=new_id)

    def by(self, role: Role = Role.OWNER) -> Identity:
        """Someone with this role."""
        return Identity(self.user_id, "session", {self.id: role})


@dataclass(frozen=True, slots=True)
class Billing(Asked):
    """The subgraph with a clock of the test's, and short ways to use it."""

    clock: Clock
    tasks: Tasks
    http: httpx.AsyncClient

    async def account(self, company: Company) -> dict[str, Any]:
        """What the company's owner sees of its account."""
        representation = {"__typename": "Organization", "id": company.id}
        data = await self.data(ACCOUNT, {"organizations": [representation]}, by=company.by())
        found: dict[str, Any] = data["_entities"][0]
        return found

    async def credits(self, company: Company) -> int:
        """The company's balance."""
        amount: int = (await self.account(company))["creditBalance"]["amount"]
        return amount

    async def top_up(self, company: Company, amount: int = 5000, **changes: Any) -> dict[str, Any]:
        """The payload of a top-up that nobody has paid."""
        given = {
            "organizationId": company.id,
            "amount": {"amount": amount, "currency": "EUR"},
            "idempotencyKey": key(),
            **changes,
        }
        data = await self.data(TOP_UP, {"input": given}, by=company.by())
        payload: dict[str, Any] = data["topUpCredits"]
        return payload

    async def fund(self, company: Company, amount: int) -> None:
        """Give the company credits, by a top-up that was paid."""
        payment = (await self.top_up(company, amount))["payment"]
        response = await self.send_paid(payment["id"], amount)
        assert response.status_code == 204
        await self.handle_webhooks()

    async def change_plan(self, company: Company, code: str, **changes: Any) -> dict[str, Any]:
        """The payload of a change of plan."""
        given = {"organizationId": company.id, "planCode": code, "idempotencyKey": key(), **changes}
        data = await self.data(CHANGE_PLAN, {"input": given}, by=company.by())
        payload: dict[str, Any] = data["changePlan"]
        return payload

    async def pay(self, company: Company, invoice_id: str, **changes: Any) -> dict[str, Any]:
        """The response to paying an invoice."""
        given = {"invoiceId": invoice_id, "idempotencyKey": key(), **changes}
        return await self.ask(PAY, {"input": given}, by=company.by())

    async def void(self, company: Company, invoice_id: str) -> dict[str, Any]:
        """The response to voiding an invoice."""
        return await self.ask(VOID, {"input": {"invoiceId": invoice_id}}, by=company.by())

    async def send_paid(
        self, payment_id: str, amount: int, *, currency: str = "EUR"
    ) -> httpx.Response:
        """The answer to Stripe's message that it has the money."""
        headers, body = simulation.paid(
            payment_id,
            amount=amount,
            currency=currency,
            secret=nexus.STRIPE_SECRET,
            now=self.clock.now,
        )
        return await self.http.post("/webhooks/stripe", content=body, headers=headers)

    async def send(self, kind: str, about: dict[str, Any], *, event_id: str) -> httpx.Response:
        """The answer to a message of Stripe's."""
        body = simulation.event(kind, about, event_id=event_id, now=self.clock.now)
        headers = simulation.signed(body, secret=nexus.STRIPE_SECRET, now=self.clock.now)
        return await self.http.post("/webhooks/stripe", content=body, headers=headers)

    async def handle_webhooks(self) -> None:
        """Handle every stored message that is not handled, as the worker's jobs do."""
        for row in await self.rows("select id from webhook_events where status = 'received'"):
            await self.tasks.handle_webhook({"event": str(row["id"])})

    async def renew_plans(self) -> None:
        """Do what the schedule of renewals enqueues."""
        await self.tasks.renew_plans()
        for organization_id in await self._dequeue("renew_plan"):
            await self.tasks.renew_plan({"organization": organization_id})

    async def _dequeue(self, job: str) -> list[str]:
        rows = await self.sql(
            "delete from pgqueuer where entrypoint = :job returning dedupe_key", job=job
        )
        return [row.dedupe_key.partition(":")[2] for row in rows]

    async def rows(self, query: str, **parameters: Any) -> list[dict[str, Any]]:
        """What is in the database."""
        async with self.database.read() as session:
            return [
                dict(row) for row in (await session.execute(text(query), parameters)).mappings()
            ]

    async def published(self, topic: str) -> list[dict[str, Any]]:
        """The facts of one topic that were written, oldest first."""
        return [row.payload for row in await self.facts(topic)]

    async def check_books(self) -> None:
        """Everything sums to zero, and kept balances are what their entries sum to."""
        [total] = await self.rows("select coalesce(sum(amount), 0) as sum from ledger_entries")
        assert total["sum"] == 0
        wrong = await self.rows(
            "select a.id from ledger_accounts a left join ledger_entries e on e.account_id = a.id"
            " where a.balance is not null group by a.id"
            " having a.balance <> coalesce(sum(e.amount), 0) or a.balance < 0"
        )
        assert wrong == []

    @property
    def access(self) -> AccessLists:
        """What the gateway keeps about callers."""
        return AccessLists(self.redis)


@pytest.fixture(scope="session")
def template_database(started_servers: Servers) -> str:
    """A template with this subgraph alone."""
    return asking.make_template(started_servers, "billing")


@pytest.fixture(scope="session")
def kept_database(started_servers: Servers, template_database: str) -> Iterator[str]:
    """The superuser's URL of a database that these tests use one after another."""
    with databases.copied(started_servers.postgres_url, template_database) as url:
        yield url


@pytest.fixture
async def database_url(kept_database: str) -> str:
    """The superuser's URL of a database in which nothing has happened yet.

    Emptying one takes a fraction of the time that making one takes.
    """
    connection = await asyncpg.connect(kept_database)
    await connection.execute(_EMPTY)
    await connection.close()
    return kept_database


_EMPTY = """
    set session_replication_role = replica;  -- The tables refuse to forget.
    do $$
    declare
        emptied text;
    begin
        for emptied in select tablename from pg_tables where schemaname = 'billing'
            and tablename not in ('migrations', 'plans', 'plan_prices', 'ledger_accounts')
        loop
            execute format('delete from billing.%I', emptied);
        end loop;
        delete from billing.ledger_accounts where balance is not null;
    end $$;
"""


@pytest.fixture
def settings(started_servers: Servers, database_url: str, redis_url: str) -> Settings:
    """Settings of a process whose database and Valkey only this test uses."""
    made = nexus.make_settings(started_servers, database_url, redis_url, "-")
    # Many calls at once wait for their turn, however slow the machine is.
    patient = made.database.model_copy(update={"pool_timeout_seconds": 60})
    return made.model_copy(update={"database": patient})


@asynccontextmanager
async def start(settings: Settings) -> AsyncIterator[Billing]:
    """The subgraph with these settings, until the block ends."""
    clock = Clock()
    redis = connect(settings.redis)
    subgraph = create(settings, redis, clock=clock)
    url = settings.billing.database_url
    assert url is not None
    database = Database(url.get_secret_value(), settings.database, name="billing")
    providers = Providers.create(settings)
    tasks = Tasks(
        database=database, providers=providers, currency=settings.payments.currency, clock=clock
    )
    app = httpx.ASGITransport(Starlette(routes=list(subgraph.routes)))
    async with httpx.AsyncClient(transport=app, base_url="http://billing") as http:
        yield Billing(subgraph, settings, redis, database, clock, tasks, http)
    await providers.close()
    await database.close()
    await subgraph.close()
    await redis.aclose()


@pytest.fixture
async def billing(settings: Settings) -> AsyncIterator[Billing]:
    """The subgraph, over empty stores."""
    async with start(settings) as found:
        yield found


@pytest.fixture
def company() -> Company:
    """An organization that billing has not heard of."""
    return Company()


@pytest.fixture
def statements() -> Iterator[list[str]]:
    """The SQL statements that this process sends, as they are sent."""
    with asking.noting_statements() as sent:
        yield sent
