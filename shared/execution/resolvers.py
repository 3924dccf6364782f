"""How a field's values are got from its parents: one resolver for each kind of field.

- an attribute: read inline by `shared.execution.rows`, or here when a value is odd
- a batch function: awaited once for all parents
- a Strawberry resolver without extensions: called directly
- anything else: called as graphql-core calls it, once a parent
"""

from __future__ import annotations

from asyncio import gather
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from inspect import isawaitable, iscoroutine
from types import NoneType
from typing import Any, Final
from uuid import UUID

import strawberry
from graphql import GraphQLField, GraphQLSchema, default_field_resolver
from graphql.execution.values import get_argument_values
from strawberry import UNSET
from strawberry.exceptions import PermissionReturnedNonBooleanError
from strawberry.permission import BasePermission, PermissionExtension
from strawberry.relay.types import GlobalID
from strawberry.schema.compat import is_scalar
from strawberry.types.arguments import convert_arguments
from strawberry.types.base import StrawberryOptional
from strawberry.types.enum import StrawberryEnumDefinition
from strawberry.types.field import StrawberryField

from shared.execution.batch import BatchedField, BatchedResolver, checked_items
from shared.execution.place import SomePlace
from shared.execution.plan import Column, Field, Resolver
from shared.execution.run import CHUNK, Run, patient

__all__ = ["resolver_of"]

# Argument values that a resolver cannot change under the next one.
SHAREABLE: Final = (str, int, float, NoneType, bytes, Decimal, date, time, timedelta, UUID, Enum)

# The functions Strawberry makes resolvers of.
STRAWBERRY_MODULE: Final = "strawberry.schema.schema_converter"
STRAWBERRY_BASIC: Final = "._get_basic_result"
STRAWBERRY_CALLS: Final = ("._resolver", "._async_resolver")


def resolver_of(
    source: GraphQLSchema | strawberry.Schema, definition: GraphQLField, name: str
) -> tuple[str | None, Resolver]:
    """The attribute a field reads, if that is all it does; and how its values are got."""
    resolve = definition.resolve
    if resolve is None:
        return name, _each(default_field_resolver)
    if isinstance(resolve, BatchedResolver):
        return None, _Batched(resolve)
    if isinstance(source, strawberry.Schema):
        field = definition.extensions.get("strawberry-definition")
        if isinstance(field, StrawberryField) and resolve.__module__ == STRAWBERRY_MODULE:
            found = _strawberry(source, field, resolve.__qualname__)
            if found is not None:
                return found
    return None, _each(resolve)


# --- arguments ----------------------------------------------------------------------------


def _arguments(run: Run, field: Field) -> dict[str, Any]:
    """The coerced arguments of a field; raises GraphQLError."""
    details = field.details[0]
    if not field.definition.args and not details.node.arguments:
        return {}
    return get_argument_values(
        field.definition, details.node, run.variables, details.fragment_variable_values
    )


def _is_shareable(arguments: dict[str, Any]) -> bool:
    return all(value is UNSET or isinstance(value, SHAREABLE) for value in arguments.values())


# --- called for each parent ---------------------------------------------------------------


def _called(
    run: Run, field: Field, sources: Sequence[Any], place: Any, call: Callable[[int, Any], Any]
) -> Column | Awaitable[Column]:
    """``call`` for each source; what it raises is the value."""

    def column(start: int, stop: int) -> Column:
        values: Column = []
        for k in range(start, stop):
            try:
                values.append(call(k, sources[k]))
            except Exception as error:  # noqa: BLE001 - the error of this parent
                values.append(error)
        return values

    if len(sources) <= CHUNK:
        return column(0, len(sources))

    async def long_column() -> Column:
        values: Column = []
        async for start in patient(range(0, len(sources), CHUNK)):
            values += column(start, min(start + CHUNK, len(sources)))
        return values

    return long_column()


def _each(resolve: Callable[..., Any]) -> Resolver:
    """Calls graphql-core's resolver of a field, once a parent."""

    def values(
        run: Run, field: Field, sources: Sequence[Any], place: Any, /
    ) -> Column | Awaitable[Column]:
        try:
            arguments = _arguments(run, field)
        except Exception as error:  # noqa: BLE001 - the error of each parent
            return [error] * len(sources)
        shareable = _is_shareable(arguments)

        def call(k: int, source: Any) -> Any:
            given = arguments if shareable or k == 0 else _arguments(run, field)
            return resolve(source, run.info(field, place, k), **given)

        return _called(run, field, sources, place, call)

    return values


