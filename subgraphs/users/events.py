"""The facts that the users subgraph publishes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from shared.events import Fact

__all__ = ["UserChanged", "UserSignedUp"]


@dataclass(frozen=True, slots=True)
class UserSignedUp(Fact):
    """A new account exists."""

    topic: ClassVar[str] = "users.user.signed_up"

    user_id: str

    def key(self) -> str:
        return self.user_id


@dataclass(frozen=True, slots=True)
class UserChanged(Fact):
    """A profile or its settings changed; caches of it are stale."""

    topic: ClassVar[str] = "users.user.changed"

    user_id: str

    def key(self) -> str:
        return self.user_id
