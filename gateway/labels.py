"""Which side of each progressive ``@override`` a request takes."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from hashlib import blake2b

from shared.auth import Identity

__all__ = ["OverrideLabels"]


class OverrideLabels:
    """Decides ``percent(N)`` labels by the caller, and the others by those that are switched on.

    A user stays on one side as long as N does not change; a stranger is drawn
    anew for each request.
    """

    def __init__(
        self,
        labels: Iterable[str],
        *,
        switched_on: Iterable[str] = (),
        draw: Callable[[], float] = random.random,
    ) -> None:
        on = frozenset(switched_on)
        names = sorted(labels)
        self._percents = {name: _percent(name) for name in names}
        self._fixed = {name: name in on for name in names}
        self._only_fixed = all(percent is None for percent in self._percents.values())
        self._draw = draw

    def decide(self, identity: Identity) -> Mapping[str, bool]:
        """The outcome of each label, in an order that never changes."""
        if self._only_fixed:
            return self._fixed
        user = identity.user_id
        place = _place(user) if user else self._draw()
        return {
            name: self._fixed[name] if percent is None else place * 100 < percent
            for name, percent in self._percents.items()
        }


def _place(user: str) -> float:
    """Where a user stands between 0 and 1, finely enough for the eight decimals of a percentage."""
    return int.from_bytes(blake2b(user.encode(), digest_size=8).digest()) / 2**64


def _percent(label: str) -> float | None:
    if label.startswith("percent(") and label.endswith(")"):
        with suppress(ValueError):
            return float(label[len("percent(") : -1])
    return None
