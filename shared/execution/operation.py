"""One operation, compiled."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import strawberry
from graphql import DocumentNode, ExecutionResult, GraphQLSchema

__all__ = ["CompiledOperation", "Fallback", "compile_operation"]


@dataclass(frozen=True, slots=True)
class Fallback:
    """Why an operation runs on graphql-core."""

    reason: str


class CompiledOperation:
    """An operation as Python functions."""

    async def execute(
        self, root_value: Any, context: Any, variables: Mapping[str, Any] | None
    ) -> ExecutionResult:
        """Run a query or mutation."""
        raise NotImplementedError

    async def subscribe(
        self, root_value: Any, context: Any, variables: Mapping[str, Any] | None
    ) -> AsyncIterator[ExecutionResult] | ExecutionResult:
        """Start a subscription."""
        raise NotImplementedError


def compile_operation(
    schema: GraphQLSchema | strawberry.Schema,
    document: DocumentNode,
    operation_name: str | None = None,
) -> CompiledOperation | Fallback:
    """The compiled operation, or why it cannot be compiled."""
    return Fallback("not compiled yet")
