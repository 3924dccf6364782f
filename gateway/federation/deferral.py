"""`@defer`: which fields of a query may come later, and each with which of its fragments.

The planner gives them fetches of their own, which nothing else waits for; what
cannot be asked for apart comes with the rest.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gateway.federation.execution.positions import keys_of
from gateway.federation.operation.selection import Field
from gateway.federation.plan import AT_ONCE
from gateway.federation.planner import PlanningBudgetExceeded, PlanningError, plan
from gateway.federation.planner.budget import Budget
from gateway.federation.supergraph.model import named_type

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from gateway.federation.operation.prepare import PreparedOperation
    from gateway.federation.operation.selection import Deferred, Operation, Selection
    from gateway.federation.plan import Part, QueryPlan
    from gateway.federation.supergraph import Supergraph

__all__ = ["in_parts", "plan_in_parts"]

Keys = tuple[str, ...]

_MOST_PARTS = 50
"""Each part is a request or more: an operation with more parts is planned as a whole."""
_BUDGET = 100_000
"""How many fields are compared before an operation is planned as a whole."""


def in_parts(
    supergraph: Supergraph, prepared: PreparedOperation, coerced: Mapping[str, object]
) -> tuple[Operation, Operation, tuple[Deferred, ...]]:
    """The whole operation, what of it is to be answered at once, and each deferred fragment.

    The fields of the whole say which part they are for: the first of those that
    ask for them.
    """
    operation = prepared.fold(coerced)
    if prepared.kind != "query" or not prepared.defers:
        return operation, operation, ()
    primary, deferred = prepared.split(coerced)
    if len(deferred) > _MOST_PARTS:
        return operation, primary, deferred
    possible = supergraph.possible_types
    starts: dict[Keys, list[_Asked]] = {}
    for part, one in zip(_parts(deferred), deferred, strict=True):
        asked = _Asked(part, possible(one.on), one.selections)
        starts.setdefault(keys_of(one.path), []).append(asked)
    root = operation.root_type
    at_once = _Asked(AT_ONCE, possible(root), primary.selections)
    marker = _Marker(supergraph, Budget(_BUDGET), starts)
    try:
        selections = marker.scope(operation.selections, root, (), [at_once])
    except PlanningBudgetExceeded:
        return operation, primary, deferred
    return replace(operation, selections=selections), primary, deferred


def _parts(deferred: Sequence[Deferred]) -> list[Part]:
    """The parts, by their labels where these tell them apart: a fragment may be spread twice."""
    labels = Counter(one.label for one in deferred)
    return [
        (index, one.label if one.label and labels[one.label] == 1 else f"#{index}")
        for index, one in enumerate(deferred)
    ]


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a part selects on the objects of some types at a position."""

    part: Part
    types: frozenset[str]
    selections: Sequence[Selection]


@dataclass(slots=True)
class _Marker:
    """Marks fields with their parts; ``starts`` are the deferred fragments by their positions."""

    supergraph: Supergraph
    budget: Budget
    starts: Mapping[Keys, Sequence[_Asked]]

    def scope(
        self, selections: Sequence[Selection], type_: str, keys: Keys, asked: Iterable[_Asked]
    ) -> tuple[Selection, ...]:
        """The selections on a type at a position, of what the parts ask for there."""
        by_key: dict[str, list[tuple[_Asked, Field]]] = {}
        for one in (*asked, *self.starts.get(keys, ())):
            self._collect(one, by_key)
        types = self.supergraph.possible_types(type_)
        return tuple(self._marked(one, type_, types, keys, by_key) for one in selections)

    def _collect(self, asked: _Asked, by_key: dict[str, list[tuple[_Asked, Field]]]) -> None:
        self.budget.spend(len(asked.selections))
        for one in asked.selections:
            if isinstance(one, Field):
                by_key.setdefault(one.key, []).append((asked, one))
            else:
                types = asked.types & self.supergraph.possible_types(one.on)
                self._collect(_Asked(asked.part, types, one.selections), by_key)

    def _marked(
        self,
        one: Selection,
        type_: str,
        types: frozenset[str],
        keys: Keys,
        by_key: Mapping[str, Sequence[tuple[_Asked, Field]]],
    ) -> Selection:
        if not isinstance(one, Field):
            narrowed = types & self.supergraph.possible_types(one.on)
            inner = (self._marked(each, one.on, narrowed, keys, by_key) for each in one.selections)
            return replace(one, selections=tuple(inner))
        if one.name.startswith("__"):
            return one
        known = by_key.get(one.key, ())
        self.budget.spend(len(known))
        asking = [(asked, same) for asked, same in known if asked.types & types]
        part = min((asked.part for asked, _ in asking), default=AT_ONCE)
        selections = one.selections
        if selections:
            target = named_type(self.supergraph.types[type_].fields[one.name].type)
            possible = self.supergraph.possible_types(target)
            below = (_Asked(asked.part, possible, same.selections) for asked, same in asking)
            selections = self.scope(selections, target, (*keys, one.key), below)
        return replace(one, part=part, selections=selections)


def plan_in_parts(
    supergraph: Supergraph, operation: Operation, *, labels: Mapping[str, bool]
) -> QueryPlan:
    """The plan of an operation whose fields say what they may come with.

    Where that cannot be had, the plan as if nothing was deferred.  Raises `PlanningError`.
    """
    try:
        return plan(supergraph, operation, labels=labels)
    except PlanningError:
        whole = tuple(map(_at_once, operation.selections))
        if whole == operation.selections:
            raise
        return plan(supergraph, replace(operation, selections=whole), labels=labels)


def _at_once(one: Selection) -> Selection:
    whole = replace(one, selections=tuple(map(_at_once, one.selections)))
    return replace(whole, part=AT_ONCE) if isinstance(whole, Field) else whole
