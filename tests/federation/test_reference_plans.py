"""Our plans beside those of Hive Router's planner: never more fetches, never deeper."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.federation.plan_tree import waves
from gateway.federation.planner import PlanningError, plan
from tests.federation.areas import areas
from tests.federation.scripted import operation_of, supergraph
from tests.federation.suites import FOLDER, Area, Case


def reference() -> list[Any]:
    """The fetches and the depth of the reference planner's plans, by area and case."""
    known = json.loads((FOLDER / "reference_plans.json").read_text())
    return [
        pytest.param(area, area.cases[int(number)], *size, id=f"{area.name}-{number}")
        for area in areas()
        for number, size in known.get(area.name, {}).items()
    ]


@pytest.mark.parametrize(("area", "case", "fetches", "depth"), reference())
def test_no_plan_is_larger_or_deeper_than_the_reference_planners(
    area: Area, case: Case, fetches: int, depth: int
) -> None:
    operation, _ = operation_of(case.query, case.variables, area=area.name)
    try:
        planned = plan(supergraph(area.name), operation)
    except PlanningError:
        assert case.errors
        return
    assert len(planned.fetches) <= fetches
    assert len(waves(planned.fetches)) <= depth
