"""The facts that the users subgraph publishes, besides those of `shared.privacy`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from shared.events import Fact

__all__ = [
    "DeletionCancelled",
    "DeletionCompleted",
    "DeletionRequested",
    "PasswordChanged",
    "UserChanged",
    "UserSignedUp",
]


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


@dataclass(frozen=True, slots=True)
class PasswordChanged(Fact):
    """An account has another password; its other sessions were ended."""

    topic: ClassVar[str] = "users.password.changed"

    user_id: str

    def key(self) -> str:
        return self.user_id


@dataclass(frozen=True, slots=True)
class DeletionRequested(Fact):
    """A person asked to be forgotten; it can be cancelled until it starts."""

    topic: ClassVar[str] = "users.deletion.requested"

    request_id: str
    user_id: str

    def key(self) -> str:
        return self.user_id


@dataclass(frozen=True, slots=True)
class DeletionCancelled(Fact):
    """A person changed their mind in time."""

    topic: ClassVar[str] = "users.deletion.cancelled"

    request_id: str
    user_id: str

    def key(self) -> str:
        return self.user_id


@dataclass(frozen=True, slots=True)
class DeletionCompleted(Fact):
    """Every domain has confirmed that it holds nothing about the person any more."""

    topic: ClassVar[str] = "users.deletion.completed"

    request_id: str
    user_id: str

    def key(self) -> str:
        return self.user_id
