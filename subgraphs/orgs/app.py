"""Puts the orgs subgraph together."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from shared.access_lists import AccessLists
from shared.config import required
from shared.db import Database
from shared.events import EventBus
from shared.graphql import Context, Cursors
from shared.subgraph import Subgraph
from shared.worker import Worker
from subgraphs.orgs.schema import Resources, schema
from subgraphs.orgs.tasks import consumers, schedules

if TYPE_CHECKING:
    from shared.auth import Identity
    from shared.cache import Redis
    from shared.config import Settings

__all__ = ["create"]


def create(settings: Settings, redis: Redis) -> Subgraph:
    """The subgraph, connected by ``settings``; nothing is opened before the first use."""
    database = Database(
        required(settings.orgs.database_url, "ORGS__DATABASE_URL", "organizations are kept there"),
        settings.database,
        name="orgs",
    )
    secret = settings.secret_key.get_secret_value()
    resources = Resources(
        database=database,
        access=AccessLists(redis),
        members=Cursors(secret, "orgs.members"),
        memberships=Cursors(secret, "orgs.memberships"),
        invitations=Cursors(secret, "orgs.invitations"),
        clock=_now,
    )

    def make_context(identity: Identity) -> Context[Resources]:
        return Context(identity, resources)

    return Subgraph(
        name="orgs",
        schema=schema,
        make_context=make_context,
        worker=Worker(
            database,
            EventBus(redis),
            consumers=consumers(resources.access),
            schedules=schedules(database, resources.clock),
        ),
        checks={"postgres": database.ping},
        close=database.close,
    )


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
