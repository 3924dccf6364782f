"""The circuit breaker's states, under a clock that the test sets."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from shared.circuit_breaker import CircuitBreaker
from shared.errors import NotFound, Unavailable


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> CircuitBreaker:
    return CircuitBreaker("tested", clock=clock)


def call(breaker: CircuitBreaker, error: Exception | None = None) -> None:
    try:
        with breaker.guard():
            if error is not None:
                raise error
    except Unavailable:
        if error is None:
            raise
    except NotFound:
        pass


def failing(breaker: CircuitBreaker, times: int) -> None:
    for _ in range(times):
        call(breaker, Unavailable())


def test_it_opens_when_half_of_enough_calls_failed(breaker: CircuitBreaker) -> None:
    for _ in range(10):
        call(breaker)
    failing(breaker, 9)
    assert breaker.state() == "closed"
    failing(breaker, 1)
    assert breaker.state() == "open"
    with pytest.raises(Unavailable):
        call(breaker)


def test_an_answer_that_refuses_is_no_failure(breaker: CircuitBreaker) -> None:
    for _ in range(30):
        call(breaker, NotFound())
    assert breaker.state() == "closed"


def test_what_failed_long_ago_is_forgotten(breaker: CircuitBreaker, clock: Clock) -> None:
    failing(breaker, 19)
    clock.now += 61
    failing(breaker, 19)
    assert breaker.state() == "closed"
    failing(breaker, 1)
    assert breaker.state() == "open"


def test_after_the_pause_exactly_five_may_try_at_once(
    breaker: CircuitBreaker, clock: Clock
) -> None:
    failing(breaker, 20)
    clock.now += 29
    assert breaker.state() == "open"
    clock.now += 1
    assert breaker.state() == "half_open"
    with ExitStack() as probes:
        for _ in range(5):
            probes.enter_context(breaker.guard())
        with pytest.raises(Unavailable):
            call(breaker)


def test_three_successes_close_it(breaker: CircuitBreaker, clock: Clock) -> None:
    failing(breaker, 20)
    clock.now += 30
    call(breaker)
    call(breaker)
    assert breaker.state() == "half_open"
    call(breaker)
    assert breaker.state() == "closed"


def test_one_failed_probe_opens_it_again(breaker: CircuitBreaker, clock: Clock) -> None:
    failing(breaker, 20)
    clock.now += 30
    call(breaker)
    failing(breaker, 1)
    assert breaker.state() == "open"
    clock.now += 29
    assert breaker.state() == "open"


def test_a_call_from_before_the_change_counts_for_nothing(
    breaker: CircuitBreaker, clock: Clock
) -> None:
    with breaker.guard():
        failing(breaker, 20)
        clock.now += 30
        assert breaker.state() == "half_open"
    for _ in range(2):
        call(breaker)
    assert breaker.state() == "half_open"
