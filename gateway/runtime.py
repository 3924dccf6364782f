"""Everything that is derived from one supergraph, replaced as a whole when it changes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Protocol

from gateway.cache import LruCache
from gateway.cost import CostLimits
from gateway.federation.cost import PlanCost, Weights, compile_cost
from gateway.federation.deferral import in_parts, plan_in_parts
from gateway.federation.execution import (
    ExecutablePlan,
    IncrementalPlan,
    compile_incremental,
    compile_plan,
)
from gateway.federation.operation.authorization import (
    NOTHING_UNMET,
    Authorization,
    AuthorizationRules,
    OperationRefused,
    Refusals,
    Unmet,
)
from gateway.federation.operation.prepare import (
    InvalidRequest,
    PreparedOperation,
    check,
    forget_tokens,
    prepare,
)
from gateway.federation.plan import QueryPlan
from gateway.federation.planner import PlanningError, forget
from gateway.federation.transport import SubgraphRequest, SubgraphResponse, SubgraphTransport
from gateway.security.limits import LimitExceeded, Limits, check_variables, read_document
from shared.aside import Aside
from shared.errors import NexusError
from shared.telemetry import span

if TYPE_CHECKING:
    from gateway.federation.operation.selection import Operation, Selection
    from gateway.federation.supergraph import Supergraph

__all__ = ["Document", "Planned", "Runtime", "Transport"]

Refuse = Literal["fields", "operation", "nothing"]
"""What becomes of an operation that asks for more than its caller may have."""
Undecoded = Callable[[SubgraphRequest], Awaitable[SubgraphResponse]]

_LONG = 300
"""Documents of more characters are parsed and validated off the loop."""
_ENTRIES = 2_000
_BYTES = 40_000_000
"""About how much memory the documents may hold, and the plans."""
_BYTES_PER_CHARACTER = 60
_BYTES_PER_FIELD = 300
_MOST_WAITING = 100
_MOST_CHARACTERS_WAITING = 1_000_000
"""How many unknown operations may wait to be read and planned: about ten seconds of work."""


class Transport(SubgraphTransport, Protocol):
    """A transport that a runtime owns."""

    async def close(self) -> None:
        """Close every connection."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Document:
    """One operation of a text that clients send; compared by identity."""

    operation: PreparedOperation
    source: str
    operation_name: str | None


@dataclass(slots=True, eq=False)
class Planned:
    """A plan that is ready to run, and whether it answers about the schema itself.

    ``incremental`` runs it for clients that take deferred fragments later, where
    that gains something.  ``weight`` is about how many bytes it holds.  ``overlooked``
    is what would be refused if that were not only logged.
    """

    executable: ExecutablePlan
    introspects: bool
    incremental: IncrementalPlan | None
    weight: int
    cost: PlanCost | None = None
    """Made where costs are kept, or clients may ask for them."""
    overlooked: tuple[Mapping[str, Any], ...] = ()
    uses: int = 0


@dataclass(frozen=True, slots=True)
class _Failure:
    """Why a document is not served: kept, so that asking again is cheap."""

    error: InvalidRequest | LimitExceeded | PlanningError | OperationRefused


