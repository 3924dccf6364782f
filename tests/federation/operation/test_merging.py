"""Which fields can be one field of the answer, and how long it takes to tell."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from graphql import OverlappingFieldsCanBeMergedRule, build_schema, parse, validate

from gateway.federation.operation.merging import TooManySteps, conflicts
from gateway.federation.operation.prepare import InvalidRequest, parse_and_validate

if TYPE_CHECKING:
    from collections.abc import Callable

    from graphql import DocumentNode

SCHEMA = build_schema(
    """
    directive @defer(if: Boolean, label: String) on FRAGMENT_SPREAD | INLINE_FRAGMENT
    type Query { me: A any: Node pets: [U!]! self: Query n(x: Int, y: In): Int }
    input In { a: Int b: [Int] }
    interface Node { id: ID! name: String next: Node }
    type A implements Node { id: ID! name: String next: A v: Int w(x: Int): Int! list: [A] u: U }
    type B implements Node { id: ID! name: String next: B v: String w(x: Int): Int list: [A!] u: U }
    type C implements Node { id: ID! name: String next: C v: [Int] w(x: Int): Float list: A u: U }
    union U = A | B | C
    """
)


def reasons(source: str) -> list[str]:
    return [error.message for error in conflicts(SCHEMA, parse(source), most=5)]


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("{ me { x: id x: name } }", "'id' and 'name' are different fields"),
        ("{ me { w(x: 1) w(x: 2) } }", "they have differing arguments"),
        ("{ me { w w(x: 2) } }", "they have differing arguments"),
        ("{ n(y: {a: 1}) n(y: {a: 2}) }", "they have differing arguments"),
        ("{ me { next { x: id } } me { next { x: name } } }", "are different fields"),
        ("{ ...F me { x: id } } fragment F on Query { me { x: name } }", "are different fields"),
        ("{ any { x: id ... on A { x: name } ... on B { x: id } } }", "are different fields"),
        ("{ pets { ... on A { v } ... on B { v } } }", "conflicting types 'Int' and 'String'"),
        ("{ pets { ... on A { v } ... on C { v } } }", "conflicting types 'Int' and '[Int]'"),
        ("{ pets { ... on C { v } ... on A { v } } }", "conflicting types '[Int]' and 'Int'"),
        ("{ pets { ... on A { w } ... on B { w } } }", "conflicting types 'Int!' and 'Int'"),
        ("{ pets { ... on A { list { id } } ... on B { list { id } } } }", "types '[A]' and"),
        (
            "{ pets { ... on A { x: u { __typename } } ... on B { x: v } } }",
            "types 'U' and 'String'",
        ),
        (
            "{ pets { ... on A { next { x: v } } ... on B { next { x: v } } } }",
            "conflicting types 'Int' and 'String'",
        ),
    ],
)
def test_fields_that_cannot_be_one_field_are_told(source: str, reason: str) -> None:
    (message,) = reasons(source)
    assert reason in message


@pytest.mark.parametrize(
    "source",
    [
        "{ me { id id x: w(x: 1) x: w(x: 1) } me { id } }",
        "{ n(x: 1, y: {a: 1, b: []}) n(y: {b: [], a: 1}, x: 1) }",
        "{ pets { ... on A { x: id } ... on B { x: id } ... on A { y: name } } }",
        "{ pets { ... on A { x: name } ... on B { y: next { name } } } }",
        "{ pets { ... on A { next { x: id y: name } } ... on B { next { x: id y: name } } } }",
        "{ pets { ... on A { u { __typename } } ... on B { u { ... on B { v } } } } }",
        "{ any { ...F ...F ... { ...F } } } fragment F on Node { id ... on A { v } }",
        "query P { me { x: id } } query Q { me { x: name } }",
    ],
)
def test_fields_that_can_be_one_field_are_left_alone(source: str) -> None:
    assert reasons(source) == []


def test_each_response_name_is_told_once_and_only_so_many() -> None:
    fields = " ".join(f"x{n}: id x{n}: name x{n}: v" for n in range(9))
    assert len(reasons(f"{{ me {{ {fields} }} }}")) == 5


COMPOSITE = {
    "me": "A",
    "any": "Node",
    "pets": "U",
    "self": "Query",
    "next": "",
    "list": "A",
    "u": "U",
}
FIELDS = {
    "Query": ("me", "any", "pets", "self", "n"),
    "Node": ("id", "name", "next"),
    "A": ("id", "name", "next", "v", "w", "list", "u"),
    "B": ("id", "name", "next", "v", "w", "list", "u"),
    "C": ("id", "name", "next", "v", "w", "list", "u"),
    "U": ("__typename",),
}


class RandomDocuments:
    """Valid but for fields that may not be merged: few names, so that they meet."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311

    def document(self) -> str:
        fragments = [(f"F{n}", self._random.choice(["A", "B", "C", "Node", "U"])) for n in range(3)]
        texts = [
            f"fragment {name} on {on} {{ __typename {self._set(on, 2, fragments[n + 1 :])} }}"
            for n, (name, on) in enumerate(fragments)
        ]
        used = "any { " + " ".join(f"...{name}" for name, _ in fragments) + " }"
        return f"{{ z: {used} {self._set('Query', 4, fragments)} }} " + " ".join(texts)

    def _set(self, on: str, depth: int, fragments: list[tuple[str, str]]) -> str:
        return " ".join(self._one(on, depth, fragments) for _ in range(self._random.randint(1, 4)))

    def _one(self, on: str, depth: int, fragments: list[tuple[str, str]]) -> str:
        draw = self._random.random()
        if draw < 0.35 and on != "Query" and depth:
            inner = self._random.choice([on] if on in "ABC" else ["A", "B", "C", "Node"])
            return f"... on {inner} {{ {self._set(inner, depth - 1, fragments)} }}"
        fitting = [name for name, of in fragments if on not in ("A", "B", "C", "Query") or of == on]
        if draw < 0.5 and fitting:
            return f"...{self._random.choice(fitting)}"
        name = self._random.choice(FIELDS[on])
        alias = self._random.choice(["", "", "", "x: ", "y: "])
        of = COMPOSITE.get(name)
        if of is None:
            return alias + name + (f"(x: {self._random.randint(1, 2)})" if name == "w" else "")
        if not depth:
            return alias + "__typename"
        return f"{alias}{name} {{ {self._set(of or on, depth - 1, fragments)} }}"


