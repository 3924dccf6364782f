"""Whatever subgraphs answer, the client's response fits the API schema."""

from __future__ import annotations

import copy
from random import Random
from typing import Any

from graphql import (
    GraphQLEnumType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    is_abstract_type,
    is_composite_type,
    is_object_type,
)
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gateway.federation.execution import compile_plan
from gateway.federation.execution.projection import collect_fields
from gateway.federation.operation.prepare import InvalidRequest
from gateway.federation.planner import plan
from gateway.federation.transport import SubgraphRequest, SubgraphResponse
from tests.federation.operations import random_operation
from tests.federation.scripted import operation_of, supergraph
from tests.federation.subgraphs import InMemory
from tests.federation.world import WORLD

GARBAGE: tuple[Any, ...] = (
    None,
    None,
    5,
    True,
    "nonsense",
    [],
    {},
    [None],
    ["x"],
    {"__typename": "Book"},
    [[{}]],
)
NAMES = ("Book", "Film", "User", "Member", "Item", "Nothing", "", 7, None, ["Book"])


class Corrupting(InMemory):
    """Puts something else in place of a few values of every answer."""

    def __init__(self, random: Random) -> None:
        super().__init__(*WORLD.subgraphs)
        self.random = random

    async def execute(self, request: SubgraphRequest) -> SubgraphResponse:
        response = await super().execute(request)
        data = self.corrupt(copy.deepcopy(response.data))
        return SubgraphResponse(data, response.errors if self.random.random() < 0.5 else ())

    def corrupt(self, value: Any) -> Any:
        if self.random.random() < 0.04:
            return copy.deepcopy(self.random.choice(GARBAGE))
        if isinstance(value, dict):
            for key in list(value):
                value[key] = self.corrupt(value[key])
            if "__typename" in value and self.random.random() < 0.1:
                value["__typename"] = self.random.choice(NAMES)
            if value and self.random.random() < 0.05:
                del value[self.random.choice(list(value))]
        if isinstance(value, list):
            value = [self.corrupt(one) for one in value]
            if value and self.random.random() < 0.05:
                value.pop()
        return value


def fits(type_: Any, sets: Any, value: Any) -> bool:
    """Whether a value is one that the API schema allows for a selection."""
    schema = supergraph().api_schema
    if isinstance(type_, GraphQLNonNull):
        return value is not None and fits(type_.of_type, sets, value)
    if value is None:
        return True
    if isinstance(type_, GraphQLList):
        return isinstance(value, list) and all(fits(type_.of_type, sets, one) for one in value)
    if isinstance(type_, GraphQLEnumType):
        return value in type_.values
    if not is_composite_type(type_):
        return True
    if is_abstract_type(type_):
        possible = [*schema.get_possible_types(type_), type_]
        return any(fits_object(one, sets, value) for one in possible)
    return fits_object(type_, sets, value)


def fits_object(type_: Any, sets: Any, value: Any) -> bool:
    fields = collect_fields(supergraph().api_schema, sets, type_.name)
    if not isinstance(value, dict) or list(value) != list(fields):
        return False
    for key, same in fields.items():
        if same[0].name == "__typename":
            if value[key] != type_.name or not is_object_type(type_):
                return False
            continue
        definition = supergraph().api_schema.get_field(type_, same[0].name)
        assert definition is not None
        if not fits(definition.type, tuple(one.selections for one in same), value[key]):
            return False
    return True


@given(seed=st.integers(0, 2**32))
@settings(max_examples=150, deadline=None, derandomize=True)
async def test_a_response_fits_the_schema_and_explains_its_nulls(seed: int) -> None:
    random = Random(seed)  # noqa: S311
    schema = supergraph().api_schema
    try:
        operation, variables = operation_of(random_operation(schema, random))
    except InvalidRequest:
        assume(False)
    executable = compile_plan(supergraph(), operation, plan(supergraph(), operation))
    assume(not executable.passthrough)
    transport = Corrupting(random)
    response = await executable.run(transport, variables, None)
    root = schema.query_type
    assert isinstance(root, GraphQLObjectType)
    assert response.data is None or fits_object(root, (operation.selections,), response.data)
    assert response.data is not None or response.errors
    for error in response.errors:
        assert isinstance(error["message"], str)
        assert error["extensions"]["code"] != "INTERNAL_SERVER_ERROR"
