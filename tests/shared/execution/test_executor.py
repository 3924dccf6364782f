"""The executor: what is kept, what is refused, and what runs on graphql-core."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import strawberry
from graphql import (
    DocumentNode,
    ExecutionResult,
    FieldNode,
    GraphQLField,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLString,
    NameNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    build_schema,
    get_introspection_query,
    parse,
    specified_directives,
)
from graphql.type.directives import GraphQLDisableErrorPropagationDirective

from shared.execution import CompiledOperation, Executor, Fallback, compile_operation
from tests.shared.execution.differential import same
from tests.shared.execution.test_strawberry import SCHEMA as STRAWBERRY
from tests.shared.execution.test_strawberry import context

SDL = """
type Query { a: Int  b(x: Int): Int  again: Query }
type Mutation { set: Int }
type Subscription { ticks: Int }
"""
SCHEMA = build_schema(SDL)


async def test_a_known_text_is_a_lookup() -> None:
    executor = Executor(SCHEMA)
    first = executor.prepare("{ a }")
    assert executor.prepare("{ a }") is first
    assert executor.prepare("query Q { a }", "Q") is not first
    assert (await executor.execute("{ a }", root_value={"a": 1})).data == {"a": 1}
    assert first.type is OperationType.QUERY


async def test_a_document_is_known_by_its_identity() -> None:
    executor = Executor(SCHEMA)
    document = parse("{ a }")
    assert executor.prepare(document) is executor.prepare(document)
    assert executor.prepare(parse("{ a }")) is not executor.prepare(document)
    bare = parse("{ a }", no_location=True)
    assert (await executor.execute(bare, root_value={"a": 1})).data == {"a": 1}


async def test_the_cache_is_bounded_by_entries_and_by_bytes() -> None:
    executor = Executor(SCHEMA, max_entries=2)
    first = executor.prepare("{ a }")
    executor.prepare("{ b }")
    assert executor.prepare("{ a }") is first
    executor.prepare("{ a b }")
    assert executor.prepare("{ a }") is first
    assert len(executor._prepared) == 2

    small = Executor(SCHEMA, max_bytes=3000)
    kept = small.prepare("{ a }")
    small.prepare("{ b }")
    small.prepare("{ a b }")
    assert small.prepare("{ a }") is not kept
    large = "{ " + "a " * 200 + "}"
    assert small.prepare(large) is not small.prepare(large)
    assert small._bytes == sum(size for _, size in small._prepared.values()) <= 3000


@pytest.mark.parametrize("text", ["{ a", "{ nope }", "query Q($x: Nope) { a }", ""])
async def test_a_wrong_document_is_refused(text: str) -> None:
    executor = Executor(SCHEMA)
    result = await executor.execute(text)
    assert result.data is None
    assert result.errors
    stream = await executor.subscribe(text)
    assert isinstance(stream, ExecutionResult)
    assert stream.errors
    if not text.startswith("query"):
        assert executor.prepare(text).type in (None, OperationType.QUERY)


async def test_strawberrys_own_rules_are_applied() -> None:
    executor = Executor(STRAWBERRY)
    assert (await executor.execute("{ people { nope } }")).errors
    result = await executor.execute("{ people(count: 1) { name } }", context=context())
    assert result.data == {"people": [{"name": "p0"}]}


@pytest.mark.parametrize(
    ("text", "name", "reason"),
    [
        ("{ __schema { queryType { name } } }", None, "introspection"),
        ('{ a __type(name: "Query") { name } }', None, "introspection"),
        ("{ a } query B { b }", "C", "no such operation"),
        ("query A { a } query B { b }", None, "no such operation"),
        (
            "query @experimental_disableErrorPropagation { a }",
            None,
            "@experimental_disableErrorPropagation",
        ),
        ("{ ...F @defer } fragment F on Query { a }", None, "@defer"),
        ("{ ... @defer { again { a } } }", None, "@defer"),
        ("{ nope }", None, "a field that the schema does not have"),
    ],
)
def test_what_is_not_compiled_says_why(text: str, name: str | None, reason: str) -> None:
    assert compile_operation(SCHEMA, parse(text), name) == Fallback(reason)


def test_other_reasons_are_said_too() -> None:
    fragments = parse(
        "{ ...F(x: 1) } fragment F($x: Int) on Query { b(x: $x) }",
        experimental_fragment_arguments=True,
    )
    assert compile_operation(SCHEMA, fragments) == Fallback("a fragment with variables")
    assert compile_operation(build_schema("type Query { a: Int }"), parse("mutation { a }")) == (
        Fallback("the schema has no such root type")
    )
    invalid = GraphQLSchema(GraphQLObjectType("__Bad", {"a": GraphQLField(GraphQLString)}))
    assert compile_operation(invalid, parse("{ a }")) == Fallback("the schema is not valid")
    assert compile_operation(SCHEMA, parse("{ a @skip(if: 3) }")) == Fallback(
        "graphql-core refuses it: Argument 'if' has invalid value:"
        " Boolean cannot represent a non boolean value: 3"
    )


def test_selections_nested_too_deeply_are_left_to_graphql_core() -> None:
    field = FieldNode(name=NameNode(value="a"), arguments=(), directives=())
    for _ in range(3000):
        inner = SelectionSetNode(selections=(field,))
        name = NameNode(value="again")
        field = FieldNode(name=name, arguments=(), directives=(), selection_set=inner)
    operation = OperationDefinitionNode(
        operation=OperationType.QUERY,
        selection_set=SelectionSetNode(selections=(field,)),
        variable_definitions=(),
        directives=(),
    )
    document = DocumentNode(definitions=(operation,))
    assert compile_operation(SCHEMA, document) == Fallback("selections are nested too deeply")


async def test_a_fallback_is_counted_and_logged_once_and_answers(
    caplog: pytest.LogCaptureFixture,
) -> None:
    reasons: list[str] = []
    executor = Executor(SCHEMA, on_fallback=reasons.append)
    text = get_introspection_query()
    with caplog.at_level(logging.WARNING, "shared.execution"):
        for _ in range(3):
            result = await executor.execute(text)
            assert result.data is not None
            assert result.errors is None
    assert reasons == ["introspection"]
    assert [record.getMessage() for record in caplog.records] == [
        "execution.fallback reason=introspection operation=None"
    ]
    strawberry_executor = Executor(STRAWBERRY)
    result = await strawberry_executor.execute("{ __typename __schema { queryType { name } } }")
    assert result.data == {"__typename": "Query", "__schema": {"queryType": {"name": "Query"}}}


async def test_a_subscription_that_is_not_compiled_runs_on_graphql_core() -> None:
    directives = (*specified_directives, GraphQLDisableErrorPropagationDirective)
    schema = build_schema(SDL)
    schema.directives = directives

    async def ticks(*_: Any) -> Any:
        for number in range(2):
            yield {"ticks": number}

    schema.subscription_type.fields["ticks"].subscribe = ticks  # type: ignore[union-attr]
    executor = Executor(schema)
    text = "subscription @experimental_disableErrorPropagation { ticks }"
    stream: Any = await executor.subscribe(text)
    assert [result.data async for result in stream] == [{"ticks": 0}, {"ticks": 1}]
    stream = await executor.subscribe("subscription { ticks }")
    assert [result.data async for result in stream] == [{"ticks": 0}, {"ticks": 1}]


def test_an_execution_context_of_ones_own_is_not_compiled() -> None:
    class Own(STRAWBERRY.execution_context_class):  # type: ignore[name-defined,misc]
        pass

    @strawberry.type
    class Query:
        a: int = 1

    schema = strawberry.Schema(Query, execution_context_class=Own)
    assert compile_operation(schema, parse("{ a }")) == Fallback(
        "the schema has its own execution context class"
    )


async def test_conditions_on_missing_variables_are_graphql_cores_to_refuse() -> None:
    text = "query($x: Boolean) { a @skip(if: $x) b }"
    document = parse(text)
    operation = compile_operation(SCHEMA, document)
    assert isinstance(operation, CompiledOperation)
    result = await operation.execute({"a": 1}, None, {})
    assert result.errors
    await same(
        SCHEMA,
        "query($x: Boolean! = false) { a @skip(if: $x) b }",
        root=lambda: {"a": 1},
    )
