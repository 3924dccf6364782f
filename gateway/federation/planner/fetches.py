"""From chosen paths to fetches: who is asked what, where, and after whom.

Every step of a path is taken once per place, however many paths share it, so
walking all chosen paths builds the fetches.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from graphql import NonNullTypeNode, ValueNode

from gateway.federation.operation.selection import Field, Selection
from gateway.federation.plan import (
    AT,
    AT_ONCE,
    Gate,
    Part,
    PathStep,
    RequireField,
    RequireFragment,
    RequireSelection,
)
from gateway.federation.plan import Path as Position
from gateway.federation.planner.graph import NO_KEY, Node, QueryGraph
from gateway.federation.planner.keys import Keys, take
from gateway.federation.planner.keys import Position as KeyPosition
from gateway.federation.planner.normalize import normalize
from gateway.federation.planner.paths import Cast, Enter, Jump, Path, Select, Step
from gateway.federation.supergraph.model import type_in

__all__ = ["ENTITY", "Call", "Fetches", "Selected", "SelectionSet", "Work"]

OperationKind = Literal["query", "mutation", "subscription"]
_TYPENAME = "__typename"
ENTITY = "_Entity"
"""The union every `_entities` call returns."""


@dataclass(slots=True, eq=False)
class Selected:
    """A field of a fetch's document."""

    name: str
    arguments: tuple[tuple[str, ValueNode], ...]
    below: SelectionSet | None

    def is_same_field(self, other: Selected) -> bool:
        """Whether both take one field with the same arguments."""
        return self.name == other.name and self.arguments == other.arguments


@dataclass(slots=True, eq=False)
class SelectionSet:
    """The fields and type conditions selected on ``type`` in a fetch's document."""

    type: str
    fields: dict[str, Selected] = field(default_factory=dict)
    on: dict[str, SelectionSet] = field(default_factory=dict)

    def condition(self, type_: str) -> SelectionSet:
        """The selections under a type condition."""
        return self.on.setdefault(type_, SelectionSet(type_))

    def select_typename(self) -> None:
        """Have the objects say their type."""
        self.fields.setdefault(_TYPENAME, Selected(_TYPENAME, (), None))


@dataclass(slots=True, eq=False)
class Call:
    """One ``_entities`` call: a position, the representations, what is asked of them.

    ``inputs`` are by the type the objects have at the position; ``is_abstract``
    says that one of them may be of several.  ``renames`` are the type names
    representations must carry instead of their own.  ``scope`` is what objects
    at the position could be before the last gate.
    """

    paths: list[Position]
    inputs: dict[str, tuple[RequireSelection, ...]]
    renames: dict[str, str]
    output: SelectionSet
    scope: frozenset[str]
    is_abstract: bool


@dataclass(slots=True, eq=False)
class Work:
    """A fetch in the making; a root fetch has ``root`` selections and no calls.

    ``at`` are the root objects further down in the response that it adds to.
    ``part`` is the part of the answer it is for.
    """

    graph: str
    kind: OperationKind
    root: SelectionSet | None = None
    at: list[Position] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    after: list[Work] = field(default_factory=list)
    part: Part = AT_ONCE


@dataclass(slots=True, eq=False)
class _Place:
    """Where a path has led: inside which fetch, on which objects of the response."""

    work: Work
    type: str
    is_abstract: bool
    selections: SelectionSet
    at: Position
    keys: KeyPosition
    types: frozenset[str]
    scope: frozenset[str]
    below: dict[object, _Place] = field(default_factory=dict)


