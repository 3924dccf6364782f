"""Documents become operations: valid, coerced, folded, and bounded."""

from __future__ import annotations

import pytest
from graphql import DocumentNode, OperationType, build_schema, print_ast

from gateway.federation.operation import prepare as module
from gateway.federation.operation.prepare import (
    InvalidRequest,
    PreparedOperation,
    parse_and_validate,
    prepare,
)
from gateway.federation.operation.selection import Field, Fragment, Operation
from gateway.federation.plan import Gate
from tests.federation.printing import print_operation

SCHEMA = build_schema("""
type Query { me(id: ID, numbers: [Int], shade: Shade): User node: Node count(n: Int = 3): Int }
type Mutation { touch: User }
interface Node { id: ID! }
interface Named implements Node { id: ID! name: String }
type User implements Node & Named { id: ID! name: String friends: [User!]! best: Node }
type Post implements Node { id: ID! title: String }
enum Shade { LIGHT DARK }
directive @hint on FIELD
directive @cased(up: Boolean, by: Int) repeatable on FIELD | QUERY
""")


def prepared(source: str, name: str | None = None) -> PreparedOperation:
    return prepare(SCHEMA, parse_and_validate(SCHEMA, source), name)


def folded(source: str, **variables: object) -> str:
    one = prepared(source)
    text = print_operation(one.fold(one.coerce(variables)))
    return text.removeprefix("query Q").lstrip()


def refusal(source: str, name: str | None = None) -> tuple[str, str]:
    with pytest.raises(InvalidRequest) as caught:
        prepared(source, name)
    return caught.value.code, str(caught.value)


def test_a_text_that_is_no_document_is_refused_with_its_place() -> None:
    with pytest.raises(InvalidRequest) as caught:
        prepared("{ me { ")
    assert caught.value.code == "GRAPHQL_PARSE_FAILED"
    assert caught.value.errors[0].locations


def test_every_error_of_an_invalid_document_is_told() -> None:
    code, message = refusal("{ nobody nothing }")
    assert code == "GRAPHQL_VALIDATION_FAILED"
    assert "nobody" in message
    assert "nothing" in message


def test_suggestions_are_left_out_on_demand() -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_and_validate(SCHEMA, "{ mee { id } }", hide_suggestions=True)
    assert "Did you mean" not in str(caught.value)


def test_a_document_of_too_many_tokens_is_refused() -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_and_validate(SCHEMA, "{ me { id id id } }", max_tokens=5)
    assert caught.value.code == "GRAPHQL_PARSE_FAILED"


@pytest.mark.parametrize("alias", ["__typename", "__mine"])
def test_an_alias_that_looks_like_introspection_is_refused(alias: str) -> None:
    code, message = refusal(f"{{ me {{ {alias}: name }} }}")
    assert code == "GRAPHQL_VALIDATION_FAILED"
    assert "reserved" in message


def test_typename_may_be_aliased_to_itself() -> None:
    assert folded("{ me { __typename: __typename } }") == "{ me { __typename } }"


def test_the_named_operation_is_picked() -> None:
    one = prepared("query A { count } query B { me { id } }", "B")
    assert (one.name, one.kind) == ("B", "query")


def test_an_empty_name_means_the_only_operation() -> None:
    assert prepared("{ count }", "").name is None


@pytest.mark.parametrize(
    ("source", "name", "told"),
    [
        ("query A { count } query B { count }", None, "Must provide operation name"),
        ("query A { count }", "B", 'Unknown operation named "B"'),
    ],
)
def test_an_operation_that_cannot_be_told_apart_is_refused(
    source: str, name: str | None, told: str
) -> None:
    code, message = refusal(source, name)
    assert code == "OPERATION_RESOLUTION_FAILURE"
    assert told in message


def test_a_document_without_operations_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="Must provide an operation"):
        prepare(SCHEMA, DocumentNode(definitions=()))


def test_a_mutation_keeps_its_kind() -> None:
    one = prepared("mutation Touch { touch { id } }")
    operation = one.fold({})
    assert (operation.kind, operation.root_type) == (OperationType.MUTATION, "Mutation")


def test_defaults_are_applied_and_absent_variables_stay_absent() -> None:
    one = prepared("query ($n: Int = 5, $id: ID) { count(n: $n) me(id: $id) { id } }")
    assert one.coerce({}) == {"n": 5}
    assert one.coerce({"id": 7, "n": None}) == {"n": None, "id": "7"}


def test_an_operation_without_variables_ignores_what_is_sent() -> None:
    assert prepared("{ count }").coerce({"n": "x"}) == {}


def test_a_variable_of_the_wrong_type_is_bad_input() -> None:
    with pytest.raises(InvalidRequest) as caught:
        prepared("query ($n: Int) { count(n: $n) }").coerce({"n": "many"})
    assert caught.value.code == "BAD_USER_INPUT"


def test_a_value_the_schema_hides_is_bad_input() -> None:
    with pytest.raises(InvalidRequest, match="GREY"):
        prepared("query ($s: Shade) { me(shade: $s) { id } }").coerce({"s": "GREY"})


def test_null_for_a_condition_is_bad_input() -> None:
    one = prepared("query ($yes: Boolean = true) { count @include(if: $yes) }")
    with pytest.raises(InvalidRequest, match="must not be null"):
        one.coerce({"yes": None})


