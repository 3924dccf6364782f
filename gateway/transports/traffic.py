"""Kindness to subgraphs in trouble: identical fetches made once, few retries, a breaker each."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, TypedDict, Unpack

import stamina
from prometheus_client import Counter, Histogram

from gateway.federation.transport import SubgraphError, SubgraphRequest, SubgraphResponse
from gateway.transports.http import SubgraphUnreachable, timed_out
from gateway.transports.reconnecting import Patience, kept_open
from shared.circuit_breaker import CircuitBreaker
from shared.deadline import remaining

if TYPE_CHECKING:
    from gateway.context import RequestContext
    from gateway.transports.forwarding import ForwardedRequest, ForwardedResponse
    from gateway.transports.http import HttpTransport

__all__ = ["CircuitBreakers", "Traffic"]

_SHARED = Counter(
    "subgraph_fetches_shared_total", "Fetches answered by one in flight.", ("subgraph",)
)
_RETRIED = Counter("subgraph_fetches_retried_total", "Fetches made again.", ("subgraph",))
_DURATION = Histogram(
    "subgraph_fetch_duration_seconds",
    "Duration of each attempt at a fetch, also of one that failed.",
    ("subgraph",),
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1, 2.5, 5, 10, 30),
)

_LONGEST = 3_600.0
_MOMENT = 0.01
"""Seconds: who had less left has failed for want of time."""

Execute = Callable[..., Awaitable[SubgraphResponse]]


class BreakerNumbers(TypedDict, total=False):
    """Those of `CircuitBreaker` that may be said."""

    least_calls: int
    failing_share: float
    pause_seconds: float


class CircuitBreakers:
    """A breaker per subgraph, which outlives the transports of one supergraph.

    ``own`` has the numbers that are different for single subgraphs.
    """

    def __init__(
        self, *, own: Mapping[str, BreakerNumbers] = {}, **numbers: Unpack[BreakerNumbers]
    ) -> None:
        self._own = own
        self._numbers = numbers
        self._made: dict[str, CircuitBreaker] = {}

    def of(self, subgraph: str) -> CircuitBreaker:
        """The breaker of one subgraph."""
        breaker = self._made.get(subgraph)
        if breaker is None:
            breaker = self._made[subgraph] = self._make(subgraph)
        return breaker

    def _make(self, subgraph: str) -> CircuitBreaker:
        def refuse() -> SubgraphError:
            return SubgraphError(f"{subgraph} is not available.", code="DOWNSTREAM_UNAVAILABLE")

        own: BreakerNumbers = self._own.get(subgraph, {})
        numbers: BreakerNumbers = {**self._numbers, **own}
        return CircuitBreaker(subgraph, failure=SubgraphUnreachable, refuse=refuse, **numbers)


class Traffic:
    """A transport around `HttpTransport`.

    A query that failed without an answer is asked again, after a pause with
    jitter, if the request's time allows; a mutation never is.  ``own_attempts``
    has how often single subgraphs are asked.  A stream that was lost is opened
    again, with ``patience``.
    """

    def __init__(
        self,
        inner: HttpTransport,
        breakers: CircuitBreakers,
        *,
        attempts: int = 2,
        own_attempts: Mapping[str, int] = {},
        pause_seconds: float = 0.1,
        patience: Patience | None = None,
    ) -> None:
        self._patience = patience or Patience()
        self._inner = inner
        self._breakers = breakers
        self._attempts = attempts
        self._own_attempts = own_attempts
        self._pause_seconds = pause_seconds
        self._in_flight: dict[Hashable, _Flight] = {}
        self._durations: dict[str, Histogram] = {}

    async def execute(self, request: SubgraphRequest) -> SubgraphResponse:
        """The answer."""
        return await self._answer(self._inner.execute, request)

    async def execute_undecoded(self, request: SubgraphRequest) -> SubgraphResponse:
        """The answer, with ``data`` left as the JSON that came."""
        return await self._answer(self._inner.execute_undecoded, request)

    def subscribe(self, request: SubgraphRequest) -> AsyncIterator[SubgraphResponse]:
        """One response per event."""
        return kept_open(self._inner.subscribe, request, self._patience)

    async def forward(
        self, subgraph: str, request: ForwardedRequest, context: RequestContext
    ) -> ForwardedResponse:
        """Hand on a REST request, once."""
        with self._breakers.of(subgraph):
            return await self._inner.forward(subgraph, request, context)

    async def close(self) -> None:
        """Close every connection."""
        await self._inner.close()

    async def _answer(self, execute: Execute, request: SubgraphRequest) -> SubgraphResponse:
        if request.fetch.kind == "query":
            response = await self._query(execute, request)
        else:
            try:
                response = await self._attempt(execute, request)
            finally:
                # What began before the change may not be given to who asks after it.
                self._in_flight.clear()
        request.context.cache_policy.add(response.headers)
        return response

    async def _query(self, execute: Execute, request: SubgraphRequest) -> SubgraphResponse:
        """The answer, asked for once for all who may see the same and wait at the same time.

        The first of them asks.  If it stops waiting, the next one does.
        """
        audience: Hashable = request.context.audience
        body = self._inner.encode(request)
        ask = partial(execute, body=body)
        if audience is None:
            return await self._patiently(ask, request)
        key = (execute.__name__, request.fetch.subgraph, body, audience)
        while (flight := self._in_flight.get(key)) is not None:
            _SHARED.labels(request.fetch.subgraph).inc()
            with suppress(_Abandoned):
                return await self._landing(flight, request)
        flight = self._in_flight[key] = _Flight()
        try:
            response = await self._patiently(ask, request)
        except SubgraphError as error:
            # Those who wait may have more time than who asked.
            flight.fail(error if remaining(_MOMENT) == _MOMENT else _Abandoned())
            raise
        except BaseException:
            flight.fail(_Abandoned())
            raise
        else:
            return flight.land(response)
        finally:
            if self._in_flight.get(key) is flight:
                del self._in_flight[key]

    @staticmethod
    async def _landing(flight: _Flight, request: SubgraphRequest) -> SubgraphResponse:
        try:
            async with asyncio.timeout(remaining(_LONGEST)):
                return await flight.landing()
        except TimeoutError as error:
            raise timed_out(request.fetch.subgraph) from error

    async def _patiently(self, execute: Execute, request: SubgraphRequest) -> SubgraphResponse:
        try:
            return await self._attempt(execute, request)
        except SubgraphUnreachable:
            attempts = self._own_attempts.get(request.fetch.subgraph, self._attempts)
            pause = self._pause_seconds * random.uniform(0.5, 1.5)  # noqa: S311 - jitter
            if attempts < 2 or remaining(60) <= pause:
                raise
        await asyncio.sleep(pause)
        async for attempt in stamina.retry_context(
            on=SubgraphUnreachable,
            attempts=attempts - 1,
            timeout=remaining(60),
            wait_initial=self._pause_seconds,
        ):
            with attempt:
                _RETRIED.labels(request.fetch.subgraph).inc()
                return await self._attempt(execute, request)
        raise AssertionError("stamina ends by returning or raising")

    async def _attempt(self, execute: Execute, request: SubgraphRequest) -> SubgraphResponse:
        name = request.fetch.subgraph
        duration = self._durations.get(name)
        if duration is None:
            duration = self._durations[name] = _DURATION.labels(name)
        with self._breakers.of(name):
            started = time.perf_counter()
            try:
                return await execute(request)
            finally:
                duration.observe(time.perf_counter() - started)


class _Abandoned(Exception):
    """Who asked has stopped waiting."""


class _Flight:
    """A fetch under way, and whoever else waits for its answer."""

    def __init__(self) -> None:
        self._waiting: list[asyncio.Future[SubgraphResponse]] = []

    async def landing(self) -> SubgraphResponse:
        """The answer; raises `_Abandoned` when there will be none."""
        future: asyncio.Future[SubgraphResponse] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        return await future

    def land(self, response: SubgraphResponse) -> SubgraphResponse:
        """Give all who wait the same; returns it."""
        if self._waiting:
            response = replace(response, exclusive=False)
        for future in self._waiting:
            if not future.done():
                future.set_result(response)
        return response

    def fail(self, error: Exception) -> None:
        """Raise the same where they wait."""
        for future in self._waiting:
            if not future.done():
                future.set_exception(error)
