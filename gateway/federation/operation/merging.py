"""Whether fields of the same name in an answer can be one field, in time that grows with the text.

The specification compares every pair of fields ("Field Selection Merging").
Both of its relations, the same shape and the same value, hold between all of a
group if they hold between its first and each of the others; so each level of
the answer is gone through once, as Simon Adameit's algorithm for Sangria does
(https://tech.new-work.se/graphql-overlapping-fields-can-be-merged-fast-ea6e92e0a01).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLList,
    GraphQLNonNull,
    InlineFragmentNode,
    OperationDefinitionNode,
    get_named_type,
    is_composite_type,
    is_leaf_type,
    is_object_type,
    print_ast,
)
from graphql.language import SelectionSetNode
from graphql.utilities.sort_value_node import sort_value_node

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from graphql import (
        DocumentNode,
        GraphQLNamedType,
        GraphQLOutputType,
        GraphQLSchema,
        SelectionNode,
    )

__all__ = ["MAX_STEPS", "TooManySteps", "conflicts"]

MAX_STEPS = 50_000
"""How many selections may be looked at; an operation's fields are looked at about once each."""

# Selection sets on one place of the answer, each with the type it selects on.
_Level = list[tuple["GraphQLNamedType", SelectionSetNode]]


class TooManySteps(Exception):
    """The document would take too long to check."""


def conflicts(
    schema: GraphQLSchema, document: DocumentNode, *, most: int, steps: int = MAX_STEPS
) -> list[GraphQLError]:
    """Return an error for each response name whose fields cannot be merged, at most ``most``.

    Every other rule of validation must have passed.  Raises `TooManySteps`.
    """
    merging = _Merging(schema, document, steps)
    errors: list[GraphQLError] = []
    for error in merging.run():
        errors.append(error)
        if len(errors) == most:
            break
    return errors


@dataclass(frozen=True, slots=True)
class _Seen:
    """A field as it is selected on a type."""

    parent: GraphQLNamedType
    node: FieldNode
    type: GraphQLOutputType


