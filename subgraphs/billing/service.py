"""What can be done with credits, plans and invoices; each inside its caller's transaction.

Whatever changes an organization's money locks its account first, so an
organization's changes happen one after another and cannot deadlock.
"""

from __future__ import annotations

import datetime as dt
import re
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.errors import BadUserInput, Conflict, NotFound
from shared.events import publish
from subgraphs.billing import ledger, repository
from subgraphs.billing.events import (
    InvoiceCreated,
    InvoicePaid,
    InvoiceUpdated,
    InvoiceVoided,
    PlanChanged,
)
from subgraphs.billing.idempotency import Request
from subgraphs.billing.models import Account, Invoice, Payment
from subgraphs.billing.proration import a_month_after, unused
from subgraphs.billing.repository import Plan

if TYPE_CHECKING:
    from shared.auth import Identity
    from shared.db import ReadSession, WriteSession

__all__ = [
    "Actor",
    "Placed",
    "change_plan",
    "close_account",
    "collect",
    "open_account",
    "pay_invoice",
    "renew",
    "top_up",
    "update_billing_email",
    "visible_invoices",
    "visible_invoices_by_number",
    "void_invoice",
]

MOST = 99_999_999
"""The largest payment, in minor units: providers refuse more."""

_TO_PAY = dt.timedelta(days=7)
_EMAIL = re.compile(r"[^@\s\x00-\x1f]{1,64}@[^@\s\x00-\x1f.]+(\.[^@\s\x00-\x1f.]+)+")


class InsufficientCredits(Conflict):
    """There are fewer credits than the invoice asks for."""

    message = "There are not enough credits to pay this invoice."


class InvoiceNotPayable(Conflict):
    """The invoice is not open, or not one that credits can pay."""


class InvoiceNotVoidable(Conflict):
    """The invoice was paid, or was not issued yet."""


class SamePlan(Conflict):
    """The organization has this plan."""

    message = "The organization has this plan already."


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does something (None: the system), and when."""

    user_id: str | None
    now: dt.datetime

    @property
    def uuid(self) -> uuid.UUID | None:
        """The id as columns hold it."""
        return uuid.UUID(self.user_id) if self.user_id else None


@dataclass(frozen=True, slots=True)
class Placed:
    """An invoice and the payment that is to pay it."""

    invoice: Invoice
    payment: Payment


# --- reading ---------------------------------------------------------------------------------


async def visible_invoices(
    session: ReadSession, identity: Identity, ids: Iterable[str | None]
) -> dict[str, Invoice]:
    """Of these invoices, those of the caller's organizations."""
    wanted = {each for each in ids if each}
    if not wanted or not identity.memberships:
        return {}
    return await repository.invoices_by_id(session, wanted, identity.memberships)


async def visible_invoices_by_number(
    session: ReadSession, identity: Identity, keys: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], Invoice]:
    """Of these (organization, number), those of the caller's organizations."""
    wanted = [key for key in keys if key[0] in identity.memberships]
    return await repository.invoices_by_number(session, wanted) if wanted else {}


# --- accounts --------------------------------------------------------------------------------


async def open_account(session: WriteSession, organization_id: str, *, currency: str) -> None:
    """Make sure that the organization has an account."""
    await repository.open_account(session, organization_id, currency)


async def update_billing_email(
    session: WriteSession,
    actor: Actor,
    organization_id: str,
    *,
    email: str | None,
    default_currency: str,
) -> None:
    """Set where invoices are sent; raises `BadUserInput`."""
    if email is not None and (len(email) > 254 or not _EMAIL.fullmatch(email)):
        raise BadUserInput("This is not an e-mail address.", field="email")
    account = await repository.open_account(session, organization_id, default_currency)
    account.billing_email = email
    account.billing_email_by = actor.uuid if email else None


# --- credits ---------------------------------------------------------------------------------


