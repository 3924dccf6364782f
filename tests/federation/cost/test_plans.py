"""What plans cost: every fetch, by itself and by subgraph, before and after it was answered."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from gateway.federation.cost import Number, PlanCost, evaluate
from gateway.federation.execution import Response, compile_plan
from gateway.federation.operation.prepare import InvalidRequest, parse_and_validate, prepare
from gateway.federation.planner import PlanningError
from gateway.federation.supergraph import Supergraph
from gateway.federation.transport import SubgraphRequest, SubgraphResponse
from tests.federation.areas import areas
from tests.federation.cost.costed import actual, compiled
from tests.federation.cost.market import SUBGRAPHS, SUPERGRAPH_FILE
from tests.federation.operations import random_operation
from tests.federation.subgraphs import InMemory
from tests.federation.suites import Area, Case
from tests.federation.world import WORLD


@cache
def read(path: Path) -> Supergraph:
    """The supergraph in a file; read once."""
    return Supergraph.from_sdl(path.read_text())


class Meter(InMemory):
    """Adds up what answers cost."""

    def __init__(self, inner: InMemory, cost: PlanCost, variables: Mapping[str, Any]) -> None:
        super().__init__(*inner.subgraphs.values())
        self.cost = cost
        self.variables = variables
        self.spent: dict[str, Number] = {}

    async def execute(self, request: SubgraphRequest) -> SubgraphResponse:
        response = await super().execute(request)
        spent = self.cost.fetches[request.fetch].actual(response.data, self.variables)
        name = request.fetch.subgraph
        self.spent[name] = self.spent.get(name, 0) + spent
        return response


def estimates(source: str, variables: Mapping[str, Any] | None = None) -> dict[str, Number]:
    """What an operation on the market may cost, by subgraph; the parts make up the whole."""
    _, cost, coerced = compiled(read(SUPERGRAPH_FILE), source, variables)
    found = {name: evaluate(one, coerced) for name, one in cost.subgraphs.items()}
    assert sum(found.values()) == evaluate(cost.total, coerced)
    return found


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{ __typename __schema { types { name } } }", {}),
        ("{ products(first: 4) { edges { node { name } } } }", {"shop": 1 + 4 + 4}),
        # The entities are as many as the list they sit in is long, and objects once more.
        (
            "{ products(first: 4) { edges { node { reviews { stars } } } } }",
            {"shop": 1 + 4 + 4, "reviews": 4 * (1 + 3)},
        ),
        (
            "{ products { edges { node { reviews(first: 2) { author { name } } } } } }",
            {"shop": 1 + 5 + 5, "reviews": 5 * (1 + 2 * (1 + 3)), "users": 5 * 2 * 3},
        ),
        # One object is one representation.
        ("{ top { reviews { stars } } }", {"shop": 1, "reviews": 1 + 3}),
        # What a `@requires` reads was fetched, and the field weighs what it says.
        ("{ top { shipping } }", {"shop": 1, "reviews": 1 + 4}),
        # One call may ask about several positions.
        (
            "{ top { reviews { stars } } pair { reviews { stars } } }",
            {"shop": 1 + 2, "reviews": (1 + 2) * (1 + 3)},
        ),
        (
            "{ a: top { reviews(first: 1) { stars } } b: top { reviews(first: 9) { stars } } }",
            {"shop": 1 + 1, "reviews": (1 + 1) + (1 + 9)},
        ),
        ("{ guests { name } }", {"shop": 10 * 3, "users": 10 * 3}),
        ("{ me { name } }", {"users": 3}),
        (
            'mutation { buy(id: "1") { reviews { stars } } }',
            {"shop": 10 + 20, "reviews": 1 + 3},
        ),
        ("subscription { sold { reviews { stars } } }", {"shop": 1, "reviews": 1 + 3}),
        (
            "{ products(first: 1) { edges { node { ... @defer { reviews { stars } } } } } }",
            {"shop": 1 + 1 + 1, "reviews": 1 + 3},
        ),
    ],
)
def test_a_plan_costs_what_its_fetches_cost(source: str, expected: dict[str, int]) -> None:
    assert estimates(source) == expected


def test_a_slicing_variable_counts_in_every_later_fetch() -> None:
    source = """query($n: Int, $m: Int) {
      products(first: $n) { edges { node { reviews(first: $m) { author { name } } } } }
    }"""
    for n, m in ((1, 1), (4, 2), (100, 50)):
        assert estimates(source, {"n": n, "m": m}) == {
            "shop": 1 + 2 * n,
            "reviews": n * (1 + m * (1 + 3)),
            "users": n * m * 3,
        }


async def run(
    graph: Supergraph, inner: InMemory, source: str, variables: Mapping[str, Any], *, size: int = 10
) -> tuple[Number, Meter, Response]:
    """The estimate of an operation, what it has cost, and its answer."""
    planned, cost, coerced = compiled(graph, source, variables, size=size)
    prepared = prepare(graph.api_schema, parse_and_validate(graph.api_schema, source))
    meter = Meter(inner, cost, coerced)
    executable = compile_plan(graph, prepared.fold(coerced), planned)
    response = await executable.run(meter, coerced, None)
    return evaluate(cost.total, coerced), meter, response


@pytest.mark.parametrize(
    ("source", "spent"),
    [
        # There are four products, whatever is asked for.
        ("{ products(first: 9) { edges { node { name } } } }", {"shop": 1 + 4 + 4}),
        (
            "{ products(first: 9) { edges { node { reviews { stars } } } } }",
            {"shop": 1 + 4 + 4, "reviews": 4 * (1 + 2)},
        ),
        # The author of every review is the same, and asked about once.
        (
            "{ pair { reviews { author { name } } } }",
            {"shop": 2, "reviews": 2 * (1 + 2 * (1 + 3)), "users": 3},
        ),
        ("{ top { shipping } }", {"shop": 1, "reviews": 1 + 4}),
        ('mutation { buy(id: "1") { reviews(first: 1) { stars } } }', {"shop": 30, "reviews": 2}),
    ],
)
async def test_an_answer_costs_what_is_in_it(source: str, spent: dict[str, int]) -> None:
    inner = InMemory(*SUBGRAPHS.values())
    estimated, meter, _ = await run(read(SUPERGRAPH_FILE), inner, source, {})
    assert meter.spent == spent
    assert sum(spent.values()) <= estimated


ANIMALS = """
type Query { animals(of: ID @cost(weight: 2)): [Animal] grid: [[Thing!]] pair: [Pet] tags: [Tag] }
interface Animal { name: String }
union Pet = Dog | Cat
scalar Tag @cost(weight: 2)
type Dog implements Animal @cost(weight: 3) { name: String thing: Thing }
type Cat implements Animal { name: String lives: Int @cost(weight: 9) }
type Thing { id: ID one: Thing }
"""


@pytest.mark.parametrize(
    ("source", "data", "cost"),
    [
        ("{ tags }", {"tags": ["a", None, "b"]}, 4),
        ("{ grid { id } }", {"grid": [[{"id": 1}, {"id": 2}], None, []]}, 2),
        ("{ grid { one { id } } }", {"grid": [[{"one": {"id": 1}}, {"one": None}]]}, 3),
        ('{ animals(of: "1") { name } }', {"animals": None}, 2),
        ("{ animals { name } }", {"animals": [{"__typename": "Cat", "name": "x"}]}, 1),
        ("{ animals { name } }", {"animals": [{"__typename": "Dog", "name": "x"}, None]}, 3),
        # Nothing says what it is: as much as the dearest.
        ("{ animals { name } }", {"animals": [{"name": "x"}]}, 3),
        (
            "{ pair { ... on Dog { thing { id } } ... on Cat { lives } } }",
            {"pair": [{"__typename": "Dog", "thing": {"id": 1}}, {"__typename": "Cat"}]},
            3 + 1 + 1,
        ),
        (
            "{ pair { ... on Dog { thing { id } } ... on Cat { lives } } }",
            {"pair": [{"__typename": "Cat", "lives": 9, "thing": {"id": 1}}]},
            1 + 9,
        ),
        # A subgraph may say anything.
        ("{ animals { name } }", {"animals": ["a dog"]}, 3),
        ("{ animals { name } }", None, 0),
    ],
)
def test_objects_cost_by_the_type_they_say_they_have(source: str, data: Any, cost: int) -> None:
    assert actual(ANIMALS, source, data) == cost


CASES = [
    pytest.param(area, case, id=f"{area.name}-{number}")
    for area in areas()
    for number, case in enumerate(area.cases)
]


@pytest.mark.parametrize(("area", "case"), CASES)
async def test_no_case_of_the_audit_costs_more_than_its_estimate(area: Area, case: Case) -> None:
    area.reset()
    inner = InMemory(*area.subgraphs)
    try:
        graph = read(area.supergraph_file)
        estimated, meter, _ = await run(graph, inner, case.query, case.variables or {})
    except (InvalidRequest, PlanningError):
        assert case.errors
        return
    assert sum(meter.spent.values()) <= estimated


@given(seed=st.integers(0, 2**32), mutation=st.booleans())
@settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.filter_too_much],
)
async def test_no_random_operation_costs_more_than_its_estimate(seed: int, mutation: bool) -> None:
    graph = read(WORLD.supergraph_file)
    source = random_operation(graph.api_schema, Random(seed), mutation=mutation)  # noqa: S311
    try:
        estimated, meter, _ = await run(graph, InMemory(*WORLD.subgraphs), source, {})
    except InvalidRequest:
        assume(False)
    assert sum(meter.spent.values()) <= estimated
