"""What the orgs subgraph does in the background: consumers and schedules."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from shared.access_lists import AccessLists
from shared.db import Database, WriteSession
from shared.events import Consumer
from shared.logger import get_logger
from shared.privacy import DeletionStarted, erasing
from shared.worker import Schedule
from subgraphs.orgs import repository, service
from subgraphs.orgs.events import MembershipAdded, MembershipChanged, MembershipRemoved

__all__ = ["consumers", "schedules"]

logger = get_logger(__name__)

KEPT_AFTER_END = dt.timedelta(days=30)


@dataclass(frozen=True, slots=True)
class _Membership:
    user_id: str


def consumers(access: AccessLists) -> list[Consumer[Any]]:
    """Raise the generation after each change of memberships; erase who is to be forgotten."""

    async def invalidate(session: WriteSession, membership: _Membership) -> None:
        # In the transaction against the rule: this call is the whole effect, harmless when
        # repeated, and must not be taken for done unless it is.
        await access.invalidate([membership.user_id])

    async def erase(session: WriteSession, started: DeletionStarted) -> None:
        await service.erase(session, access, started.user_id)

    topics = (MembershipAdded.topic, MembershipChanged.topic, MembershipRemoved.topic)
    return [
        *(Consumer("orgs", topic=each, payload=_Membership, handle=invalidate) for each in topics),
        erasing("orgs", erase),
    ]


def schedules(database: Database, clock: Callable[[], dt.datetime]) -> list[Schedule]:
    """Forget invitations, which hold addresses of people who never came, when they are old."""

    async def forget_invitations() -> None:
        async with database.write() as session:
            count = await repository.delete_ended_invitations(
                session, before=clock() - KEPT_AFTER_END
            )
        logger.info("invitations.forgotten", count=count)

    return [Schedule("forget_invitations", "17 3 * * *", forget_invitations)]
