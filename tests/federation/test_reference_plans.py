"""Our plans beside those of two reference planners: never more fetches, never deeper."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.federation.planner import PlanningError, plan
from tests.federation.areas import areas
from tests.federation.reference_planners import (
    AUDIT,
    RANDOM,
    Size,
    asked_of,
    checksum,
    random_operations,
    size,
    supergraph_of,
)
from tests.federation.suites import Area, Case
from tests.federation.world import WORLD


def audit() -> list[Any]:
    """The size of Hive Router's plan, by area and case."""
    known = json.loads(AUDIT.read_text())
    return [
        pytest.param(area, area.cases[int(number)], tuple(found), id=f"{area.name}-{number}")
        for area in areas()
        for number, found in known.get(area.name, {}).items()
    ]


@pytest.mark.parametrize(("area", "case", "reference"), audit())
def test_no_plan_of_the_audit_is_larger_or_deeper(area: Area, case: Case, reference: Size) -> None:
    asked = asked_of(area, case.query, case.variables)
    assert asked is not None
    try:
        planned = plan(supergraph_of(area.supergraph_file), asked.operation)
    except PlanningError:
        assert case.errors
        return
    fetches, depth = size(planned)
    assert fetches <= reference[0]
    assert depth <= reference[1]


@pytest.mark.parametrize("area", [*areas(), WORLD], ids=lambda area: area.name)
def test_no_plan_of_a_random_operation_is_larger_or_deeper(area: Area) -> None:
    known = json.loads(RANDOM.read_text())[area.name]
    operations = random_operations(area)
    assert checksum(operations) == known["operations"], "the figures are of other operations"
    supergraph = supergraph_of(area.supergraph_file)
    for name, asked in operations.items():
        hive, apollo = known["hive"].get(name), known["apollo"].get(name)
        if hive is None and apollo is None:
            continue
        fetches, depth = size(plan(supergraph, asked.operation))
        shown = f"{name}: {fetches}, {depth}: {asked.text}"
        assert hive is None or (fetches <= hive[0] and depth <= hive[1]), shown
        # Where the two differ, Hive Router waits longer and Apollo asks more often: see
        # `requires-requires`.  A plan that asks less often may wait longer.
        if apollo is not None:
            assert fetches < apollo[0] or (fetches == apollo[0] and depth <= apollo[1]), shown