def test_the_variables_of_conditions_are_found_wherever_they_are() -> None:
    one = prepared("""
      query ($a: Boolean!, $b: Boolean!, $c: Boolean!, $d: Boolean!) {
        me @include(if: $a) { ...F ... @skip(if: $c) { id } ...F @include(if: true) }
        count
      }
      fragment F on User { name @skip(if: $b) best { id @include(if: $d) } }
    """)
    assert one.conditions == ("a", "b", "c", "d")
    assert one.condition_key({"a": True, "b": False, "c": True, "d": False}) == (
        True,
        False,
        True,
        False,
    )


def test_conditions_are_decided() -> None:
    source = """
      query ($yes: Boolean!) {
        count @include(if: $yes)
        me @skip(if: $yes) { id }
        node @include(if: false) { id }
        b: count @hint @skip(if: true)
        a: count @skip(if: false) @include(if: $yes)
      }
    """
    assert folded(source, yes=True) == "($yes: Boolean!) { count a: count }"
    assert folded(source, yes=False) == "($yes: Boolean!) { me { id } }"


def test_equal_fields_are_one_and_keep_the_first_place() -> None:
    assert folded("{ me { id } count me { name id } }") == "{ me { id name } count }"


def test_arguments_are_sorted_and_equal_ones_compare_equal() -> None:
    one = prepared("{ me(numbers: [1], id: 2) { id } me(id: 2, numbers: [1]) { name } }").fold({})
    two = prepared("{ me(id: 2, numbers: [1]) { id name } }").fold({})
    assert one == two
    first = one.selections[0]
    assert isinstance(first, Field)
    assert [name for name, _ in first.arguments] == ["id", "numbers"]


def test_directives_of_the_schemas_own_come_after_the_arguments() -> None:
    source = """
      query ($by: Int) @cased(by: $by) {
        me(id: 1) @hint @skip(if: false) { id }
        me(id: 1) @hint @cased(up: true, by: 1) { id __typename @hint }
      }
    """
    operation = prepared(source).fold({})
    (me,) = operation.selections
    assert isinstance(me, Field)
    assert [(name, print_ast(value)) for name, value in me.arguments] == [
        ("id", "1"),
        ("@hint", "{  }"),
        ("@cased", "{ by: 1, up: true }"),
    ]
    assert me.selections == (Field("id", "id"), Field("__typename", "__typename"))
    ((name, value),) = operation.directives
    assert (name, print_ast(value)) == ("@cased", "{ by: $by }")


def test_fragments_that_always_apply_are_spliced() -> None:
    source = """
      { me { ... { id } ...U ... on Node { id ... on Named { name } ... on Post { title } } ...U } }
      fragment U on User { friends { id } }
    """
    assert folded(source) == "{ me { id friends { id } name } }"


def test_other_fragments_keep_their_condition_and_neighbours_are_one() -> None:
    source = """
      { node {
        ... on User { id } ... on User { name } id ... on Named { name } ... on Node { id }
      } }
    """
    assert folded(source) == "{ node { ... on User { id name } id ... on Named { name } } }"


def test_a_field_may_be_left_with_nothing() -> None:
    (field,) = prepared("{ me { id @skip(if: true) } }").fold({}).selections
    assert field == Field("me", "me")


def test_variable_definitions_are_kept_without_their_place() -> None:
    operation = prepared("query ($n: Int = 5) { count(n: $n) }").fold({"n": 5})
    assert operation.variables["n"].loc is None
    assert isinstance(operation, Operation)


def test_an_operation_that_inlines_to_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    spreads = " ".join(
        f"fragment F{n} on User {{ a: friends {{ ...F{n + 1} }} b: friends {{ ...F{n + 1} }} }}"
        for n in range(20)
    )
    one = prepared(f"{{ me {{ ...F0 }} }} {spreads} fragment F20 on User {{ id }}")
    with pytest.raises(InvalidRequest) as caught:
        one.fold({})
    assert caught.value.code == "OPERATION_TOO_LARGE"


def test_an_operation_that_is_too_deep_is_refused() -> None:
    depth = module.MAX_DEPTH
    one = prepared("{ me " + "{ friends " * depth + "{ id }" + " }" * depth + " }")
    with pytest.raises(InvalidRequest, match="deeper"):
        one.fold({})


def test_deferred_fragments_are_held_back_with_their_place() -> None:
    schema = build_schema("""
      directive @defer(if: Boolean! = true, label: String) on FRAGMENT_SPREAD | INLINE_FRAGMENT
      type Query { me: User }
      interface Node { id: ID! best: Node }
      type User implements Node { id: ID! name: String best: Node }
    """)
    source = """
      query ($later: Boolean!) {
        me {
          id
          ...F @defer(label: "f", if: $later)
          best { ... on User @defer { name } ... @defer(if: false) { id } }
        }
      }
      fragment F on User { name best { ... on Node @defer { best { id } } } }
    """
    one = prepare(schema, parse_and_validate(schema, source))
    assert one.conditions == ("later",)
    operation, deferred = one.split({"later": True})
    assert print_operation(operation).endswith("{ me { id best { id } } }")
    assert [(part.label, part.path, part.on) for part in deferred] == [
        ("f", ("me",), "User"),
        (None, ("me", "best", Gate(frozenset({"User"}))), "User"),
        (None, ("me", "best"), "Node"),
    ]
    assert one.split({"later": False})[0].selections != operation.selections
    assert one.fold({"later": True}) == one.fold({"later": False})


def test_fragments_nest_to_the_limit() -> None:
    operation = prepared("{ node { ... on Named { ... on User { id } } } }").fold({})
    (field,) = operation.selections
    assert field.selections == (Fragment("Named", (Fragment("User", (Field("id", "id"),)),)),)
