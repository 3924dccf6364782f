"""Sends whoever pays to the provider's checkout."""

from __future__ import annotations

from typing import TYPE_CHECKING

from subgraphs.billing import repository

if TYPE_CHECKING:
    from shared.db import Database
    from subgraphs.billing.models import Payment
    from subgraphs.billing.providers import Provider
    from subgraphs.billing.service import Placed

__all__ = ["prepare"]


async def prepare(database: Database, provider: Provider, placed: Placed) -> Payment:
    """The payment with a checkout, opened unless it has one.

    The provider is asked between two transactions and knows the payment by its
    id, so a call that is cut off anywhere is made good by the same call again.
    Raises `Unavailable`, and `Conflict` when the provider does not want the payment.
    """
    payment = placed.payment
    if payment.status != "pending" or payment.checkout_url is not None:
        return payment
    opened = await provider.open_checkout(payment)
    if opened is None:
        return payment
    async with database.write() as session:
        await repository.set_checkout(
            session, str(payment.id), reference=opened.reference, url=opened.url
        )
    async with database.read() as session:
        return await repository.payment_by_id(session, str(payment.id)) or payment
