"""Stops asking what does not answer, so that callers fail at once instead of waiting.

    breaker = CircuitBreaker("stripe")
    with breaker.guard():           # raises `Unavailable` while the breaker is open
        ...                         # `Unavailable` raised here counts as a failure

Closed, it counts the calls of the last minute; when there were enough and half
of them failed, it opens.  After a pause it is half open: a few callers at a
time may try, and their outcomes close it or open it again.  No maintained
library for asyncio counts shares of failures or bounds the probes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

from prometheus_client import Counter, Gauge

from shared.errors import Unavailable
from shared.logger import get_logger

__all__ = ["CircuitBreaker", "State"]

logger = get_logger(__name__)

State = Literal["closed", "open", "half_open"]

_BUCKETS = 10
_STATE = Gauge("circuit_breaker_state", "0 closed, 1 half open, 2 open.", ("target",))
_REFUSED = Counter("circuit_breaker_refused_total", "Calls that were not made.", ("target",))
_NUMBERS: dict[State, int] = {"closed": 0, "half_open": 1, "open": 2}


class CircuitBreaker:
    """The state of one thing that is asked over a network.

    ``failure`` is what counts as one; anything else that is raised counts as
    an answer.  ``refuse`` makes what a caller gets instead of a call.
    """

    def __init__(
        self,
        target: str,
        *,
        failure: type[Exception] = Unavailable,
        refuse: Callable[[], Exception] = Unavailable,
        window_seconds: float = 60,
        least_calls: int = 20,
        failing_share: float = 0.5,
        pause_seconds: float = 30,
        probes: int = 5,
        successes: int = 3,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._target = target
        self._failure = failure
        self._refuse = refuse
        self._bucket_seconds = window_seconds / _BUCKETS
        self._least_calls = least_calls
        self._failing_share = failing_share
        self._pause_seconds = pause_seconds
        self._probes = probes
        self._successes = successes
        self._clock = clock
        self._state: State = "closed"
        self._opened_at = 0.0
        self._probing = 0
        self._succeeded = 0
        self._counts: dict[int, list[int]] = {}
        _STATE.labels(target).set(0)

    def state(self) -> State:
        """What a caller would meet now."""
        if self._state == "open" and self._clock() >= self._opened_at + self._pause_seconds:
            self._change("half_open")
        return self._state

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Around a call; raises what ``refuse`` makes instead of letting it happen while open."""
        state = self.state()
        if state == "open" or (state == "half_open" and self._probing >= self._probes):
            _REFUSED.labels(self._target).inc()
            raise self._refuse()
        self._probing += 1
        try:
            yield
        except self._failure:
            self._record(state, failed=True)
            raise
        except Exception:
            self._record(state, failed=False)
            raise
        else:
            self._record(state, failed=False)
        finally:
            self._probing -= 1

    def _record(self, state: State, *, failed: bool) -> None:
        if state != self._state:
            return  # It began before the last change, and says nothing about what is now.
        if state == "half_open":
            self._succeeded += not failed
            if failed:
                self._change("open")
            elif self._succeeded >= self._successes:
                self._change("closed")
            return
        now = int(self._clock() / self._bucket_seconds)
        bucket = self._counts.get(now)
        if bucket is None:
            self._counts = {n: b for n, b in self._counts.items() if n > now - _BUCKETS}
            bucket = self._counts[now] = [0, 0]
        bucket[0] += 1
        if failed:
            bucket[1] += 1
            self._open_if_failing(now)

    def _open_if_failing(self, now: int) -> None:
        recent = [bucket for number, bucket in self._counts.items() if number > now - _BUCKETS]
        calls = sum(bucket[0] for bucket in recent)
        failures = sum(bucket[1] for bucket in recent)
        if calls >= self._least_calls and failures >= self._failing_share * calls:
            self._change("open")

    def _change(self, state: State) -> None:
        self._state = state
        self._succeeded = 0
        self._counts = {}
        if state == "open":
            self._opened_at = self._clock()
        _STATE.labels(self._target).set(_NUMBERS[state])
        log = logger.info if state == "closed" else logger.warning
        log("circuit_breaker.changed", target=self._target, state=state)
