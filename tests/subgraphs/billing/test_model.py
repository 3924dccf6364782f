"""Billing against a model of it that fits on a page, for any sequence of steps."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.subgraphs.billing.conftest import CHANGE_PLAN, Billing, Company, key

PRICES = {"free": 0, "team": 2900, "business": 9900}


@dataclass
class Model:
    """What an organization has, in a world where time stands still."""

    balance: int = 0
    plan: str = "free"
    waiting: tuple[str, int] | None = None
    top_ups: list[tuple[int, str]] = field(default_factory=list)

    def paid(self, number: int) -> None:
        """The provider has the money for a top-up."""
        amount, status = self.top_ups[number]
        if status not in {"paid", "late"}:
            self.balance += amount
            self.top_ups[number] = (amount, "paid" if status == "open" else "late")

    def void(self, number: int) -> None:
        """A top-up's invoice is voided, unless it is paid."""
        amount, status = self.top_ups[number]
        if status == "open":
            self.top_ups[number] = (amount, "void")

    def change(self, plan: str) -> None:
        """Another plan; no time has passed, so the old one is worth its whole price."""
        if plan == self.plan:
            return
        self.waiting = None
        owed = PRICES[plan] - PRICES[self.plan]
        if owed <= self.balance:
            self.balance -= owed
            self.plan = plan
        else:
            self.waiting = (plan, owed)

    def pay(self) -> None:
        """Pay for the plan that waits."""
        if self.waiting is not None and self.waiting[1] <= self.balance:
            self.balance -= self.waiting[1]
            self.plan, self.waiting = self.waiting[0], None


STEPS = st.one_of(
    st.tuples(st.just("top_up"), st.sampled_from([1, 2900, 7000, 9900])),
    st.tuples(st.just("paid"), st.integers(0, 3)),
    st.tuples(st.just("paid"), st.integers(0, 3)),
    st.tuples(st.just("void"), st.integers(0, 3)),
    st.tuples(st.just("change"), st.sampled_from(list(PRICES))),
    st.tuples(st.just("pay"), st.none()),
    st.tuples(st.just("give_up"), st.none()),
)


class Walk:
    """The same steps in the model and in billing."""

    def __init__(self, billing: Billing) -> None:
        self.billing = billing
        self.company = Company()
        self.model = Model()
        self.bought: list[dict[str, Any]] = []

    async def step(self, name: str, value: Any) -> None:
        """Do it in both, if it can be done."""
        if name in {"paid", "void"} and value >= len(self.bought):
            return
        await getattr(self, f"_{name}")(value)

    async def _top_up(self, amount: int) -> None:
        self.model.top_ups.append((amount, "open"))
        self.bought.append(await self.billing.top_up(self.company, amount))

    async def _paid(self, number: int) -> None:
        self.model.paid(number)
        payment = self.bought[number]["payment"]
        await self.billing.send_paid(payment["id"], payment["amount"]["amount"])
        await self.billing.handle_webhooks()

    async def _void(self, number: int) -> None:
        self.model.void(number)
        await self.billing.void(self.company, self.bought[number]["invoice"]["id"])

    async def _change(self, plan: str) -> None:
        self.model.change(plan)
        given = {
            "organizationId": self.company.id,
            "planCode": plan,
            "idempotencyKey": key(),
        }
        await self.billing.ask(CHANGE_PLAN, {"input": given}, by=self.company.by())

    async def _pay(self, _: None) -> None:
        self.model.pay()
        for invoice in await self._waiting():
            await self.billing.pay(self.company, invoice)

    async def _give_up(self, _: None) -> None:
        self.model.waiting = None
        for invoice in await self._waiting():
            await self.billing.void(self.company, invoice)

    async def _waiting(self) -> list[str]:
        rows = await self.billing.rows(
            "select id from invoices where organization_id = :id"
            " and purpose = 'plan' and status = 'open'",
            id=self.company.id,
        )
        return [str(row["id"]) for row in rows]

    async def compare(self) -> None:
        """Both are in the same state."""
        account = await self.billing.account(self.company)
        assert account["creditBalance"]["amount"] == self.model.balance
        assert account["plan"]["code"] == self.model.plan
        assert len(await self._waiting()) == (self.model.waiting is not None)
        changes = [
            fact["change"]
            for fact in await self.billing.published("billing.credits.changed")
            if fact["organization_id"] == self.company.id
        ]
        assert sum(changes) == self.model.balance


@settings(
    max_examples=int(os.environ.get("MODEL_EXAMPLES", "15")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(steps=st.lists(STEPS, max_size=15))
async def test_billing_does_what_its_model_does(
    billing: Billing, steps: list[tuple[str, Any]]
) -> None:
    walk = Walk(billing)
    for name, value in steps:
        await walk.step(name, value)
        await walk.compare()
    await billing.check_books()
