"""Puts the users subgraph together."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING

from shared.auth import AccessTokens, Signer, Verifier
from shared.config import required
from shared.db import Database
from shared.events import EventBus
from shared.graphql import Context
from shared.sealing import Sealer
from shared.subgraph import Subgraph
from shared.worker import Worker
from subgraphs.users import tasks
from subgraphs.users.deletion import Receipts
from subgraphs.users.passwords import Passwords
from subgraphs.users.resources import Resources
from subgraphs.users.schema import schema
from subgraphs.users.sessions import Sessions

if TYPE_CHECKING:
    from shared.auth import Identity
    from shared.cache import Redis
    from shared.config import Settings

__all__ = ["create"]


def create(settings: Settings, redis: Redis) -> Subgraph:
    """The subgraph, connected by ``settings``; nothing is opened before the first use."""
    database = Database(
        required(settings.users.database_url, "USERS__DATABASE_URL", "users are kept there"),
        settings.database,
        name="users",
    )
    signer = Signer(required(settings.auth.signing_key, "AUTH__SIGNING_KEY", "signs access tokens"))
    secret = settings.secret_key.get_secret_value()
    sessions = Sessions(redis, secret=secret, ttl_seconds=settings.auth.refresh_ttl_seconds)
    resources = Resources(
        database=database,
        sessions=sessions,
        passwords=Passwords(),
        tokens=AccessTokens(
            issuer=settings.auth.issuer,
            ttl_seconds=settings.auth.access_ttl_seconds,
            signer=signer,
            verifier=Verifier(signer.public_pem),
        ),
        emails=Sealer(secret, purpose="users.email"),
        receipts=Receipts(secret),
        deletion_grace=timedelta(seconds=settings.privacy.deletion_grace_seconds),
        clock=time.time,
    )

    def make_context(identity: Identity) -> Context[Resources]:
        return Context(identity, resources)

    async def close() -> None:
        resources.passwords.close()
        await database.close()

    return Subgraph(
        name="users",
        schema=schema,
        make_context=make_context,
        worker=Worker(
            database,
            EventBus(redis),
            consumers=tasks.consumers(sessions),
            jobs=tasks.jobs(database, sessions),
            schedules=tasks.schedules(database, sessions),
        ),
        checks={"postgres": database.ping, "redis": sessions.ping},
        close=close,
    )
