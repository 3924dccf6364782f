"""Prints how an operation would be answered, without asking any subgraph."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from click import ClickException

from gateway.federation.cost import Weights, compile_cost, evaluate
from gateway.federation.deferral import in_parts, plan_in_parts
from gateway.federation.operation.prepare import InvalidRequest, parse_and_validate, prepare
from gateway.federation.plan import QueryPlan
from gateway.federation.plan_json import plan_to_json
from gateway.federation.plan_text import print_plan
from gateway.federation.planner import PlanningError
from gateway.federation.supergraph import Supergraph, SupergraphError


def explain(
    location: Path,
    query: str,
    *,
    operation: str | None,
    conditions: Mapping[str, Any],
    as_json: bool,
) -> str:
    """The plan in Apollo's notation and what it may cost, or the plan as JSON."""
    try:
        supergraph = Supergraph.from_sdl(location.read_text())
        document = parse_and_validate(supergraph.api_schema, _text(query))
        prepared = prepare(supergraph.api_schema, document, operation)
        decided = {name: _decided(name, conditions) for name in prepared.conditions}
        whole, *_ = in_parts(supergraph, prepared, decided)
        found = plan_in_parts(supergraph, whole, labels={})
    except OSError as error:
        raise ClickException(f"{error.filename}: {error.strerror}") from error
    except (SupergraphError, InvalidRequest, PlanningError) as error:
        raise ClickException(str(error)) from error
    if as_json:
        return json.dumps(plan_to_json(found), indent=2)
    return f"{print_plan(found)}\n# {_cost(supergraph, found, conditions)}"


def _cost(supergraph: Supergraph, found: QueryPlan, variables: Mapping[str, Any]) -> str:
    """What the plan may cost with these variables, in all and of each subgraph."""
    cost = compile_cost(Weights(supergraph), found)
    parts = [f"{name} {evaluate(each, variables)}" for name, each in sorted(cost.subgraphs.items())]
    of_which = f": {', '.join(parts)}" if len(parts) > 1 else ""
    return f"Costs at most {evaluate(cost.total, variables)}{of_which}."


def _text(query: str) -> str:
    """The operation itself, or the content of the file that is named; `-` is standard input."""
    if query == "-":
        return sys.stdin.read()
    return query if "{" in query else Path(query).read_text()


def _decided(name: str, conditions: Mapping[str, Any]) -> bool:
    if not isinstance(conditions.get(name), bool):
        raise ClickException(
            f"${name} decides an @skip, an @include or a @defer: "
            f"say --variables '{{\"{name}\": true}}'"
        )
    return bool(conditions[name])
