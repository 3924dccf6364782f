"""`__schema` and `__type`, answered from the API schema by graphql-core."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graphql import (
    ArgumentNode,
    DocumentNode,
    ExecutionResult,
    FieldNode,
    GraphQLSchema,
    NameNode,
    OperationDefinitionNode,
    SelectionSetNode,
    execute_sync,
)

from gateway.federation.operation.selection import Field

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gateway.federation.operation.selection import Operation, Selection

__all__ = ["INTROSPECTION_FIELDS", "Introspection"]

INTROSPECTION_FIELDS = frozenset({"__schema", "__type"})


class Introspection:
    """The introspection part of one operation.

    What depends on no variable is computed once and then shared: callers only
    read it.
    """

    __slots__ = ("_answer", "_document", "_is_constant", "_schema")

    def __init__(self, schema: GraphQLSchema, operation: Operation) -> None:
        fields = [one for one in operation.selections if isinstance(one, Field)]
        fields = [one for one in fields if one.name in INTROSPECTION_FIELDS]
        self._schema = schema
        self._document = _document(operation, fields) if fields else None
        self._is_constant = not operation.variables
        self._answer: dict[str, Any] = {}

    def __bool__(self) -> bool:
        """Return whether the operation asks for any of it."""
        return self._document is not None

    def answer(self, variables: Mapping[str, Any]) -> dict[str, Any]:
        """Return the answers by response key."""
        if self._document is None or self._answer:
            return self._answer
        result = execute_sync(self._schema, self._document, variable_values=dict(variables))
        assert isinstance(result, ExecutionResult)
        answer = dict(result.data or {})
        if self._is_constant:
            self._answer = answer
        return answer


def _document(operation: Operation, fields: Sequence[Field]) -> DocumentNode:
    definition = OperationDefinitionNode(
        operation=operation.kind,
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
