"""The right to be forgotten: requests, and how they are carried out in all domains.

    pending ──(grace period)──▶ started ──(every domain confirmed)──▶ completed
       └──────▶ cancelled

Each function runs inside its caller's transaction.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
from typing import TYPE_CHECKING

from shared.access import require_user
from shared.errors import Conflict, NotFound, Unauthenticated
from shared.events import publish
from shared.logger import get_logger
from shared.privacy import ERASED, DeletionStarted
from shared.worker import enqueue
from subgraphs.users import repository
from subgraphs.users.events import DeletionCancelled, DeletionCompleted, DeletionRequested

if TYPE_CHECKING:
    from shared.auth import Identity
    from shared.db import ReadSession, WriteSession
    from subgraphs.users.models import DeletionRequest

__all__ = [
    "START_JOB",
    "AlreadyStarted",
    "Receipts",
    "cancel",
    "confirm",
    "erase",
    "find",
    "request",
    "start",
]

logger = get_logger(__name__)

START_JOB = "start_deletion"

STALLED = dt.timedelta(minutes=10)
"""After so long without all confirmations, the start is announced again."""


class AlreadyStarted(Conflict):
    """It is too late to cancel."""

    message = "The deletion has started and cannot be cancelled any more."


class Receipts:
    """What a person reads the status with when the account, and with it the login, is gone."""

    def __init__(self, secret: str) -> None:
        self._key = hashlib.sha256(b"deletion-receipt:" + secret.encode()).digest()

    def make(self, request_id: str) -> str:
        """The receipt of one request."""
        return hmac.new(self._key, request_id.encode(), "sha256").hexdigest()

    def fits(self, receipt: str, request_id: str) -> bool:
        """Whether it is the receipt of this request."""
        return hmac.compare_digest(receipt.encode(errors="replace"), self.make(request_id).encode())


async def request(
    session: WriteSession, identity: Identity, *, grace: dt.timedelta
) -> DeletionRequest:
    """The caller's open request, made unless there is one."""
    user = await repository.lock_user(session, require_user(identity))
    if user is None:
        raise NotFound
    user_id = str(user.id)
    known = await repository.open_deletion_of(session, user_id)
    if known is not None:
        return known
    made = await repository.add_deletion(session, user_id, grace=grace)
    await publish(session, DeletionRequested(str(made.id), user_id))
    await enqueue(session, START_JOB, {"request_id": str(made.id)}, delay=grace)
    return made


async def find(
    session: ReadSession,
    identity: Identity,
    receipts: Receipts,
    request_id: str,
    receipt: str | None,
) -> DeletionRequest:
    """The request, for the person who made it or who has its receipt; raises `NotFound`."""
    entitled = receipt is not None and receipts.fits(receipt, request_id)
    if identity.user_id is None and not entitled:
        raise Unauthenticated
    found = await repository.deletion_by_id(session, request_id)
    if found is None or not (entitled or str(found.user_id) == identity.user_id):
        raise NotFound
    return found


async def cancel(session: WriteSession, identity: Identity, request_id: str) -> DeletionRequest:
    """The caller's request, cancelled; raises `NotFound` or `AlreadyStarted`."""
    me = require_user(identity)
    found = await repository.lock_deletion(session, request_id)
    if found is None or str(found.user_id) != me:
        raise NotFound
    if found.status in {"started", "completed"}:
        raise AlreadyStarted
    if found.status == "pending":
        found.status = "cancelled"
        found.ended_at = await repository.now(session)
        await session.flush()
        await publish(session, DeletionCancelled(request_id, me))
    return found


async def start(session: WriteSession, request_id: str) -> str | None:
    """Announce that the request is carried out now, or announce it again.

    Returns whose sessions have to end; None when there is nothing to do: it was
    cancelled, completed, or is not due.
    """
    now = await repository.now(session)
    found = await repository.lock_deletion(session, request_id)
    if found is None or found.status in {"cancelled", "completed"} or found.starts_at > now:
        return None
    user_id = str(found.user_id)
    if found.announced_at is not None and found.announced_at > now - STALLED:
        return user_id
    if found.status == "started":
        missing = ERASED.keys() - await repository.confirmed_domains(session, request_id)
        logger.warning("deletion.stalled", request_id=request_id, missing=sorted(missing))
    found.status = "started"
    found.announced_at = now
    await session.flush()
    await publish(session, DeletionStarted(request_id, user_id))
    return user_id


async def erase(session: WriteSession, started: DeletionStarted) -> None:
    """Erase what this subgraph holds; the request itself stays, as the proof."""
    await repository.erase_user(session, started.user_id)


async def confirm(session: WriteSession, request_id: str, domain: str) -> None:
    """Note that a domain is done, and complete the request when it was the last."""
    found = await repository.lock_deletion(session, request_id)
    if found is None or found.status != "started":
        return
    await repository.add_confirmation(session, request_id, domain)
    if await repository.confirmed_domains(session, request_id) >= ERASED.keys():
        found.status = "completed"
        found.ended_at = await repository.now(session)
        await session.flush()
        await publish(session, DeletionCompleted(request_id, str(found.user_id)))
