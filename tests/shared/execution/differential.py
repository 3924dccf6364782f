"""Run an operation on graphql-core and compiled, and demand the same answer.

Data must be equal.  Errors must be equal too, whatever their order, but for one
freedom of the specification: where several errors are candidates for making
one position null, which of them are reported depends on which came first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from inspect import isawaitable
from typing import Any

import strawberry
from graphql import ExecutionResult, GraphQLError, GraphQLSchema, execute, parse, validate
from strawberry.execution import optimized_is_awaitable

from shared.execution import CompiledOperation, compile_operation

Path = tuple[str | int, ...]


async def interpreted(
    schema: GraphQLSchema | strawberry.Schema,
    text: str,
    *,
    variables: Mapping[str, Any] | None = None,
    context: Any = None,
    root: Any = None,
) -> ExecutionResult:
    """graphql-core's answer."""
    options: dict[str, Any] = {}
    plain = schema
    if isinstance(schema, strawberry.Schema):
        options["executor_class"] = schema.execution_context_class
        options["is_awaitable"] = optimized_is_awaitable
        plain = schema._schema
    assert isinstance(plain, GraphQLSchema)
    values = dict(variables or {})
    result: Any = execute(plain, parse(text), root, context, values, **options)
    answer: ExecutionResult = await result if isawaitable(result) else result
    return answer


def compiled_operation(
    schema: GraphQLSchema | strawberry.Schema, text: str, name: str | None = None
) -> CompiledOperation:
    """The compiled operation of a valid document."""
    document = parse(text)
    plain = schema if isinstance(schema, GraphQLSchema) else schema._schema
    assert validate(plain, document) == []
    compiled = compile_operation(schema, document, name)
    assert isinstance(compiled, CompiledOperation), compiled
    return compiled


async def compiled(
    schema: GraphQLSchema | strawberry.Schema,
    text: str,
    *,
    variables: Mapping[str, Any] | None = None,
    context: Any = None,
    root: Any = None,
) -> ExecutionResult:
    """The compiled answer."""
    return await compiled_operation(schema, text).execute(root, context, variables)


async def same(
    schema: GraphQLSchema | strawberry.Schema,
    text: str,
    *,
    variables: Mapping[str, Any] | None = None,
    context: Callable[[], Any] = lambda: None,
    root: Callable[[], Any] = lambda: None,
) -> ExecutionResult:
    """The answer both give; contexts and root values are made anew for each."""
    async with asyncio.timeout(10):
        expected = await interpreted(
            schema, text, variables=variables, context=context(), root=root()
        )
        actual = await compiled(schema, text, variables=variables, context=context(), root=root())
    assert_same(actual, expected)
    return actual


def assert_same(actual: ExecutionResult, expected: ExecutionResult) -> None:
    """Demand equal data, with the keys in the same order, and equal errors."""
    assert actual.data == expected.data
    assert repr(actual.data) == repr(expected.data)
    assert (actual.errors is None) == (expected.errors is None)
    ours = by_position(actual)
    theirs = by_position(expected)
    assert ours.keys() == theirs.keys()
    for position, errors in ours.items():
        candidates = errors | theirs[position]
        if not all(len(path) > len(position) for _, path, _, _ in candidates):
            assert errors == theirs[position]


def exactly(result: ExecutionResult) -> list[tuple[Any, ...]]:
    """All that a client sees of the errors, in an order of its own."""
    return sorted((described(error) for error in result.errors or ()), key=repr)


def described(error: GraphQLError) -> tuple[Any, ...]:
    """All that a client sees of an error."""
    locations = tuple(tuple(location) for location in error.locations or ())
    return (error.message, tuple(error.path or ()), locations, repr(error.extensions))


def by_position(result: ExecutionResult) -> dict[Path, set[tuple[Any, ...]]]:
    """The errors, by the response position that each made null."""
    positions: dict[Path, set[tuple[Any, ...]]] = {}
    for error in result.errors or ():
        positions.setdefault(nulled(result.data, error), set()).add(described(error))
    return positions


def nulled(data: Any, error: GraphQLError) -> Path:
    """The position of the null that an error's path ends at."""
    path: list[str | int] = []
    for key in error.path or ():
        if data is None:
            break
        data = data[key]
        path.append(key)
    return tuple(path)