class Fetches:
    """Builds the fetches of one operation; ``works`` are in the order they were needed."""

    def __init__(self, graph: QueryGraph, keys: Keys, kind: OperationKind) -> None:
        self._graph = graph
        self._keys = keys
        self._kind: OperationKind = kind
        self._entered: dict[tuple[str, Part], _Place] = {}
        self.works: list[Work] = []

    def add(self, path: Path) -> None:
        """Fetch what a client's path leads to."""
        enter, *steps = path.steps()
        assert isinstance(enter, Enter)
        self._follow(self._enter(enter), steps, client=True)

    def _follow(self, place: _Place, steps: Iterable[Step], *, client: bool = False) -> _Place:
        for step in steps:
            if isinstance(step, Select):
                place = self._select(place, step, client=client)
            elif isinstance(step, Cast):
                place = self._cast(place, step)
            else:
                assert isinstance(step, Jump)
                place = self._jump(place, step)
        return place

    def _enter(self, step: Enter) -> _Place:
        graph = step.node.graph
        place = self._entered.get((graph, step.part))
        if place is None:
            if self._kind != "query":
                # Another subgraph's turn: coming back to this one later is a new fetch.
                self._entered.clear()
            selections = SelectionSet(step.node.type)
            after = list(self.works) if self._kind == "mutation" else []
            work = Work(graph, self._kind, root=selections, after=after, part=step.part)
            self.works.append(work)
            place = self._place(work, step.node, selections, (), self._keys.root)
            self._entered[graph, step.part] = place
        return place

    def _select(self, place: _Place, step: Select, *, client: bool) -> _Place:
        if step.edge is None:
            # Aliases of it are the projection's business: all mean the same value.
            place.selections.select_typename()
            return place
        if client:
            key = step.key
            below = take(place.keys, key, place.types, step.name, step.arguments)
        else:
            key, below = self._keys.claim(place.keys, place.types, step.name, step.arguments)
        target = step.edge.target
        if target is None:
            place.selections.fields[key] = Selected(step.name, step.arguments, None)
            return place
        known = place.below.get((key, target))
        if known is None:
            inside = SelectionSet(target.type)
            place.selections.fields[key] = Selected(step.name, step.arguments, inside)
            lists: tuple[PathStep, ...] = (AT,) * step.edge.lists
            at = (*place.at, key, *lists)
            known = place.below[key, target] = self._place(place.work, target, inside, at, below)
        if target.is_interface and not client:
            # A representation says what an object in it is.
            known.selections.select_typename()
        return known

    def _place(
        self, work: Work, node: Node, selections: SelectionSet, at: Position, keys: KeyPosition
    ) -> _Place:
        types = self._graph.supergraph.possible_types(node.type)
        return _Place(work, node.type, node.is_interface, selections, at, keys, types, types)

    def _cast(self, place: _Place, step: Cast) -> _Place:
        known = place.below.get(step.type)
        if known is None:
            place.selections.select_typename()
            types = frozenset((step.type,))
            known = place.below[step.type] = replace(
                place,
                type=step.type,
                is_abstract=False,
                selections=place.selections.condition(step.type),
                at=place.at if types == place.types else (*place.at, Gate(types)),
                types=types,
                below={},
            )
        return known

    def _jump(self, place: _Place, step: Jump) -> _Place:
        identity = (step.move, step.requires, step.part)
        known = place.below.get(identity)
        if known is None:
            known = place.below[identity] = self._new_jump(place, step)
        return known

    def _new_jump(self, place: _Place, step: Jump) -> _Place:
        place.selections.select_typename()
        after = [place.work]
        for path in step.requirement.paths:
            work = self._follow(place, path.steps()).work
            if work not in after:
                after.append(work)
        target = step.move.target
        # What a part's own fetch needs is fetched for the part as well.
        work = Work(target.graph, "query", after=after, part=max(step.part, place.work.part))
        if step.move.key is NO_KEY:
            selections = work.root = SelectionSet(target.type)
            work.at.append(place.at)
        else:
            call = self._call(place, step)
            selections = call.output.condition(target.type)
            work.calls.append(call)
        self.works.append(work)
        return replace(
            place,
            work=work,
            selections=selections,
            below={},
        )

    def _call(self, place: _Place, step: Jump) -> Call:
        source, target = place.type, step.move.target.type
        return Call(
            paths=[place.at],
            inputs={source: self._inputs(place, step)},
            renames={source: target} if step.move.rename else {},
            output=SelectionSet(ENTITY),
            scope=place.scope,
            is_abstract=place.is_abstract,
        )

    def _inputs(self, place: _Place, step: Jump) -> tuple[RequireSelection, ...]:
        supergraph, type_ = self._graph.supergraph, place.type
        key = normalize(supergraph, step.move.key.fields, type_)
        more = normalize(supergraph, step.requires, type_)
        typename = RequireField(_TYPENAME, _TYPENAME)
        target = step.move.target.graph
        required = self._read(place.keys, place.types, type_, key, key_of=target)
        extra = self._read(place.keys, place.types, type_, more)
        return merge_inputs(merge_inputs((typename,), required), extra)

    def _read(
        self,
        position: KeyPosition,
        types: frozenset[str],
        type_: str,
        selections: Sequence[Selection],
        *,
        key_of: str | None = None,
    ) -> tuple[RequireSelection, ...]:
        """Where in the response the fields of a representation are: a key's to a graph, or not."""
        supergraph = self._graph.supergraph
        read: list[RequireSelection] = []
        for selection in selections:
            if not isinstance(selection, Field):
                on = frozenset((selection.on,))
                inner = self._read(position, on, selection.on, selection.selections, key_of=key_of)
                read.append(RequireFragment(selection.on, inner))
                continue
            if selection.name == _TYPENAME:
                read.append(RequireField(_TYPENAME, _TYPENAME))
                continue
            key, below = self._keys.claim(position, types, selection.name, selection.arguments)
            inner = ()
            if selection.selections:
                target = self._graph.target_type(type_, selection.name)
                possible = supergraph.possible_types(target)
                inner = self._read(below, possible, target, selection.selections, key_of=key_of)
                if target not in possible:
                    inner = merge_inputs((RequireField(_TYPENAME, _TYPENAME),), inner)
            may_be_null = key_of is not None and not self._is_required(
                type_, selection.name, key_of
            )
            is_key = key_of is not None
            read.append(RequireField(key, selection.name, inner, is_key, may_be_null))
        return tuple(read)

    def _is_required(self, type_: str, name: str, graph: str) -> bool:
        """Whether a subgraph declares a field not to be null."""
        field = self._graph.types[type_].fields[name]
        return isinstance(type_in(field, graph), NonNullTypeNode)


def merge_inputs(
    one: Iterable[RequireSelection], other: Iterable[RequireSelection]
) -> tuple[RequireSelection, ...]:
    """The union of two compatible representations; the key is in the one, or in both."""
    merged: dict[object, RequireSelection] = {}
    for selection in (*one, *other):
        identity = (selection.key,) if isinstance(selection, RequireField) else selection.on
        known = merged.get(identity)
        if known is None:
            merged[identity] = selection
        else:
            inner = merge_inputs(known.selections, selection.selections)
            merged[identity] = replace(known, selections=inner)
    return tuple(merged.values())
