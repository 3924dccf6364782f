"""Open subscriptions: one upstream for identical ones, listeners that never slow each other.

A subscription stays on the runtime it began with, so a new supergraph does not
interrupt it; it ends only when its document is no longer valid there, or when
other parts of it than before are refused to its caller.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from typing import TYPE_CHECKING, Any

from prometheus_client import Counter, Gauge

from gateway.masking import quotable
from shared.deadline import deadline
from shared.logger import get_logger, request_id
from shared.protocols.lifetime import closing
from shared.protocols.problems import error_entry, internal_entry, to_quote
from shared.protocols.service import GraphQLResult

if TYPE_CHECKING:
    from gateway.context import RequestContext
    from gateway.cost import Bill
    from gateway.federation.execution import Response
    from gateway.federation.transport import SubgraphTransport
    from gateway.runtime import Document, Planned, Runtime

__all__ = ["Subscriptions"]

logger = get_logger(__name__)

_LISTENERS = Gauge(
    "graphql_subscription_listeners",
    "Subscriptions that clients have open.",
    multiprocess_mode="livesum",
)
_UPSTREAMS = Gauge(
    "graphql_subscription_upstreams", "Streams open at subgraphs.", multiprocess_mode="livesum"
)
_MISSED = Counter(
    "graphql_subscription_missed_events_total", "Events that a client was too slow to take."
)

_Key = tuple[Any, ...]


class _Listener:
    """One client's view of an upstream: what waits for it, and what it missed."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._waiting: deque[GraphQLResult] = deque()
        self._missed = 0
        self._interrupted = False
        self._ended = False
        self._changed = asyncio.Event()

    def offer(self, result: GraphQLResult) -> None:
        """Hand an event over; when too many wait already, it is missed."""
        if len(self._waiting) >= self._most:
            self._missed += 1
            _MISSED.inc()
            return
        self._waiting.append(self._told(result))
        self._changed.set()

    def interrupt(self) -> None:
        """Nobody knows how many events are missed now."""
        self._interrupted = True

    def _told(self, result: GraphQLResult) -> GraphQLResult:
        """The event; it says what is missing before it."""
        if not self._missed and not self._interrupted:
            return result
        lagged: dict[str, Any] = {"missed": self._missed}
        if self._interrupted:
            lagged["interrupted"] = True
        self._missed, self._interrupted = 0, False
        extensions = {**result.extensions, "lagged": lagged}
        return dataclasses.replace(result, extensions=extensions)

    def end(self, result: GraphQLResult | None = None) -> None:
        """No more events after what waits, and perhaps this."""
        if result is not None:
            self._waiting.append(self._told(result))
        self._ended = True
        self._changed.set()

    async def next(self) -> GraphQLResult | None:
        """The next event; None after the last."""
        while not self._waiting:
            if self._ended:
                return None
            self._changed.clear()
            await self._changed.wait()
        return self._waiting.popleft()


class _Upstream:
    """One stream at a subgraph and the clients that listen to it."""

    def __init__(
        self,
        runtime: Runtime,
        document: Document,
        planned: Planned,
        variables: Mapping[str, Any],
        context: RequestContext,
        bill: Bill | None,
    ) -> None:
        self.runtime = runtime
        self.document = document
        self.planned = planned
        self.variables = variables
        # Of the first who listens; the others may see the same.
        self.context = context
        self.opened_by = request_id.get()
        self.bill = bill if bill is not None and bill.is_metered else None
        self.listeners: set[_Listener] = set()
        self.task: asyncio.Task[None] | None = None

    async def pump(self) -> None:
        # The request that opened this may be over long before.
        deadline.set(None)
        context = dataclasses.replace(self.context, interrupted=self._interrupt)
        executable = self.planned.executable
        transport: SubgraphTransport = self.runtime.transport
        if self.bill is not None:
            transport = self.bill.over(transport)
        responses = executable.subscribe(transport, self.variables, context)
        last: GraphQLResult | None = None
        _UPSTREAMS.inc()
        try:
            async for response in responses:
                result = self._result(response)
                for listener in self.listeners:
                    listener.offer(result)
                # Events may come without a pause; those who listen need one.
                await asyncio.sleep(0)
        except Exception as error:  # noqa: BLE001 - the edge: logged, and told to the clients
            last = GraphQLResult(errors=[internal_entry(error)], status=500)
        finally:
            _UPSTREAMS.dec()
            await closing(responses)
            self.end(last)

    def _result(self, response: Response) -> GraphQLResult:
        extensions: Mapping[str, Any] = response.extensions
        if self.bill is not None:
            extensions = self.bill.close(extensions)
        return GraphQLResult(response.data, quotable(response.errors), extensions)

    def _interrupt(self) -> None:
        for listener in self.listeners:
            listener.interrupt()

    async def stays(self, runtime: Runtime) -> bool:
        """Whether a new runtime would answer this, and refuse no other part of it."""
        return await runtime.accepts(
            self.document,
            self.variables,
            self.context.authorization,
            self.planned.executable.refusals,
        )

    def end(self, result: GraphQLResult | None) -> None:
        for listener in self.listeners:
            listener.end(result)


