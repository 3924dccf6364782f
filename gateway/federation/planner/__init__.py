"""From an operation to a plan: candidate paths, the cheapest of them, fetches, fewer fetches.

No field is fetched later than on its nearest way, or than the last one has to be;
within that a plan has the fewest fetches, and of those the fewest levels.

Pure and deterministic: the same operation over the same supergraph under the
same labels has the same plan, always.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from types import MappingProxyType
from typing import Literal

from graphql import OperationType

from gateway.federation.operation.selection import Operation, Selection
from gateway.federation.plan import QueryPlan
from gateway.federation.planner.budget import Budget
from gateway.federation.planner.choose import choose
from gateway.federation.planner.emit import emit
from gateway.federation.planner.errors import PlanningBudgetExceeded, PlanningError
from gateway.federation.planner.fetches import Fetches
from gateway.federation.planner.graph import Node, QueryGraph
from gateway.federation.planner.keys import Keys
from gateway.federation.planner.normalize import normalize_root
from gateway.federation.planner.optimize import optimize
from gateway.federation.planner.paths import Group, Path
from gateway.federation.planner.search import Search
from gateway.federation.supergraph import Supergraph

__all__ = ["BUDGET", "PlanningBudgetExceeded", "PlanningError", "forget", "plan"]

BUDGET = 50_000
"""Steps after which planning is cut off."""

_Way = tuple[int, int, list[tuple[str, list[Group]]]]
"""On how many levels mutations are done, what they weigh, the subgraph and the groups of each."""

_NO_LABELS: Mapping[str, bool] = MappingProxyType({})


def plan(
    supergraph: Supergraph,
    operation: Operation,
    *,
    labels: Mapping[str, bool] = _NO_LABELS,
    budget: int = BUDGET,
) -> QueryPlan:
    """The fetches that answer an operation.

    Raises `PlanningError` when a selection cannot be resolved from any
    combination of subgraphs, `PlanningBudgetExceeded` when finding out takes
    too long.
    """
    try:
        return _plan(_query_graph(supergraph, labels), operation, Budget(budget))
    except RecursionError:
        raise PlanningBudgetExceeded("The operation is too deep to plan.") from None


def forget(supergraph: Supergraph) -> None:
    """Free what was kept of a supergraph, when nobody will plan with it any more."""
    for graph in supergraph.derived.values():
        if isinstance(graph, QueryGraph):
            graph.take_apart()


def _plan(graph: QueryGraph, operation: Operation, budget: Budget) -> QueryPlan:
    root = graph.root_type(operation.kind)
    if root is None:
        raise PlanningError(f"The supergraph has no {operation.kind.value} type.")
    selections = normalize_root(graph.supergraph, operation.selections, root)
    keys = Keys.of(graph.supergraph, selections, root)
    fetches = Fetches(graph, keys, _KINDS[operation.kind])
    add = _add if operation.kind is OperationType.QUERY else _add_in_order
    add(Search(graph, budget), budget, fetches, graph.entries(root), selections)
    return emit(graph, optimize(fetches.works), keys, operation)


_KINDS: Mapping[OperationType, Literal["query", "mutation", "subscription"]] = {
    OperationType.QUERY: "query",
    OperationType.MUTATION: "mutation",
    OperationType.SUBSCRIPTION: "subscription",
}


def _query_graph(supergraph: Supergraph, labels: Mapping[str, bool]) -> QueryGraph:
    """The graph for the labels' outcomes, made once for each supergraph."""
    identity = QueryGraph, frozenset(label for label in supergraph.labels if labels.get(label))
    if identity not in supergraph.derived:
        supergraph.derived[identity] = QueryGraph(supergraph, labels)
    graph = supergraph.derived[identity]
    assert isinstance(graph, QueryGraph)
    return graph


def _add(
    search: Search,
    budget: Budget,
    fetches: Fetches,
    entries: Sequence[Node],
    selections: Sequence[Selection],
) -> None:
    groups = search.walk([Path.entry(node) for node in entries], selections)
    if groups is None:
        raise PlanningError(search.unresolved)
    for path in choose(groups, budget).paths:
        fetches.add(path)


def _add_in_order(
    search: Search,
    budget: Budget,
    fetches: Fetches,
    entries: Sequence[Node],
    selections: Sequence[Selection],
) -> None:
    """Root fields one after another, each by one subgraph: asking two would do it twice.

    Of all ways to hand them out the one of fewest levels is kept.
    """
    ways: dict[tuple[str | None, int], _Way] = {(None, 0): (0, 0, [])}
    for selection in selections:
        found = {node.graph: search.walk([Path.entry(node)], [selection]) for node in entries}
        resolved = {graph: groups for graph, groups in found.items() if groups is not None}
        if not resolved:
            raise PlanningError(search.unresolved)
        further: dict[tuple[str | None, int], _Way] = {}
        for graph, groups in resolved.items():
            alone = choose(groups, budget)
            for (last, below), (levels, weight, chosen) in ways.items():
                # Those that share a fetch wait together, any other after all before it.
                own = max(below, alone.levels) if graph == last else alone.levels
                before = levels - below if graph == last else levels + 1
                way = before + own, weight + alone.weight, [*chosen, (graph, groups)]
                further[graph, own] = min(further.get((graph, own), way), way)
        ways = further
    _, _, best = min(ways.values())
    for _, run in groupby(best, key=itemgetter(0)):
        for path in choose([group for _, groups in run for group in groups], budget).paths:
            fetches.add(path)