async def top_up(
    session: WriteSession,
    actor: Actor,
    organization_id: str,
    *,
    amount: int,
    currency: str,
    method: str,
    key: str,
    default_currency: str,
) -> Placed:
    """An open invoice for credits with a pending payment; raises `BadUserInput`, `KeyReused`."""
    if not 1 <= amount <= MOST:
        raise BadUserInput(f"The amount must be between 1 and {MOST}.", field="amount")
    request = Request.of(organization_id, key, "topUpCredits", amount, currency, method)
    account = await repository.open_account(session, organization_id, default_currency)
    earlier = await request.answered(session)
    if earlier is not None and earlier.invoice_id is not None:
        return await _placed(session, organization_id, str(earlier.invoice_id))
    if currency != account.currency:
        raise BadUserInput(f"This organization pays in {account.currency}.", field="currency")
    invoice = await _draft(session, actor, account, purpose="top_up", lines=[("Credits", amount)])
    await _issue(session, invoice, now=actor.now)
    payment = await repository.add_payment(
        session, _payment(invoice, method=method, status="pending", actor=actor)
    )
    await request.answer(session, invoice.id, now=actor.now)
    await _announce(session, invoice, InvoiceCreated)
    return Placed(invoice, payment)


async def _placed(session: WriteSession, organization_id: str, invoice_id: str) -> Placed:
    invoice = await _invoice(session, organization_id, invoice_id)
    payments = await repository.payments_of(session, [invoice_id])
    return Placed(invoice, payments[invoice_id][0])


async def collect(session: WriteSession, payment: Payment, *, now: dt.datetime) -> None:
    """The provider has the money: it becomes credits, and the invoice for them is paid.

    An invoice that was voided meanwhile stays void; the money is credited all the same.
    """
    payment.status = "succeeded"
    payment.settled_at = now
    await session.flush()
    await ledger.receive(session, payment, now=now)
    invoice = await _invoice(session, str(payment.organization_id), str(payment.invoice_id))
    if invoice.status == "open":
        await _mark_paid(session, invoice, now=now)


# --- plans -----------------------------------------------------------------------------------


async def change_plan(
    session: WriteSession,
    actor: Actor,
    organization_id: str,
    *,
    plan_code: str,
    key: str,
    default_currency: str,
) -> Invoice | None:
    """The invoice for the change, paid if credits suffice; None when nothing is owed.

    The price of a month of the new plan, less the unused part of the old one's,
    is owed; what the old one is worth more than that is given back as credits.
    The new plan's month begins when it takes effect.  A change that was waiting
    to be paid is given up.  Raises `BadUserInput`, `SamePlan`, `KeyReused`.
    """
    request = Request.of(organization_id, key, "changePlan", plan_code)
    account = await repository.open_account(session, organization_id, default_currency)
    earlier = await request.answered(session)
    if earlier is not None:
        if earlier.invoice_id is None:
            return None
        return await _invoice(session, organization_id, str(earlier.invoice_id))
    plans = {plan.code: plan for plan in await repository.plans(session, account.currency)}
    if plan_code not in plans:
        raise BadUserInput("There is no such plan.", field="planCode")
    if plan_code == account.plan_code:
        raise SamePlan
    await _give_up_pending(session, organization_id, now=actor.now)
    invoice = await _switch(
        session, actor, account, old=plans[account.plan_code], new=plans[plan_code]
    )
    await request.answer(session, invoice.id if invoice else None, now=actor.now)
    return invoice


async def _switch(
    session: WriteSession, actor: Actor, account: Account, *, old: Plan, new: Plan
) -> Invoice | None:
    left = _unused(account, now=actor.now)
    owed = new.price - left
    if owed <= 0:
        if owed < 0:
            await ledger.give_back(
                session,
                str(account.organization_id),
                amount=-owed,
                currency=account.currency,
                now=actor.now,
            )
        await _begin_period(session, account, new, price=new.price, start=actor.now)
        return None
    lines = [(f"{new.name} plan, one month", new.price)]
    if left:
        lines.append((f"Unused time of the {old.name} plan", -left))
    invoice = await _draft(session, actor, account, purpose="plan", lines=lines, plan=new)
    await _issue(session, invoice, now=actor.now)
    await _announce(session, invoice, InvoiceCreated)
    if await repository.balance(session, str(account.organization_id)) >= invoice.total:
        await _pay(session, actor, account, invoice)
    return invoice


def _unused(account: Account, *, now: dt.datetime) -> int:
    if account.period_started_at is None or account.period_ends_at is None:
        return 0
    return unused(
        account.period_price, start=account.period_started_at, end=account.period_ends_at, now=now
    )


