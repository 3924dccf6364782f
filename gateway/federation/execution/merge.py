"""Merging what subgraphs answer into one response, without writing into what others read.

A transport may hand one answer to several requests, and one entity may sit at
several places of a response.  So the engine must own every object it writes
into.  Which those are is known from the plan: `Plot` marks the places several
fetches write to, and only the way down to them is copied.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    OperationDefinitionNode,
)

from gateway.federation.execution.positions import keys_of, type_name_of
from gateway.federation.plan import AT, Gate

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from graphql import DocumentNode, SelectionSetNode

    from gateway.federation.plan import Fetch, KeyRenamer, PathStep

__all__ = ["Merger", "Plot", "Shape", "plot_plan", "rename_keys", "shape_of"]

Shape = dict[str, "Shape"]
"""Response keys, each with those below it; a leaf has none."""

Take = Callable[[Any, "Plot"], Any]

Plot = dict[str, "Plot"]
"""The keys below an object where writing needs care, each with the keys below that.

A key is here if more than one fetch delivers it, if entities are merged into
the objects it holds, or if that is so further down.
"""


@dataclass(slots=True)
class _Place:
    """Who writes to one position: counted over all fetches of a plan."""

    deliveries: int = 0
    is_target: bool = False
    below: dict[str, _Place] = field(default_factory=dict)

    def at(self, keys: Sequence[str]) -> _Place:
        place = self
        for key in keys:
            place = place.below.setdefault(key, _Place())
        return place

    def deliver(self, shape: Shape) -> None:
        for key, below in shape.items():
            place = self.below.setdefault(key, _Place())
            place.deliveries += 1
            place.deliver(below)

    def plot(self) -> Plot:
        plots = {key: (place, place.plot()) for key, place in self.below.items()}
        return {
            key: below
            for key, (place, below) in plots.items()
            if below or place.is_target or place.deliveries > 1
        }


def plot_plan(fetches: Sequence[Fetch], shapes: Sequence[Shape]) -> Plot:
    """Return where the fetches of a plan write into the same objects.

    `shapes` are those of the fetches' documents.
    """
    root = _Place()
    for fetch, shape in zip(fetches, shapes, strict=True):
        if not fetch.entities:
            _rename_shape(shape, fetch.output_rewrites)
            for path in fetch.at or ((),):
                place = root.at(keys_of(path))
                place.is_target = True
                place.deliver(shape)
        for entities in fetch.entities:
            below = shape.get(entities.alias, {})
            _rename_shape(below, entities.output_rewrites)
            for path in entities.paths:
                place = root.at(keys_of(path))
                place.is_target = True
                place.deliver(below)
    return root.plot()


def shape_of(document: DocumentNode) -> Shape:
    """Return the response keys a fetch's document can answer with, whatever the types."""
    definitions = document.definitions
    fragments = {
        one.name.value: one.selection_set
        for one in definitions
        if isinstance(one, FragmentDefinitionNode)
    }
    shape: Shape = {}
    for definition in definitions:
        if isinstance(definition, OperationDefinitionNode):
            _add_shape(definition.selection_set, shape, fragments)
    return shape


def _add_shape(
    selection_set: SelectionSetNode, shape: Shape, fragments: Mapping[str, SelectionSetNode]
) -> None:
    for node in selection_set.selections:
        if isinstance(node, FieldNode):
            key = node.alias.value if node.alias else node.name.value
            below = shape.setdefault(key, {})
            if node.selection_set:
                _add_shape(node.selection_set, below, fragments)
        elif isinstance(node, InlineFragmentNode):
            _add_shape(node.selection_set, shape, fragments)
        else:
            assert isinstance(node, FragmentSpreadNode)
            # Only foreign planners fold repeated selections into fragments.
            _add_shape(fragments[node.name.value], shape, fragments)


def _rename_shape(shape: Shape, renamers: Sequence[KeyRenamer]) -> None:
    for renamer in renamers:
        *way, last = keys_of(renamer.path)
        for key in way:
            shape = shape.get(key, {})
        if last in shape:
            # The old key stays: the rename only touches some types.
            shape.setdefault(renamer.key, {}).update(shape[last])


@dataclass(frozen=True, slots=True)
class Merger:
    """Merges answers by a plan's plot; `objects` are the names of all object types."""

    objects: Collection[str]

    def merge(
        self, target: dict[str, Any], source: Mapping[str, Any], plot: Plot, take: Take
    ) -> bool:
        """Write `source` into `target`, which the engine owns.

        `take` makes parts of the source the engine's: `own` or, where the whole
        source is the engine's already, `as_it_is`.  Returns False if the two
        disagree on the shape of a value; what was there first stays.
        """
        if not plot:
            target.update(source)
            return True
        fits = True
        for key, value in source.items():
            below = plot.get(key)
            if below is None:
                target[key] = value
                continue
            old = target.get(key)
            if old is None:
                target[key] = take(value, below)
            elif key == "__typename":
                # An interface's name, from an `@interfaceObject`, gives way to the real one.
                if type(old) is not str or old not in self.objects:
                    target[key] = value
            elif type(old) is dict:
                fits = self._merge_inner(old, value, below, take) and fits
            elif type(old) is list:
                fits = self._merge_lists(old, value, below, take) and fits
            elif value is not None:
                target[key] = value
        return fits

    def _merge_inner(self, old: dict[str, Any], value: Any, plot: Plot, take: Take) -> bool:
        if type(value) is dict:
            return self.merge(old, value, plot, take)
        return value is None

    def _merge_lists(self, old: list[Any], new: Any, plot: Plot, take: Take) -> bool:
        """Merge element by element; both lists come from the same place, so they are as long."""
        if type(new) is not list:
            return new is None
        fits = len(old) == len(new)
        for index, (mine, theirs) in enumerate(zip(old, new, strict=False)):
            if mine is None:
                old[index] = take(theirs, plot)
            elif type(mine) is dict:
                fits = self._merge_inner(mine, theirs, plot, take) and fits
            elif type(mine) is list:
                fits = self._merge_lists(mine, theirs, plot, take) and fits
            elif theirs is not None:
                old[index] = theirs
        return fits


def as_it_is(value: Any, _: Plot) -> Any:
    """Return the value, of which nobody else has any part."""
    return value


def own(value: Any, plot: Plot) -> Any:
    """Return the value with everything later fetches write into copied."""
    if type(value) is dict:
        copy = value.copy()
        for key, below in plot.items():
            inner = copy.get(key)
            if inner is not None:
                copy[key] = own(inner, below)
        return copy
    if type(value) is list:
        return [own(inner, plot) for inner in value]
    return value


def rename_keys(value: Any, renamers: Sequence[KeyRenamer]) -> Any:
    """Return a copy of one result with the keys renamed that a subgraph made us alias."""
    copy = _deep_copy(value)
    for renamer in renamers:
        _rename(copy, renamer.path, renamer.key)
    return copy


def _deep_copy(value: Any) -> Any:
    if type(value) is dict:
        return {key: _deep_copy(inner) for key, inner in value.items()}
    if type(value) is list:
        return [_deep_copy(inner) for inner in value]
    return value


def _rename(value: Any, path: Sequence[PathStep], key: str) -> None:
    if type(value) is list:
        for inner in value:
            _rename(inner, path[1:] if path[0] == AT else path, key)
        return
    if type(value) is not dict:
        return
    step, *rest = path
    if isinstance(step, Gate):
        if type_name_of(value) in step.types:
            _rename(value, rest, key)
    elif step == AT:
        _rename(value, rest, key)
    elif rest:
        _rename(value.get(step), rest, key)
    elif step in value:
        value[key] = value.pop(step)
