"""`@listSize`: how long a list may get."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.federation.cost.formula import MOST
from tests.federation.cost.costed import compiled, estimate, supergraph

BOOKS = """
type Query {
  books: [Book]
  shelf: [Book!]! @listSize(assumedSize: 4)
  none: [Book] @listSize(assumedSize: 0)
  moods: [Mood] @listSize(assumedSize: 4)
  grid: [[Book]] @listSize(assumedSize: 3)
  first(n: Int): [Book] @listSize(slicingArguments: ["n"])
  either(first: Int, last: Int): [Book]
    @listSize(slicingArguments: ["first", "last"], assumedSize: 30)
  loose(first: Int, last: Int): [Book]
    @listSize(
      slicingArguments: ["first", "last"], assumedSize: 30, requireOneSlicingArgument: false
    )
  usual(first: Int = 20, last: Int): [Book] @listSize(slicingArguments: ["first", "last"])
  byIds(ids: [ID!]): [Book] @listSize(slicingArguments: ["ids"])
  search(where: Search): [Book]
    @listSize(slicingArguments: ["where.page.first"], requireOneSlicingArgument: false)
  unknown(first: Int): [Book] @listSize(slicingArguments: ["last", "first.of"], assumedSize: 6)
  page(first: Int): Page @listSize(slicingArguments: ["first"], sizedFields: ["books", "edges"])
  deep(first: Int): Deep
    @listSize(slicingArguments: ["first"], sizedFields: ["page.books", "pages { ... { edges } }"])
  pages(first: Int): [Page!]
    @listSize(slicingArguments: ["first"], sizedFields: ["books"])
}
enum Mood @cost(weight: 2) { GOOD }
input Search { text: String page: Paging = {first: 8} }
input Paging { first: Int = 6 }
type Deep { page: Page pages: [Page] }
type Page {
  books: [Book]
  edges: [Edge]
  short: [Book] @listSize(assumedSize: 2)
  total: Int
}
type Edge { node: Book }
type Book { id: ID sequels: [Book] @listSize(assumedSize: 2) }
"""


@pytest.mark.parametrize(
    ("source", "cost"),
    [
        # Ten, if nothing is said.
        ("{ books { id } }", 10),
        ("{ shelf { id } }", 4),
        ("{ none { id } }", 0),
        ("{ moods }", 8),
        ("{ shelf { sequels { sequels { id } } } }", 4 + 4 * 2 + 4 * 2 * 2),
        # Nothing is said of inner lists.
        ("{ grid { id } }", 3 * 10),
        ("{ first(n: 5) { id } }", 5),
        ("{ first(n: 0) { id } }", 0),
        ("{ first(n: -5) { id } }", 10),
        ("{ first { id } }", 10),
        ("{ either(last: 5) { id } }", 5),
        ("{ either(first: null) { id } }", 30),
        ("{ loose(first: 5, last: 7) { id } }", 7),
        ("{ loose { id } }", 30),
        ("{ usual { id } }", 20),
        # A default is of no interest when the client says something.
        ("{ usual(last: 5) { id } }", 5),
        ('{ byIds(ids: ["1", "2", "3"]) { id } }', 3),
        ("{ unknown(first: 3) { id } }", 6),
    ],
)
def test_a_list_is_as_long_as_its_directive_says(source: str, cost: int) -> None:
    assert estimate(BOOKS, source) == cost


@pytest.mark.parametrize(
    ("source", "cost"),
    [
        ("{ search(where: {page: {first: 3}}) { id } }", 3 + 2),
        ("{ search(where: {page: {}}) { id } }", 6 + 2),
        ('{ search(where: {text: "x"}) { id } }', 8 + 1),
        ("{ search(where: {page: null}) { id } }", 10 + 1),
        ("{ search { id } }", 10),
    ],
)
def test_a_slicing_argument_may_be_inside_an_input_object(source: str, cost: int) -> None:
    # Each input object costs one more.
    assert estimate(BOOKS, source) == cost


@pytest.mark.parametrize(
    ("source", "cost"),
    [
        ("{ page(first: 5) { total } }", 1),
        ("{ page(first: 5) { books { id } } }", 1 + 5),
        ("{ page(first: 5) { edges { node { id } } } }", 1 + 5 + 5),
        ("{ page(first: 5) { short { id } } }", 1 + 2),
        ("{ page(first: 5) { ... on Page { ... { b: books { id } } } } }", 1 + 5),
        ("{ deep(first: 5) { page { books { id } short { id } } } }", 1 + 1 + 5 + 2),
        ("{ deep(first: 3) { pages { books { id } edges { node { id } } } } }", 1 + 10 * 17),
        # The directive is about the lists it names, not about its own field's.
        ("{ pages(first: 3) { books { id } } }", 10 * (1 + 3)),
    ],
)
def test_a_directive_may_be_about_lists_below_its_field(source: str, cost: int) -> None:
    assert estimate(BOOKS, source) == cost


@pytest.mark.parametrize(
    ("source", "variables", "cost"),
    [
        ("query($n: Int) { first(n: $n) { id } }", {"n": 7}, 7),
        ("query($n: Int) { first(n: $n) { id } }", {"n": None}, 10),
        ("query($n: Int) { first(n: $n) { id } }", {}, 10),
        ("query($n: Int) { first(n: $n) { id } }", {"n": 0}, 0),
        ("query($n: Int) { first(n: $n) { id } }", {"n": -1}, 10),
        ("{ first(n: -1) { id } }", {}, 10),
        ("query($n: Int = 3) { first(n: $n) { id } }", {}, 3),
        ("query($n: Int) { usual(first: $n) { id } }", {}, 20),
        ("query($n: Int) { usual(first: $n) { id } }", {"n": None}, 10),
        ("query($a: Int, $b: Int) { loose(first: $a, last: $b) { id } }", {"a": 2, "b": 9}, 9),
        ("query($a: Int, $b: Int) { loose(first: $a, last: $b) { id } }", {}, 30),
        ("query($ids: [ID!]) { byIds(ids: $ids) { id } }", {"ids": ["1", "2"]}, 2),
        ("query($w: Search) { search(where: $w) { id } }", {"w": {"page": {"first": 2}}}, 2 + 2),
        ("query($w: Search) { search(where: $w) { id } }", {"w": {}}, 8 + 2),
        ("query($w: Search) { search(where: $w) { id } }", {"w": None}, 10),
        ("query($p: Paging) { search(where: {page: $p}) { id } }", {"p": {"first": 4}}, 4 + 2),
        ("query($p: Paging) { search(where: {page: $p}) { id } }", {}, 8 + 1),
        ("query($n: Int) { search(where: {page: {first: $n}}) { id } }", {"n": 4}, 4 + 2),
        ("query($n: Int) { page(first: $n) { books { sequels { id } } } }", {"n": 4}, 1 + 4 * 3),
    ],
)
def test_a_slicing_argument_may_come_in_a_variable(
    source: str, variables: dict[str, Any], cost: int
) -> None:
    assert estimate(BOOKS, source, variables) == cost


@pytest.mark.parametrize(
    ("source", "variables", "unsized"),
    [
        ("{ either(first: 1) { id } }", {}, None),
        ("{ either { id } }", {}, "Query.either"),
        ("{ either(first: 1, last: 1) { id } }", {}, "Query.either"),
        ("{ loose { id } }", {}, None),
        ("{ shelf { id } }", {}, None),
        ("{ usual { id } }", {}, None),
        ("{ usual(last: 3) { id } }", {}, None),
        ("{ either(first: -1) { id } }", {}, "Query.either"),
        ("query($a: Int, $b: Int) { either(first: $a, last: $b) { id } }", {"b": 1}, None),
        ("query($a: Int, $b: Int) { either(first: $a, last: $b) { id } }", {}, "Query.either"),
        (
            "query($a: Int, $b: Int) { either(first: $a, last: $b) { id } }",
            {"a": 1, "b": 1},
            "Query.either",
        ),
    ],
)
def test_exactly_one_slicing_argument_is_asked_for(
    source: str, variables: dict[str, Any], unsized: str | None
) -> None:
    _, cost, coerced = compiled(supergraph(BOOKS), source, variables)
    assert cost.unsized(coerced) == unsized


INTERFACES = """
type Query { listed: Listed page(first: Int): Listed
  @listSize(slicingArguments: ["first"], sizedFields: ["items"]) }
