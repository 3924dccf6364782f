"""The life of an invoice: drafted, issued under the next number, then paid or void.

What is said of an invoice is said to the outbox in the same transaction.  The
callers have locked the organization's account.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.errors import Conflict, NotFound
from shared.events import publish
from subgraphs.billing import repository
from subgraphs.billing.events import InvoiceCreated, InvoicePaid, InvoiceUpdated, InvoiceVoided
from subgraphs.billing.models import Account, Invoice, Payment
from subgraphs.billing.repository import Plan

if TYPE_CHECKING:
    from shared.db import ReadSession, WriteSession

__all__ = [
    "TO_PAY",
    "Actor",
    "InvoiceNotPayable",
    "InvoiceNotVoidable",
    "Order",
    "bill",
    "check_voidable",
    "draft",
    "find",
    "issue",
    "mark_paid",
    "payment_for",
    "void",
]

TO_PAY = dt.timedelta(days=7)
"""How long an invoice can be paid."""


class InvoiceNotPayable(Conflict):
    """The invoice is not open, or not one that credits can pay."""


class InvoiceNotVoidable(Conflict):
    """The invoice was paid, or was not issued yet."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does something (None: the system), and when."""

    user_id: str | None
    now: dt.datetime

    @property
    def uuid(self) -> uuid.UUID | None:
        """The id as columns hold it."""
        return uuid.UUID(self.user_id) if self.user_id else None


async def find(session: ReadSession, organization_id: str, invoice_id: str) -> Invoice:
    """The organization's invoice; raises `NotFound`."""
    invoice = await repository.invoice_in(session, organization_id, invoice_id)
    if invoice is None:
        raise NotFound
    return invoice


@dataclass(frozen=True, slots=True)
class Order:
    """What an invoice is for: lines of (description, amount), and the plan they buy a month of."""

    lines: Sequence[tuple[str, int]]
    plan: Plan | None = None


async def draft(session: WriteSession, actor: Actor, account: Account, order: Order) -> Invoice:
    """A new invoice that only announces what will be owed."""
    invoice = await _make(session, actor, account, order)
    await _announce(session, invoice, InvoiceCreated)
    return invoice


async def bill(session: WriteSession, actor: Actor, account: Account, order: Order) -> Invoice:
    """A new invoice that is open from the start."""
    invoice = await _make(session, actor, account, order)
    await _open(session, invoice, now=actor.now)
    await _announce(session, invoice, InvoiceCreated)
    return invoice


async def issue(session: WriteSession, invoice: Invoice, *, now: dt.datetime) -> None:
    """The draft becomes an open invoice."""
    await _open(session, invoice, now=now)
    await _announce(session, invoice)


async def _make(session: WriteSession, actor: Actor, account: Account, order: Order) -> Invoice:
    plan = order.plan
    invoice = Invoice(
        organization_id=account.organization_id,
        purpose="plan" if plan else "top_up",
        plan_code=plan.code if plan else None,
        plan_price=plan.price if plan else None,
        status="draft",
        currency=account.currency,
        total=sum(amount for _, amount in order.lines),
        created_by=actor.uuid,
        created_at=actor.now,
    )
    return await repository.add_invoice(session, invoice, order.lines)


async def _open(session: WriteSession, invoice: Invoice, *, now: dt.datetime) -> None:
    """Give it the organization's next number of the year."""
    number = await repository.next_number(session, str(invoice.organization_id), now.year)
    invoice.year, invoice.sequence = now.year, number
    invoice.status = "open"
    invoice.issued_at = now
    invoice.due_at = now + TO_PAY
    await session.flush()


async def mark_paid(session: WriteSession, invoice: Invoice, *, now: dt.datetime) -> None:
    """The money for the invoice was moved."""
    invoice.status = "paid"
    invoice.paid_at = now
    await session.flush()
    await _announce(session, invoice, InvoicePaid)


def check_voidable(invoice: Invoice) -> None:
    """Raise `InvoiceNotVoidable` unless the invoice is open, or void already."""
    if invoice.status == "paid":
        raise InvoiceNotVoidable("A paid invoice cannot be voided.")
    if invoice.status == "draft":
        raise InvoiceNotVoidable("This invoice is not issued yet. Change the plan instead.")


async def void(session: WriteSession, invoice: Invoice, *, now: dt.datetime) -> None:
    """A draft or open invoice is no longer owed, and its payments are not waited for."""
    invoice.status = "void"
    invoice.voided_at = now
    payments = await repository.payments_of(session, [str(invoice.id)])
    for payment in payments.get(str(invoice.id), ()):
        if payment.status in {"pending", "failed"}:
            payment.status = "canceled"
    await session.flush()
    await _announce(session, invoice, InvoiceVoided)


def payment_for(invoice: Invoice, actor: Actor, *, method: str) -> Payment:
    """A payment of the whole invoice that is waiting."""
    return Payment(
        organization_id=invoice.organization_id,
        invoice_id=invoice.id,
        method=method,
        status="pending",
        amount=invoice.total,
        currency=invoice.currency,
        created_by=actor.uuid,
        created_at=actor.now,
    )


_News = type[InvoiceCreated] | type[InvoicePaid] | type[InvoiceVoided]


async def _announce(session: WriteSession, invoice: Invoice, news: _News | None = None) -> None:
    for fact in (news, InvoiceUpdated):
        if fact is not None:
            await publish(
                session,
                fact(
                    organization_id=str(invoice.organization_id),
                    invoice_id=str(invoice.id),
                    number=invoice.number,
                    status=invoice.status,
                    total=invoice.total,
                    currency=invoice.currency,
                ),
            )