async def _begin_period(
    session: WriteSession, account: Account, plan: Plan, *, price: int, start: dt.datetime
) -> None:
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


async def _give_up_pending(
    session: WriteSession, organization_id: str, *, now: dt.datetime
) -> None:
    pending = await repository.pending_plan_invoice(session, organization_id)
    if pending is not None:
        await _void(session, pending, now=now)


# --- renewal ---------------------------------------------------------------------------------

ANNOUNCED = dt.timedelta(days=3)
"""How long before the end of a period its renewal is announced by a draft."""


async def renew(session: WriteSession, organization_id: str, *, now: dt.datetime) -> None:
    """Do what the end of the organization's period asks for, if anything.

    A draft announces the next month; at the end of the period it is issued and
    paid from credits.  While it waits to be paid the plan stays.  Invoices that
    were not paid in time are void; with its renewal a plan ends.
    """
    account = await _account(session, organization_id)
    for overdue in await repository.overdue_invoices(session, organization_id, now=now):
        await _void(session, overdue, now=now)
        if overdue.plan_code == account.plan_code:
            await _fall_back(session, account, now=now)
    ends = account.period_ends_at
    if ends is None or ends - ANNOUNCED > now:
        return
    actor = Actor(None, now)
    pending = await repository.pending_plan_invoice(session, organization_id)
    if pending is None:
        pending = await _announce_renewal(session, actor, account)
    if pending.status == "draft" and ends <= now:
        await _issue(session, pending, now=now)
        await _announce(session, pending, InvoiceUpdated)
        if await repository.balance(session, organization_id) >= pending.total:
            await _pay(session, actor, account, pending)


async def _announce_renewal(session: WriteSession, actor: Actor, account: Account) -> Invoice:
    plan = (await repository.plans(session, account.currency, codes=[account.plan_code]))[0]
    lines = [(f"{plan.name} plan, one month", plan.price)]
    invoice = await _draft(session, actor, account, purpose="plan", lines=lines, plan=plan)
    await _announce(session, invoice, InvoiceCreated)
    return invoice


async def close_account(session: WriteSession, organization_id: str, *, now: dt.datetime) -> None:
    """The organization is gone: nothing is owed or renewed any more; its invoices stay."""
    account = await repository.lock_account(session, organization_id)
    if account is None:
        return
    for invoice in await repository.unpaid_invoices(session, organization_id):
        await _void(session, invoice, now=now)
    if account.plan_code != "free":
        await _fall_back(session, account, now=now)
    account.billing_email = None
    account.billing_email_by = None


async def _fall_back(session: WriteSession, account: Account, *, now: dt.datetime) -> None:
    free = (await repository.plans(session, account.currency, codes=["free"]))[0]
    await _begin_period(session, account, free, price=0, start=now)


# --- invoices --------------------------------------------------------------------------------


async def pay_invoice(
    session: WriteSession, actor: Actor, organization_id: str, invoice_id: str, *, key: str
) -> Invoice:
    """The invoice, paid from credits.

    Raises `NotFound`, `InvoiceNotPayable`, `InsufficientCredits`, `KeyReused`.
    """
    request = Request.of(organization_id, key, "payInvoice", invoice_id)
    account = await _account(session, organization_id)
    earlier = await request.answered(session)
    invoice = await _invoice(session, organization_id, invoice_id)
    if earlier is not None:
        return invoice
    _check_payable(invoice, now=actor.now)
    available = await repository.balance(session, organization_id)
    if available < invoice.total:
        missing = {"amount": invoice.total - available, "currency": invoice.currency}
        raise InsufficientCredits(details={"missing": missing})
    await _pay(session, actor, account, invoice)
    await request.answer(session, invoice.id, now=actor.now)
    return invoice


def _check_payable(invoice: Invoice, *, now: dt.datetime) -> None:
    if invoice.status != "open":
        raise InvoiceNotPayable(f"This invoice is {invoice.status}.")
    if invoice.purpose == "top_up":
        raise InvoiceNotPayable("Credits cannot buy credits: pay this invoice at its checkout.")
    if invoice.due_at is not None and invoice.due_at <= now:
        raise InvoiceNotPayable("This invoice has lapsed. Choose the plan again.")


