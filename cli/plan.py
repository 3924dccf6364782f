"""Prints how an operation would be answered, without asking any subgraph."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from click import ClickException
from graphql import BooleanValueNode

from gateway.federation.cost import Weights, compile_cost, evaluate
from gateway.federation.deferral import in_parts, plan_in_parts
from gateway.federation.operation.prepare import (
    InvalidRequest,
    PreparedOperation,
    parse_and_validate,
    prepare,
)
from gateway.federation.plan import QueryPlan
from gateway.federation.plan_json import plan_to_json
from gateway.federation.plan_text import print_plan
from gateway.federation.planner import PlanningError
from gateway.federation.supergraph import Supergraph, SupergraphError
from gateway.reloading import FileSource, SourceUnavailable, read_now


def explain(
    location: Path,
    query: str,
    *,
    operation: str | None,
    variables: Mapping[str, Any],
    labels: Collection[str],
    as_json: bool,
) -> str:
    """The plan in Apollo's notation and what it may cost, or the plan as JSON.

    ``labels`` are those of `@override` that are on.
    """
    supergraph = _supergraph(location)
    if unknown := sorted(set(labels) - supergraph.labels):
        known = ", ".join(sorted(supergraph.labels)) or "none"
        raise ClickException(f"There is no label {unknown[0]}; the supergraph has {known}.")
    try:
        document = parse_and_validate(supergraph.api_schema, _text(query))
        prepared = prepare(supergraph.api_schema, document, operation)
        decided = {name: _decided(prepared, name, variables) for name in prepared.conditions}
        whole, *_ = in_parts(supergraph, prepared, decided)
        on = {label: label in labels for label in supergraph.labels}
        found = plan_in_parts(supergraph, whole, labels=on)
    except InvalidRequest as error:
        raise ClickException("\n".join(map(str, error.errors))) from error
    except PlanningError as error:
        raise ClickException(str(error)) from error
    if as_json:
        return json.dumps(plan_to_json(found), indent=2)
    comments = [_cost(supergraph, found, variables)]
    if off := sorted(supergraph.labels - set(labels)):
        comments.append(f"Labels of @override that are off: {', '.join(off)}.")
    return "\n".join([print_plan(found), *(f"# {comment}" for comment in comments)])


def _supergraph(location: Path) -> Supergraph:
    try:
        return Supergraph.from_sdl(read_now(FileSource(location)))
    except SourceUnavailable as error:
        raise ClickException(str(error)) from error
    except SupergraphError as error:
        raise ClickException(f"{location}: {error}") from error


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
    if "{" in query or not query.strip():
        return query
    try:
        return Path(query).read_text(encoding="utf-8")
    except OSError as error:
        raise ClickException(f"cannot read the operation {query}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ClickException(f"cannot read the operation {query}: it is not UTF-8 text") from error


def _decided(prepared: PreparedOperation, name: str, variables: Mapping[str, Any]) -> bool:
    default = prepared.variables[name].default_value
    value = variables.get(name)
    if name not in variables and isinstance(default, BooleanValueNode):
        value = default.value
    if not isinstance(value, bool):
        raise ClickException(
            f"${name} decides an @skip, an @include or a @defer: "
            f"say --variables '{{\"{name}\": true}}'"
        )
    return value
