"""Coerce a request's variables as graphql-core does, with what never changes done once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from graphql import (
    GraphQLError,
    GraphQLInputType,
    GraphQLSchema,
    OperationDefinitionNode,
    Undefined,
    get_named_type,
    get_nullable_type,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
)
from graphql.execution.get_variable_signature import (
    GraphQLVariableSignature,
    get_variable_signature,
)
from graphql.execution.values import VariableValues, VariableValueSource, get_variable_values
from graphql.utilities import coerce_input_value

__all__ = ["VariableReader"]

# As many errors as graphql-core reports.
MAX_ERRORS: Final = 50


@dataclass(frozen=True, slots=True)
class _Variable:
    """A variable of leaf values, or of lists of them."""

    signature: GraphQLVariableSignature
    coerce: Callable[[Any], Any]
    must_be_given: bool


class VariableReader:
    """Reads the variables of one operation."""

    def __init__(self, schema: GraphQLSchema, operation: OperationDefinitionNode) -> None:
        self._schema = schema
        self._definitions = operation.variable_definitions or ()
        self._variables = self._plain()

    def read(self, given: Mapping[str, Any]) -> VariableValues | list[GraphQLError]:
        """The coerced variables, or the errors of the request."""
        values = None if self._variables is None else self._read(self._variables, given)
        if values is not None:
            return values
        return get_variable_values(self._schema, self._definitions, dict(given), MAX_ERRORS)

    def _plain(self) -> list[_Variable] | None:
        """What is known of all variables; None if one of them holds an input object."""
        variables = []
        for node in self._definitions:
            signature = get_variable_signature(self._schema, node)
            if isinstance(signature, GraphQLError):
                return None
            if not is_leaf_type(get_named_type(signature.type)):
                return None
            must_be_given = is_non_null_type(signature.type) or node.default_value is not None
            variables.append(_Variable(signature, _coercion(signature.type), must_be_given))
        return variables

    def _read(self, variables: list[_Variable], given: Mapping[str, Any]) -> VariableValues | None:
        """The values; None where graphql-core has to say what is wrong, or to use a default."""
        sources: dict[str, VariableValueSource] = {}
        coerced: dict[str, Any] = {}
        for variable in variables:
            name = variable.signature.name
            value = given.get(name, Undefined)
            if value is Undefined:
                if variable.must_be_given:
                    return None
                sources[name] = VariableValueSource(variable.signature)
                continue
            sources[name] = VariableValueSource(variable.signature, value)
            result = variable.coerce(value)
            if result is Undefined:
                return None
            coerced[name] = result
        return VariableValues(sources, coerced)


def _coercion(type_: GraphQLInputType) -> Callable[[Any], Any]:
    """Coerces values of a type; Undefined for a wrong one."""
    nullable = get_nullable_type(type_)
    if not is_list_type(nullable) or not is_non_null_type(nullable.of_type):
        return lambda value: coerce_input_value(value, type_)
    item_type = nullable.of_type.of_type
    if not is_leaf_type(item_type):
        return lambda value: coerce_input_value(value, type_)
    coerce = item_type.coerce_input_value

    def coerce_list(value: Any) -> Any:
        if type(value) is not list:
            return coerce_input_value(value, type_)
        if any(item is None or item is Undefined for item in value):
            return Undefined
        try:
            items = [coerce(item) for item in value]
        except Exception:  # noqa: BLE001 - graphql-core says what is wrong
            return Undefined
        return Undefined if any(item is Undefined for item in items) else items

    return coerce_list
