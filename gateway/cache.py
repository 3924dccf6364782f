"""A bounded map that forgets what was not used for longest."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from prometheus_client import REGISTRY
from prometheus_client.core import CounterMetricFamily

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

__all__ = ["LruCache"]

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


@dataclass(slots=True)
class _Usage:
    hits: int = 0
    misses: int = 0


class _Usages:
    """Exports how often caches had what was asked for; counting costs an addition."""

    def __init__(self) -> None:
        self._named: dict[str, _Usage] = {}
        REGISTRY.register(self)

    def of(self, name: str) -> _Usage:
        """The counts under a name, which outlive single caches."""
        return self._named.setdefault(name, _Usage())

    def collect(self) -> Iterable[Metric]:
        """Called by Prometheus' registry."""
        family = CounterMetricFamily(
            "cache_requests", "What was asked of caches.", labels=["cache", "result"]
        )
        for name, usage in list(self._named.items()):
            family.add_metric([name, "hit"], usage.hits)
            family.add_metric([name, "miss"], usage.misses)
        yield family


_usages = _Usages()


class LruCache(Generic[K, V]):
    """At most ``entries`` values that weigh at most ``weight`` together.

    Without a limit by weight, each weighs one.  With a name, the metrics tell
    how often it had what was asked for.
    """

    def __init__(self, *, entries: int, weight: int | None = None, name: str | None = None) -> None:
        self._usage = _usages.of(name) if name is not None else _Usage()
        self._most_entries = entries
        self._most_weight = entries if weight is None else weight
        self._weight = 0
        self._kept: OrderedDict[K, tuple[V, int]] = OrderedDict()

    def get(self, key: K) -> V | None:
        """The value, which counts as used now, or None."""
        found = self._kept.get(key)
        if found is None:
            self._usage.misses += 1
            return None
        self._usage.hits += 1
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

    def clear(self) -> None:
        """Forget everything, one after another: much at once would stop other threads."""
        while self._kept:
            self._kept.popitem()
        self._weight = 0

    def latest(self) -> list[tuple[K, V]]:
        """The keys and values, the most recently used first."""
        return [(key, value) for key, (value, _) in reversed(self._kept.items())]

    def __len__(self) -> int:
        return len(self._kept)
