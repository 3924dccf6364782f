"""Directives that all subgraphs define for operations: clients' uses of them reach subgraphs."""

from __future__ import annotations

import pytest

from gateway.federation.operation.prepare import parse_and_validate, prepare
from gateway.federation.planner import plan
from gateway.federation.supergraph import Supergraph
from tests.federation.planner.planned import FOLDER

CASED = """
directive @cased(by: Int, how: How) repeatable on
  FIELD | QUERY | MUTATION | INLINE_FRAGMENT | FRAGMENT_SPREAD | FRAGMENT_DEFINITION
  | VARIABLE_DEFINITION
input How { upper: Boolean }
"""


def documents(name: str, source: str) -> list[str]:
    """The documents of a plan, each with the subgraph it is for."""
    sdl = (FOLDER / name / "supergraph.graphql").read_text()
    supergraph = Supergraph.from_sdl(sdl + CASED)
    prepared = prepare(supergraph.api_schema, parse_and_validate(supergraph.api_schema, source))
    found = plan(supergraph, prepared.fold(prepared.coerce({})))
    return [f"{fetch.subgraph}: {fetch.document}" for fetch in found.fetches]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (
            "{ products { name @cased(how: {upper: true}, by: 1) @cased } }",
            ["catalog: {products{name@cased(by:1,how:{ upper: true })@cased}}"],
        ),
        (
            "{ products @cased { name __typename @cased } }",
            ["catalog: {products@cased{__typename name}}"],
        ),
        ("{ products { name } products @cased { name } }", ["catalog: {products@cased{name}}"]),
        (
            "query ($by: Int = 2) { products { name @cased(by: $by) @include(if: true) } }",
            ["catalog: query($by:Int=2){products{name@cased(by:$by)}}"],
        ),
        (
            "query @cased(by: 1) { products { name } }",
            ["catalog: query@cased(by:1){products{name}}"],
        ),
        ("{ __schema @cased { queryType @cased { name @cased } } }", []),
    ],
)
def test_a_directive_goes_where_its_field_goes(source: str, expected: list[str]) -> None:
    assert documents("shop", source) == expected


@pytest.mark.parametrize(
    "source",
    [
        "{ products { ... @cased { name } } }",
        "{ products { ... on Product @cased(by: 1) { name } } }",
        "{ products { ...F @cased } } fragment F on Product @cased { name }",
        "query ($yes: Boolean = true @cased) { products { name @include(if: $yes) } }",
    ],
)
def test_one_on_a_fragment_or_a_variable_stays_here(source: str) -> None:
    assert documents("shop", source) == ["catalog: {products{name}}"]


def test_the_engine_does_not_take_a_field_with_a_directive_for_the_field() -> None:
    root, hop = documents("shop", "{ products { id @cased reviews { body } } }")
    assert root == "catalog: {products{__typename id@cased _k0:id}}"
    assert hop.startswith("reviews: query($representations:[_Any!]!){")


def test_an_operations_directive_goes_with_each_of_its_fetches() -> None:
    source = "query ($by: Int = 2) @cased(by: $by) { products { reviews { id } } }"
    root, hop = documents("shop", source)
    assert root.startswith("catalog: query($by:Int=2)@cased(by:$by){")
    assert hop.startswith("reviews: query($representations:[_Any!]!,$by:Int=2)@cased(by:$by){")


def test_a_mutations_directive_is_not_for_the_queries_below_it() -> None:
    source = 'mutation @cased { addProduct(name: "a") { weight } }'
    first, below = documents("mutations", source)
    assert first.startswith("a: mutation@cased{")
    assert "@cased" not in below
