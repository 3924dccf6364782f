"""Every case of every conformance area, planned and executed by the engine."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest

from gateway.federation.execution import Response, compile_plan
from gateway.federation.operation.prepare import InvalidRequest, parse_and_validate, prepare
from gateway.federation.planner import PlanningError, plan
from gateway.federation.supergraph import Supergraph
from tests.federation.areas import areas
from tests.federation.subgraphs import InMemory
from tests.federation.suites import Area, Case

CASES = [
    pytest.param(area, case, id=f"{area.name}-{number}")
    for area in areas()
    for number, case in enumerate(area.cases)
]


@cache
def supergraph_of(area_name: str, path: str) -> Supergraph:
    """The supergraph of an area; read once."""
    return Supergraph.from_sdl(Path(path).read_text())


async def answer(area: Area, case: Case, transport: InMemory) -> Response:
    """What a client of the gateway would get."""
    supergraph = supergraph_of(area.name, str(area.supergraph_file))
    schema = supergraph.api_schema
    try:
        prepared = prepare(schema, parse_and_validate(schema, case.query))
        variables = prepared.coerce(case.variables)
        operation = prepared.fold(variables)
        planned = plan(supergraph, operation)
    except InvalidRequest as invalid:
        return Response(None, [{"message": error.message} for error in invalid.errors])
    except PlanningError as error:
        return Response(None, [{"message": str(error)}])
    return await compile_plan(supergraph, operation, planned).run(transport, variables, None)


@pytest.mark.parametrize(("area", "case"), CASES)
async def test_a_case_of_the_audit_is_answered_as_expected(area: Area, case: Case) -> None:
    area.reset()
    transport = InMemory(*area.subgraphs)
    response = await answer(area, case, transport)
    shown: Any = response.data, [error["message"] for error in response.errors]
    assert response.data == case.data, shown
    assert bool(response.errors) == case.errors, shown
    assert not transport.invalid
