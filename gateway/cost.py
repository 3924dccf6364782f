"""Demand control: what operations may cost, and what they did cost.

An operation is estimated before any of its fetches and refused if that is too
much.  What answers really cost is counted only for those who ask, or where the
settings say so, since counting reads every answer.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from prometheus_client import Histogram

from gateway.federation.cost import evaluate
from gateway.federation.transport import SubgraphError
from gateway.security.limits import note_exceeded
from shared.errors import NexusError
from shared.protocols.lifetime import closing

if TYPE_CHECKING:
    from gateway.federation.cost import FetchCost, Number, PlanCost
    from gateway.federation.plan import Fetch
    from gateway.federation.transport import SubgraphRequest, SubgraphResponse, SubgraphTransport

__all__ = ["Bill", "CostLimits", "CostMode", "open_bill"]

CostMode = Literal["off", "measure", "enforce"]

_OK = "COST_OK"
_ESTIMATED = "COST_ESTIMATED_TOO_EXPENSIVE"
_ACTUAL = "COST_ACTUAL_TOO_EXPENSIVE"
_SUBGRAPH = "SUBGRAPH_COST_ESTIMATED_TOO_EXPENSIVE"

_BUCKETS = (0, 1, 3, 10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000, 100_000, 1_000_000)
_ESTIMATES = Histogram(
    "graphql_cost_estimated",
    "What operations were estimated to cost at most.",
    ("kind", "result"),
    buckets=_BUCKETS,
)
_ACTUALS = Histogram(
    "graphql_cost_actual", "What operations cost.", ("kind", "result"), buckets=_BUCKETS
)
_DELTAS = Histogram(
    "graphql_cost_delta",
    "By how much operations cost less than was estimated.",
    ("kind", "result"),
    buckets=_BUCKETS,
)


@dataclass(frozen=True, slots=True)
class CostLimits:
    """What operations may cost.

    ``mode`` is about estimates: ``measure`` only counts those over ``most``, or
    over the most of one of the ``subgraphs``.  ``actual`` is about what answers
    cost: in the mode ``enforce`` a query that has cost ``most`` is sent to no
    further subgraph.  ``list_size`` is assumed of lists without `@listSize`.
    ``exposed`` lets every client ask what its operation costs.
    """

    mode: CostMode = "off"
    most: int = 10_000
    actual: CostMode = "off"
    list_size: int = 10
    subgraphs: Mapping[str, int] = field(default_factory=dict)
    exposed: bool = False

    @property
    def are_kept(self) -> bool:
        """Whether the cost of every operation is of interest."""
        return self.mode != "off" or self.actual != "off"


class _Refused(NexusError):
    status = 400


class EstimatedTooExpensive(_Refused):
    """The operation may cost more than is allowed."""

    code = _ESTIMATED


class SubgraphTooExpensive(_Refused):
    """One subgraph's part may cost more than is allowed."""

    code = _SUBGRAPH


class InvalidSlicing(_Refused):
    """Nothing says how long a list may get, or several arguments do."""

    code = "COST_INVALID_SLICING_ARGUMENTS"


def open_bill(
    limits: CostLimits,
    cost: PlanCost,
    variables: Mapping[str, Any],
    *,
    kind: str,
    told: bool,
) -> Bill:
    """The bill of an operation that may run; ``told`` says that its client gets to see it.

    Raises a `NexusError` for an operation that may not.
    """
    bill = Bill(limits, cost, variables, kind, told, evaluate(cost.total, variables))
    if limits.mode == "off":
        return bill
    result = _OK if bill.estimated <= limits.most else _ESTIMATED
    _estimates(kind, result).observe(bill.estimated)
    enforced = limits.mode == "enforce"
    if result != _OK:
        note_exceeded("cost", limits.most, enforced=enforced)
        if enforced:
            raise EstimatedTooExpensive(
                f"The operation may cost {bill.estimated}, which is over the limit"
                f" of {limits.most}.",
                details={"cost": {"estimated": bill.estimated, "max": limits.most}},
            )
    unsized = cost.unsized(variables)
    if unsized is not None:
        note_exceeded("slicing_arguments", 1, enforced=enforced)
        if enforced:
            raise InvalidSlicing(f"{unsized} needs exactly one of its slicing arguments.")
    if limits.subgraphs:
        _check_subgraphs(bill, enforced=enforced)
    return bill


@cache
def _estimates(kind: str, result: str) -> Histogram:
    """The histogram of one kind of operations; looking it up costs as much as counting."""
    return _ESTIMATES.labels(kind, result)


