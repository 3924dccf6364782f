"""Random operations over random resolvers: the compiled answer is graphql-core's."""

from __future__ import annotations

import asyncio
import gc
import warnings
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis_graphql import nodes
from hypothesis_graphql import strategies as gql

from tests.shared.execution import world as worlds
from tests.shared.execution.differential import compiled, described, interpreted, same

# graphql-core itself leaves coroutines when it cancels the siblings of a failed field.
LEFT_BY_GRAPHQL_CORE = pytest.mark.filterwarnings(
    "ignore:coroutine .* was never awaited:RuntimeWarning"
)


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """What is left is collected between two tests.

    Elsewhere it could be in the middle of code without builtins (a named tuple's), where
    Python cannot warn of a coroutine but only say that it could not.
    """
    gc.disable()
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        gc.collect()
    gc.enable()


FIELDS = worlds.fields()
FAULTS = st.sampled_from([0, 0, 1, 3, 10, 30])
RANDOM = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


def worlds_of(
    *modes: worlds.Mode, more: tuple[worlds.Mode, ...] = ()
) -> st.SearchStrategy[worlds.World]:
    """Worlds whose fields get their values in some of ``modes``, and rarely in ``more``."""
    return st.builds(
        worlds.World,
        seed=st.integers(0, 2**32),
        modes=st.fixed_dictionaries({name: st.sampled_from(modes * 3 + more) for name in FIELDS}),
        faults=FAULTS,
        objects=st.booleans(),
        calls=st.builds(list),
    )


@LEFT_BY_GRAPHQL_CORE
@given(
    worlds_of(*worlds.MODES, more=worlds.WRONG),
    gql.queries(worlds.SDL, custom_scalars={"Date": st.just("").map(nodes.String)}),
)
@RANDOM
async def test_a_generated_query_is_answered_as_by_graphql_core(
    world: worlds.World, text: str
) -> None:
    await same(worlds.schema_of(world), text, root=lambda: worlds.root_of(world))


@LEFT_BY_GRAPHQL_CORE
@given(worlds_of(*worlds.MODES, more=worlds.WRONG), st.integers(0, 2**32))
@RANDOM
async def test_a_large_query_is_answered_as_by_graphql_core(world: worlds.World, seed: int) -> None:
    text, variables = worlds.operation(seed)
    schema = worlds.schema_of(world)
    await same(schema, text, variables=variables, root=lambda: worlds.root_of(world))


@LEFT_BY_GRAPHQL_CORE
@given(worlds_of(*worlds.MODES, more=worlds.WRONG), st.integers(0, 2**32))
@RANDOM
async def test_a_mutation_is_answered_as_by_graphql_core(world: worlds.World, seed: int) -> None:
    text, variables = worlds.operation(seed, "mutation")
    await same(
        worlds.schema_of(world),
        text,
        variables=variables,
        root=lambda: worlds.root_of(world, "Mutation"),
    )


@LEFT_BY_GRAPHQL_CORE
@given(worlds_of("attribute", "sync"), st.integers(0, 2**32))
@RANDOM
async def test_synchronous_errors_are_the_same_in_the_same_order(
    world: worlds.World, seed: int
) -> None:
    text, variables = worlds.operation(seed)
    schema = worlds.schema_of(world)
    root = worlds.root_of(world)
    actual = await same(schema, text, variables=variables, root=lambda: root)
    expected = await interpreted(schema, text, variables=variables, root=root)
    assert list(map(described, actual.errors or ())) == list(map(described, expected.errors or ()))


@given(worlds_of(*worlds.MODES), st.integers(0, 2**32))
@RANDOM
async def test_nothing_is_left_unawaited(world: worlds.World, seed: int) -> None:
    text, variables = worlds.operation(seed)
    root = worlds.root_of(world)
    await compiled(worlds.schema_of(world), text, variables=variables, root=root)
    others = asyncio.all_tasks() - {asyncio.current_task()}
    if others:
        await asyncio.wait(others)
    gc.collect()
