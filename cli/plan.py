"""Prints how an operation would be answered, without asking any subgraph."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from click import ClickException

from gateway.federation.operation.prepare import InvalidRequest, parse_and_validate, prepare
from gateway.federation.plan_json import plan_to_json
from gateway.federation.plan_text import print_plan
from gateway.federation.planner import PlanningError, plan
from gateway.federation.supergraph import Supergraph, SupergraphError


def explain(
    location: Path,
    query: str,
    *,
    operation: str | None,
    conditions: Mapping[str, Any],
    as_json: bool,
) -> str:
    """The plan in Apollo's notation, or as JSON."""
    try:
        supergraph = Supergraph.from_sdl(location.read_text())
        document = parse_and_validate(supergraph.api_schema, _text(query))
        prepared = prepare(supergraph.api_schema, document, operation)
        decided = {name: _decided(name, conditions) for name in prepared.conditions}
        found = plan(supergraph, prepared.fold(decided))
    except OSError as error:
        raise ClickException(f"{error.filename}: {error.strerror}") from error
    except (SupergraphError, InvalidRequest, PlanningError) as error:
        raise ClickException(str(error)) from error
    return json.dumps(plan_to_json(found), indent=2) if as_json else print_plan(found)


def _text(query: str) -> str:
    """The operation itself, or the content of the file that is named; `-` is standard input."""
    if query == "-":
        return sys.stdin.read()
    return query if "{" in query else Path(query).read_text()


def _decided(name: str, conditions: Mapping[str, Any]) -> bool:
    if not isinstance(conditions.get(name), bool):
        raise ClickException(
            f"${name} decides an @skip or @include: say --variables '{{\"{name}\": true}}'"
        )
    return bool(conditions[name])
