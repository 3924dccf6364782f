"""Response keys: which key holds which field at each position, over all fetches.

All fetches write into one response, so what the planner selects for itself
must never share a key with something else the client (or it) selects on the
same object.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from graphql import ValueNode

from gateway.federation.operation.selection import Field, Selection
from gateway.federation.supergraph import Supergraph
from gateway.federation.supergraph.model import named_type

__all__ = ["Keys", "Position"]

Arguments = tuple[tuple[str, ValueNode], ...]


@dataclass(slots=True)
class _Entry:
    name: str
    arguments: Arguments
    types: frozenset[str]
    below: Position


@dataclass(slots=True, eq=False)
class Position:
    """The keys of the objects at one position of the response, whatever their types."""

    entries: dict[str, list[_Entry]] = field(default_factory=dict)


@dataclass(slots=True)
class Keys:
    """Hands out response keys; ``aliases`` maps the internal ones to what they stand for."""

    root: Position
    taken: set[str]
    aliases: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, supergraph: Supergraph, selections: Iterable[Selection], root: str) -> Keys:
        """The keys a client's normalised selections occupy."""
        position = Position()
        taken = set(_occupy(supergraph, position, selections, root))
        return cls(position, taken)

    def claim(
        self, position: Position, types: frozenset[str], name: str, arguments: Arguments
    ) -> tuple[str, Position]:
        """A key under which the field may be selected on these types, shared where possible."""
        for key in self._candidates(position, name, arguments):
            if _is_free(position, key, types, name, arguments):
                return key, take(position, key, types, name, arguments)
        key = self.fresh(name)
        return key, take(position, key, types, name, arguments)

    @staticmethod
    def _candidates(position: Position, name: str, arguments: Arguments) -> Iterator[str]:
        for key, entries in position.entries.items():
            if any(e.name == name and e.arguments == arguments for e in entries):
                yield key
        yield name

    def fresh(self, name: str) -> str:
        """An internal key nobody uses, standing for ``name``."""
        number = len(self.aliases)
        while (key := f"_k{number}") in self.taken:
            number += 1
        self.taken.add(key)
        self.aliases[key] = name
        return key


def take(
    position: Position, key: str, types: frozenset[str], name: str, arguments: Arguments
) -> Position:
    """Record that ``key`` holds the field on these types; the position below it."""
    entries = position.entries.setdefault(key, [])
    for entry in entries:
        if entry.name == name and entry.arguments == arguments:
            entry.types |= types
            return entry.below
    entry = _Entry(name, arguments, types, Position())
    entries.append(entry)
    return entry.below


def _is_free(
    position: Position, key: str, types: frozenset[str], name: str, arguments: Arguments
) -> bool:
    return all(
        (entry.name == name and entry.arguments == arguments) or not entry.types & types
        for entry in position.entries.get(key, ())
    )


def _occupy(
    supergraph: Supergraph, position: Position, selections: Iterable[Selection], parent: str
) -> Iterator[str]:
    types = supergraph.possible_types(parent)
    for selection in selections:
        if not isinstance(selection, Field):
            yield from _occupy(supergraph, position, selection.selections, selection.on)
            continue
        yield selection.key
        below = take(position, selection.key, types, selection.name, selection.arguments)
        if selection.selections:
            target = named_type(supergraph.types[parent].fields[selection.name].type)
            yield from _occupy(supergraph, below, selection.selections, target)
