"""What billing does in the background: other domains' facts, webhooks, renewals, tidying up."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shared.events import Consumer
from shared.logger import get_logger
from shared.privacy import erasing
from shared.worker import Job, Schedule, enqueue
from subgraphs.billing import idempotency, payments, privacy, repository, service
from subgraphs.billing.events import OrganizationClosed, OrganizationCreated
from subgraphs.billing.invoices import TO_PAY
from subgraphs.billing.plans import ANNOUNCED
from subgraphs.billing.providers import Providers, Unclear

if TYPE_CHECKING:
    from shared.db import Database, WriteSession

__all__ = ["RENEW", "Tasks"]

RENEW = "renew_plan"

logger = get_logger(__name__)

_STUCK = dt.timedelta(minutes=1)
_TRIED = dt.timedelta(days=3)
_BODIES_KEPT = dt.timedelta(days=90)


@dataclass(frozen=True, slots=True)
class Tasks:
    """Billing's background work."""

    database: Database
    providers: Providers
    currency: str
    clock: Callable[[], dt.datetime]

    def consumers(self) -> list[Consumer[Any]]:
        """Reactions to other domains."""
        created = Consumer(
            "billing",
            topic="orgs.organization.created",
            payload=OrganizationCreated,
            handle=self._open_account,
        )
        closed = Consumer(
            "billing",
            topic="orgs.organization.closed",
            payload=OrganizationClosed,
            handle=self._close_account,
        )
        return [created, closed, erasing("billing", privacy.erase)]

    def jobs(self) -> list[Job]:
        """Work that is enqueued."""
        return [Job(payments.JOB, self.handle_webhook), Job(RENEW, self.renew_plan)]

    def schedules(self) -> list[Schedule]:
        """Work at set times."""
        return [
            Schedule("renew_plans", "*/10 * * * *", self.renew_plans),
            Schedule("sweep_webhooks", "* * * * *", self.sweep_webhooks),
            Schedule("forget", "17 3 * * *", self.forget),
        ]

    async def _open_account(self, session: WriteSession, created: OrganizationCreated) -> None:
        await service.open_account(session, created.organization_id, currency=self.currency)

    async def _close_account(self, session: WriteSession, closed: OrganizationClosed) -> None:
        await service.close_account(session, closed.organization_id, now=self.clock())

    async def handle_webhook(self, payload: Mapping[str, Any]) -> None:
        """Let a stored message take effect; the provider is asked outside the transaction."""
        event_id = str(payload["event"])
        async with self.database.read() as session:
            event = await repository.webhook_event(session, event_id)
        if event is None or event.status not in {"received", "quarantined"}:
            return
        now = self.clock()
        outcome, reason = "ignored", None
        try:
            report = await self.providers.named(event.provider).report(event)
        except Unclear as unclear:
            report, outcome, reason = None, "quarantined", str(unclear)
        async with self.database.write() as session:
            if report is not None:
                await payments.settle(session, event_id, report, now=now)
            else:
                await payments.conclude(session, event_id, outcome, reason=reason, now=now)

    async def sweep_webhooks(self) -> None:
        """Enqueue again what no job has handled: its tries ran out while something was down."""
        now = self.clock()
        async with self.database.write() as session:
            given_up = await repository.give_up_webhook_events(
                session, before=now - _TRIED, now=now
            )
            if given_up:
                logger.error("webhook.given_up", number=given_up)
            for stuck in await repository.stuck_webhook_events(session, before=now - _STUCK):
                await enqueue(session, payments.JOB, {"event": stuck}, unique=f"webhook:{stuck}")

    async def renew_plans(self) -> None:
        """Enqueue a job for each organization whose period or invoice is at its end."""
        now = self.clock()
        async with self.database.write() as session:
            due = await repository.accounts_to_renew(
                session, now=now, announced=now + ANNOUNCED, over=now - TO_PAY
            )
            for organization_id in due:
                payload = {"organization": organization_id}
                await enqueue(session, RENEW, payload, unique=f"renew:{organization_id}")

    async def renew_plan(self, payload: Mapping[str, Any]) -> None:
        """Announce, issue and collect a renewal, or give up what was not paid in time."""
        async with self.database.write() as session:
            await service.renew(session, str(payload["organization"]), now=self.clock())

    async def forget(self) -> None:
        """Drop idempotency keys and the bodies of handled messages when their time is over."""
        now = self.clock()
        for forget, before in (
            (repository.forget_keys, now - idempotency.KEPT),
            (repository.forget_bodies, now - _BODIES_KEPT),
        ):
            more = True
            while more:
                async with self.database.write() as session:
                    more = await forget(session, before=before)
