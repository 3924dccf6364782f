"""An organization's plan: changed, paid for a month at a time, renewed, given up.

A plan that costs something runs for a period, which is paid from credits.  What
is left of a period counts when the plan is changed.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from shared.errors import BadUserInput, Conflict
from shared.events import publish
from subgraphs.billing import invoices, ledger, repository
from subgraphs.billing.events import PlanChanged
from subgraphs.billing.invoices import Actor, InvoiceNotPayable, Order
from subgraphs.billing.models import Account, Invoice
from subgraphs.billing.proration import a_month_after, unused
from subgraphs.billing.repository import Plan

if TYPE_CHECKING:
    from shared.db import WriteSession

__all__ = ["ANNOUNCED", "InsufficientCredits", "SamePlan", "change", "give_up", "pay", "renew"]

ANNOUNCED = dt.timedelta(days=3)
"""How long before the end of a period its renewal is announced by a draft."""


class InsufficientCredits(Conflict):
    """There are fewer credits than the invoice asks for."""

    message = "There are not enough credits to pay this invoice."


class SamePlan(Conflict):
    """The organization has this plan."""

    message = "The organization has this plan already."


async def change(
    session: WriteSession, actor: Actor, account: Account, *, plan_code: str
) -> Invoice | None:
    """The invoice for the change, paid if credits suffice; None when nothing is owed.

    The price of a month of the new plan, less the unused part of the old one's,
    is owed; what the old one is worth more than that is given back as credits.
    The new plan's month begins when it takes effect.  A change that was waiting
    to be paid is given up.  Raises `BadUserInput`, `SamePlan`.
    """
    plans = {plan.code: plan for plan in await repository.plans(session, account.currency)}
    if plan_code not in plans:
        raise BadUserInput("There is no such plan.", field="planCode")
    if plan_code == account.plan_code:
        raise SamePlan
    pending = await repository.pending_plan_invoice(session, str(account.organization_id))
    if pending is not None:
        await invoices.void(session, pending, now=actor.now)
    old, new = plans[account.plan_code], plans[plan_code]
    left = _unused(account, now=actor.now)
    if new.price <= left:
        await _switch(session, actor, account, new, credit=left - new.price)
        return None
    unused_time = [(f"Unused time of the {old.name} plan", -left)] if left else []
    order = Order([_month_of(new), *unused_time], new)
    invoice = await invoices.bill(session, actor, account, order)
    if await _affordable(session, account, invoice.total):
        await _pay(session, actor, account, invoice)
    return invoice


async def _switch(
    session: WriteSession, actor: Actor, account: Account, plan: Plan, *, credit: int
) -> None:
    """Begin a month of a plan that the old one's unused time pays for."""
    if credit:
        await ledger.give_back(
            session,
            str(account.organization_id),
            amount=credit,
            currency=account.currency,
            now=actor.now,
        )
    await _begin(session, account, plan, price=plan.price, start=actor.now)


async def pay(session: WriteSession, actor: Actor, account: Account, invoice: Invoice) -> None:
    """Pay an open invoice for a plan from credits; the plan takes effect.

    Raises `InvoiceNotPayable`, `InsufficientCredits`.
    """
    if invoice.status != "open":
        raise InvoiceNotPayable(f"This invoice is {invoice.status}.")
    if invoice.purpose == "top_up":
        raise InvoiceNotPayable("Credits cannot buy credits: pay this invoice at its checkout.")
    if invoice.due_at is not None and invoice.due_at <= actor.now:
        raise InvoiceNotPayable("This invoice has lapsed. Choose the plan again.")
    available = await repository.balance(session, str(account.organization_id))
    if available < invoice.total:
        missing = {"amount": invoice.total - available, "currency": invoice.currency}
        raise InsufficientCredits(details={"missing": missing})
    await _pay(session, actor, account, invoice)


async def renew(session: WriteSession, account: Account, *, now: dt.datetime) -> None:
    """Do what the end of the organization's period asks for, if anything.

    A draft announces the next month; at the end of the period it is issued and
    paid from credits.  While it waits to be paid the plan stays, for as long as
    an invoice can be paid, whatever was voided or asked for meanwhile.
    """
    organization_id, ends = str(account.organization_id), account.period_ends_at
    for overdue in await repository.overdue_invoices(session, organization_id, now=now):
        await invoices.void(session, overdue, now=now)
    if ends is None or ends - ANNOUNCED > now:
        return
    over = ends + invoices.TO_PAY <= now
    pending = await repository.pending_plan_invoice(session, organization_id)
    if pending is not None and pending.status == "open":
        if not over:
            return
        await invoices.void(session, pending, now=now)
        pending = None
    plan = await _plan(session, account, account.plan_code)
    affordable = await _affordable(session, account, pending.total if pending else plan.price)
    if over and not affordable:
        await give_up(session, account, now=now)
        return
    actor = Actor(None, now)
    order = Order([_month_of(plan)], plan)
    renewal = pending or await invoices.draft(session, actor, account, order)
    if ends <= now:
        await invoices.issue(session, renewal, now=now)
        if affordable:
            await _pay(session, actor, account, renewal)


async def give_up(session: WriteSession, account: Account, *, now: dt.datetime) -> None:
    """The free plan takes the place of any other, and nothing for a plan is owed."""
    pending = await repository.pending_plan_invoice(session, str(account.organization_id))
    if pending is not None:
        await invoices.void(session, pending, now=now)
    await _begin(session, account, await _plan(session, account, "free"), price=0, start=now)


async def _pay(session: WriteSession, actor: Actor, account: Account, invoice: Invoice) -> None:
    await ledger.spend(session, invoice, now=actor.now)
    payment = invoices.payment_for(invoice, actor, method="credits")
    payment.status, payment.settled_at = "succeeded", actor.now
    await repository.add_payment(session, payment)
    await invoices.mark_paid(session, invoice, now=actor.now)
    code = invoice.plan_code or account.plan_code
    ends = account.period_ends_at
    renewed = code == account.plan_code and ends is not None
    # An invoice may have waited while the time that it takes off was used up:
    # the new period is worth what was paid and what was left of the old one.
    worth = invoice.total + (0 if renewed else _unused(account, now=actor.now))
    await _begin(
        session,
        account,
        await _plan(session, account, code),
        price=min(worth, invoice.plan_price or worth),
        start=ends if renewed and ends else actor.now,
    )


async def _begin(
    session: WriteSession, account: Account, plan: Plan, *, price: int, start: dt.datetime
) -> None:
    """The plan is the organization's, for a month if it costs something."""
    changed = account.plan_code != plan.code
    account.plan_code = plan.code
    account.period_price = price
    account.period_started_at = start if price else None
    account.period_ends_at = a_month_after(start) if price else None
    await session.flush()
    if changed:
        await publish(
            session,
            PlanChanged(
                organization_id=str(account.organization_id),
                plan_code=plan.code,
                storage_limit_bytes=plan.storage_limit_bytes,
            ),
        )


async def _plan(session: WriteSession, account: Account, code: str) -> Plan:
    [plan] = await repository.plans(session, account.currency, codes=[code])
    return plan


async def _affordable(session: WriteSession, account: Account, price: int) -> bool:
    return await repository.balance(session, str(account.organization_id)) >= price


def _month_of(plan: Plan) -> tuple[str, int]:
    return f"{plan.name} plan, one month", plan.price


def _unused(account: Account, *, now: dt.datetime) -> int:
    """What the rest of the organization's period is worth."""
    if account.period_started_at is None or account.period_ends_at is None:
        return 0
    return unused(
        account.period_price, start=account.period_started_at, end=account.period_ends_at, now=now
    )