# --- batch functions ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Batched:
    """Awaits the batch function of a graphql-core field once, for all parents."""

    resolver: BatchedResolver

    async def __call__(
        self, run: Run, field: Field, sources: Sequence[Any], place: Any, /
    ) -> Column:
        try:
            arguments = _arguments(run, field)
            info = run.info(field, place, 0)
            items = await self.resolver.many(list(sources), info, arguments)
            return list(checked_items(items, len(sources), self.resolver.name))
        except Exception as error:  # noqa: BLE001 - the error of each parent
            return [error] * len(sources)


@dataclass(frozen=True, slots=True)
class _StrawberryBatched:
    """Awaits the batch function of a Strawberry field once, for all parents."""

    schema: strawberry.Schema
    field: BatchedField

    async def __call__(
        self, run: Run, field: Field, sources: Sequence[Any], place: Any, /
    ) -> Column:
        strawberry_field = self.field
        try:
            info = _strawberry_info(self.schema, strawberry_field, run, field, place, 0)
            arguments = _converted(self.schema, strawberry_field, run, field, info)
            items = await strawberry_field.many(list(sources), info, arguments)
            return list(checked_items(items, len(sources), strawberry_field.batch_name))
        except Exception as error:  # noqa: BLE001 - the error of each parent
            return [error] * len(sources)


# --- Strawberry ---------------------------------------------------------------------------


def _strawberry(
    schema: strawberry.Schema, field: StrawberryField, made_as: str
) -> tuple[str | None, Resolver] | None:
    """A shorter way to the same values than Strawberry's own function; None without one."""
    if made_as.endswith(STRAWBERRY_BASIC) and _gets_as_ever(field):
        default = schema.config.default_resolver
        name = field.python_name
        return (name if default is getattr else None), _attribute(default, name)
    if not made_as.endswith(STRAWBERRY_CALLS) or schema.exception_handlers:
        return None
    if isinstance(field, BatchedField):
        if not field.extensions:
            return None, _StrawberryBatched(schema, field)
        if all(type(each) is PermissionExtension for each in field.extensions):
            return None, _PermittedBatch(schema, field)
        return None
    if field.extensions or field.base_resolver is None or not _gets_as_ever(field):
        return None
    return None, _direct(schema, field)


def _gets_as_ever(field: StrawberryField) -> bool:
    return type(field).get_result is StrawberryField.get_result


def _attribute(default: Callable[[Any, str], Any], name: str) -> Resolver:
    def values(
        run: Run, field: Field, sources: Sequence[Any], place: Any, /
    ) -> Column | Awaitable[Column]:
        return _called(run, field, sources, place, lambda _, source: default(source, name))

    return values


def _strawberry_info(
    schema: strawberry.Schema,
    strawberry_field: StrawberryField,
    run: Run,
    field: Field,
    place: Any,
    k: int,
) -> Any:
    raw: Any = run.info(field, place, k)
    return schema.config.info_class(_raw_info=raw, _field=strawberry_field)


def _python_names(
    schema: strawberry.Schema, strawberry_field: StrawberryField
) -> tuple[tuple[str, str], ...] | None:
    """Of arguments that Strawberry passes on as they are: their names in GraphQL and Python."""
    if not all(_is_passed_on(schema, argument.type) for argument in strawberry_field.arguments):
        return None
    name_of = schema.config.name_converter.from_argument
    return tuple((name_of(each), each.python_name) for each in strawberry_field.arguments)


def _is_passed_on(schema: strawberry.Schema, type_: Any) -> bool:
    if type(type_) is StrawberryOptional:
        type_ = type_.of_type
    if isinstance(type_, StrawberryEnumDefinition):
        return True
    return type_ is not GlobalID and is_scalar(type_, schema.schema_converter.scalar_registry)


def _converted(
    schema: strawberry.Schema,
    strawberry_field: StrawberryField,
    run: Run,
    field: Field,
    info: Any,
) -> dict[str, Any]:
    """The arguments as Strawberry's resolvers get them, by their Python names."""
    if not strawberry_field.arguments:
        return {}
    return convert_arguments(
        _arguments(run, field),
        strawberry_field.arguments,
        scalar_registry=schema.schema_converter.scalar_registry,
        config=schema.config,
        info=info,
    )