@pytest.mark.parametrize("seed", range(300))
def test_random_documents_are_judged_as_the_reference_judges_them(seed: int) -> None:
    source = RandomDocuments(seed).document()
    document = parse(source)
    reference = validate(SCHEMA, document, [OverlappingFieldsCanBeMergedRule])
    assert bool(conflicts(SCHEMA, document, most=1)) == bool(reference), source


def fragments_in_a_row(many: int) -> str:
    spreads = " ".join(f"...F{n}" for n in range(many))
    each = " ".join(f"fragment F{n} on A {{ id next {{ id name }} }}" for n in range(many))
    return f"{{ me {{ {spreads} }} }} {each}"


def the_same_again(many: int) -> str:
    return "{" + " me { next { id next { name } } w(x: 1) }" * many + "}"


def doubling_fragments(many: int) -> str:
    body = " ".join(
        f"fragment F{n} on A {{ next {{ ...F{n + 1} }} next {{ ...F{n + 1} }} }}"
        for n in range(many)
    )
    return f"{{ me {{ ...F0 }} }} {body} fragment F{many} on A {{ id }}"


def many_operations_with_the_same_fragments(many: int) -> str:
    operations = " ".join(f"query Q{n} {{ me {{ ...F0 }} }}" for n in range(many))
    return operations + doubling_fragments(many).removeprefix("{ me { ...F0 } }")


@pytest.mark.parametrize(
    "shape",
    [
        fragments_in_a_row,
        the_same_again,
        doubling_fragments,
        many_operations_with_the_same_fragments,
    ],
)
def test_the_steps_grow_with_the_text(shape: Callable[[int], str]) -> None:
    few, many = (_steps(shape(size)) for size in (20, 80))
    assert many < 5 * few


def _steps(source: str) -> float:
    """How many steps it takes, to the nearest tenth above."""
    document, steps = parse(source), 1.0
    while _is_too_long(document, round(steps)):
        steps *= 1.1
    return steps


def _is_too_long(document: DocumentNode, steps: int) -> bool:
    try:
        conflicts(SCHEMA, document, most=1, steps=steps)
    except TooManySteps:
        return True
    return False


def test_a_document_that_would_take_too_long_is_refused_with_its_own_code() -> None:
    # Each level joins what is selected on the interface with that of every object.
    body = "id"
    for depth in range(12):
        chain = "next { ... on Node { " * depth + "id" + " } }" * depth
        objects = " ".join(f"... on {name} {{ {chain} }}" for name in "ABC")
        body = f"next {{ {body} }} {objects}"
    with pytest.raises(InvalidRequest) as caught:
        parse_and_validate(SCHEMA, f"{{ any {{ {body} }} }}")
    assert caught.value.code == "VALIDATION_TOO_COSTLY"


def test_a_chain_of_fragments_that_is_too_long_has_the_same_code() -> None:
    chain = " ".join(f"fragment F{n} on A {{ next {{ ...F{n + 1} }} }}" for n in range(300))
    with pytest.raises(InvalidRequest) as caught:
        parse_and_validate(SCHEMA, f"{{ me {{ ...F0 }} }} {chain} fragment F300 on A {{ id }}")
    assert caught.value.code == "VALIDATION_TOO_COSTLY"


def test_an_error_repeats_little_of_what_the_client_sent() -> None:
    long = "x" * 10_000
    twice = "{ n(" + "x: 1 " * 500 + ") }"
    for source in (f"{{ {long} }}", f"{{ me {{ id }} }} {long}", twice):
        with pytest.raises(InvalidRequest) as caught:
            parse_and_validate(SCHEMA, source)
        (error,) = caught.value.errors
        assert len(error.message) < 600
        assert error.locations
        assert len(error.locations) <= 20
