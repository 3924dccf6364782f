"""`@cost`: what a type, a field, an argument and an input field weigh."""

from __future__ import annotations

import pytest

from tests.federation.cost.costed import actual, compiled, estimate, supergraph

THINGS = """
type Query {
  name: String
  thing: Thing
  heavy: Heavy
  light: Heavy @cost(weight: 3)
  mood: Mood
  precise: Precise
  exact: Int @cost(weight: 5)
  cheap: Thing @cost(weight: -5)
}
type Mutation { rename(name: String): Thing }
type Subscription { renamed: Thing }
type Thing { id: ID other: Thing exact: Int @cost(weight: 5) }
type Heavy @cost(weight: 40) { id: ID thing: Thing }
enum Mood @cost(weight: 15) { GOOD BAD }
scalar Precise @cost(weight: 30)
"""


@pytest.mark.parametrize(
    ("source", "cost"),
    [
        ("{ name }", 0),
        ("{ thing { id } }", 1),
        ("{ thing { other { other { id } } } }", 3),
        ("{ __typename thing { __typename } }", 1),
        ("{ __schema { types { name } } }", 0),
        ("{ a: thing { id } b: thing { id } }", 2),
        ("{ ... { thing { id } } ...F } fragment F on Query { thing { other { id } } }", 2),
    ],
)
def test_objects_weigh_one_and_leaves_nothing(source: str, cost: int) -> None:
    assert estimate(THINGS, source) == cost


def test_a_mutation_weighs_ten_more_and_a_subscription_does_not() -> None:
    assert estimate(THINGS, 'mutation { rename(name: "x") { id } }') == 11
    assert estimate(THINGS, "subscription { renamed { id } }") == 1


@pytest.mark.parametrize(
    ("source", "cost"),
    [
        ("{ heavy { id } }", 40),
        ("{ mood }", 15),
        ("{ precise }", 30),
        ("{ heavy { thing { id } } }", 41),
    ],
)
def test_a_type_has_the_weight_it_is_given(source: str, cost: int) -> None:
    assert estimate(THINGS, source) == cost


def test_a_field_has_the_weight_it_is_given_whatever_its_type() -> None:
    assert estimate(THINGS, "{ exact }") == 5
    assert estimate(THINGS, "{ light { id } }") == 3
    assert estimate(THINGS, "{ thing { exact } }") == 6


def test_no_field_makes_an_operation_cheaper() -> None:
    assert estimate(THINGS, "{ cheap { id } exact }") == 5
    # Its weight and what is below it are summed before that.
    assert estimate(THINGS, "{ cheap { exact } }") == 0
    assert actual(THINGS, "{ cheap { id } exact }", {"cheap": {"id": "1"}, "exact": 1}) == 5


def test_what_is_skipped_costs_nothing() -> None:
    source = """query($yes: Boolean!) {
      thing @include(if: $yes) { id }
      ... @skip(if: $yes) { heavy { id } }
      exact @include(if: false)
    }"""
    assert estimate(THINGS, source, {"yes": True}) == 1
    assert estimate(THINGS, source, {"yes": False}) == 40


ANIMALS = """
type Query { animal: Animal pet: Pet owned: Owned }
interface Animal { name: String owner: Person }
interface Owned { owner: Person }
union Pet = Dog | Cat
type Dog implements Animal & Owned @cost(weight: 3) { name: String owner: Person trick: Trick }
type Cat implements Animal & Owned {
  name: String owner: Person @cost(weight: 7) mood: Int @cost(weight: 2)
}
type Bird implements Animal { name: String owner: Person }
type Person { name: String }
type Trick @cost(weight: 5) { name: String }
"""


@pytest.mark.parametrize(
    ("source", "cost"),
    [
        # As much as the dearest of the types: a dog weighs three.
        ("{ animal { name } }", 3),
        ("{ pet { __typename } }", 3),
        # A cat's owner is the dearest.
        ("{ animal { owner { name } } }", 3 + 7),
        ("{ owned { owner { name } } }", 3 + 7),
        ("{ animal { ... on Bird { owner { name } } } }", 3 + 1),
        # It is either a dog or a cat.
        ("{ pet { ... on Dog { trick { name } } ... on Cat { mood } } }", 3 + 5),
        ("{ pet { ... on Dog { trick { name } } ... on Animal { owner { name } } } }", 3 + 7),
        ("{ animal { ... on Owned { ... on Cat { mood } owner { name } } } }", 3 + 7 + 2),
    ],
)
def test_an_abstract_type_costs_as_much_as_its_dearest_object(source: str, cost: int) -> None:
    assert estimate(ANIMALS, source) == cost


