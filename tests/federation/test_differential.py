"""Random operations: the federated answer is that of one executor over the merged schema."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from random import Random
from typing import Any

import hypothesis_graphql
from graphql import GraphQLSchema, parse, print_schema
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from gateway.federation.execution import Response, compile_plan
from gateway.federation.execution.merge import shape_of
from gateway.federation.operation.prepare import InvalidRequest, parse_and_validate, prepare
from gateway.federation.planner import plan
from gateway.federation.supergraph import Supergraph
from tests.federation.operations import random_operation
from tests.federation.subgraphs import InMemory
from tests.federation.world import WORLD, monolith


@cache
def supergraph() -> Supergraph:
    """The world's supergraph; read once."""
    return Supergraph.from_sdl(WORLD.supergraph_file.read_text())


def api_schema() -> GraphQLSchema:
    """What clients see of the world."""
    return supergraph().api_schema


async def federated(source: str, variables: Mapping[str, Any], transport: InMemory) -> Response:
    """The engine's answer; an operation that is not valid is not tried."""
    schema = api_schema()
    try:
        prepared = prepare(schema, parse_and_validate(schema, source))
        coerced = prepared.coerce(variables)
    except InvalidRequest:
        assume(False)
    operation = prepared.fold(coerced)
    executable = compile_plan(supergraph(), operation, plan(supergraph(), operation))
    return await executable.run(transport, coerced, None)


async def check(source: str, variables: Mapping[str, Any]) -> tuple[Response, InMemory]:
    """Assert that the two answers agree, down to the order of keys."""
    transport = InMemory(*WORLD.subgraphs)
    response = await federated(source, variables, transport)
    expected = monolith(api_schema(), source, variables)
    assert not transport.invalid
    assert json.dumps(response.data) == json.dumps(expected.data)
    # A field that only a requirement asked for may fail too; the monolith has no such fetch.
    found = {tuple(error.get("path", ())) for error in response.errors}
    assert found.issuperset(tuple(error.path or ()) for error in expected.errors or ())
    return response, transport


@given(seed=st.integers(0, 2**32), flag=st.booleans(), number=st.integers(-1, 3))
@settings(
    max_examples=200,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.filter_too_much],
)
async def test_a_random_operation_is_answered_like_a_monolith_would(
    seed: int, flag: bool, number: int
) -> None:
    source = random_operation(api_schema(), Random(seed))  # noqa: S311
    given_variables = {"yes": flag, "no": not flag, "n": number}
    used = {name: one for name, one in given_variables.items() if f"${name}:" in source}
    await check(source, used)


@given(seed=st.integers(0, 2**32))
@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.filter_too_much],
)
async def test_a_random_mutation_is_answered_like_a_monolith_would(seed: int) -> None:
    source = random_operation(api_schema(), Random(seed), mutation=True)  # noqa: S311
    response, transport = await check(source, {})
    # Each root field was asked once, in the client's order.
    asked = [
        key
        for call in transport.calls
        if call.document.startswith("mutation")
        for key in shape_of(parse(call.document))
    ]
    wanted = [key for key, value in (response.data or {}).items() if value != "Mutation"]
    assert asked == wanted or response.data is None


@given(source=st.deferred(lambda: hypothesis_graphql.queries(print_schema(api_schema()))))
@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
async def test_a_generated_query_is_answered_like_a_monolith_would(source: str) -> None:
    await check(source, {})
