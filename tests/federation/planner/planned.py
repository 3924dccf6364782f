"""Plans operations over the supergraphs beside this file, and checks every document they print."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from graphql import GraphQLSchema, parse, validate

from gateway.federation.deferral import in_parts
from gateway.federation.operation.prepare import parse_and_validate, prepare
from gateway.federation.plan import QueryPlan
from gateway.federation.plan_text import print_plan
from gateway.federation.planner import BUDGET, plan
from gateway.federation.supergraph import Supergraph
from tests.federation.subgraphs import Subgraph

__all__ = ["plan_of", "planned", "supergraph"]

FOLDER = Path(__file__).parent / "supergraphs"


@cache
def supergraph(name: str) -> Supergraph:
    """The composed supergraph of a folder."""
    return Supergraph.from_sdl((FOLDER / name / "supergraph.graphql").read_text())


@cache
def subgraph_schema(name: str, subgraph: str) -> GraphQLSchema:
    """What a subgraph of a folder validates documents against."""
    sdl = (FOLDER / name / f"{subgraph}.graphql").read_text()
    if "type Query" not in sdl:
        sdl += "\ntype Query { _service: String }\n"
    return Subgraph(subgraph, sdl).schema


def plan_of(
    name: str,
    source: str,
    variables: Mapping[str, Any] | None = None,
    *,
    labels: Mapping[str, bool] | None = None,
    budget: int = BUDGET,
) -> QueryPlan:
    """The plan of an operation; every document in it is valid where it is sent."""
    graph = supergraph(name)
    prepared = prepare(graph.api_schema, parse_and_validate(graph.api_schema, source))
    operation, *_ = in_parts(graph, prepared, prepared.coerce(variables))
    found = plan(graph, operation, labels=labels or {}, budget=budget)
    _check(name, found)
    return found


def planned(
    name: str,
    source: str,
    variables: Mapping[str, Any] | None = None,
    *,
    labels: Mapping[str, bool] | None = None,
) -> str:
    """The plan of an operation as text."""
    return print_plan(plan_of(name, source, variables, labels=labels))


def _check(name: str, found: QueryPlan) -> None:
    seen: set[int] = set()
    for fetch in found.fetches:
        assert set(fetch.depends_on) <= seen, "a fetch comes before one it waits for"
        seen.add(fetch.id)
        errors = validate(subgraph_schema(name, fetch.subgraph), parse(fetch.document))
        assert not errors, f"{fetch.subgraph}: {errors[0].message}: {fetch.document}"
