"""The double-entry ledger: money moves between accounts and never appears or vanishes.

A transaction is a set of signed amounts that sum to zero; PostgreSQL refuses to
commit any other, and refuses to change one that stands.  A positive amount adds
to an account.  `credits` is what we owe an organization, `revenue` what it has
spent, and a provider's account is negative by what the provider has collected.

A transaction is identified by its kind and the id of what caused it, so the
same cause cannot move money twice.
"""

from __future__ import annotations

import datetime as dt
import uuid
from typing import TYPE_CHECKING

from shared.events import publish
from subgraphs.billing import repository
from subgraphs.billing.events import CreditsChanged
from subgraphs.billing.repository import HOUSE

if TYPE_CHECKING:
    from shared.db import WriteSession
    from subgraphs.billing.models import Invoice, Payment

__all__ = ["give_back", "receive", "spend"]


async def receive(session: WriteSession, payment: Payment, *, now: dt.datetime) -> None:
    """The provider has collected the payment: it becomes credits."""
    await _move(
        session,
        "payment",
        str(payment.id),
        organization_id=str(payment.organization_id),
        against=payment.method,
        credits=payment.amount,
        currency=payment.currency,
        now=now,
    )


async def spend(session: WriteSession, invoice: Invoice, *, now: dt.datetime) -> None:
    """The invoice is paid from credits; the database refuses to go below zero."""
    await _move(
        session,
        "invoice",
        str(invoice.id),
        organization_id=str(invoice.organization_id),
        against="revenue",
        credits=-invoice.total,
        currency=invoice.currency,
        now=now,
    )


async def give_back(
    session: WriteSession,
    organization_id: str,
    *,
    amount: int,
    currency: str,
    now: dt.datetime,
) -> None:
    """Return what was paid for time that will not be used, as credits.

    Nothing but the change of plan identifies it: that happens once.
    """
    await _move(
        session,
        "proration",
        str(uuid.uuid4()),
        organization_id=organization_id,
        against="revenue",
        credits=amount,
        currency=currency,
        now=now,
    )


async def _move(
    session: WriteSession,
    kind: str,
    cause: str,
    *,
    organization_id: str,
    against: str,
    credits: int,  # noqa: A002 - the field's word
    currency: str,
    now: dt.datetime,
) -> None:
    entries = {("credits", organization_id): credits, (against, HOUSE): -credits}
    await repository.post(session, kind, cause, entries, currency=currency, now=now)
    await publish(
        session,
        CreditsChanged(
            organization_id=organization_id,
            change=credits,
            balance=await repository.balance(session, organization_id),
            currency=currency,
        ),
    )