class Subscriptions:
    """Every open subscription of a gateway.

    Callers of one audience that ask the same with the same variables share an
    upstream.  A listener that is more than ``most_waiting`` events behind misses
    some; the next event says how many, in ``extensions.lagged.missed``.  When the
    stream of a subgraph was lost and opened again, all who listen stay, and
    ``extensions.lagged.interrupted`` of their next event tells them.
    """

    def __init__(self, *, most_waiting: int = 32, clock: Callable[[], float] = time.time) -> None:
        self._most_waiting = most_waiting
        self._clock = clock
        self._upstreams: dict[_Key, _Upstream] = {}

    async def open(
        self,
        runtime: Runtime,
        document: Document,
        planned: Planned,
        variables: Mapping[str, Any],
        context: RequestContext,
        bill: Bill | None = None,
    ) -> AsyncIterator[GraphQLResult]:
        """The events of one client's subscription, until its token expires.

        ``bill`` counts what each event costs, and tells those clients who asked for it.
        """
        listener = _Listener(self._most_waiting)
        key = _key(planned, variables, context, told=bill is not None and bill.told)
        upstream = self._join(
            key, listener, _Upstream(runtime, document, planned, variables, context, bill)
        )
        shares, is_logged = upstream.opened_by != request_id.get(), False
        _LISTENERS.inc()
        try:
            while (result := await self._next(listener, context)) is not None:
                if shares and _quotes(result):
                    if not is_logged:
                        logger.warning("subscription.shared_errors", opened_by=upstream.opened_by)
                        is_logged = True
                    result = _addressed(result)
                yield result
        finally:
            _LISTENERS.dec()
            await self._leave(key, upstream, listener)

    async def check(self, runtime: Runtime) -> None:
        """End the subscriptions that ``runtime``, the new one, would not accept."""
        for upstream in list(self._upstreams.values()):
            if not await upstream.stays(runtime):
                message = "The schema has changed, and no longer gives what this subscription asks."
                errors = [error_entry(message, code="SUBSCRIPTION_SCHEMA_RELOAD")]
                upstream.end(GraphQLResult(errors=errors, status=410))
            # There may be thousands, and all they need is known by now: others want to run, too.
            await asyncio.sleep(0)

    def close(self) -> None:
        """End every subscription; their clients were asked to connect elsewhere before."""
        for upstream in list(self._upstreams.values()):
            upstream.end(None)

    def _join(self, key: _Key, listener: _Listener, new: _Upstream) -> _Upstream:
        """The open upstream of this key, or else the new one, which is opened."""
        upstream = self._upstreams.get(key)
        if upstream is None or upstream.task is None or upstream.task.done():
            upstream = self._upstreams[key] = new
            upstream.listeners.add(listener)
            upstream.task = asyncio.create_task(upstream.pump())
        else:
            upstream.listeners.add(listener)
        return upstream

    async def _leave(self, key: _Key, upstream: _Upstream, listener: _Listener) -> None:
        upstream.listeners.discard(listener)
        if upstream.listeners:
            return
        if self._upstreams.get(key) is upstream:
            del self._upstreams[key]
        assert upstream.task is not None
        upstream.task.cancel()
        await asyncio.wait([upstream.task])

    async def _next(self, listener: _Listener, context: RequestContext) -> GraphQLResult | None:
        if context.expires_at is None:
            return await listener.next()
        try:
            async with asyncio.timeout(max(0.0, context.expires_at - self._clock())):
                return await listener.next()
        except TimeoutError:
            message = "The access token has expired. Subscribe again with a new one."
            errors = [error_entry(message, code="SUBSCRIPTION_TOKEN_EXPIRED")]
            listener.end(GraphQLResult(errors=errors, status=401))
            return await listener.next()


def _quotes(result: GraphQLResult) -> bool:
    return any("requestId" in error.get("extensions", ()) for error in result.errors)


def _addressed(result: GraphQLResult) -> GraphQLResult:
    """The event with the ids of who asks here in place of those of who opened the upstream."""
    ids = to_quote()
    errors = []
    for error in result.errors:
        known = error.get("extensions", {})
        own = {name: value for name, value in ids.items() if name in known}
        errors.append({**error, "extensions": {**known, **own}} if own else error)
    return dataclasses.replace(result, errors=errors)


def _key(
    planned: Planned, variables: Mapping[str, Any], context: RequestContext, *, told: bool
) -> _Key:
    # Nobody shares with a caller without an audience: the context is their own.
    audience = id(context) if context.audience is None else context.audience
    values = json.dumps(variables, sort_keys=True, default=str)
    return (id(planned.executable), values, audience, told)