class Runtime:
    """One supergraph, its transport, and what was made of the documents seen so far.

    A known document costs two look-ups.  An unknown one is parsed, validated and
    planned once, however many ask for it at the same time, and planning never
    holds up the loop.
    """

    def __init__(
        self,
        supergraph: Supergraph,
        transport: Transport,
        *,
        limits: Limits | None = None,
        costs: CostLimits | None = None,
        hide_suggestions: bool = True,
        refuse: Refuse = "fields",
    ) -> None:
        self.supergraph = supergraph
        self.transport = transport
        self._rules = AuthorizationRules.of(supergraph)
        self._refuse = refuse
        self.execute_undecoded: Undecoded | None = getattr(transport, "execute_undecoded", None)
        self._limits = limits or Limits()
        self.costs = costs or CostLimits()
        self._weights = Weights(supergraph, self.costs.list_size)
        self._hide_suggestions = hide_suggestions
        self._prepared: LruCache[tuple[str, str | None], Document | _Failure] = LruCache(
            entries=_ENTRIES, weight=_BYTES, name="documents"
        )
        self._plans: LruCache[tuple[Any, ...], Planned | _Failure] = LruCache(
            entries=_ENTRIES, weight=_BYTES, name="plans"
        )
        self._by_operation: LruCache[tuple[Any, ...], ExecutablePlan] = LruCache(
            entries=_ENTRIES, weight=_BYTES
        )
        # The planner keeps what it learns of a supergraph without locks: one thread.
        self._aside = Aside(most=_MOST_WAITING, size=_MOST_CHARACTERS_WAITING)
        self._users = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def prepare(self, source: str, operation_name: str | None) -> Document:
        """The operation of a text; raises `InvalidRequest` or `LimitExceeded`."""
        key = (source, operation_name)
        found = self._prepared.get(key)
        if found is None:
            if len(source) <= _LONG:
                found = self._prepare(source, operation_name)
            else:
                found = await self._aside.once(
                    key, len(source), self._prepare, source, operation_name
                )
            self._prepared.put(key, found, weight=_weight(source))
        if isinstance(found, _Failure):
            # Raised again and again, its traceback would grow each time.
            raise found.error.with_traceback(None)
        return found

    def _prepare(self, source: str, operation_name: str | None) -> Document | _Failure:
        schema = self.supergraph.api_schema
        try:
            document = read_document(source, self._limits)
            check(schema, document, hide_suggestions=self._hide_suggestions)
            forget_tokens(document)
            operation = prepare(
                schema, document, operation_name, hide_suggestions=self._hide_suggestions
            )
            return Document(operation, source, operation_name)
        except (InvalidRequest, LimitExceeded) as error:
            return _Failure(error)

    def coerce(self, document: Document, given: Mapping[str, Any]) -> dict[str, Any]:
        """The operation's variables; raises `LimitExceeded` or `InvalidRequest`."""
        check_variables(given, self._limits)
        return document.operation.coerce(given)

    def unmet(self, caller: Callable[[], Authorization]) -> Unmet:
        """What the supergraph asks of callers and this one does not have."""
        return self._rules.unmet(caller()) if self._rules is not None else NOTHING_UNMET

    async def plan(
        self,
        document: Document,
        coerced: Mapping[str, Any],
        labels: Mapping[str, bool],
        unmet: Unmet = NOTHING_UNMET,
        *,
        incremental: bool = False,
    ) -> Planned:
        """The plan under these variables, without what asks for something of ``unmet``.

        For an ``incremental`` answer what is deferred has fetches of its own: a round trip
        more, for which the rest does not wait.  Raises `InvalidRequest`, `PlanningError` or
        `OperationRefused`.
        """
        operation = document.operation
        incremental = incremental and operation.defers
        key = (document, operation.condition_key(coerced), unmet, incremental, *labels.values())
        found = self._plans.get(key)
        if found is None:
            make = partial(self._plan, operation, coerced, labels, unmet, incremental=incremental)
            found = await self._aside.once(key, len(document.source), make)
            made = found.weight if isinstance(found, Planned) else 0
            self._plans.put(key, found, weight=_weight(document.source) + made)
        if isinstance(found, _Failure):
            raise found.error.with_traceback(None)
        found.uses += 1
        return found

    def cost_of(self, planned: Planned) -> PlanCost:
        """What a plan costs."""
        return planned.cost or compile_cost(self._weights, planned.executable.plan)

    def _plan(
        self,
        prepared: PreparedOperation,
        coerced: Mapping[str, Any],
        labels: Mapping[str, bool],
        unmet: Unmet,
        *,
        incremental: bool,
    ) -> Planned | _Failure:
        try:
            if incremental:
                operation, primary, deferred = in_parts(self.supergraph, prepared, coerced)
            else:
                operation = primary = prepared.fold(coerced)
                deferred = ()
            allowed, refusals, overlooked = self._allowed(operation, unmet)
            key = (_identity(operation), unmet if refusals else None, *labels.values())
            weight = _BYTES_PER_FIELD * _count(operation.selections)
            executable = self._by_operation.get(key)
            if executable is None:
                with span("plan"):
                    made = QueryPlan((), {})
                    if refusals is None or allowed.selections:
                        made = plan_in_parts(self.supergraph, allowed, labels=labels)
                    executable = compile_plan(self.supergraph, operation, made, refusals)
                self._by_operation.put(key, executable, weight=weight)
            parts = compile_incremental(executable, primary, deferred)
        except (InvalidRequest, PlanningError, OperationRefused) as error:
            return _Failure(error)
        asked = self.costs.are_kept or self.costs.exposed
        cost = compile_cost(self._weights, executable.plan) if asked else None
        introspects = executable.introspection is not None
        return Planned(executable, introspects, parts, weight, cost, overlooked)

    def _allowed(
        self, operation: Operation, unmet: Unmet
    ) -> tuple[Operation, Refusals | None, tuple[Mapping[str, Any], ...]]:
        """What is left of an operation, what was refused of it, and what only should have been."""
        if self._rules is None or not unmet:
            return operation, None, ()
        allowed, refusals = self._rules.prune(operation, unmet)
        if refusals is None or self._refuse == "fields":
            return allowed, refusals, ()
        errors = refusals.errors
        if self._refuse == "nothing":
            return operation, None, tuple(errors)
        if errors:
            raise OperationRefused(errors)
        # Nothing was asked for by name, but an abstract type may turn out to be a refused one.
        return allowed, refusals, ()

    async def accepts(
        self,
        document: Document,
        coerced: Mapping[str, Any],
        caller: Callable[[], Authorization],
        refused: Refusals | None,
    ) -> bool:
        """Whether an operation of another runtime is valid here, and as much of it refused."""
        # What cannot be told now is no reason against it.
        with suppress(NexusError):
            try:
                here = await self.prepare(document.source, document.operation_name)
                _, refusals, _ = self._allowed(here.operation.fold(coerced), self.unmet(caller))
            except (InvalidRequest, LimitExceeded, OperationRefused):
                return False
            return refusals == refused
        return True

    async def warm_up(self, previous: Runtime, *, most: int = 200) -> int:
        """Plan what ``previous`` ran most often; returns how many plans that made."""
        made = 0
        most_used = sorted(previous.plans(), key=lambda found: -found[1].uses)
        for (document, conditions, unmet, incremental, *chosen), _ in most_used[:most]:
            with suppress(
                InvalidRequest, LimitExceeded, PlanningError, OperationRefused, NexusError
            ):
                here = await self.prepare(document.source, document.operation_name)
                coerced = dict(zip(here.operation.conditions, conditions, strict=True))
                known = dict(zip(sorted(previous.supergraph.labels), chosen, strict=True))
                labels = {one: known.get(one, False) for one in sorted(self.supergraph.labels)}
                await self.plan(here, coerced, labels, unmet, incremental=incremental)
                made += 1
        return made

    def plans(self) -> list[tuple[tuple[Any, ...], Planned]]:
        """The plans that ran, under document, conditions, what is unmet,
        whether incremental, and labels; the latest first.
        """
        return [(key, found) for key, found in self._plans.latest() if isinstance(found, Planned)]

    @contextmanager
    def use(self) -> Iterator[None]:
        """Keep the transport open inside the block, also if the runtime is retired meanwhile."""
        self._users += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._users -= 1
            if not self._users:
                self._idle.set()

    async def idle(self) -> None:
        """Return when nobody uses this runtime."""
        await self._idle.wait()

    async def close(self) -> None:
        """Close the transport's connections."""
        self._aside.close()
        await self.transport.close()

    async def retire(self, *, with_supergraph: bool = False) -> None:
        """Close as soon as nobody uses this runtime any more.

        ``with_supergraph`` then frees both, beside the loop: the supergraph must be nobody else's.
        """
        await self.idle()
        self._aside.close(self._take_apart if with_supergraph else None)
        await self.transport.close()

    def _take_apart(self) -> None:
        for _, planned in self.plans():
            planned.executable.take_apart()
            if planned.incremental is not None:
                planned.incremental.take_apart()
        for _, executable in self._by_operation.latest():
            executable.take_apart()
        for cache in (self._prepared, self._plans, self._by_operation):
            cache.clear()
        forget(self.supergraph)
        self.supergraph.take_apart()


def _weight(source: str) -> int:
    return 1_000 + _BYTES_PER_CHARACTER * len(source)


def _count(selections: tuple[Selection, ...]) -> int:
    return len(selections) + sum(_count(one.selections) for one in selections)


def _identity(operation: Operation) -> tuple[Any, ...]:
    """What makes two texts the same operation."""
    return (
        operation.kind,
        operation.root_type,
        tuple(operation.variables.items()),
        operation.selections,
        operation.directives,
    )
