"""Stops asking what does not answer, so that callers fail at once instead of waiting.

    breaker = CircuitBreaker("stripe")
    with breaker:           # raises `Unavailable` while the breaker is open
        ...                 # `Unavailable` raised here counts as a failure

Closed, it counts the calls of the last minute; when there were enough and half
of them failed, it opens.  After a pause a few callers may try: when all of them
are done, their outcomes close it or open it again.  A call that is cancelled
counts for nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType

import interlock
from interlock import CircuitOpenError, State, WindowType
from prometheus_client import Counter, Gauge

from shared.errors import Unavailable
from shared.logger import get_logger

__all__ = ["CircuitBreaker", "State"]

logger = get_logger(__name__)

_WINDOW_SECONDS = 60
_BUCKETS = 10
_TICK = _WINDOW_SECONDS / _BUCKETS
_PROBES = 3
_STATE = Gauge(
    "circuit_breaker_state",
    "0 closed, 1 half open, 2 open.",
    ("target",),
    multiprocess_mode="livemax",
)
_REFUSED = Counter("circuit_breaker_refused_total", "Calls that were not made.", ("target",))
_NUMBERS = {State.CLOSED: 0, State.HALF_OPEN: 1, State.OPEN: 2}


class CircuitBreaker:
    """Around calls to one thing that is asked over a network.

    ``failure`` is what counts as one; anything else that is raised counts as
    an answer.  ``refuse`` makes what a caller gets instead of a call.
    """

    def __init__(
        self,
        target: str,
        *,
        failure: type[Exception] = Unavailable,
        refuse: Callable[[], Exception] = Unavailable,
        least_calls: int = 20,
        failing_share: float = 0.5,
        pause_seconds: float = 30,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._target = target
        self._refuse = refuse
        self._clock = clock
        self._time = _Time()
        self._told = State.CLOSED
        config = interlock.Config(
            failure_rate_threshold=failing_share,
            minimum_number_of_calls=least_calls,
            slow_call_duration_threshold=float("inf"),
            wait_duration_in_open=pause_seconds / _TICK,
            permitted_calls_in_half_open=_PROBES,
            max_concurrent_probes=_PROBES,
            window_type=WindowType.TIME_BASED,
            window_size=_BUCKETS,
        )
        self._breaker = interlock.CircuitBreaker(
            name=target,
            config=config,
            clock=self._time,
            classifier=_Failures(failure),
        )
        _STATE.labels(target).set(0)

    def state(self) -> State:
        """Whether calls are made; after the pause it is open until somebody asks."""
        return self._breaker.state

    def __enter__(self) -> None:
        self._time.set(self._clock())
        try:
            self._breaker.__enter__()
        except CircuitOpenError:
            _REFUSED.labels(self._target).inc()
            raise self._refuse() from None
        if self._told is not State.CLOSED:
            self._tell()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._time.set(self._clock())
        self._breaker.__exit__(kind, error, traceback)
        # A success while it is closed changes nothing, and is nearly all there is.
        if kind is not None or self._told is not State.CLOSED:
            self._tell()

    def _tell(self) -> None:
        state = self._breaker.state
        if state is not self._told:
            self._told = state
            _STATE.labels(self._target).set(_NUMBERS[state])
            log = logger.info if state is State.CLOSED else logger.warning
            log("circuit_breaker.changed", target=self._target, state=str(state))


class _Time:
    """The clock of the library, which asks it five times a call: set once, before.

    Its unit is longer than a second, since there is a bucket for each of them and
    all are looked at after each call.
    """

    __slots__ = ("monotonic",)

    def __init__(self) -> None:
        self.set(0.0)

    def set(self, seconds: float) -> None:
        """It is so late."""
        self.monotonic = (seconds / _TICK).__float__


@dataclass(frozen=True, slots=True)
class _Failures:
    kind: type[Exception]

    def is_failure(self, *, result: object, exception: Exception | None) -> bool:
        return isinstance(exception, self.kind)
