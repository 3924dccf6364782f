"""Fewer fetches: those of one level cannot depend on each other, so they merge freely.

A fetch's level is one more than the highest level it waits for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gateway.federation.plan import Gate, RequireField, RequireSelection
from gateway.federation.plan import Path as Position
from gateway.federation.planner.fetches import Call, SelectionSet, Work, merge_inputs

__all__ = ["optimize"]


def optimize(works: Sequence[Work]) -> list[Work]:
    """The same fetches with as few as possible, each after those it waits for."""
    levels = _levels(works)
    merged = _merge_levels(works, levels)
    merged = _sink(merged)
    merged = _batch(merged)
    levels = _levels(merged)
    return sorted(merged, key=lambda work: levels[work])


def _levels(works: Iterable[Work]) -> dict[Work, int]:
    levels: dict[Work, int] = {}

    def level(work: Work) -> int:
        if work not in levels:
            levels[work] = 1 + max((level(before) for before in work.after), default=-1)
        return levels[work]

    for work in works:
        level(work)
    return levels


def _merge_levels(works: Sequence[Work], levels: dict[Work, int]) -> list[Work]:
    """Merge the fetches of one level that ask one subgraph at one position."""
    kept: list[Work] = []
    for work in works:
        into = next(
            (k for k in kept if levels[k] == levels[work] and _can_merge(k, work)),
            None,
        )
        if into is None:
            kept.append(work)
        else:
            _merge(into, work, works)
    return kept


def _sink(works: list[Work]) -> list[Work]:
    """Let a fetch wait for a later one of its subgraph, when nobody misses it sooner.

    The response is complete no later, and there is a request less.
    """
    levels = _levels(works)
    for work in sorted(works, key=lambda work: -levels[work]):
        soonest = min((levels[w] for w in works if work in w.after), default=len(works))
        later = [
            other
            for other in works
            if other.graph == work.graph
            and other.calls
            and work.calls
            and levels[work] < levels[other] < soonest
        ]
        if not later:
            continue
        into = next((other for other in later if _can_merge(other, work)), None)
        if into is not None:
            _merge(into, work, works)
            works = [w for w in works if w is not work]
        else:
            nearest = min(later, key=lambda other: levels[other])
            work.after += [before for before in nearest.after if before not in work.after]
            levels[work] = levels[nearest]
    return works


def _batch(works: list[Work]) -> list[Work]:
    """One request for all entity calls of one level to one subgraph."""
    levels = _levels(works)
    kept: dict[object, Work] = {}
    for work in works:
        identity: object = (levels[work], work.graph) if work.calls else work
        into = kept.setdefault(identity, work)
        if into is not work:
            for call in work.calls:
                _add_call(into, call)
            _replace(into, work, works)
    return list(kept.values())


def _add_call(work: Work, call: Call) -> None:
    for known in work.calls:
        if (
            known.inputs == call.inputs
            and known.renames == call.renames
            and _same(known.output, call.output)
        ):
            known.paths += [path for path in call.paths if path not in known.paths]
            return
    work.calls.append(call)


def _same(one: SelectionSet, other: SelectionSet) -> bool:
    if one.fields.keys() != other.fields.keys() or one.on.keys() != other.on.keys():
        return False
    for key, selected in one.fields.items():
        twin = other.fields[key]
        if (selected.name, selected.arguments) != (twin.name, twin.arguments):
            return False
        if (
            selected.below is not None
            and twin.below is not None
            and not _same(selected.below, twin.below)
        ):
            return False
    return all(_same(selections, other.on[type_]) for type_, selections in one.on.items())


def _can_merge(into: Work, work: Work) -> bool:
    if into.graph != work.graph or into.kind != work.kind:
        return False
    if into.root is not None or work.root is not None:
        return False
    one, other = into.calls[0], work.calls[0]
    return _slot(one.paths[0]) == _slot(other.paths[0]) and _agree(one, other)


def _slot(path: Position) -> Position:
    return path[:-1] if path and isinstance(path[-1], Gate) else path


def _agree(one: Call, other: Call) -> bool:
    """Whether one representation of an object can answer both."""
    shared = one.inputs.keys() & other.inputs.keys()
    if not shared:
        # Other types: their objects and fragments are apart, unless renamed to one type.
        return not one.renames and not other.renames
    if one.inputs.keys() != other.inputs.keys() or one.renames != other.renames:
        return False
    return all(
        _keys(one.inputs[type_]) == _keys(other.inputs[type_])
        and _compatible(one.inputs[type_], other.inputs[type_])
        for type_ in shared
    )


def _keys(inputs: Iterable[RequireSelection]) -> frozenset[object]:
    keys: set[object] = set()
    for selection in inputs:
        inner = _keys(selection.selections)
        if isinstance(selection, RequireField) and selection.is_key:
            keys.add(selection.key)
        if inner:
            name = selection.key if isinstance(selection, RequireField) else selection.on
            keys.add((name, inner))
    return frozenset(keys)


def _compatible(one: Iterable[RequireSelection], other: Iterable[RequireSelection]) -> bool:
    """Whether no key of the representation would have to hold two different values."""
    fields = {s.key: s for s in one if isinstance(s, RequireField)}
    return all(
        selection.key not in fields
        or (
            fields[selection.key].name == selection.name
            and _compatible(fields[selection.key].selections, selection.selections)
        )
        for selection in other
        if isinstance(selection, RequireField)
    )


def _merge(into: Work, work: Work, works: Iterable[Work]) -> None:
    one, other = into.calls[0], work.calls[0]
    for type_, inputs in other.inputs.items():
        one.inputs[type_] = merge_inputs(one.inputs.get(type_, ()), inputs)
    one.renames |= other.renames
    one.scope |= other.scope
    one.paths = [_joined(one.paths[0], other.paths[0], one.scope)]
    _merge_selections(one.output, other.output)
    _replace(into, work, works)


def _joined(one: Position, other: Position, scope: frozenset[str]) -> Position:
    """The position of both; its last gate goes when nothing is left outside."""
    if one == other:
        return one
    last, also = one[-1:], other[-1:]
    if not (last and also and isinstance(last[0], Gate) and isinstance(also[0], Gate)):
        return _slot(one)
    types = last[0].types | also[0].types
    return _slot(one) if types >= scope else (*_slot(one), Gate(types))


def _merge_selections(into: SelectionSet, other: SelectionSet) -> None:
    for key, selected in other.fields.items():
        known = into.fields.get(key)
        if known is None:
            into.fields[key] = selected
        elif known.below is not None and selected.below is not None:
            _merge_selections(known.below, selected.below)
    for type_, selections in other.on.items():
        _merge_selections(into.condition(type_), selections)


def _replace(into: Work, work: Work, works: Iterable[Work]) -> None:
    into.after += [before for before in work.after if before not in into.after]
    for other in works:
        if work in other.after:
            other.after = [w for w in other.after if w is not work]
            if into not in other.after:
                other.after.append(into)
