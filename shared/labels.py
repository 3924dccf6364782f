"""Which of the names that clients make up become labels of a metric."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["OTHER", "Labels"]

OTHER = "other"
_COUNTED = 1_000
_OFTEN = 10


class Labels:
    """Gives the names that are used most a label of their own, and all others one together.

    At most ``most`` names have one at a time.  While there is room, a name gets it
    at once; later it must be used much more often than one that has it, so that
    names which strangers invent do not keep out those that are used.  ``forget``
    is told whose label was taken away.
    """

    def __init__(self, most: int, forget: Callable[[str], None]) -> None:
        self._most = most
        self._forget = forget
        self._counts: dict[str, int] = {}
        self._labelled: set[str] = set()

    def of(self, name: str) -> str:
        """The label to count one use of the name under."""
        count = self._counts[name] = self._counts.get(name, 0) + 1
        if len(self._counts) > _COUNTED:
            self._age()
        if name not in self._labelled:
            if len(self._labelled) >= self._most and not self._makes_room_for(count):
                return OTHER
            self._labelled.add(name)
        return name

    def _makes_room_for(self, count: int) -> bool:
        if count < _OFTEN:
            return False
        weakest = min(self._labelled, key=self._count)
        if count <= 2 * self._count(weakest):
            return False
        self._labelled.remove(weakest)
        self._forget(weakest)
        return True

    def _count(self, name: str) -> int:
        return self._counts.get(name, 0)

    def _age(self) -> None:
        """Let old uses weigh less, and forget what was used once."""
        self._counts = {name: count // 2 for name, count in self._counts.items() if count > 1}
