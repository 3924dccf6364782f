"""A bounded map that forgets what was not used for longest."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

__all__ = ["LruCache"]

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class LruCache(Generic[K, V]):
    """At most ``entries`` values that weigh at most ``weight`` together.

    Without a limit by weight, each weighs one.
    """

    def __init__(self, *, entries: int, weight: int | None = None) -> None:
        self._most_entries = entries
        self._most_weight = entries if weight is None else weight
        self._weight = 0
        self._kept: OrderedDict[K, tuple[V, int]] = OrderedDict()

    def get(self, key: K) -> V | None:
        """The value, which counts as used now, or None."""
        found = self._kept.get(key)
        if found is None:
            return None
        self._kept.move_to_end(key)
        return found[0]

    def put(self, key: K, value: V, *, weight: int = 1) -> None:
        """Keep the value, unless it alone weighs more than everything may."""
        self.drop(key)
        if weight > self._most_weight:
            return
        self._kept[key] = (value, weight)
        self._weight += weight
        while len(self._kept) > self._most_entries or self._weight > self._most_weight:
            _, (_, lost) = self._kept.popitem(last=False)
            self._weight -= lost

    def drop(self, key: K) -> None:
        """Forget the value, if there is one."""
        found = self._kept.pop(key, None)
        if found is not None:
            self._weight -= found[1]

    def latest(self) -> list[tuple[K, V]]:
        """The keys and values, the most recently used first."""
        return [(key, value) for key, (value, _) in reversed(self._kept.items())]

    def __len__(self) -> int:
        return len(self._kept)
