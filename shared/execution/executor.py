"""Execute GraphQL text or documents against one schema, each compiled once.

    executor = Executor(schema)
    result = await executor.execute(text, variables=…, context=…)

An unknown text is parsed, validated and compiled; a known one is a look-up.
What is not compiled runs on graphql-core: one log line and one call of
``on_fallback`` name the reason, when the document is first seen.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from graphql import (
    DocumentNode,
    ExecutionResult,
    GraphQLError,
    GraphQLSchema,
    OperationType,
    get_operation_ast,
    parse,
    specified_rules,
    validate,
)
from strawberry.schema.schema import validate_document

from shared.execution.interpret import Schema, interpret, interpret_subscription, text_of
from shared.execution.operation import CompiledOperation, Fallback, compile_operation

__all__ = ["Executor", "PreparedOperation"]

logger = logging.getLogger(__name__)

Variables = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PreparedOperation:
    """One operation of one document, ready to run as often as needed.

    ``errors`` are those of parsing and validation; with them nothing runs.
    """

    schema: Schema
    document: DocumentNode | None
    operation_name: str | None
    plan: CompiledOperation | Fallback | None
    errors: tuple[GraphQLError, ...] = ()

    @property
    def type(self) -> OperationType | None:
        """Query, mutation or subscription; None if the document has no such operation."""
        if self.document is None:
            return None
        operation = get_operation_ast(self.document, self.operation_name)
        return operation.operation if operation else None

    async def execute(
        self, *, variables: Variables | None = None, context: Any = None, root_value: Any = None
    ) -> ExecutionResult:
        """Run a query or mutation."""
        if self.errors:
            return ExecutionResult(None, list(self.errors))
        if isinstance(self.plan, CompiledOperation):
            return await self.plan.execute(root_value, context, variables)
        assert self.document is not None
        return await interpret(
            self.schema, self.document, self.operation_name, root_value, context, variables
        )

    async def subscribe(
        self, *, variables: Variables | None = None, context: Any = None, root_value: Any = None
    ) -> AsyncIterator[ExecutionResult] | ExecutionResult:
        """Start a subscription: a stream of results, or the errors that prevent it."""
        if self.errors:
            return ExecutionResult(None, list(self.errors))
        if isinstance(self.plan, CompiledOperation):
            return await self.plan.subscribe(root_value, context, variables)
        assert self.document is not None
        return await interpret_subscription(
            self.schema, self.document, self.operation_name, root_value, context, variables
        )


class Executor:
    """Runs operations on one schema; keeps the compiled ones, within bounds."""

    def __init__(
        self,
        schema: Schema,
        *,
        max_entries: int = 1000,
        max_bytes: int = 64 * 1024 * 1024,
        on_fallback: Callable[[str], None] | None = None,
    ) -> None:
        self.source = schema
        self.schema = schema if isinstance(schema, GraphQLSchema) else schema._schema
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._on_fallback = on_fallback
        self._bytes = 0
        self._prepared: OrderedDict[tuple[object, str | None], tuple[PreparedOperation, int]]
        self._prepared = OrderedDict()

    async def execute(
        self,
        document: str | DocumentNode,
        *,
        variables: Variables | None = None,
        context: Any = None,
        operation_name: str | None = None,
        root_value: Any = None,
    ) -> ExecutionResult:
        """Answer a query or mutation."""
        prepared = self.prepare(document, operation_name)
        return await prepared.execute(variables=variables, context=context, root_value=root_value)

    async def subscribe(
        self,
        document: str | DocumentNode,
        *,
        variables: Variables | None = None,
        context: Any = None,
        operation_name: str | None = None,
        root_value: Any = None,
    ) -> AsyncIterator[ExecutionResult] | ExecutionResult:
        """Start a subscription: one result per event, or the errors that prevent it."""
        prepared = self.prepare(document, operation_name)
        return await prepared.subscribe(variables=variables, context=context, root_value=root_value)

    def prepare(
        self, document: str | DocumentNode, operation_name: str | None = None
    ) -> PreparedOperation:
        """The operation, parsed, validated and compiled once.

        A caller that keeps it (a plan's fetch) need not ask again.
        """
        prepared = self.known(document, operation_name)
        if prepared is None:
            prepared = self.make(document, operation_name)
            self.keep(document, operation_name, prepared)
        return prepared

    def known(
        self, document: str | DocumentNode, operation_name: str | None = None
    ) -> PreparedOperation | None:
        """The operation, if it has been prepared and kept."""
        key = _key(document, operation_name)
        known = self._prepared.get(key)
        if known is None:
            return None
        self._prepared.move_to_end(key)
        return known[0]

    def make(
        self, document: str | DocumentNode, operation_name: str | None = None
    ) -> PreparedOperation:
        """The operation, parsed, validated and compiled; any thread may do this."""
        if isinstance(document, str):
            try:
                document = parse(document)
            except GraphQLError as error:
                return PreparedOperation(self.source, None, operation_name, None, (error,))
        errors = self._validate(document)
        if errors:
            return PreparedOperation(self.source, document, operation_name, None, tuple(errors))
        plan = compile_operation(self.source, document, operation_name)
        if isinstance(plan, Fallback):
            logger.warning("execution.fallback reason=%s operation=%s", plan.reason, operation_name)
            if self._on_fallback is not None:
                self._on_fallback(plan.reason)
        return PreparedOperation(self.source, document, operation_name, plan)

    def _validate(self, document: DocumentNode) -> list[GraphQLError]:
        if isinstance(self.source, GraphQLSchema):
            return validate(self.schema, document)
        return validate_document(self.schema, document, tuple(specified_rules))

    def keep(
        self,
        document: str | DocumentNode,
        operation_name: str | None,
        prepared: PreparedOperation,
    ) -> None:
        """Let `known` find what `make` made, as long as there is room."""
        key, size = _key(document, operation_name), _size(prepared)
        if size > self._max_bytes or key in self._prepared:
            return
        self._prepared[key] = (prepared, size)
        self._bytes += size
        while len(self._prepared) > self._max_entries or self._bytes > self._max_bytes:
            _, (_, dropped) = self._prepared.popitem(last=False)
            self._bytes -= dropped


def _key(document: str | DocumentNode, operation_name: str | None) -> tuple[object, str | None]:
    # A document is known by its identity: the entry keeps it alive.
    return (document if isinstance(document, str) else id(document), operation_name)


def _size(prepared: PreparedOperation) -> int:
    """An estimate of the bytes an entry holds: the syntax tree is most of it."""
    if prepared.document is None:
        return 1024
    text = len(text_of(prepared.document))
    return 1024 + 60 * text
