"""What billing holds about a person: the invoices and payments they asked for.

Invoices belong to the organization and are kept, as tax law wants; a person's
part in them is forgotten.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from shared.privacy import PIECE, DeletionStarted, Piece
from subgraphs.billing import repository

if TYPE_CHECKING:
    from shared.db import Database, WriteSession

__all__ = ["SECTIONS", "erase"]


class _HasDatabase(Protocol):
    @property
    def database(self) -> Database:
        """Where to read."""


async def _invoices(resources: _HasDatabase, user_id: str, after: str | None) -> Piece:
    async with resources.database.read() as session:
        rows = await repository.invoices_asked_by(session, user_id, after=after, limit=PIECE)
    return _piece(rows)


async def _payments(resources: _HasDatabase, user_id: str, after: str | None) -> Piece:
    async with resources.database.read() as session:
        rows = await repository.payments_asked_by(session, user_id, after=after, limit=PIECE)
    return _piece(rows)


async def _billing_emails(resources: _HasDatabase, user_id: str, after: str | None) -> Piece:
    async with resources.database.read() as session:
        rows = await repository.billing_emails_by(session, user_id, after=after, limit=PIECE)
    return _piece(rows)


def _piece(rows: list[dict[str, Any]]) -> Piece:
    return Piece(rows, after=str(rows[-1]["id"]) if len(rows) == PIECE else None)


SECTIONS = {"invoices": _invoices, "payments": _payments, "billing-emails": _billing_emails}


async def erase(session: WriteSession, started: DeletionStarted) -> None:
    """Forget the person: invoices and payments stay, without saying who asked for them."""
    await repository.forget_person(session, started.user_id)
