"""Shape conflicts: one response key, two shapes, inside one printed document.

A client may select ``User.id`` and ``Admin.id`` under one key when the
supergraph's types agree.  A subgraph whose own types differ (``ID!`` here,
``ID`` there) refuses that, so all but the first get an alias in its document
and are renamed back in its answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from graphql import print_ast

from gateway.federation.plan import AT, Gate, KeyRenamer, PathStep
from gateway.federation.plan import Path as Position
from gateway.federation.planner.fetches import ENTITY, Selected, SelectionSet
from gateway.federation.planner.graph import QueryGraph
from gateway.federation.planner.keys import Keys
from gateway.federation.supergraph.model import list_depth, type_in

__all__ = ["separate"]


def separate(
    graph: QueryGraph, subgraph: str, selections: SelectionSet, keys: Keys
) -> tuple[KeyRenamer, ...]:
    """Alias what conflicts in a document, in place; how to undo it in the answer."""
    separator = _Separator(graph, subgraph, keys)
    separator.visit([_Scope((), selections)])
    if separator.renamers and selections.type == ENTITY:
        selections.select_typename()
    # Inner keys are renamed while their parents still have the aliases of the document.
    return tuple(reversed(separator.renamers))


@dataclass(frozen=True, slots=True, eq=False)
class _Scope:
    """Selections that apply to the same response object, and the gate to them."""

    at: Position
    selections: SelectionSet


@dataclass(slots=True)
class _Separator:
    graph: QueryGraph
    subgraph: str
    keys: Keys
    renamers: list[KeyRenamer] = field(default_factory=list)

    def visit(self, scopes: list[_Scope]) -> None:
        """Separate the selections of one response object, then those below it."""
        shapes: dict[str, str] = {}
        below: dict[str, list[_Scope]] = {}
        for scope in [inner for outer in scopes for inner in self._flat(outer)]:
            for key, selected in list(scope.selections.fields.items()):
                if selected.name == "__typename":
                    continue
                shape = self._shape(scope.selections.type, selected)
                used = key
                if shapes.setdefault(key, shape) != shape:
                    used = self._alias(scope, key)
                if selected.below is not None:
                    lists: tuple[PathStep, ...] = (AT,) * self._lists(scope, selected)
                    inner = _Scope((*scope.at, used, *lists), selected.below)
                    below.setdefault(used, []).append(inner)
        for inner_scopes in below.values():
            self.visit(inner_scopes)

    def _alias(self, scope: _Scope, key: str) -> str:
        alias = self.keys.fresh(key)
        fields = scope.selections.fields
        scope.selections.fields = {
            alias if known == key else known: selected for known, selected in fields.items()
        }
        self.renamers.append(KeyRenamer((*scope.at, alias), key))
        return alias

    def _shape(self, type_: str, selected: Selected) -> str:
        info = self.graph.types[type_].fields[selected.name]
        printed = print_ast(type_in(info, self.subgraph))
        if selected.below is None:
            return printed
        return "".join(character for character in printed if character in "[]!")

    def _lists(self, scope: _Scope, selected: Selected) -> int:
        return list_depth(self.graph.types[scope.selections.type].fields[selected.name].type)

    def _flat(self, scope: _Scope) -> Iterator[_Scope]:
        yield scope
        for type_, inner in scope.selections.on.items():
            # Behind an interface's name is an object's, or that of an `@interfaceObject`.
            types = self.graph.supergraph.possible_types(type_) | {type_}
            yield from self._flat(_Scope((*scope.at, Gate(types)), inner))
