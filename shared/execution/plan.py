"""What an operation selects: blocks of fields, and how their values are completed.

A `Block` is a selection set on one object type, its fragments merged; a `Field`
one response key of it; an `Output` says how values of a field's type are
completed.  `shared.execution.planner` makes them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from graphql import FieldNode, GraphQLField, GraphQLObjectType
from graphql.execution.collect_fields import FieldDetails

__all__ = [
    "ABSTRACT",
    "LEAF",
    "LIST",
    "OBJECT",
    "Block",
    "Column",
    "Field",
    "Output",
    "Resolver",
    "Rows",
]

LEAF: Final = 0
LIST: Final = 1
OBJECT: Final = 2
ABSTRACT: Final = 3

# The values of one field for many parents.
Column = list[Any]


class Resolver(Protocol):
    """Gets the values of a field for many parents.

    A value may be an exception: the error of that parent.
    """

    def __call__(
        self, run: Any, field: Field, sources: Sequence[Any], place: Any, /
    ) -> Column | Awaitable[Column]: ...


class Rows(Protocol):
    """Completes the plain fields of a block for many objects."""

    texts: list[str]

    def prepare(self) -> None:
        """Compile now what would be compiled for the first objects."""
        ...

    def __call__(self, sources: Sequence[Any], /) -> list[Any] | None:
        """One dictionary per object; None if a value is not what its type promises."""
        ...


@dataclass(slots=True, eq=False)
class Output:
    """How the values of one GraphQL type are completed."""

    graphql_type: Any  # the nullable type
    non_null: bool
    kind: int
    item: Output | None = None  # of a list
    block: Block | None = None  # of an object type
    exact: type | None = None  # of a scalar whose values of this class complete as themselves
    by_class: Mapping[type, str] = field(
        default_factory=dict
    )  # of an abstract type: types of values' classes


@dataclass(slots=True, eq=False)
class Field:
    """One response key of a block."""

    key: str
    order: int
    definition: GraphQLField
    nodes: list[FieldNode]
    details: list[FieldDetails]
    parent_type: GraphQLObjectType
    output: Output
    attribute: str | None  # what is read from the parent, when that is all there is to it
    resolver: Resolver
    # Of an abstract type: the block of each type seen so far, and how a new one is made.
    blocks: dict[str, Block]
    make_block: Callable[[GraphQLObjectType], Block]


@dataclass(slots=True, eq=False)
class Block:
    """The selected fields of one object type."""

    object_type: GraphQLObjectType
    empty: dict[str, Any]  # all response keys in order, with the values that are constant
    fields: tuple[Field, ...]  # all but `__typename`, in response order
    rows: Rows  # completes the fields that are plain attributes
    rest: tuple[Field, ...]  # the fields that it leaves to their resolvers
    origin: type | None  # whose instances are of this type, if a class says that much