interface Listed { items: [Item] }
type Short implements Listed { items: [Item] @listSize(assumedSize: 2) }
type Long implements Listed { items: [Item] @listSize(assumedSize: 40) more: [Item] }
type Item { id: ID }
"""


def test_a_list_of_an_interface_is_as_long_as_the_longest_of_its_objects() -> None:
    assert estimate(INTERFACES, "{ listed { items { id } } }") == 1 + 40
    assert estimate(INTERFACES, "{ listed { ... on Short { items { id } } } }") == 1 + 2
    # What is said above a list counts more than what is said of it.
    assert estimate(INTERFACES, "{ page(first: 7) { items { id } } }") == 1 + 7
    assert estimate(INTERFACES, "{ page(first: 7) { ... on Long { items { id } } } }") == 1 + 7


def test_no_estimate_grows_beyond_what_json_can_carry() -> None:
    books = "first(n: $n) { " + "sequels { " * 60 + "id" + " }" * 61
    assert estimate(BOOKS, f"query($n: Int) {{ {books} }}", {"n": 2**31 - 1}) == MOST
    closed = books.replace("$n", "2000000000")
    assert estimate(BOOKS, f"{{ {closed} }}") == MOST
    assert estimate(BOOKS, f"{{ a: {closed} b: {closed} }}") == MOST
    assert estimate(BOOKS, f"query($n: Int) {{ a: {books} b: {books} }}", {"n": 9}) == MOST
