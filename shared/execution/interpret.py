"""The way out: operations that are not compiled run on graphql-core, as they are."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from inspect import isawaitable
from typing import Any, cast

import strawberry
from graphql import DocumentNode, ExecutionResult, GraphQLSchema, execute, print_ast, subscribe
from strawberry.execution import optimized_is_awaitable

__all__ = ["Schema", "has_extensions", "interpret", "interpret_subscription", "text_of"]

Schema = GraphQLSchema | strawberry.Schema


def has_extensions(schema: strawberry.Schema) -> bool:
    """Whether Strawberry runs more than the resolvers: only its own `execute` does that."""
    return bool(schema.extensions or schema.directives)


def text_of(document: DocumentNode) -> str:
    """The text of a document."""
    return document.loc.source.body if document.loc else print_ast(document)


def _options(schema: Schema) -> dict[str, Any]:
    if isinstance(schema, GraphQLSchema):
        return {}
    return {
        "executor_class": schema.execution_context_class,
        "is_awaitable": optimized_is_awaitable,
    }


async def interpret(
    schema: Schema,
    document: DocumentNode,
    operation_name: str | None,
    root_value: Any,
    context: Any,
    variables: Mapping[str, Any] | None,
) -> ExecutionResult:
    """Run a query or mutation on graphql-core."""
    values = dict(variables or {})
    if isinstance(schema, strawberry.Schema) and has_extensions(schema):
        answer = await schema.execute(
            text_of(document), values, context, root_value, operation_name
        )
        return ExecutionResult(answer.data, answer.errors, answer.extensions)
    plain = schema if isinstance(schema, GraphQLSchema) else schema._schema
    result: Any = execute(
        plain, document, root_value, context, values, operation_name, **_options(schema)
    )
    return cast("ExecutionResult", await result if isawaitable(result) else result)


async def interpret_subscription(
    schema: Schema,
    document: DocumentNode,
    operation_name: str | None,
    root_value: Any,
    context: Any,
    variables: Mapping[str, Any] | None,
) -> AsyncIterator[ExecutionResult] | ExecutionResult:
    """Start a subscription on graphql-core."""
    values = dict(variables or {})
    answer: Any
    if isinstance(schema, strawberry.Schema) and has_extensions(schema):
        answer = await schema.subscribe(
            text_of(document), values, context, root_value, operation_name
        )
    else:
        plain = schema if isinstance(schema, GraphQLSchema) else schema._schema
        answer = subscribe(
            plain, document, root_value, context, values, operation_name, **_options(schema)
        )
        answer = await answer if isawaitable(answer) else answer
    return cast("AsyncIterator[ExecutionResult] | ExecutionResult", answer)
