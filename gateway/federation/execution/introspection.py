"""`__schema` and `__type`, answered from the API schema by graphql-core, wherever the root is."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from graphql import (
    ArgumentNode,
    DocumentNode,
    ExecutionResult,
    FieldNode,
    NameNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    execute_sync,
    get_named_type,
    is_composite_type,
    is_object_type,
)

from gateway.federation.execution.positions import type_name_of
from gateway.federation.execution.projection import collect_fields
from gateway.federation.operation.selection import INTROSPECTION_FIELDS, Field, introspects

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from graphql import GraphQLCompositeType, GraphQLSchema

    from gateway.federation.execution.projection import Sets
    from gateway.federation.operation.selection import Operation, Selection

    Answer = Callable[["_Question"], dict[str, Any]]

__all__ = ["Introspection"]


class Introspection:
    """The introspection of one operation: at its root, and where fields lead back to that."""

    __slots__ = ("_root",)

    def __init__(self, schema: GraphQLSchema, operation: Operation) -> None:
        root = schema.get_root_type(operation.kind)
        assert root is not None
        self._root = _Place(schema, operation, root, (operation.selections,))

    @classmethod
    def of(cls, schema: GraphQLSchema, operation: Operation) -> Introspection | None:
        """Return what there is of it in an operation, or None if there is nothing."""
        return cls(schema, operation) if introspects(operation.selections) else None

    def fill(self, data: Mapping[str, Any], variables: Mapping[str, Any]) -> dict[str, Any]:
        """Return the data with the answers in it; nothing is written into what is given."""

        @cache
        def answer(question: _Question) -> dict[str, Any]:
            return question.answer(variables)

        filled: dict[str, Any] = self._root.fill(data, answer)
        return filled


class _Question:
    """The introspection fields of one object.

    What depends on no variable is answered once and then shared: callers only
    read it.
    """

    __slots__ = ("_answer", "_document", "_is_constant", "_schema")

    def __init__(
        self, schema: GraphQLSchema, operation: Operation, fields: Sequence[Field]
    ) -> None:
        self._schema = schema
        self._document = _document(operation, fields)
        self._is_constant = not operation.variables
        self._answer: dict[str, Any] = {}

    def answer(self, variables: Mapping[str, Any]) -> dict[str, Any]:
        """Return the answers by response key."""
        if self._answer:
            return self._answer
        result = execute_sync(self._schema, self._document, variable_values=dict(variables))
        assert isinstance(result, ExecutionResult)
        answer = dict(result.data or {})
        if self._is_constant:
            self._answer = answer
        return answer


class _Place:
    """Where an operation has introspection, or leads to it: what it selects on values of a type."""

    __slots__ = ("_known", "_operation", "_schema", "_sets", "_type")

    def __init__(
        self, schema: GraphQLSchema, operation: Operation, type_: GraphQLCompositeType, sets: Sets
    ) -> None:
        self._schema = schema
        self._operation = operation
        self._type = type_
        self._sets = sets
        self._known: dict[str, tuple[_Question | None, dict[str, _Place]]] = {}

    def fill(self, value: Any, answer: Answer) -> Any:
        """Return a value with the answers in it, and below it."""
        if type(value) is list:
            return [self.fill(one, answer) for one in value]
        if type(value) is not dict:
            return value
        question, below = self._of(value)
        filled = {**value, **answer(question)} if question else value.copy()
        for key, place in below.items():
            filled[key] = place.fill(value.get(key), answer)
        return filled

    def _of(self, one: dict[str, Any]) -> tuple[_Question | None, dict[str, _Place]]:
        """Return what is asked of an object, and the places below it by response key."""
        type_ = self._type
        if not is_object_type(type_):
            # Where nothing depends on it, nobody may have asked for the type.
            runtime = self._schema.type_map.get(type_name_of(one) or "")
            type_ = runtime if is_object_type(runtime) else type_
        if type_.name not in self._known:
            self._known[type_.name] = self._read(type_)
        return self._known[type_.name]

    def _read(self, type_: GraphQLCompositeType) -> tuple[_Question | None, dict[str, _Place]]:
        asked: list[Field] = []
        below: dict[str, _Place] = {}
        for key, same in collect_fields(self._schema, self._sets, type_.name).items():
            if same[0].name in INTROSPECTION_FIELDS:
                asked += same
            elif any(introspects(one.selections) for one in same):
                definition = self._schema.get_field(type_, same[0].name)
                assert definition is not None
                inner = get_named_type(definition.type)
                assert is_composite_type(inner)
                sets = tuple(one.selections for one in same)
                below[key] = _Place(self._schema, self._operation, inner, sets)
        return _Question(self._schema, self._operation, asked) if asked else None, below


def _document(operation: Operation, fields: Sequence[Field]) -> DocumentNode:
    definition = OperationDefinitionNode(
        operation=OperationType.QUERY,
        variable_definitions=tuple(operation.variables.values()),
        selection_set=_selection_set(fields),
    )
    return DocumentNode(definitions=(definition,))


def _selection_set(selections: Sequence[Selection]) -> SelectionSetNode:
    return SelectionSetNode(selections=tuple(map(_node, selections)))


def _node(selection: Selection) -> FieldNode:
    # Introspection has object types only, and fragments on those are always spliced in.
    assert isinstance(selection, Field)
    return FieldNode(
        alias=NameNode(value=selection.key) if selection.key != selection.name else None,
        name=NameNode(value=selection.name),
        arguments=tuple(
            ArgumentNode(name=NameNode(value=name), value=value)
            for name, value in selection.arguments
            if not name.startswith("@")
        ),
        selection_set=_selection_set(selection.selections) if selection.selections else None,
    )
