"""The circuit breaker's states, under a clock that the test sets."""

from __future__ import annotations

from asyncio import CancelledError, Event, create_task, wait
from contextlib import ExitStack

import pytest
from prometheus_client import REGISTRY

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
        with breaker:
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


def test_after_the_pause_three_may_try_at_once(breaker: CircuitBreaker, clock: Clock) -> None:
    failing(breaker, 20)
    clock.now += 29
    with pytest.raises(Unavailable):
        call(breaker)
    clock.now += 1
    with ExitStack() as probes:
        for _ in range(3):
            probes.enter_context(breaker)
        assert breaker.state() == "half_open"
        with pytest.raises(Unavailable):
            call(breaker)
    assert breaker.state() == "closed"


def test_three_successes_close_it(breaker: CircuitBreaker, clock: Clock) -> None:
    failing(breaker, 20)
    clock.now += 30
    call(breaker)
    call(breaker)
    assert breaker.state() == "half_open"
    call(breaker)
    assert breaker.state() == "closed"


def test_two_failures_of_three_open_it_again(breaker: CircuitBreaker, clock: Clock) -> None:
    failing(breaker, 20)
    clock.now += 30
    call(breaker)
    failing(breaker, 2)
    assert breaker.state() == "open"
    clock.now += 29
    with pytest.raises(Unavailable):
        call(breaker)


def test_a_call_from_before_the_change_counts_for_nothing(
    breaker: CircuitBreaker, clock: Clock
) -> None:
    with breaker:
        failing(breaker, 20)
        clock.now += 30
        call(breaker)
        assert breaker.state() == "half_open"
    call(breaker)
    assert breaker.state() == "half_open"


def cancelled(breaker: CircuitBreaker) -> None:
    with pytest.raises(CancelledError), breaker:
        raise CancelledError


def test_a_cancelled_call_counts_for_nothing(breaker: CircuitBreaker) -> None:
    failing(breaker, 19)
    for _ in range(30):
        cancelled(breaker)
    failing(breaker, 1)
    assert breaker.state() == "open"


def test_a_cancelled_probe_lets_another_try(breaker: CircuitBreaker, clock: Clock) -> None:
    failing(breaker, 20)
    clock.now += 30
    for _ in range(30):
        cancelled(breaker)
    assert breaker.state() == "half_open"
    for _ in range(3):
        call(breaker)
    assert breaker.state() == "closed"


async def test_calls_of_many_tasks_are_told_apart(breaker: CircuitBreaker) -> None:
    """Those that fail began between those that do not, and end in another order."""
    ends = [Event() for _ in range(20)]

    async def one(number: int) -> None:
        with breaker:
            await ends[number].wait()
            if number % 2:
                raise Unavailable

    calls = [create_task(one(number)) for number in range(20)]
    for end, ending in zip(reversed(ends), reversed(calls), strict=True):
        end.set()
        await wait([ending])
    assert [task.exception() is not None for task in calls] == [False, True] * 10
    assert breaker.state() == "open"


def test_the_state_and_refusals_are_told(breaker: CircuitBreaker, clock: Clock) -> None:
    def told(name: str) -> float | None:
        return REGISTRY.get_sample_value(name, {"target": "tested"})

    before = told("circuit_breaker_refused_total") or 0
    assert told("circuit_breaker_state") == 0
    failing(breaker, 20)
    failing(breaker, 1)
    assert told("circuit_breaker_state") == 2
    assert told("circuit_breaker_refused_total") == before + 1
    clock.now += 30
    call(breaker)
    assert told("circuit_breaker_state") == 1
