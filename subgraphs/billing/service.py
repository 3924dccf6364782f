"""What can be asked of billing; each function runs inside its caller's transaction.

Whatever changes an organization's money locks its account first, so an
organization's changes happen one after another and cannot deadlock.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.errors import BadUserInput, NotFound
from subgraphs.billing import invoices, ledger, plans, repository
from subgraphs.billing.idempotency import Request
from subgraphs.billing.invoices import Order
from subgraphs.billing.models import Account, Invoice, Payment

if TYPE_CHECKING:
    from shared.auth import Identity
    from shared.db import ReadSession, WriteSession
    from subgraphs.billing.invoices import Actor

__all__ = [
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

_EMAIL = re.compile(r"[^@\s\x00-\x1f]{1,64}@[^@\s\x00-\x1f.]+(\.[^@\s\x00-\x1f.]+)+")


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


async def close_account(session: WriteSession, organization_id: str, *, now: dt.datetime) -> None:
    """The organization is gone: nothing is owed or renewed any more; its invoices stay."""
    account = await repository.lock_account(session, organization_id)
    if account is None:
        return
    for invoice in await repository.unpaid_invoices(session, organization_id):
        await invoices.void(session, invoice, now=now)
    await plans.give_up(session, account, now=now)
    account.billing_email = None
    account.billing_email_by = None


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


async def _locked(session: WriteSession, organization_id: str) -> Account:
    account = await repository.lock_account(session, organization_id)
    if account is None:
        raise NotFound
    return account


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
    if earlier is not None:
        return await _placed(session, organization_id, str(earlier.invoice_id))
    if currency != account.currency:
        raise BadUserInput(f"This organization pays in {account.currency}.", field="currency")
    invoice = await invoices.bill(session, actor, account, Order([("Credits", amount)]))
    payment = invoices.payment_for(invoice, actor, method=method)
    await repository.add_payment(session, payment)
    await request.answer(session, invoice.id, now=actor.now)
    return Placed(invoice, payment)


async def _placed(session: WriteSession, organization_id: str, invoice_id: str) -> Placed:
    invoice = await invoices.find(session, organization_id, invoice_id)
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
    invoice = await invoices.find(session, str(payment.organization_id), str(payment.invoice_id))
    if invoice.status == "open":
        await invoices.mark_paid(session, invoice, now=now)


# --- plans and invoices ----------------------------------------------------------------------


async def change_plan(
    session: WriteSession,
    actor: Actor,
    organization_id: str,
    *,
    plan_code: str,
    key: str,
    default_currency: str,
) -> Invoice | None:
    """The invoice for the change, if anything is owed (see `plans.change`).

    Raises `BadUserInput`, `SamePlan`, `KeyReused`.
    """
    request = Request.of(organization_id, key, "changePlan", plan_code)
    account = await repository.open_account(session, organization_id, default_currency)
    earlier = await request.answered(session)
    if earlier is not None:
        if earlier.invoice_id is None:
            return None
        return await invoices.find(session, organization_id, str(earlier.invoice_id))
    invoice = await plans.change(session, actor, account, plan_code=plan_code)
    await request.answer(session, invoice.id if invoice else None, now=actor.now)
    return invoice


async def pay_invoice(
    session: WriteSession, actor: Actor, organization_id: str, invoice_id: str, *, key: str
) -> Invoice:
    """The invoice, paid from credits.

    Raises `NotFound`, `InvoiceNotPayable`, `InsufficientCredits`, `KeyReused`.
    """
    request = Request.of(organization_id, key, "payInvoice", invoice_id)
    account = await _locked(session, organization_id)
    earlier = await request.answered(session)
    invoice = await invoices.find(session, organization_id, invoice_id)
    if earlier is None:
        await plans.pay(session, actor, account, invoice)
        await request.answer(session, invoice.id, now=actor.now)
    return invoice


async def void_invoice(
    session: WriteSession, actor: Actor, organization_id: str, invoice_id: str
) -> Invoice:
    """The invoice, void; voiding it again changes nothing.

    Raises `NotFound`, `InvoiceNotVoidable`.
    """
    await _locked(session, organization_id)
    invoice = await invoices.find(session, organization_id, invoice_id)
    invoices.check_voidable(invoice)
    if invoice.status != "void":
        await invoices.void(session, invoice, now=actor.now)
    return invoice


async def renew(session: WriteSession, organization_id: str, *, now: dt.datetime) -> None:
    """Do what the end of the organization's period asks for, if anything."""
    account = await _locked(session, organization_id)
    await plans.renew(session, account, now=now)
