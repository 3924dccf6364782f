"""Puts the billing subgraph together."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from shared.access_lists import AccessLists
from shared.config import required
from shared.db import Database
from shared.events import EventBus
from shared.graphql import Cursors
from shared.subgraph import Subgraph
from shared.worker import Worker
from subgraphs.billing import webhooks
from subgraphs.billing.providers import Providers
from subgraphs.billing.schema import BillingContext, Resources, schema
from subgraphs.billing.tasks import Tasks

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.auth import Identity
    from shared.cache import Redis
    from shared.config import Settings

__all__ = ["create"]


def _utc_now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def create(
    settings: Settings, redis: Redis, *, clock: Callable[[], dt.datetime] = _utc_now
) -> Subgraph:
    """The subgraph, connected by ``settings``; nothing is opened before the first use."""
    database = Database(
        required(settings.billing.database_url, "BILLING__DATABASE_URL", "money is kept there"),
        settings.database,
        name="billing",
    )
    bus = EventBus(redis)
    providers = Providers.create(settings)
    currency = settings.payments.currency
    resources = Resources(
        database=database,
        bus=bus,
        access=AccessLists(redis),
        providers=providers,
        cursors=Cursors(settings.secret_key.get_secret_value(), "billing"),
        currency=currency,
        clock=clock,
    )
    tasks = Tasks(database=database, providers=providers, currency=currency, clock=clock)

    def make_context(identity: Identity) -> BillingContext:
        return BillingContext(identity, resources)

    async def close() -> None:
        await bus.close()
        await providers.close()
        await database.close()

    return Subgraph(
        name="billing",
        schema=schema,
        make_context=make_context,
        worker=Worker(
            database,
            bus,
            consumers=tasks.consumers(),
            jobs=tasks.jobs(),
            schedules=tasks.schedules(),
        ),
        checks={"postgres": database.ping},
        close=close,
        routes=webhooks.routes(database, providers, clock),
    )