def _check_subgraphs(bill: Bill, *, enforced: bool) -> None:
    """Note the subgraphs that would get too much to do; half of anything but a query is refused."""
    for name, most in bill.limits.subgraphs.items():
        cost = bill.cost.subgraphs.get(name)
        if cost is None or evaluate(cost, bill.variables) <= most:
            continue
        note_exceeded("subgraph_cost", most, enforced=enforced)
        if enforced and bill.kind != "query":
            raise SubgraphTooExpensive(_too_much(name))
        if enforced:
            bill.closed.add(name)


def _too_much(subgraph: str) -> str:
    return f"What the operation asks of {subgraph} may cost more than is allowed."


@dataclass(slots=True)
class Bill:
    """What one operation, or one event of it, may cost, and what it has cost so far.

    ``closed`` are subgraphs that it may not ask.
    """

    limits: CostLimits
    cost: PlanCost
    variables: Mapping[str, Any]
    kind: str
    told: bool
    estimated: Number
    closed: set[str] = field(default_factory=set)
    actual: Number = 0
    fetches: dict[Fetch, Number] = field(default_factory=dict)

    @property
    def is_metered(self) -> bool:
        """Whether answers are counted, or some fetch is not to be sent."""
        return self.told or self.limits.actual != "off" or bool(self.closed)

    def over(self, transport: SubgraphTransport) -> SubgraphTransport:
        """A transport that counts answers, and sends nothing that costs too much."""
        return _Metered(transport, self)

    def admit(self, fetch: Fetch) -> None:
        """Raise `SubgraphError` for a fetch that is not to be sent."""
        if fetch.subgraph in self.closed:
            raise SubgraphError(_too_much(fetch.subgraph), code=_SUBGRAPH)
        spent = self.actual > self.limits.most
        if spent and self.limits.actual == "enforce" and fetch.kind == "query":
            message = f"The operation has cost {self.actual}, the limit is {self.limits.most}."
            raise SubgraphError(message, code=_ACTUAL)

    def begin(self) -> None:
        """Count from nothing again: what each event of a subscription costs is its own."""
        self.actual = 0
        self.fetches.clear()

    def count(self, fetch: Fetch, data: Mapping[str, Any] | None) -> None:
        """Add what an answer cost."""
        known: FetchCost | None = self.cost.fetches.get(fetch)
        if known is not None:
            self.fetches[fetch] = cost = known.actual(data, self.variables)
            self.actual += cost

    @property
    def result(self) -> str:
        """What became of the limit, as a code."""
        if self.actual > self.limits.most:
            return _ACTUAL
        return _ESTIMATED if self.estimated > self.limits.most else _OK

    def close(self, extensions: Mapping[str, Any]) -> dict[str, Any]:
        """Tell the metrics what the operation has cost, and its client if it may know.

        Returns the response's extensions.
        """
        if self.limits.actual != "off":
            _ACTUALS.labels(self.kind, self.result).observe(self.actual)
            _DELTAS.labels(self.kind, self.result).observe(self.estimated - self.actual)
            if self.actual > self.limits.most:
                enforced = self.limits.actual == "enforce"
                note_exceeded("actual_cost", self.limits.most, enforced=enforced)
        return {**extensions, **({"cost": self.extension()} if self.told else {})}

    def extension(self) -> dict[str, Any]:
        """What ``extensions.cost`` says."""
        subgraphs = {
            name: {"estimated": evaluate(cost, self.variables), "actual": 0}
            for name, cost in self.cost.subgraphs.items()
        }
        for fetch, actual in self.fetches.items():
            subgraphs[fetch.subgraph]["actual"] += actual
        return {
            "estimated": self.estimated,
            "actual": self.actual,
            "max": self.limits.most,
            "result": self.result,
            "subgraphs": subgraphs,
        }

    def of(self, fetch: Fetch) -> dict[str, Number]:
        """What one fetch may cost, and what it did."""
        estimate = self.cost.fetches[fetch].estimate
        return {
            "estimated": evaluate(estimate, self.variables),
            "actual": self.fetches.get(fetch, 0),
        }


@dataclass(frozen=True, slots=True)
class _Metered:
    """A transport that keeps a bill."""

    inner: SubgraphTransport
    bill: Bill

    async def execute(self, request: SubgraphRequest) -> SubgraphResponse:
        self.bill.admit(request.fetch)
        response = await self.inner.execute(request)
        self.bill.count(request.fetch, response.data)
        return response

    async def subscribe(self, request: SubgraphRequest) -> AsyncIterator[SubgraphResponse]:
        events = self.inner.subscribe(request)
        try:
            async for event in events:
                self.bill.begin()
                self.bill.count(request.fetch, event.data)
                yield event
        finally:
            await closing(events)