INPUTS = """
type Query {
  plain(id: ID, ids: [ID!]): Int
  dear(id: ID @cost(weight: 10)): Int
  many(ids: [ID!] @cost(weight: 10)): Int
  moods(mood: [Mood]): Int
  filtered(where: Filter): Int
  required(where: Simple!): Int
  listed(where: [Simple!]!): Int
  weighed(where: Filter @cost(weight: 15)): Int @cost(weight: 5)
  less(approximate: Boolean @cost(weight: -3)): Int @cost(weight: 5)
}
enum Mood @cost(weight: 2) { GOOD BAD }
input Simple { text: String }
input Filter {
  text: String
  regex: String @cost(weight: 20)
  approximate: Simple @cost(weight: -12)
  and: [Filter!]
}
"""


@pytest.mark.parametrize(
    ("arguments", "cost"),
    [
        ('plain(id: "1", ids: ["1", "2"])', 0),
        ('dear(id: "1")', 10),
        ("dear(id: null)", 0),
        ("dear", 0),
        ('many(ids: ["1", "2", "3"])', 10),
        ("moods(mood: [GOOD, BAD])", 4),
        ("moods(mood: GOOD)", 2),
        ("filtered(where: {})", 1),
        ('filtered(where: {text: "x"})', 1),
        ('filtered(where: {regex: "x"})', 21),
        ('filtered(where: {and: [{regex: "x"}, {}]})', 1 + 21 + 1),
        ('required(where: {text: "x"})', 1),
        ("listed(where: [{}, {}])", 2),
        ("listed(where: {})", 1),
        ("weighed(where: {})", 20),
        ("weighed(where: {approximate: {}})", 5 + 15 - 12),
        ("less", 5),
        ("less(approximate: true)", 2),
    ],
)
def test_arguments_cost_what_they_hold(arguments: str, cost: int) -> None:
    assert estimate(INPUTS, f"{{ {arguments} }}") == cost


def test_an_argument_in_a_variable_costs_what_the_variable_holds() -> None:
    source = "query($where: Filter) { filtered(where: $where) }"
    assert estimate(INPUTS, source) == 0
    assert estimate(INPUTS, source, {"where": None}) == 0
    assert estimate(INPUTS, source, {"where": {"regex": "x"}}) == 21
    inner = "query($text: String, $one: [Filter!]) { filtered(where: {regex: $text, and: $one}) }"
    assert estimate(INPUTS, inner) == 1
    assert estimate(INPUTS, inner, {"text": "x", "one": [{}, {"text": "y"}]}) == 23


def test_only_a_cost_that_depends_on_variables_is_left_open() -> None:
    graph = supergraph(INPUTS)
    closed = "query($where: Simple!, $id: ID) { required(where: $where) plain(id: $id) }"
    _, cost, _ = compiled(graph, closed, {"where": {}})
    assert cost.total == 1
    _, cost, _ = compiled(graph, "query($id: ID) { dear(id: $id) }")
    assert not isinstance(cost.total, int)


@pytest.mark.parametrize(
    ("link", "cost", "list_size"),
    [
        ("", "cost", "cost__listSize"),
        ('as: "price"', "price", "price__listSize"),
        (
            'import: [{name: "@cost", as: "@weight"}, {name: "@listSize", as: "@length"}]',
            "weight",
            "length",
        ),
    ],
)
def test_the_directives_may_go_by_other_names(link: str, cost: str, list_size: str) -> None:
    types = f"""
    type Query {{
      one: Int @{cost}(weight: 7)
      many: [Thing] @{list_size}(assumedSize: 3)
    }}
    type Thing {{ id: ID }}
    """
    graph = supergraph(types, link=link, cost=cost, list_size=list_size)
    assert estimate(graph, "{ one many { id } }") == 7 + 3


@pytest.mark.parametrize(
    ("weight", "cost"), [("2", 2), ("2.5", 2.5), ("2.0", 2), ("much", 1), ("inf", 1)]
)
def test_a_weight_may_be_a_number_in_text(weight: str, cost: float) -> None:
    graph = supergraph(
        f'type Query {{ one: Thing @cost(weight: "{weight}") }} type Thing {{ id: ID }}',
        weight="String!",
    )
    assert estimate(graph, "{ one { id } }") == cost
