"""Normalisation for planning: concrete type conditions only, nothing impossible, nothing twice."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from gateway.federation.operation.selection import (
    INTROSPECTION_FIELDS,
    Field,
    Fragment,
    Selection,
)
from gateway.federation.supergraph import Supergraph
from gateway.federation.supergraph.model import Kind, named_type

__all__ = ["TYPENAME", "normalize", "normalize_root"]

TYPENAME = Field("__typename", "__typename")


def normalize_root(
    supergraph: Supergraph, selections: Iterable[Selection], root: str
) -> tuple[Selection, ...]:
    """The root selections that need a fetch."""
    return tuple(
        selection
        for selection in normalize(supergraph, selections, root)
        if not (isinstance(selection, Field) and selection.name == TYPENAME.name)
    )


def normalize(
    supergraph: Supergraph, selections: Iterable[Selection], parent: str
) -> tuple[Selection, ...]:
    """Equivalent selections whose fragments are on object types other than ``parent``."""
    collector = _Collector(supergraph, parent)
    collector.add(selections)
    return collector.result()


class _Collector:
    """Merges the selections that apply to one parent type."""

    def __init__(self, supergraph: Supergraph, parent: str) -> None:
        self._supergraph = supergraph
        self._parent = parent
        self._info = supergraph.types[parent]
        self._possible = supergraph.possible_types(parent)
        self._fields: dict[str, tuple[Field, list[Selection]]] = {}
        self._fragments: dict[str, list[Selection]] = {}

    def add(self, selections: Iterable[Selection]) -> None:
        for selection in selections:
            if isinstance(selection, Field):
                self._add_field(selection)
            else:
                self._add_fragment(selection)

    def _add_field(self, field: Field) -> None:
        if field.name in INTROSPECTION_FIELDS:
            # No subgraph is asked for it, also where a field leads back to the root.
            return
        known, below = self._fields.setdefault(field.key, (field, []))
        below.extend(field.selections)
        if field.part < known.part:
            self._fields[field.key] = replace(known, part=field.part), below

    def _add_fragment(self, fragment: Fragment) -> None:
        if fragment.on == self._parent or self._info.kind is Kind.OBJECT:
            if self._parent in self._supergraph.possible_types(fragment.on) or (
                fragment.on == self._parent
            ):
                self.add(fragment.selections)
            return
        matching = self._possible & self._supergraph.possible_types(fragment.on)
        if matching == self._possible and self._selectable(fragment.selections):
            # The projection tests the client's condition, for which it needs the type.
            self._add_field(TYPENAME)
            self.add(fragment.selections)
            return
        for name in sorted(matching):
            self._fragments.setdefault(name, []).extend(fragment.selections)

    def _selectable(self, selections: Sequence[Selection]) -> bool:
        return self._info.kind is Kind.INTERFACE and all(
            selection.name in self._info.fields
            for selection in selections
            if isinstance(selection, Field) and selection.name != TYPENAME.name
        )

    def result(self) -> tuple[Selection, ...]:
        fields = [self._field(field, below) for field, below in self._fields.values()]
        fragments = []
        for name, below in self._fragments.items():
            inner = normalize(self._supergraph, below, name)
            inner = tuple(s for s in inner if s.selections or not _is_among(s, fields))
            if inner:
                fragments.append(Fragment(name, inner))
            elif TYPENAME not in fields:
                fields.append(TYPENAME)
        return (*fields, *fragments)

    def _field(self, field: Field, below: list[Selection]) -> Field:
        info = self._info.fields.get(field.name)
        if info is None:
            return field
        name = named_type(info.type)
        composite = self._supergraph.types.get(name)
        if composite is None or composite.kind is Kind.LEAF:
            return field
        inner = normalize(self._supergraph, below, name) or (TYPENAME,)
        if self._hides_types(name) and TYPENAME not in inner:
            inner = (TYPENAME, *inner)
        return replace(field, selections=inner)

    def _hides_types(self, name: str) -> bool:
        """Whether clients must not see all types a value can have: the projection has to look."""
        if self._supergraph.types[name].kind is Kind.OBJECT:
            return False
        visible = self._supergraph.api_schema.type_map
        return any(t not in visible for t in self._supergraph.possible_types(name))


def _is_among(selection: Selection, fields: Sequence[Field]) -> bool:
    """Whether the fields have it, no later than it is wanted."""
    return isinstance(selection, Field) and any(
        one.part <= selection.part and replace(one, part=selection.part) == selection
        for one in fields
    )
