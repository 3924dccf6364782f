"""Stops asking what does not answer, so that callers fail at once instead of waiting.

    breaker = CircuitBreaker(failures=5, pause_seconds=30)
    with breaker.guard():           # raises `Unavailable` while the breaker is open
        ...                         # `Unavailable` raised here counts as a failure

After that many failures in a row it opens; when the pause is over one caller
may try, and the outcome closes the breaker or opens it again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from shared.errors import Unavailable

__all__ = ["CircuitBreaker"]


class CircuitBreaker:
    """The state of one thing that is asked over a network."""

    def __init__(
        self, *, failures: int, pause_seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._most = failures
        self._pause = pause_seconds
        self._clock = clock
        self._failed = 0
        self._open_until: float | None = None

    @property
    def is_open(self) -> bool:
        """Whether a caller would be turned away now."""
        return self._open_until is not None and self._clock() < self._open_until

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Around a call; raises `Unavailable` instead of letting it happen while open."""
        if self.is_open:
            raise Unavailable
        if self._open_until is not None:
            # Others are turned away while this caller tries.
            self._open_until = self._clock() + self._pause
        try:
            yield
        except Unavailable:
            self._failed += 1
            if self._failed >= self._most:
                self._open_until = self._clock() + self._pause
            raise
        else:
            self._failed = 0
            self._open_until = None