async def _pay(session: WriteSession, actor: Actor, account: Account, invoice: Invoice) -> None:
    await ledger.spend(session, invoice, now=actor.now)
    payment = _payment(invoice, method="credits", status="succeeded", actor=actor)
    payment.settled_at = actor.now
    await repository.add_payment(session, payment)
    await _mark_paid(session, invoice, now=actor.now)
    plans = await repository.plans(session, account.currency, codes=[invoice.plan_code or ""])
    renewal = invoice.plan_code == account.plan_code
    start = account.period_ends_at if renewal and account.period_ends_at else actor.now
    await _begin_period(session, account, plans[0], price=invoice.plan_price or 0, start=start)


async def void_invoice(
    session: WriteSession, actor: Actor, organization_id: str, invoice_id: str
) -> Invoice:
    """The invoice, void; voiding it again changes nothing.

    Raises `NotFound`, `InvoiceNotVoidable`.
    """
    await _account(session, organization_id)
    invoice = await _invoice(session, organization_id, invoice_id)
    if invoice.status == "paid":
        raise InvoiceNotVoidable("A paid invoice cannot be voided.")
    if invoice.status == "draft":
        raise InvoiceNotVoidable("This invoice is not issued yet. Change the plan instead.")
    if invoice.status == "open":
        await _void(session, invoice, now=actor.now)
    return invoice


async def _account(session: WriteSession, organization_id: str) -> Account:
    account = await repository.lock_account(session, organization_id)
    if account is None:
        raise NotFound
    return account


async def _invoice(session: ReadSession, organization_id: str, invoice_id: str) -> Invoice:
    invoice = await repository.invoice_in(session, organization_id, invoice_id)
    if invoice is None:
        raise NotFound
    return invoice


async def _draft(
    session: WriteSession,
    actor: Actor,
    account: Account,
    *,
    purpose: str,
    lines: list[tuple[str, int]],
    plan: Plan | None = None,
) -> Invoice:
    invoice = Invoice(
        organization_id=account.organization_id,
        purpose=purpose,
        plan_code=plan.code if plan else None,
        plan_price=plan.price if plan else None,
        status="draft",
        currency=account.currency,
        total=sum(amount for _, amount in lines),
        created_by=actor.uuid,
        created_at=actor.now,
    )
    return await repository.add_invoice(session, invoice, lines)


async def _issue(session: WriteSession, invoice: Invoice, *, now: dt.datetime) -> None:
    number = await repository.next_number(session, str(invoice.organization_id), now.year)
    invoice.year, invoice.sequence = now.year, number
    invoice.status = "open"
    invoice.issued_at = now
    invoice.due_at = now + _TO_PAY
    await session.flush()


async def _mark_paid(session: WriteSession, invoice: Invoice, *, now: dt.datetime) -> None:
    invoice.status = "paid"
    invoice.paid_at = now
    await session.flush()
    await _announce(session, invoice, InvoicePaid)


async def _void(session: WriteSession, invoice: Invoice, *, now: dt.datetime) -> None:
    invoice.status = "void"
    invoice.voided_at = now
    for payment in (await repository.payments_of(session, [str(invoice.id)])).get(
        str(invoice.id), []
    ):
        if payment.status in {"pending", "failed"}:
            payment.status = "canceled"
    await session.flush()
    await _announce(session, invoice, InvoiceVoided)


def _payment(invoice: Invoice, *, method: str, status: str, actor: Actor) -> Payment:
    return Payment(
        organization_id=invoice.organization_id,
        invoice_id=invoice.id,
        method=method,
        status=status,
        amount=invoice.total,
        currency=invoice.currency,
        created_by=actor.uuid,
        created_at=actor.now,
    )


_InvoiceFact = type[InvoiceCreated] | type[InvoicePaid] | type[InvoiceUpdated] | type[InvoiceVoided]


async def _announce(session: WriteSession, invoice: Invoice, kind: _InvoiceFact) -> None:
    for each in {kind: None, InvoiceUpdated: None}:
        await publish(
            session,
            each(
                organization_id=str(invoice.organization_id),
                invoice_id=str(invoice.id),
                number=invoice.number,
                status=invoice.status,
                total=invoice.total,
                currency=invoice.currency,
            ),
        )
