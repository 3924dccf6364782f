"""`@defer` at the root of a query: what shares no root field with the rest is planned by itself.

In one plan two root fields of a subgraph are one fetch, and a deferred one would be
waited for like the other.  Planned apart they have no fetch in common, and no object,
so their answers merge without a thought.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from gateway.federation.operation.selection import Field
from gateway.federation.plan import QueryPlan
from gateway.federation.planner import plan

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gateway.federation.operation.selection import Deferred, Operation, Selection
    from gateway.federation.supergraph import Supergraph

__all__ = ["deferred_apart", "plan_apart"]

Apart = tuple[frozenset[str], ...]
_AT_ONCE = -1


def deferred_apart(primary: Operation, deferred: Sequence[Deferred]) -> Apart:
    """The root fields, by their keys, that only one deferred fragment asks for, per fragment."""
    owners: dict[str, set[int]] = {}
    _own(owners, primary.selections, _AT_ONCE)
    for index, one in enumerate(deferred):
        if not one.path:
            _own(owners, one.selections, index)
    apart: dict[int, set[str]] = {}
    for key, (owner, *others) in owners.items():
        if not others and owner != _AT_ONCE:
            apart.setdefault(owner, set()).add(key)
    return tuple(map(frozenset, apart.values()))


def _own(owners: dict[str, set[int]], selections: Sequence[Selection], owner: int) -> None:
    for one in selections:
        owners.setdefault(_key(one), set()).add(owner)


def _key(selection: Selection) -> str:
    # The root is an object type: fragments on it are spliced.
    assert isinstance(selection, Field)
    return selection.key


def plan_apart(
    supergraph: Supergraph, operation: Operation, apart: Apart, *, labels: Mapping[str, bool]
) -> QueryPlan:
    """The plan of a query whose root fields in ``apart`` are fetched by themselves.

    Raises `PlanningError`.
    """
    taken = frozenset().union(*apart)
    pieces = [
        tuple(one for one in operation.selections if _key(one) not in taken),
        *(tuple(one for one in operation.selections if _key(one) in keys) for keys in apart),
    ]
    plans = [
        plan(supergraph, replace(operation, selections=piece), labels=labels)
        for piece in pieces
        if piece
    ]
    return _joined(plans) or plan(supergraph, operation, labels=labels)


def _joined(plans: Sequence[QueryPlan]) -> QueryPlan | None:
    """All plans as one, or None if they would call different fields by the same made-up key."""
    aliases: dict[str, str] = {}
    joined = QueryPlan((), aliases)
    for one in plans:
        if any(aliases.get(key, name) != name for key, name in one.key_aliases.items()):
            return None
        aliases.update(one.key_aliases)
        first = 1 + max((fetch.id for fetch in joined.fetches), default=-1)
        moved = [
            replace(
                fetch,
                id=first + fetch.id,
                depends_on=tuple(first + other for other in fetch.depends_on),
            )
            for fetch in one.fetches
        ]
        joined = replace(joined, fetches=(*joined.fetches, *moved))
    return joined
