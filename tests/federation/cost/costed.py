"""Costs of operations over a supergraph of one subgraph, given as plain SDL."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from gateway.federation.cost import Number, PlanCost, Weights, compile_cost, evaluate
from gateway.federation.operation.prepare import parse_and_validate, prepare
from gateway.federation.plan import QueryPlan
from gateway.federation.planner import plan
from gateway.federation.supergraph import Supergraph

__all__ = ["actual", "compiled", "estimate", "supergraph"]

_IMPLEMENTS = re.compile(r"implements ([\w &]+)")
IMPORTED = 'import: ["@cost", "@listSize"]'
_LOCATIONS = (
    "ARGUMENT_DEFINITION | ENUM | FIELD_DEFINITION | INPUT_FIELD_DEFINITION | OBJECT | SCALAR"
)
_SIZES = (
    "(assumedSize: Int, slicingArguments: [String!], sizedFields: [String!],"
    " requireOneSlicingArgument: Boolean = true) on FIELD_DEFINITION"
)


@cache
def supergraph(
    types: str,
    *,
    link: str = IMPORTED,
    cost: str = "cost",
    list_size: str = "listSize",
    weight: str = "Int!",
) -> Supergraph:
    """A supergraph whose only subgraph has these types; the directives go by the given names."""
    roots = [name for name in ("Mutation", "Subscription") if f"type {name} " in types]
    return Supergraph.from_sdl(
        f"""
        schema
          @link(url: "https://specs.apollo.dev/link/v1.0")
          @link(url: "https://specs.apollo.dev/join/v0.5", for: EXECUTION)
          @link(url: "https://specs.apollo.dev/cost/v0.1" {link})
        {{ query: Query {" ".join(f"{name.lower()}: {name}" for name in roots)} }}
        directive @join__graph(name: String!, url: String!) on ENUM_VALUE
        directive @link(
          url: String, as: String, for: link__Purpose, import: [link__Import]
        ) repeatable on SCHEMA
        directive @{cost}(weight: {weight}) on {_LOCATIONS}
        directive @{list_size}{_SIZES}
        scalar link__Import
        enum link__Purpose {{ SECURITY EXECUTION }}
        enum join__Graph {{ ONE @join__graph(name: "one", url: "http://one.test/graphql") }}
        directive @join__implements(
          graph: join__Graph!, interface: String!
        ) repeatable on OBJECT | INTERFACE
        {_IMPLEMENTS.sub(_joined, types)}
        """
    )


def _joined(match: re.Match[str]) -> str:
    """The interfaces of a type, and that its subgraph has them."""
    names = match[1].split("&")
    return match[0] + " ".join(
        f'@join__implements(graph: ONE, interface: "{name.strip()}")' for name in names
    )


def compiled(
    graph: Supergraph, source: str, variables: Mapping[str, Any] | None = None, *, size: int = 10
) -> tuple[QueryPlan, PlanCost, dict[str, Any]]:
    """The plan of an operation, what it costs, and the coerced variables."""
    prepared = prepare(graph.api_schema, parse_and_validate(graph.api_schema, source))
    coerced = prepared.coerce(variables)
    planned = plan(graph, prepared.fold(coerced))
    return planned, compile_cost(Weights(graph, size), planned), coerced


def estimate(
    types: str | Supergraph, source: str, variables: Mapping[str, Any] | None = None
) -> Number:
    """What an operation may cost; lists that say nothing have ten elements."""
    graph = supergraph(types) if isinstance(types, str) else types
    _, cost, coerced = compiled(graph, source, variables)
    return evaluate(cost.total, coerced)


def actual(
    types: str, source: str, data: Any, variables: Mapping[str, Any] | None = None
) -> Number:
    """What an operation of a single fetch has cost when this is the answer."""
    planned, cost, coerced = compiled(supergraph(types), source, variables)
    (fetch,) = planned.fetches
    return cost.fetches[fetch].actual(data, coerced)
