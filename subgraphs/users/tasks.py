"""What the users subgraph does in the background: colleagues, deletions, ending sessions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.db import Database, WriteSession
from shared.events import Consumer
from shared.privacy import ERASED, DeletionStarted, SubjectErased, erasing
from shared.worker import Job, Schedule
from subgraphs.users import deletion, repository, service
from subgraphs.users.sessions import Sessions

__all__ = ["consumers", "jobs", "schedules"]


@dataclass(frozen=True, slots=True)
class Membership:
    """What is read of `orgs.membership.added`, `.changed` and `.removed`."""

    membership_id: str
    organization_id: str
    user_id: str


@dataclass(frozen=True, slots=True)
class Closed:
    """What is read of `orgs.organization.closed`."""

    organization_id: str


async def _joined(session: WriteSession, fact: Membership) -> None:
    await _remember(session, fact, active=True)


async def _left(session: WriteSession, fact: Membership) -> None:
    await _remember(session, fact, active=False)


async def _remember(session: WriteSession, fact: Membership, *, active: bool) -> None:
    await repository.remember_member(
        session,
        organization_id=fact.organization_id,
        user_id=fact.user_id,
        membership_id=fact.membership_id,
        active=active,
    )


async def _closed(session: WriteSession, fact: Closed) -> None:
    await repository.forget_organization(session, fact.organization_id)


def consumers(sessions: Sessions) -> Sequence[Consumer[Any]]:
    """Who is a member where, and the deletions that all domains carry out."""

    async def erase(session: WriteSession, started: DeletionStarted) -> None:
        await deletion.erase(session, started)
        # A login may have slipped in between the start and now.
        session.after_commit(lambda: _end_all(sessions, started.user_id))

    return [
        Consumer("users", "orgs.membership.added", Membership, _joined),
        Consumer("users", "orgs.membership.changed", Membership, _joined),
        Consumer("users", "orgs.membership.removed", Membership, _left),
        Consumer("users", "orgs.organization.closed", Closed, _closed),
        erasing("users", erase),
        *(_confirmation(domain) for domain in ERASED),
    ]


async def _end_all(sessions: Sessions, user_id: str) -> None:
    await sessions.end_all(user_id)


def _confirmation(domain: str) -> Consumer[SubjectErased]:
    async def confirmed(session: WriteSession, fact: SubjectErased) -> None:
        await deletion.confirm(session, fact.request_id, domain)

    return Consumer("users", ERASED[domain].topic, SubjectErased, confirmed)


def jobs(database: Database, sessions: Sessions) -> Sequence[Job]:
    """Starting a deletion, and ending sessions that could not be ended at once."""

    async def start_deletion(payload: Mapping[str, Any]) -> None:
        await _start(database, sessions, payload["request_id"])

    async def end_sessions(payload: Mapping[str, Any]) -> None:
        await sessions.end_all(
            payload["user_id"], but=payload["but"], opened_until=payload["opened_until"]
        )

    return [Job(deletion.START_JOB, start_deletion), Job(service.END_SESSIONS_JOB, end_sessions)]


def schedules(database: Database, sessions: Sessions) -> Sequence[Schedule]:
    """Picking up deletions that were not started in time, or that a domain does not confirm."""

    async def pick_up() -> None:
        async with database.read() as session:
            due = await repository.due_deletions(session, stalled=deletion.STALLED)
        for request_id in due:
            await _start(database, sessions, request_id)

    return [Schedule("pick_up_deletions", "* * * * *", pick_up)]


async def _start(database: Database, sessions: Sessions, request_id: str) -> None:
    async with database.write() as session:
        user_id = await deletion.start(session, request_id)
    if user_id is not None:
        await sessions.end_all(user_id)