def _direct(schema: strawberry.Schema, strawberry_field: StrawberryField) -> Resolver:
    """Calls the function of a Strawberry field that has no extensions."""
    resolver = strawberry_field.base_resolver
    assert resolver is not None
    function: Callable[..., Any] = resolver.wrapped_func  # type: ignore[assignment]
    takes_self = resolver.self_parameter is not None
    info_name = resolver.info_parameter.name if resolver.info_parameter else None
    source_names = [
        parameter.name
        for parameter in (resolver.parent_parameter, resolver.root_parameter)
        if parameter is not None
    ]
    has_arguments = bool(strawberry_field.arguments)
    python_names = _python_names(schema, strawberry_field)

    def convert(run: Run, field: Field, place: Any, k: int) -> dict[str, Any]:
        if python_names is None:
            info = _strawberry_info(schema, strawberry_field, run, field, place, k)
            return _converted(schema, strawberry_field, run, field, info)
        given = _arguments(run, field)
        return {name: given[graphql] for graphql, name in python_names if graphql in given}

    def values(
        run: Run, field: Field, sources: Sequence[Any], place: Any, /
    ) -> Column | Awaitable[Column]:
        if not has_arguments and info_name is None and not source_names:
            if takes_self:
                return _called(run, field, sources, place, lambda _, source: function(source))
            return _called(run, field, sources, place, lambda _, __: function())
        shared: dict[str, Any] | None = {}
        if has_arguments:
            try:
                converted = convert(run, field, place, 0)
                shared = converted if _is_shareable(converted) else None
            except Exception:  # noqa: BLE001 - raised again below, for each parent
                shared = None

        def call(k: int, source: Any) -> Any:
            arguments = convert(run, field, place, k) if shared is None else shared.copy()
            for name in source_names:
                arguments[name] = source
            if info_name is not None:
                arguments[info_name] = _strawberry_info(
                    schema, strawberry_field, run, field, place, k
                )
            return function(source, **arguments) if takes_self else function(**arguments)

        return _called(run, field, sources, place, call)

    return values


# --- permissions of batched fields --------------------------------------------------------

_ALLOWED: Final = object()


@dataclass(frozen=True, slots=True)
class _PermittedBatch:
    """Asks the permissions of a batched field for each parent, then awaits it once."""

    schema: strawberry.Schema
    field: BatchedField

    async def __call__(
        self, run: Run, field: Field, sources: Sequence[Any], place: Any, /
    ) -> Column:
        values = [self._verdict(run, field, source, place, k) for k, source in enumerate(sources)]
        waiting = [k for k, value in enumerate(values) if iscoroutine(value)]
        if waiting:
            verdicts = await gather(*(values[k] for k in waiting))
            for k, verdict in zip(waiting, verdicts, strict=True):
                values[k] = verdict
        allowed = [k for k, value in enumerate(values) if value is _ALLOWED]
        if not allowed:
            return values
        batch = _StrawberryBatched(self.schema, self.field)
        at = place if len(allowed) == len(values) else SomePlace(place, allowed)
        items = await batch(run, field, [sources[k] for k in allowed], at)
        for k, item in zip(allowed, items, strict=True):
            values[k] = item
        return values

    def _verdict(self, run: Run, field: Field, source: Any, place: Any, k: int) -> Any:
        """`_ALLOWED`, or the value of a parent that is refused, or a coroutine of either."""
        try:
            info = _strawberry_info(self.schema, self.field, run, field, place, k)
            arguments = _converted(self.schema, self.field, run, field, info)
            name = self.field.info_name
            if name is not None and name != "info":
                arguments[name] = info
            checks = [
                (extension, permission)
                for extension in reversed(self.field.extensions)
                if isinstance(extension, PermissionExtension)
                for permission in extension.permissions
            ]
            return _judge(checks, source, info, arguments)
        except Exception as error:  # noqa: BLE001 - the error of this parent
            return error


_Checks = Sequence[tuple[PermissionExtension, BasePermission]]


def _judge(
    checks: _Checks, source: Any, info: Any, arguments: dict[str, Any], start: int = 0
) -> Any:
    for number in range(start, len(checks)):
        extension, permission = checks[number]
        answer: Any = permission.has_permission(source, info, **arguments)
        if isawaitable(answer):
            return _judge_later(answer, checks, source, info, arguments, number)
        verdict = _verdict(extension, permission, answer)
        if verdict is not _ALLOWED:
            return verdict
    return _ALLOWED


async def _judge_later(
    answer: Awaitable[Any],
    checks: _Checks,
    source: Any,
    info: Any,
    arguments: dict[str, Any],
    number: int,
) -> Any:
    try:
        verdict = _verdict(*checks[number], await answer)
        if verdict is not _ALLOWED:
            return verdict
        rest = _judge(checks, source, info, arguments, number + 1)
        return await rest if iscoroutine(rest) else rest
    except Exception as error:  # noqa: BLE001 - the error of this parent
        return error


def _verdict(extension: PermissionExtension, permission: BasePermission, answer: Any) -> Any:
    if not isinstance(answer, bool):
        if iscoroutine(answer):
            answer.close()
        raise PermissionReturnedNonBooleanError(permission, answer)
    return _ALLOWED if answer else extension._on_unauthorized(permission)
