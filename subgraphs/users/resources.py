"""What the edges of this subgraph work with."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass

from shared.auth import AccessTokens
from shared.db import Database
from shared.sealing import Sealer
from subgraphs.users.deletion import Receipts
from subgraphs.users.passwords import Passwords
from subgraphs.users.sessions import Sessions

__all__ = ["Resources"]


@dataclass(frozen=True, slots=True)
class Resources:
    """Made once for a process by `subgraphs.users.app.create`."""

    database: Database
    sessions: Sessions
    passwords: Passwords
    tokens: AccessTokens
    emails: Sealer
    receipts: Receipts
    deletion_grace: dt.timedelta
    clock: Callable[[], float]
