"""Why a response has nulls its subgraphs did not report: one error for each.

Runs over the merged data with the rules of `projection`, but keeps paths; only
when the projection noted that there is something to find.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from graphql import (
    GraphQLEnumType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    is_abstract_type,
    is_composite_type,
    is_object_type,
)

from gateway.federation.execution.errors import Error, client_error
from gateway.federation.execution.positions import type_name_of
from gateway.federation.execution.projection import collect_fields, hidden_values, needs_type
from gateway.federation.operation.selection import INTROSPECTION_FIELDS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from graphql import GraphQLCompositeType, GraphQLOutputType, GraphQLSchema

    from gateway.federation.execution.positions import ResponsePath
    from gateway.federation.execution.projection import Sets
    from gateway.federation.operation.selection import Operation

__all__ = ["explain_nulls", "explain_nulls_below"]

MAX_ERRORS = 100


def explain_nulls(
    schema: GraphQLSchema,
    supergraph_schema: GraphQLSchema,
    operation: Operation,
    data: dict[str, Any],
    errors: Iterable[Error],
) -> list[Error]:
    """Return an error for every null of the projection that `errors` do not account for.

    A known error accounts for what is above it and below it; one without a path
    for everything.  At most `MAX_ERRORS` are returned.
    """
    root = schema.get_root_type(operation.kind)
    assert root is not None
    search = _Search(schema, supergraph_schema, [error.get("path", []) for error in errors])
    search.composite(root, (operation.selections,), data, [])
    return search.found


def explain_nulls_below(
    schemas: tuple[GraphQLSchema, GraphQLSchema],
    type_: GraphQLCompositeType,
    sets: Sets,
    value: Any,
    path: ResponsePath,
    errors: Iterable[Error],
) -> list[Error]:
    """Return the same for what is selected on one object; `schemas` are API and supergraph."""
    search = _Search(*schemas, [error.get("path", []) for error in errors])
    search.composite(type_, sets, value, path)
    return search.found


@dataclass(slots=True)
class _Search:
    schema: GraphQLSchema
    supergraph_schema: GraphQLSchema
    known: list[ResponsePath]
    found: list[Error] = field(default_factory=list)

    def composite(
        self, type_: GraphQLCompositeType, sets: Sets, value: Any, path: ResponsePath
    ) -> bool:
        """Return whether a value of a composite type is answered."""
        if is_object_type(type_):
            return self._object(type_, sets, value, path)
        return self._abstract(type_, sets, value, path)

    def _object(
        self, type_: GraphQLCompositeType, sets: Sets, value: Any, path: ResponsePath
    ) -> bool:
        """Return whether an object is answered; False if a null below makes it null."""
        if type(value) is not dict:
            return self._unfit(path, f"Expected an object of type {type_.name}.")
        for key, same in collect_fields(self.schema, sets, type_.name).items():
            name = same[0].name
            if name == "__typename" or name in INTROSPECTION_FIELDS:
                continue
            definition = self.schema.get_field(type_, name)
            assert definition is not None
            below = tuple(one.selections for one in same)
            coordinate = f"{type_.name}.{name}"
            here = [*path, key]
            # What is absent came with none of its fetch's answer: an error there is the reason.
            reason = here if key in value else path
            if not self._value(definition.type, below, value.get(key), here, coordinate, reason):
                return False
        return True

    def _value(
        self,
        type_: GraphQLOutputType,
        sets: Sets,
        value: Any,
        path: ResponsePath,
        coordinate: str,
        reason: ResponsePath,
    ) -> bool:
        """Return whether a null, if this becomes one, may stay here.

        ``reason`` is where a known error accounts for one that may not.
        """
        if not isinstance(type_, GraphQLNonNull):
            self._nullable(type_, sets, value, path, coordinate)
            return True
        if self._nullable(type_.of_type, sets, value, path, coordinate):
            return True
        message = f"Cannot return null for non-nullable field {coordinate}."
        self._report(path, message, reason)
        return False

    def _nullable(
        self,
        type_: GraphQLOutputType,
        sets: Sets,
        value: Any,
        path: ResponsePath,
        coordinate: str,
    ) -> bool:
        """Return whether a value that may be null is answered and not null."""
        if value is None:
            return False
        if isinstance(type_, GraphQLList):
            if type(value) is not list:
                return self._unfit(path, f"Expected a list for field {coordinate}.")
            items = [
                self._value(type_.of_type, sets, inner, here := [*path, index], coordinate, here)
                for index, inner in enumerate(value)
            ]
            return all(items)
        if isinstance(type_, GraphQLEnumType):
            return self._enum(type_, value, path)
        if is_composite_type(type_):
            return self.composite(type_, sets, value, path)
        return True

    def _enum(self, type_: GraphQLEnumType, value: Any, path: ResponsePath) -> bool:
        if isinstance(value, str):
            if value in type_.values:
                return True
            if value in hidden_values(self.supergraph_schema, type_):
                return False
        return self._unfit(path, f'Enum "{type_.name}" has no such value.')

    def _abstract(
        self, type_: GraphQLCompositeType, sets: Sets, value: Any, path: ResponsePath
    ) -> bool:
        if type(value) is not dict:
            return self._unfit(path, f"Expected an object of type {type_.name}.")
        name = type_name_of(value)
        runtime = self.schema.type_map.get(name) if name else None
        if isinstance(runtime, GraphQLObjectType):
            if is_abstract_type(type_) and self.schema.is_sub_type(type_, runtime):
                return self._object(runtime, sets, value, path)
        elif runtime is None and name in self.supergraph_schema.type_map:
            return False
        elif (runtime is not None or name is None) and not needs_type(sets):
            return self._object(type_, sets, value, path)
        return self._unfit(path, f"The object is of no possible type of {type_.name}.")

    def _unfit(self, path: ResponsePath, message: str) -> bool:
        self._report(path, message, path)
        return False

    def _report(self, path: ResponsePath, message: str, reason: ResponsePath) -> None:
        if len(self.found) >= MAX_ERRORS or any(_related(reason, one) for one in self.known):
            return
        # The first reason stands for everything that becomes null on the way up.
        self.known.append(path)
        self.found.append(client_error(message, code="INVALID_SUBGRAPH_RESPONSE", path=path))


def _related(one: ResponsePath, other: ResponsePath) -> bool:
    """Return whether one path is above, at or below the other."""
    return all(mine == theirs for mine, theirs in zip(one, other, strict=False))