class _Merging:
    def __init__(self, schema: GraphQLSchema, document: DocumentNode, steps: int) -> None:
        self._schema = schema
        self._document = document
        self._fragments = {
            one.name.value: one
            for one in document.definitions
            if isinstance(one, FragmentDefinitionNode)
        }
        self._steps = steps
        self._asked: dict[int, tuple[str, tuple[tuple[str, str], ...]]] = {}
        self._known: set[tuple[bool, tuple[int, ...]]] = set()
        # Levels still to look at; on some, fields need no more than the same shape.
        self._open: list[tuple[_Level, bool]] = []

    def run(self) -> Iterator[GraphQLError]:
        for operation in self._document.definitions:
            if isinstance(operation, OperationDefinitionNode):
                root = self._schema.get_root_type(operation.operation)
                assert root is not None
                self._open.append(([(root, operation.selection_set)], True))
        while self._open:
            level, same_value = self._open.pop()
            for key, fields in self._collect(level).items():
                reason = self._check(fields, same_value=same_value)
                if reason is not None:
                    yield _conflict(key, *reason)

    def _check(
        self, fields: Sequence[_Seen], *, same_value: bool
    ) -> tuple[str, _Seen, _Seen] | None:
        """Return why fields of one response name conflict, or go on with what they select."""
        groups = _groups(fields) if same_value else []
        for group in groups:
            self._spend(len(group))
            for other in group if len(group) > 1 else ():
                difference = self._difference(group[0].node, other.node)
                if difference is not None:
                    return difference, group[0], other
        first = fields[0]
        for other in fields:
            if not _same_shape(first.type, other.type):
                reason = f"they return conflicting types '{first.type}' and '{other.type}'"
                return reason, first, other
        for group in groups:
            self._descend(group, same_value=True)
        # A field alone has been, or will be, looked at for its value.
        if len(fields) > 1 and len(groups) != 1:
            self._descend(fields, same_value=False)
        return None

    def _descend(self, fields: Sequence[_Seen], *, same_value: bool) -> None:
        level = [
            (get_named_type(one.type), one.node.selection_set)
            for one in fields
            if one.node.selection_set is not None
        ]
        key = same_value, tuple(id(selection_set) for _, selection_set in level)
        if level and key not in self._known:
            self._known.add(key)
            self._open.append((level, same_value))

    def _collect(self, level: _Level) -> dict[str, list[_Seen]]:
        """Return the fields of a level by response name; each fragment counts once."""
        found: dict[str, list[_Seen]] = {}
        spread: set[str] = set()
        todo = [(parent, iter(self._selections(one))) for parent, one in reversed(level)]
        while todo:
            parent, nodes = todo[-1]
            node = next(nodes, None)
            if node is None:
                todo.pop()
            elif isinstance(node, FieldNode):
                key = node.alias.value if node.alias else node.name.value
                found.setdefault(key, []).append(self._seen(parent, node))
            else:
                inner: FragmentDefinitionNode | InlineFragmentNode
                if isinstance(node, FragmentSpreadNode):
                    if node.name.value in spread:
                        continue
                    spread.add(node.name.value)
                    inner = self._fragments[node.name.value]
                else:
                    assert isinstance(node, InlineFragmentNode)
                    inner = node
                condition = inner.type_condition
                on = self._schema.type_map[condition.name.value] if condition else parent
                todo.append((on, iter(self._selections(inner.selection_set))))
        return found

    def _selections(self, selection_set: SelectionSetNode) -> Sequence[SelectionNode]:
        self._spend(len(selection_set.selections))
        return selection_set.selections

    def _seen(self, parent: GraphQLNamedType, node: FieldNode) -> _Seen:
        assert is_composite_type(parent)
        definition = self._schema.get_field(parent, node.name.value)
        assert definition is not None
        return _Seen(parent, node, definition.type)

    def _difference(self, first: FieldNode, other: FieldNode) -> str | None:
        (name, arguments), (other_name, other_arguments) = self._asks(first), self._asks(other)
        if name != other_name:
            return f"'{name}' and '{other_name}' are different fields"
        return None if arguments == other_arguments else "they have differing arguments"

    def _asks(self, node: FieldNode) -> tuple[str, tuple[tuple[str, str], ...]]:
        """Return the field's name and its arguments, written in one way."""
        known = self._asked.get(id(node))
        if known is None:
            arguments = sorted(
                (one.name.value, print_ast(sort_value_node(one.value)))
                for one in node.arguments or ()
            )
            known = self._asked[id(node)] = (node.name.value, tuple(arguments))
        return known

    def _spend(self, steps: int) -> None:
        self._steps -= steps
        if self._steps < 0:
            raise TooManySteps


def _groups(fields: Sequence[_Seen]) -> list[Sequence[_Seen]]:
    """Return which of the fields may be selected on the same object.

    On two different object types they never are; one on an abstract type may be
    with each of them.
    """
    abstract: list[_Seen] = []
    concrete: dict[str, list[_Seen]] = {}
    for one in fields:
        of_type = concrete.setdefault(one.parent.name, []) if _is_object(one) else abstract
        of_type.append(one)
    if len(concrete) < 2:
        return [fields]
    return [[*abstract, *group] for group in concrete.values()]


def _is_object(field: _Seen) -> bool:
    return is_object_type(field.parent)


def _same_shape(one: GraphQLOutputType, other: GraphQLOutputType) -> bool:
    while one is not other:
        if isinstance(one, GraphQLNonNull):
            if not isinstance(other, GraphQLNonNull):
                return False
        elif isinstance(one, GraphQLList):
            if not isinstance(other, GraphQLList):
                return False
        else:
            return not (
                isinstance(other, GraphQLNonNull | GraphQLList)
                or is_leaf_type(one)
                or is_leaf_type(other)
            )
        one, other = one.of_type, other.of_type
    return True


def _conflict(key: str, reason: str, first: _Seen, other: _Seen) -> GraphQLError:
    return GraphQLError(
        f"Fields '{key}' conflict because {reason}."
        " Use different aliases on the fields to fetch both if this was intentional.",
        [first.node, other.node],
    )
