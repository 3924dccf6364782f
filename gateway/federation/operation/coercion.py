"""Variable values by the API schema, at the price of a type check where that is enough.

graphql-core decides everything; this only answers first for values whose
coercion changes nothing, which is what clients send all the time.
"""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any

from graphql import (
    GraphQLEnumType,
    GraphQLInputType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLScalarType,
    GraphQLSchema,
    is_input_type,
    is_specified_scalar_type,
    type_from_ast,
)
from graphql.execution.values import get_variable_values

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from graphql import GraphQLError, VariableDefinitionNode

    # Returns the coerced value, or `_UNSURE`.
    Check = Callable[[Any], Any]

__all__ = ["Coercion"]

_UNSURE = object()
_ABSENT = object()
_INT = 2**31
MAX_ERRORS = 20


class Coercion:
    """Coerces the variables of one operation; made once, used for every request."""

    __slots__ = ("_checks", "_definitions", "_hide_suggestions", "_schema")

    def __init__(
        self,
        schema: GraphQLSchema,
        definitions: Sequence[VariableDefinitionNode],
        *,
        hide_suggestions: bool = False,
    ) -> None:
        self._schema = schema
        self._definitions = definitions
        self._hide_suggestions = hide_suggestions
        self._checks = [
            (one.variable.name.value, _check_of(schema, one), _default_of(schema, one))
            for one in definitions
        ]

    def coerce(self, given: Mapping[str, Any]) -> dict[str, Any] | list[GraphQLError]:
        """Return the values, defaults applied, or what is wrong with them."""
        coerced: dict[str, Any] = {}
        for name, check, default in self._checks:
            value = given.get(name, _ABSENT)
            known = default if value is _ABSENT else check(value)
            if known is _UNSURE:
                return self._by_graphql_core(given)
            if known is not _ABSENT:
                coerced[name] = known
        return coerced

    def _by_graphql_core(self, given: Mapping[str, Any]) -> dict[str, Any] | list[GraphQLError]:
        values = get_variable_values(
            self._schema,
            self._definitions,
            dict(given),
            max_errors=MAX_ERRORS,
            hide_suggestions=self._hide_suggestions,
        )
        return values if isinstance(values, list) else values.coerced


def _default_of(schema: GraphQLSchema, definition: VariableDefinitionNode) -> Any:
    """Return what an absent variable comes to; `_UNSURE` if it is wrong, or not to be shared."""
    values = get_variable_values(schema, [definition], {})
    if isinstance(values, list):
        return _UNSURE
    default = values.coerced.get(definition.variable.name.value, _ABSENT)
    return _UNSURE if isinstance(default, dict | list) else default


def _check_of(schema: GraphQLSchema, definition: VariableDefinitionNode) -> Check:
    type_ = type_from_ast(schema, definition.type)
    assert is_input_type(type_)
    return _check(type_)


def _check(type_: GraphQLInputType) -> Check:
    if isinstance(type_, GraphQLNonNull):
        inner = _check(type_.of_type)
        return lambda value: _UNSURE if value is None else inner(value)
    if isinstance(type_, GraphQLList):
        return _list_check(_check(type_.of_type))
    if isinstance(type_, GraphQLEnumType):
        names = frozenset(type_.values)
        return lambda value: value if value is None or _is_one_of(value, names) else _UNSURE
    if isinstance(type_, GraphQLScalarType) and is_specified_scalar_type(type_):
        return _SCALARS[type_.name]
    # Input objects have defaults of their own, and what a scalar accepts is its business.
    return lambda _: _UNSURE


def _list_check(item: Check) -> Check:
    def check(value: Any) -> Any:
        if value is None:
            return None
        if type(value) is not list:
            return _UNSURE
        items = [item(one) for one in value]
        return _UNSURE if _UNSURE in items else items

    return check


def _is_one_of(value: Any, names: frozenset[str]) -> bool:
    return type(value) is str and value in names


def _int(value: Any) -> Any:
    return value if value is None or (type(value) is int and -_INT <= value < _INT) else _UNSURE


def _float(value: Any) -> Any:
    return value if value is None or (type(value) is float and isfinite(value)) else _UNSURE


def _string(value: Any) -> Any:
    return value if value is None or type(value) is str else _UNSURE


def _boolean(value: Any) -> Any:
    return value if value is None or type(value) is bool else _UNSURE


_SCALARS: Mapping[str, Check] = {
    "ID": _string,
    "Int": _int,
    "Float": _float,
    "String": _string,
    "Boolean": _boolean,
}
