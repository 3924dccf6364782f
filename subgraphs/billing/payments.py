"""What providers report about payments, taken in any order and any number of times.

A payment only climbs, pending < failed < canceled < succeeded: its status is the
highest ever reported.  That makes the order and the repetition of reports
meaningless.  (A provider never takes back that a payment succeeded; money that
goes back is another message, which a person looks at.)
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from shared.logger import get_logger
from shared.worker import enqueue
from subgraphs.billing import repository, service
from subgraphs.billing.providers import Unclear

if TYPE_CHECKING:
    from shared.db import WriteSession
    from subgraphs.billing.models import Payment, WebhookEvent
    from subgraphs.billing.providers import Notice, Report

__all__ = ["JOB", "RANK", "accept", "climb", "conclude", "settle"]

logger = get_logger(__name__)

JOB = "handle_webhook"

RANK = {"pending": 0, "failed": 1, "canceled": 2, "succeeded": 3}


def climb(status: str, reported: str) -> str:
    """The status after the report."""
    return max(status, reported, key=RANK.__getitem__)


async def accept(session: WriteSession, provider: str, notice: Notice, *, now: dt.datetime) -> bool:
    """Store the message and have it handled; False when it was stored before."""
    stored = await repository.add_webhook_event(
        session,
        {
            "provider": provider,
            "event_id": notice.event_id,
            "kind": notice.kind,
            "subject": notice.subject,
            "body": notice.body,
            "received_at": now,
        },
    )
    if stored is None:
        return False
    await enqueue(session, JOB, {"event": stored}, unique=f"webhook:{stored}")
    return True


async def settle(session: WriteSession, event_id: str, report: Report, *, now: dt.datetime) -> None:
    """Let the report take effect, once, and close the message."""
    event = await repository.lock_webhook_event(session, event_id)
    if event is None or event.status not in {"received", "quarantined"}:
        return
    try:
        await _apply(session, event.provider, report, now=now)
    except Unclear as unclear:
        _close(event, "quarantined", str(unclear), now=now)
    else:
        _close(event, "applied", None, now=now)


async def conclude(
    session: WriteSession, event_id: str, status: str, *, reason: str | None, now: dt.datetime
) -> None:
    """Close a message that has no effect: `ignored`, or `quarantined` for a person to look at."""
    event = await repository.lock_webhook_event(session, event_id)
    if event is not None and event.status in {"received", "quarantined"}:
        _close(event, status, reason, now=now)


def _close(event: WebhookEvent, status: str, reason: str | None, *, now: dt.datetime) -> None:
    event.status = status
    event.reason = reason
    event.handled_at = now
    log = logger.warning if status == "quarantined" else logger.info
    log("webhook.handled", provider=event.provider, kind=event.kind, status=status, reason=reason)


async def _apply(session: WriteSession, provider: str, report: Report, *, now: dt.datetime) -> None:
    payment = await _locked(session, provider, report)
    if climb(payment.status, report.status) == payment.status:
        if report.status == "succeeded" and _another(payment.settled_by, report.money):
            raise Unclear("paid_twice")
        return
    if report.status != "succeeded":
        payment.status = report.status
        return
    if (report.amount, report.currency) != (payment.amount, payment.currency):
        raise Unclear("amount_mismatch")
    payment.settled_by = report.money
    await service.collect(session, payment, now=now)


def _another(one: str | None, other: str | None) -> bool:
    """Whether two names of money, as far as they are known, are of different money."""
    return one is not None and other is not None and one != other


async def _locked(session: WriteSession, provider: str, report: Report) -> Payment:
    """The payment, its account locked; raises `Unclear` when it is not one of this provider."""
    payment = await repository.payment_by_id(session, report.payment_id)
    if payment is None or payment.method != provider:
        raise Unclear("unknown_payment")
    await repository.lock_account(session, str(payment.organization_id))
    return await repository.payment_by_id(session, report.payment_id) or payment
