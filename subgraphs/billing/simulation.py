"""What Stripe would send: for the seed, for development without Stripe, and for tests.

    headers, body = paid(payment_id, amount=5000, currency="EUR", secret=secret, now=now)

Posted to ``/webhooks/stripe``, this is a message like any other: nothing in the
product can tell it from Stripe's, because it is signed with the same secret.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import orjson

from subgraphs.billing.providers import stripe_signature

__all__ = ["event", "paid", "signed"]


def paid(
    payment_id: str, *, amount: int, currency: str, secret: str, now: dt.datetime
) -> tuple[dict[str, str], bytes]:
    """Headers and body of the message that the payment succeeded."""
    body = event(
        "payment_intent.succeeded",
        {
            "id": f"pi_{payment_id}",
            "object": "payment_intent",
            "amount_received": amount,
            "currency": currency.lower(),
            "metadata": {"payment_id": payment_id},
        },
        event_id=f"evt_paid_{payment_id}",
        now=now,
    )
    return signed(body, secret=secret, now=now), body


def event(kind: str, about: dict[str, Any], *, event_id: str, now: dt.datetime) -> bytes:
    """A Stripe event about an object."""
    return orjson.dumps(
        {
            "id": event_id,
            "object": "event",
            "type": kind,
            "created": int(now.timestamp()),
            "data": {"object": about},
        }
    )


def signed(body: bytes, *, secret: str, now: dt.datetime) -> dict[str, str]:
    """The headers with which Stripe sends the body."""
    return {
        "content-type": "application/json",
        "stripe-signature": stripe_signature(secret.encode(), body, sent_at=int(now.timestamp())),
    }
