"""The same request under the same key takes effect once.

Keys belong to an organization and are read and written while its account is
locked, so of any number of calls at once the first one works and the others
find its result.  A call that fails leaves no key behind.
"""

from __future__ import annotations

import datetime as dt
import re
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.errors import BadUserInput, Conflict
from subgraphs.billing import repository
from subgraphs.billing.repository import Remembered

if TYPE_CHECKING:
    from shared.db import WriteSession

__all__ = ["KEPT", "KeyReused", "Request"]

KEPT = dt.timedelta(days=7)
"""How long a key is remembered."""

_KEY = re.compile(r"[\x21-\x7e]{1,255}")


class KeyReused(Conflict):
    """The key stands for another request."""

    message = "This idempotency key was used for a different request."


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked under a key: the operation and its arguments, as text."""

    organization_id: str
    key: str
    asked: str

    @classmethod
    def of(cls, organization_id: str, key: str, operation: str, *arguments: object) -> Request:
        """The request; raises `BadUserInput` for a key that cannot be one."""
        if not _KEY.fullmatch(key):
            raise BadUserInput(
                "A key has 1 to 255 visible ASCII characters.", field="idempotencyKey"
            )
        return cls(organization_id, key, repr((operation, *arguments)))

    async def answered(self, session: WriteSession) -> Remembered | None:
        """The result this request had before; raises `KeyReused` if another had it."""
        found = await repository.recall(session, self.organization_id, self.key)
        if found is not None and found.request != self.asked:
            raise KeyReused
        return found

    async def answer(
        self, session: WriteSession, invoice_id: uuid.UUID | None, *, now: dt.datetime
    ) -> None:
        """Remember the result, if the transaction commits."""
        used = Remembered(self.asked, invoice_id)
        await repository.remember(session, self.organization_id, self.key, used=used, now=now)
