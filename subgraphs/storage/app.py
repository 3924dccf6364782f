"""Puts the storage subgraph together."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from shared.config import required
from shared.db import Database
from shared.events import EventBus
from shared.graphql import Context, Cursors
from shared.subgraph import Subgraph
from shared.worker import Worker
from subgraphs.storage.objects import Objects
from subgraphs.storage.schema import Resources, schema
from subgraphs.storage.tasks import consumers, jobs, schedules

if TYPE_CHECKING:
    from shared.auth import Identity
    from shared.cache import Redis
    from shared.config import Settings

__all__ = ["create"]


def create(settings: Settings, redis: Redis) -> Subgraph:
    """The subgraph, connected by ``settings``; nothing is opened before the first use."""
    required(settings.s3.access_key, "S3__ACCESS_KEY", "files are kept in an S3 bucket")
    required(settings.s3.secret_key, "S3__SECRET_KEY", "files are kept in an S3 bucket")
    database = Database(
        required(settings.storage.database_url, "STORAGE__DATABASE_URL", "files are listed there"),
        settings.database,
        name="storage",
    )
    objects = Objects(settings.s3, _now)
    resources = Resources(
        database=database,
        objects=objects,
        files=Cursors(settings.secret_key.get_secret_value(), "storage.files"),
        clock=_now,
    )

    def make_context(identity: Identity) -> Context[Resources]:
        return Context(identity, resources)

    async def close() -> None:
        await objects.close()
        await database.close()

    return Subgraph(
        name="storage",
        schema=schema,
        make_context=make_context,
        worker=Worker(
            database,
            EventBus(redis),
            consumers=consumers(),
            jobs=jobs(database, objects, _now),
            schedules=schedules(database, objects, _now),
        ),
        checks={"postgres": database.ping, "s3": objects.ping},
        close=close,
    )


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
