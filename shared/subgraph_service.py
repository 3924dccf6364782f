"""Answers operations on one subgraph, whoever asks: the gateway in this process, or HTTP."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from graphql import (
    DocumentNode,
    ExecutionResult,
    GraphQLError,
    GraphQLSchema,
    OperationType,
    execute,
    get_operation_ast,
    parse,
    subscribe,
    validate,
)

from shared.graphql import format_error
from shared.protocols.problems import request_error
from shared.protocols.service import GraphQLRequest, GraphQLResult

if TYPE_CHECKING:
    from shared.auth import Identity
    from shared.subgraph import Subgraph

__all__ = ["InvalidOperation", "PreparedOperation", "SubgraphService"]

_MOST_TOKENS = 50_000
_KEPT = 2_000
_LONGEST_KEPT = 100_000


class InvalidOperation(Exception):
    """The document does not parse, is not valid, or has no such operation."""

    def __init__(self, errors: Sequence[GraphQLError]) -> None:
        super().__init__("\n".join(error.message for error in errors))
        self.errors = tuple(errors)


@dataclass(frozen=True, slots=True)
class PreparedOperation:
    """An operation of a valid document, ready to run any number of times."""

    document: DocumentNode
    name: str | None
    kind: OperationType


class SubgraphService:
    """A `GraphQLService` whose context is the caller's identity.

    Documents are parsed and validated once and kept, the most recently used
    first.
    """

    def __init__(self, subgraph: Subgraph) -> None:
        self._subgraph = subgraph
        self._schema: GraphQLSchema = subgraph.schema._schema  # noqa: SLF001 - no public name
        self._prepared: OrderedDict[tuple[str, str | None], PreparedOperation] = OrderedDict()

    async def execute(self, request: GraphQLRequest, context: Identity) -> GraphQLResult:
        """The answer to a query or mutation."""
        prepared = self._prepare_or_refuse(request)
        if isinstance(prepared, GraphQLResult):
            return prepared
        if prepared.kind is OperationType.SUBSCRIPTION:
            return request_error(
                "A subscription needs a stream: accept text/event-stream, or use a WebSocket.",
                code="SUBSCRIPTION_NEEDS_STREAM",
            )
        if prepared.kind is OperationType.MUTATION and request.read_only:
            return request_error("A mutation needs POST.", code="MUTATION_OVER_GET", status=405)
        return _answer(await self.run(prepared, request.variables, context))

    async def subscribe(
        self, request: GraphQLRequest, context: Identity
    ) -> GraphQLResult | AsyncIterator[GraphQLResult]:
        """The stream of a subscription, or the answer to anything else."""
        prepared = self._prepare_or_refuse(request)
        if isinstance(prepared, GraphQLResult):
            return prepared
        if prepared.kind is not OperationType.SUBSCRIPTION:
            return await self.execute(request, context)
        stream = await self.open(prepared, request.variables, context)
        return _answer(stream) if isinstance(stream, ExecutionResult) else _answers(stream)

    def prepare(self, document: str, operation_name: str | None = None) -> PreparedOperation:
        """The named (or only) operation; raises `InvalidOperation`."""
        key = (document, operation_name)
        prepared = self._prepared.get(key)
        if prepared is not None:
            self._prepared.move_to_end(key)
            return prepared
        prepared = _prepare(self._schema, document, operation_name)
        if len(document) <= _LONGEST_KEPT:
            self._prepared[key] = prepared
            if len(self._prepared) > _KEPT:
                self._prepared.popitem(last=False)
        return prepared

    async def run(
        self, operation: PreparedOperation, variables: Mapping[str, Any], identity: Identity
    ) -> ExecutionResult:
        """Execute a query or mutation for this caller."""
        result = execute(
            self._schema,
            operation.document,
            context_value=self._subgraph.make_context(identity),
            variable_values=dict(variables),
            operation_name=operation.name,
        )
        return result if isinstance(result, ExecutionResult) else await result

    async def open(
        self, operation: PreparedOperation, variables: Mapping[str, Any], identity: Identity
    ) -> AsyncIterator[ExecutionResult] | ExecutionResult:
        """The results of a subscription, one per event, or why it could not begin."""
        stream = subscribe(
            self._schema,
            operation.document,
            context_value=self._subgraph.make_context(identity),
            variable_values=dict(variables),
            operation_name=operation.name,
        )
        if isinstance(stream, ExecutionResult | AsyncIterator):
            return stream
        return await stream

    def _prepare_or_refuse(self, request: GraphQLRequest) -> PreparedOperation | GraphQLResult:
        try:
            return self.prepare(request.query, request.operation_name)
        except InvalidOperation as invalid:
            errors = [format_error(error) for error in invalid.errors]
            return GraphQLResult(errors=errors, status=400)


def _prepare(schema: GraphQLSchema, source: str, operation_name: str | None) -> PreparedOperation:
    try:
        document = parse(source, max_lexical_tokens=_MOST_TOKENS)
    except GraphQLError as error:
        raise InvalidOperation([error]) from None
    errors = validate(schema, document, max_errors=20)
    if errors:
        raise InvalidOperation(errors)
    operation = get_operation_ast(document, operation_name)
    if operation is None:
        raise InvalidOperation([GraphQLError("Name one of the document's operations.")])
    return PreparedOperation(document, operation_name, operation.operation)


def _answer(result: ExecutionResult) -> GraphQLResult:
    errors = result.errors or ()
    # Only a variable that could not be coerced gives no data without saying where.
    refused = result.data is None and any(error.path is None for error in errors)
    return GraphQLResult(
        data=result.data,
        errors=[format_error(error) for error in errors],
        status=400 if refused else 200,
    )


async def _answers(stream: AsyncIterator[ExecutionResult]) -> AsyncIterator[GraphQLResult]:
    async for result in stream:
        yield _answer(result)
