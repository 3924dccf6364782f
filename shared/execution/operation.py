"""One operation of one document, compiled.

    compiled = compile_operation(schema, document, operation_name)
    result = await compiled.execute(root_value, context, variables)

An operation with conditions (``@skip``, ``@include``) on variables gets one
plan for each set of their values that requests bring, up to `MAX_PLANS`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from inspect import isawaitable
from typing import Any, Final

import strawberry
from graphql import (
    DocumentNode,
    ExecutionResult,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    VariableNode,
    create_source_event_stream,
    validate_schema,
)
from graphql import Executor as Interpreter
from graphql.execution.async_iterables import map_async_iterable
from graphql.execution.values import VariableValues
from graphql.language import DirectiveNode
from graphql.pyutils import Undefined
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from shared.execution.complete import execute, execute_serially
from shared.execution.interpret import Schema, has_extensions, interpret, interpret_subscription
from shared.execution.plan import Block
from shared.execution.planner import Planner, Uncompilable
from shared.execution.run import Run, Scope
from shared.execution.variables import VariableReader

__all__ = ["CompiledOperation", "Fallback", "compile_operation"]

# More sets of values of conditions than this run on graphql-core.
MAX_PLANS: Final = 32

CONDITIONS: Final = frozenset({"skip", "include"})
UNKNOWN_DIRECTIVES: Final = frozenset({"defer", "stream", "experimental_disableErrorPropagation"})


@dataclass(frozen=True, slots=True)
class Fallback:
    """Why an operation runs on graphql-core."""

    reason: str


@dataclass(slots=True, eq=False)
class _Plan:
    """What is executed for one set of values of the conditions."""

    root: Block
    scope: Scope


class CompiledOperation:
    """An operation as Python functions; made by `compile_operation`."""

    def __init__(
        self,
        source: Schema,
        document: DocumentNode,
        operation_name: str | None,
        operation: OperationDefinitionNode,
        fragments: dict[str, FragmentDefinitionNode],
        conditions: tuple[str, ...],
    ) -> None:
        self.operation = operation
        self._source = source
        self._schema = source if isinstance(source, GraphQLSchema) else source._schema
        self._document = document
        self._operation_name = operation_name
        self._fragments = fragments
        self._conditions = conditions
        self._variables = VariableReader(self._schema, operation)
        self._plans: dict[tuple[Any, ...], _Plan] = {}
        if not conditions:
            self._add_plan((), VariableValues({}, {}))

    @property
    def source_code(self) -> str:
        """The Python written for this operation so far."""
        return "\n\n".join(text for plan in self._plans.values() for text in _texts(plan.root))

    async def execute(
        self, root_value: Any, context: Any, variables: Mapping[str, Any] | None = None
    ) -> ExecutionResult:
        """Run the operation; for a subscription, with an event as the root value."""
        values = self._variables.read(variables or {})
        if isinstance(values, list):
            return ExecutionResult(None, values)
        return await self._execute(root_value, context, values, variables)

    async def subscribe(
        self, root_value: Any, context: Any, variables: Mapping[str, Any] | None = None
    ) -> AsyncIterator[ExecutionResult] | ExecutionResult:
        """Start the subscription: one compiled execution per event."""
        if self.operation.operation is not OperationType.SUBSCRIPTION:
            return await interpret_subscription(
                self._source, self._document, self._operation_name, root_value, context, variables
            )
        interpreter = self._interpreter(root_value, context, variables)
        if isinstance(interpreter, list):
            return ExecutionResult(None, interpreter)
        stream: Any = create_source_event_stream(interpreter)
        if isawaitable(stream):
            stream = await stream
        if isinstance(stream, ExecutionResult):
            return stream
        values = interpreter.variable_values

        async def respond(event: Any) -> ExecutionResult:
            return await self._execute(event, context, values, variables)

        return map_async_iterable(stream, respond)

    async def _execute(
        self,
        root_value: Any,
        context: Any,
        values: VariableValues,
        variables: Mapping[str, Any] | None,
    ) -> ExecutionResult:
        plan = self._plan(values)
        if plan is None:
            return await interpret(
                self._source, self._document, self._operation_name, root_value, context, variables
            )
        run = Run(plan.scope, root_value, context, values)
        serial = self.operation.operation is OperationType.MUTATION
        data = await (execute_serially if serial else execute)(run, plan.root)
        return ExecutionResult(data, run.errors())

    def _interpreter(
        self, root_value: Any, context: Any, variables: Mapping[str, Any] | None
    ) -> Interpreter[Any] | list[GraphQLError]:
        source = self._source
        build = Interpreter if isinstance(source, GraphQLSchema) else source.execution_context_class
        return build.build(
            self._schema,
            self._document,
            root_value,
            context,
            dict(variables or {}),
            self._operation_name,
        )

    def _plan(self, values: VariableValues) -> _Plan | None:
        key = tuple(values.coerced.get(name, Undefined) for name in self._conditions)
        plan = self._plans.get(key)
        if plan is not None:
            return plan
        if len(self._plans) >= MAX_PLANS:
            return None
        try:
            return self._add_plan(key, values)
        except (GraphQLError, Uncompilable):
            return None

    def _add_plan(self, key: tuple[Any, ...], values: VariableValues) -> _Plan:
        planner = Planner(self._schema, self._source, self.operation, self._fragments, values)
        strawberry_schema = not isinstance(self._source, GraphQLSchema)
        scope = Scope(
            schema=self._schema,
            operation=self.operation,
            fragments=self._fragments,
            classes=set(),
            info_values=_coerced if strawberry_schema else _as_they_are,
        )
        plan = self._plans[key] = _Plan(planner.root(), scope)
        return plan


def _coerced(values: VariableValues) -> Any:
    return values.coerced


def _as_they_are(values: VariableValues) -> Any:
    return values


def compile_operation(
    schema: Schema, document: DocumentNode, operation_name: str | None = None
) -> CompiledOperation | Fallback:
    """A validated operation, compiled; or why it cannot be."""
    try:
        return _compile(schema, document, operation_name)
    except Uncompilable as reason:
        return Fallback(str(reason))
    except GraphQLError as error:
        return Fallback(f"graphql-core refuses it: {error.message}")
    except RecursionError:
        return Fallback("selections are nested too deeply")


def _compile(
    schema: Schema, document: DocumentNode, operation_name: str | None
) -> CompiledOperation:
    if isinstance(schema, strawberry.Schema):
        _check_strawberry(schema)
    if validate_schema(schema if isinstance(schema, GraphQLSchema) else schema._schema):
        raise Uncompilable("the schema is not valid")
    operation = _operation(document, operation_name)
    fragments = {
        node.name.value: node
        for node in document.definitions
        if isinstance(node, FragmentDefinitionNode)
    }
    if any(node.variable_definitions for node in fragments.values()):
        raise Uncompilable("a fragment with variables")
    conditions: dict[str, None] = {}  # a set that keeps the order
    for directive in _directives(operation, fragments):
        name = directive.name.value
        if name in UNKNOWN_DIRECTIVES:
            raise Uncompilable(f"@{name}")
        if name in CONDITIONS:
            for argument in directive.arguments or ():
                if isinstance(argument.value, VariableNode):
                    conditions[argument.value.name.value] = None
    return CompiledOperation(
        schema, document, operation_name, operation, fragments, tuple(conditions)
    )


def _check_strawberry(schema: strawberry.Schema) -> None:
    if has_extensions(schema):
        raise Uncompilable("the schema has extensions or operation directives")
    if schema.execution_context_class is not StrawberryGraphQLCoreExecutionContext:
        raise Uncompilable("the schema has its own execution context class")


def _operation(document: DocumentNode, name: str | None) -> OperationDefinitionNode:
    operations = [
        node
        for node in document.definitions
        if isinstance(node, OperationDefinitionNode)
        and (name is None or (node.name is not None and node.name.value == name))
    ]
    if not operations or (name is None and len(operations) > 1):
        raise Uncompilable("no such operation")
    return operations[-1]


def _directives(
    operation: OperationDefinitionNode, fragments: Mapping[str, FragmentDefinitionNode]
) -> Iterator[DirectiveNode]:
    """All directives of an operation and of the fragments it spreads."""
    yield from operation.directives or ()
    spread: set[str] = set()
    pending: list[SelectionSetNode] = [operation.selection_set]
    while pending:
        for selection in pending.pop().selections:
            yield from selection.directives or ()
            if isinstance(selection, FragmentSpreadNode):
                name = selection.name.value
                if name in fragments and name not in spread:
                    spread.add(name)
                    pending.append(fragments[name].selection_set)
            elif selection.selection_set is not None:  # type: ignore[attr-defined]
                pending.append(selection.selection_set)  # type: ignore[attr-defined]


def _texts(block: Block) -> Iterator[str]:
    yield from block.rows.texts
    for field in block.fields:
        output = field.output
        while output.item is not None:
            output = output.item
        for inner in (*field.blocks.values(), *([output.block] if output.block else [])):
            yield from _texts(inner)
