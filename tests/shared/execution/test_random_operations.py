"""Random operations over random resolvers: the compiled answer is graphql-core's."""

from __future__ import annotations

from typing import Any

from graphql import DocumentNode, print_ast
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis_graphql import nodes
from hypothesis_graphql import strategies as gql

from tests.shared.execution import world as worlds
from tests.shared.execution.differential import same

FIELDS = worlds.fields()

worlds_strategy = st.builds(
    worlds.World,
    seed=st.integers(0, 2**32),
    modes=st.fixed_dictionaries({name: st.sampled_from(worlds.MODES) for name in FIELDS}),
    faults=st.sampled_from([0, 0, 2, 10, 30]),
    objects=st.booleans(),
    calls=st.builds(list),
)
dates = {"Date": st.just("date-1").map(nodes.String)}


@given(worlds_strategy, gql.queries(worlds.SDL, custom_scalars=dates))
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
async def test_a_random_query_is_answered_as_by_graphql_core(
    world: worlds.World, text: str
) -> None:
    schema = worlds.schema_of(world)
    await same(schema, text, root=lambda: worlds.root_of(world))
