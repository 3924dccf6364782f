"""Fewer fetches: those that do not wait for each other may become one.

A fetch's level is one more than the highest level it waits for, so fetches of
one level never wait for each other.  Those of different deferred parts stay
apart: none of them is to wait for what another brings.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from gateway.federation.plan import Gate, RequireField, RequireSelection
from gateway.federation.plan import Path as Position
from gateway.federation.planner.fetches import Call, Selected, SelectionSet, Work, merge_inputs

__all__ = ["optimize"]

_TYPENAME = "__typename"


def optimize(works: Sequence[Work]) -> list[Work]:
    """The same fetches with as few as possible, each after those it waits for."""
    optimizer = _Optimizer(works)
    optimizer.merge()
    optimizer.sink()
    optimizer.batch()
    optimizer.share()
    return optimizer.in_order()


def _levels(works: Iterable[Work]) -> dict[Work, int]:
    levels: dict[Work, int] = {}
    left = deque(works)
    while left:
        work = left.popleft()
        if all(before in levels for before in work.after):
            levels[work] = 1 + max((levels[before] for before in work.after), default=-1)
        else:
            left.append(work)
    return levels


class _Optimizer:
    """The fetches that are left, with their levels and who waits for whom."""

    def __init__(self, works: Sequence[Work]) -> None:
        self._levels = _levels(works)
        self._works = dict.fromkeys(works)
        self._waiting: dict[Work, dict[Work, None]] = {work: {} for work in works}
        for work in works:
            for before in work.after:
                self._waiting[before].setdefault(work)

    def merge(self) -> None:
        """Merge the fetches that ask one subgraph at one position, unless one waits for the other.

        Those that wait for the earlier one may wait longer, since a request less is
        worth a level more: unless it asked by the key alone.
        """
        slots: dict[object, list[Work]] = {}
        for work in sorted(self._works, key=lambda work: -self._levels[work]):
            if not work.calls:
                continue
            slot = slots.setdefault(_slot(work), [])
            # In this order none waits for one that came before it.
            alike = (other for other in slot if _agree(other.calls[0], work.calls[0]))
            into = next((other for other in alike if self._may_be_part(work, other)), None)
            if into is None:
                slot.append(work)
                continue
            _merge(into.calls[0], work.calls[0])
            self._replace(into, work)
            if self._levels[into] != self._levels[work]:
                self._levels = _levels(self._works)

    def sink(self) -> None:
        """Let a fetch wait for a later one of its subgraph, when nobody misses it sooner.

        The response is complete no later, and there is a request less.  Where
        there is none less, since others had to stay, it does not wait.
        """
        levels: dict[object, set[int]] = {}
        sunk: list[tuple[Work, int]] = []
        for work in sorted(self._works, key=lambda work: -self._levels[work]):
            if not work.calls:
                continue
            level, stay = self._levels[work], levels.setdefault((work.graph, work.part), set())
            later = [low for low in stay if level < low and self._may_wait(work, low)]
            if later:
                self._levels[work] = min(later)
                sunk.append((work, level))
            else:
                stay.add(level)
        for work, level in reversed(sunk):
            before = max(self._levels[one] for one in work.after)
            if before < level and level in levels[work.graph, work.part]:
                self._levels[work] = level

    def batch(self) -> None:
        """One request for all entity calls of one level to one subgraph."""
        kept: dict[object, Work] = {}
        shapes: dict[Work, dict[object, list[Call]]] = {}
        for work in list(self._works):
            if not work.calls:
                continue
            into = kept.setdefault((self._levels[work], work.graph, work.part), work)
            if into is not work:
                _add_calls(into, work.calls, shapes)
                self._replace(into, work)

    def share(self) -> None:
        """One request for the same fields of the root, wherever they are wanted."""
        kept: dict[object, list[Work]] = {}
        for work in sorted(self._works, key=lambda work: -self._levels[work]):
            if not work.at:
                continue
            twins = kept.setdefault(work.part, [])
            for twin in twins:
                if self._may_wait(work, self._levels[twin]) and _same_root(twin, work):
                    twin.at += work.at
                    self._replace(twin, work)
                    break
            else:
                twins.append(work)

    def in_order(self) -> list[Work]:
        """The fetches, each after those it waits for."""
        return sorted(self._works, key=lambda work: self._levels[work])

    def _may_be_part(self, work: Work, into: Work) -> bool:
        if self._may_wait(work, self._levels[into]):
            return True
        return _requires_more(work.calls[0]) and not _waits(into, work)

    def _may_wait(self, work: Work, level: int) -> bool:
        """Whether nobody waits for a fetch that it keeps waiting when done on a later level."""
        return all(level < self._levels[waiting] for waiting in self._waiting[work])

    def _wait(self, work: Work, before: Work) -> None:
        if before not in work.after:
            work.after.append(before)
            self._waiting[before].setdefault(work)

    def _replace(self, into: Work, work: Work) -> None:
        """Take a fetch out: another does its part."""
        del self._works[work]
        for before in work.after:
            del self._waiting[before][work]
            self._wait(into, before)
        for after in self._waiting.pop(work):
            after.after = [w for w in after.after if w is not work]
            self._wait(after, into)


def _slot(work: Work) -> object:
    return work.graph, work.part, _without_gate(work.calls[0].paths[0])


def _waits(work: Work, other: Work) -> bool:
    """Whether a fetch cannot start before another has ended."""
    found, left = {work}, [work]
    while left:
        new = [before for before in left.pop().after if before not in found]
        found.update(new)
        left += new
    return other in found


def _add_calls(
    work: Work, calls: Iterable[Call], shapes: dict[Work, dict[object, list[Call]]]
) -> None:
    """Add entity calls to a request; equal questions become one, at several positions."""
    known = shapes.setdefault(work, {})
    if not known:
        known[_outline(work.calls[0])] = list(work.calls)
    for call in calls:
        alike = known.setdefault(_outline(call), [])
        twin = next((other for other in alike if _is_same_question(other, call)), None)
        if twin is None:
            alike.append(call)
            work.calls.append(call)
        else:
            twin.paths += [path for path in call.paths if path not in twin.paths]


def _outline(call: Call) -> object:
    """Equal for calls that may be the same question."""
    return tuple((type_, *selections.fields) for type_, selections in call.output.on.items())


def _is_same_question(one: Call, other: Call) -> bool:
    return (
        one.inputs == other.inputs
        and one.renames == other.renames
        and _same(one.output, other.output)
    )


def _same_root(one: Work, other: Work) -> bool:
    return one.root is not None and other.root is not None and _same(one.root, other.root)


def _same(one: SelectionSet, other: SelectionSet) -> bool:
    return (
        one.fields.keys() == other.fields.keys()
        and one.on.keys() == other.on.keys()
        and all(_same_field(s, other.fields[key]) for key, s in one.fields.items())
        and all(_same(inner, other.on[type_]) for type_, inner in one.on.items())
    )


def _same_field(one: Selected, other: Selected) -> bool:
    if not one.is_same_field(other):
        return False
    if one.below is None:
        return True
    assert other.below is not None
    return _same(one.below, other.below)


def _without_gate(path: Position) -> Position:
    return path[:-1] if path and isinstance(path[-1], Gate) else path


def _agree(one: Call, other: Call) -> bool:
    """Whether one representation of an object can answer both."""
    if one.renames != other.renames or (one.renames and one.inputs.keys() != other.inputs.keys()):
        return False
    # Objects of two concrete types are apart, and so are their fragments.
    may_meet = one.is_abstract or other.is_abstract
    return all(
        _keys(inputs) == _keys(others) and _compatible(inputs, others)
        for type_, inputs in one.inputs.items()
        for other_type, others in other.inputs.items()
        if may_meet or type_ == other_type
    )


def _keys(inputs: Iterable[RequireSelection]) -> frozenset[object]:
    keys: set[object] = set()
    for selection in inputs:
        name = selection.key if isinstance(selection, RequireField) else selection.on
        if inner := _keys(selection.selections):
            keys.add((name, inner))
        elif isinstance(selection, RequireField) and selection.is_key:
            keys.add(name)
    return frozenset(keys)


def _requires_more(call: Call) -> bool:
    """Whether it takes more than the key to ask."""
    return any(_has_more(selection) for inputs in call.inputs.values() for selection in inputs)


def _has_more(selection: RequireSelection) -> bool:
    if selection.selections:
        return any(map(_has_more, selection.selections))
    return isinstance(selection, RequireField) and not (
        selection.is_key or selection.name == _TYPENAME
    )


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


def _merge(one: Call, other: Call) -> None:
    for type_, inputs in other.inputs.items():
        one.inputs[type_] = merge_inputs(one.inputs.get(type_, ()), inputs)
    one.is_abstract |= other.is_abstract
    one.scope |= other.scope
    one.paths = [_joined(one.paths[0], other.paths[0], one.scope)]
    _merge_selections(one.output, other.output)


def _joined(one: Position, other: Position, scope: frozenset[str]) -> Position:
    """The position of both; its last gate goes when nothing is left outside."""
    if one == other:
        return one
    last, also = one[-1:], other[-1:]
    if not (last and also and isinstance(last[0], Gate) and isinstance(also[0], Gate)):
        return _without_gate(one)
    types = last[0].types | also[0].types
    return _without_gate(one) if types >= scope else (*_without_gate(one), Gate(types))


def _merge_selections(into: SelectionSet, other: SelectionSet) -> None:
    for key, selected in other.fields.items():
        known = into.fields.setdefault(key, selected)
        if known.below is not None:
            assert selected.below is not None
            _merge_selections(known.below, selected.below)
    for type_, selections in other.on.items():
        _merge_selections(into.condition(type_), selections)
