"""The short way to variable values agrees with graphql-core's."""

from __future__ import annotations

from typing import Any

import pytest
from graphql import OperationDefinitionNode, build_schema, parse
from graphql.execution.values import get_variable_values
from hypothesis import given
from hypothesis import strategies as st

from gateway.federation.operation.coercion import Coercion

SCHEMA = build_schema("""
type Query { a(float: Float, id: ID, shade: Shade, moment: Moment, filter: Filter): Int }
enum Shade { LIGHT DARK }
scalar Moment
input Filter { first: Int = 3 shade: Shade }
""")
TYPES = ["Int", "Float", "String", "ID", "Boolean", "Shade", "Moment", "Filter"]
TYPES += ["[Int]", "[[ID!]!]", "[Shade!]"]
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**33), 2**33)
    | st.floats()
    | st.sampled_from(["LIGHT", "GREY", "", "5"])
)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.just("first"), inner)
)


def both(definition: str, variables: dict[str, Any]) -> tuple[Any, Any]:
    """What we and what graphql-core make of the variables."""
    (operation,) = parse(f"query ({definition}) {{ a }}").definitions
    assert isinstance(operation, OperationDefinitionNode)
    definitions = operation.variable_definitions or ()
    ours = Coercion(SCHEMA, definitions).coerce(variables)
    theirs = get_variable_values(SCHEMA, definitions, variables)
    if isinstance(theirs, list):
        assert isinstance(ours, list)
        return [one.message for one in ours], [one.message for one in theirs]
    return repr(ours), repr(theirs.coerced)


@given(type_=st.sampled_from(TYPES), required=st.booleans(), value=VALUES)
def test_any_value_of_any_type_comes_to_the_same(type_: str, required: bool, value: Any) -> None:
    ours, theirs = both(f"$v: {type_}{'!' if required else ''}", {"v": value})
    assert ours == theirs


@pytest.mark.parametrize(
    "definition",
    [
        "$v: Int",
        "$v: Int!",
        "$v: Int = 5",
        "$v: Int! = 5",
        "$v: [Int] = [1]",
        "$v: Filter = {}",
        "$v: Shade = DARK",
        "$v: Boolean = null",
    ],
)
@pytest.mark.parametrize("variables", [{}, {"v": None}, {"v": 7}, {"w": 7}])
def test_defaults_come_to_the_same(definition: str, variables: dict[str, Any]) -> None:
    ours, theirs = both(definition, variables)
    assert ours == theirs


def test_a_default_that_is_a_container_is_made_for_each_request() -> None:
    (operation,) = parse("query ($v: [Int] = [1]) { a }").definitions
    assert isinstance(operation, OperationDefinitionNode)
    coercion = Coercion(SCHEMA, operation.variable_definitions or ())
    first, second = coercion.coerce({}), coercion.coerce({})
    assert first == second == {"v": [1]}
    assert isinstance(first, dict)
    assert isinstance(second, dict)
    assert first["v"] is not second["v"]
