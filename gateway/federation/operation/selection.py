"""A client's operation as selections: fragments inlined, conditions folded away.

This is what both the planner and the projection read, so it keeps what the
client wrote: its order, its response keys, its type conditions.  Values stay
graphql-core AST nodes, which are immutable and hashable.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.federation.plan import AT_ONCE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from graphql import OperationType, ValueNode, VariableDefinitionNode

    from gateway.federation.plan import Part, Path

__all__ = [
    "INTROSPECTION_FIELDS",
    "Deferred",
    "Field",
    "Fragment",
    "Operation",
    "Selection",
    "introspects",
]

INTROSPECTION_FIELDS = frozenset({"__schema", "__type"})


@dataclass(frozen=True, slots=True)
class Field:
    """One selected field.

    ``key`` is the response key (the alias, or the name).  ``arguments`` are
    sorted by name; the schema's own directives come after them, as ``@name`` and an
    object of their arguments.  ``selections`` is empty for a leaf.  ``part`` is the
    first part of the answer that the field is for.
    """

    key: str
    name: str
    arguments: tuple[tuple[str, ValueNode], ...] = ()
    selections: tuple[Selection, ...] = ()
    part: Part = AT_ONCE


@dataclass(frozen=True, slots=True)
class Fragment:
    """An inline fragment; ``on`` names an object, an interface or a union."""

    on: str
    selections: tuple[Selection, ...]


Selection = Field | Fragment


@dataclass(frozen=True, slots=True)
class Operation:
    """One executable operation under fixed values of its conditions.

    ``directives`` are the schema's own, written as among a field's arguments.
    """

    kind: OperationType
    name: str | None
    root_type: str
    variables: Mapping[str, VariableDefinitionNode]
    selections: tuple[Selection, ...]
    directives: tuple[tuple[str, ValueNode], ...] = ()


@dataclass(frozen=True, slots=True)
class Deferred:
    """A fragment the client can wait for: what it selects on the objects at a position.

    ``path`` ends with a gate if the fragment's type condition may fail; ``on``
    is the type that the selections are on.  ``parent`` is the index, among all of
    an operation, of the deferred fragment this one is inside; -1 for none.
    """

    label: str | None
    path: Path
    on: str
    selections: tuple[Selection, ...]
    parent: int = -1


def introspects(selections: Sequence[Selection]) -> bool:
    """Return whether anything of the schema is asked for: also below the root, which fields
    may lead back to.
    """
    return any(
        (isinstance(one, Field) and one.name in INTROSPECTION_FIELDS) or introspects(one.selections)
        for one in selections
    )
