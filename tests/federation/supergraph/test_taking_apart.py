"""A supergraph that is not served any more is freed without the garbage collector."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from gateway.federation.operation.authorization import AuthorizationRules
from gateway.federation.operation.prepare import parse_and_validate, prepare
from gateway.federation.planner import forget, plan
from gateway.federation.planner.graph import QueryGraph
from gateway.federation.supergraph import Supergraph
from tests.federation.world import WORLD

SOURCE = "{ items { id ... on Book { title inStock author { name } } } root { me { id } } }"


@pytest.fixture(autouse=True)
def uncollected() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def planned() -> Supergraph:
    """A supergraph of which all has been used."""
    supergraph = Supergraph.from_sdl(WORLD.supergraph_file.read_text())
    AuthorizationRules.of(supergraph)
    operation = prepare(
        supergraph.api_schema, parse_and_validate(supergraph.api_schema, SOURCE)
    ).fold({})
    assert plan(supergraph, operation).fetches
    return supergraph


def test_all_of_it_is_freed() -> None:
    supergraph = planned()
    (graph,) = (one for one in supergraph.derived.values() if isinstance(one, QueryGraph))
    schemas = (supergraph.schema, supergraph.api_schema)
    fields = [one.query_type.fields["items"] for one in schemas if one.query_type]
    found = [weakref.ref(one) for one in (graph, *schemas, *fields)]
    del graph, schemas, fields
    # Validation leaves a little that only the collector finds.
    gc.collect()
    assert None not in [one() for one in found]
    forget(supergraph)
    supergraph.take_apart()
    del supergraph
    assert [one() for one in found] == [None] * 5


def test_what_all_supergraphs_share_stays() -> None:
    first, second = planned(), planned()
    forget(first)
    first.take_apart()
    source = '{ __schema { types { name } } __type(name: "Int") { name } items { id } }'
    parse_and_validate(second.api_schema, source)
    assert planned().api_schema.type_map["__Schema"].name == "__Schema"
