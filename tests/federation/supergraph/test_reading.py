"""What a supergraph says of its subgraphs, types and fields; what is refused."""

from __future__ import annotations

import pytest
from graphql import OperationType

from gateway.federation.operation.selection import Field, Operation
from gateway.federation.planner import plan
from gateway.federation.supergraph import Supergraph, SupergraphError
from gateway.federation.supergraph.fieldset import parse_field_set
from gateway.federation.supergraph.model import Rule, declared, field_rule
from tests.federation.supergraph.sdl import LINKS, supergraph_sdl

HELLO = "type Query @join__type(graph: ALL_THINGS) { hello: String }"


def rules(supergraph: Supergraph, field: str, **labels: bool) -> dict[str, Rule | None]:
    type_ = supergraph.types["Query"]
    return {
        graph: field_rule(type_, type_.fields[field], graph, labels)
        for graph in supergraph.subgraphs
    }


def test_subgraphs_go_by_their_names_not_by_their_ids() -> None:
    supergraph = Supergraph.from_sdl(supergraph_sdl(HELLO))
    assert [(s.name, s.url) for s in supergraph.subgraphs.values()] == [
        ("all-things", "http://all-things.test"),
        ("others", ""),
    ]


def test_a_field_without_a_directive_is_in_every_subgraph_of_its_type() -> None:
    assert rules(Supergraph.from_sdl(supergraph_sdl(HELLO)), "hello") == {
        "all-things": Rule(),
        "others": None,
    }


def test_an_override_names_a_subgraph_and_takes_its_field() -> None:
    sdl = supergraph_sdl(
        """type Query @join__type(graph: ALL_THINGS) @join__type(graph: OTHERS) {
          hello: String
            @join__field(graph: OTHERS, override: "all-things")
            @join__field(graph: ALL_THINGS)
        }"""
    )
    assert rules(Supergraph.from_sdl(sdl), "hello") == {"all-things": None, "others": Rule()}


def test_an_override_of_an_unknown_subgraph_takes_nothing() -> None:
    sdl = supergraph_sdl(
        """type Query @join__type(graph: ALL_THINGS) @join__type(graph: OTHERS) {
          hello: String
            @join__field(graph: OTHERS, override: "gone")
            @join__field(graph: ALL_THINGS)
        }"""
    )
    assert rules(Supergraph.from_sdl(sdl), "hello") == {"all-things": Rule(), "others": Rule()}


def test_a_labelled_override_depends_on_the_label() -> None:
    sdl = supergraph_sdl(
        """type Query @join__type(graph: ALL_THINGS) @join__type(graph: OTHERS) {
          hello: String
            @join__field(graph: OTHERS, override: "all-things", overrideLabel: "percent(5)")
            @join__field(graph: ALL_THINGS, overrideLabel: "percent(5)")
        }"""
    )
    supergraph = Supergraph.from_sdl(sdl)
    assert supergraph.labels == {"percent(5)"}
    type_ = supergraph.types["Query"]
    for is_moved, owner in ((True, "others"), (False, "all-things")):
        owners = [
            graph
            for graph in supergraph.subgraphs
            if field_rule(type_, type_.fields["hello"], graph, {"percent(5)": is_moved})
        ]
        assert owners == [owner]


def test_a_used_but_overridden_field_is_declared_and_not_resolved() -> None:
    sdl = supergraph_sdl(
        """type Query @join__type(graph: ALL_THINGS) @join__type(graph: OTHERS) {
          hello: String
            @join__field(graph: OTHERS, override: "all-things")
            @join__field(graph: ALL_THINGS, usedOverridden: true)
        }"""
    )
    supergraph = Supergraph.from_sdl(sdl)
    assert rules(supergraph, "hello")["all-things"] is None
    type_ = supergraph.types["Query"]
    assert declared(type_, type_.fields["hello"], "all-things")


@pytest.mark.parametrize(
    ("labels", "owner"),
    [({}, "all-things"), ({"moved": False}, "all-things"), ({"moved": True}, "others")],
)
def test_a_field_an_interface_needs_stays_with_its_owner_until_the_label_is_on(
    labels: dict[str, bool], owner: str
) -> None:
    sdl = supergraph_sdl(
        """type Query @join__type(graph: ALL_THINGS) @join__type(graph: OTHERS) {
          hello: String
            @join__field(graph: OTHERS, override: "all-things", overrideLabel: "moved")
            @join__field(graph: ALL_THINGS, overrideLabel: "moved", usedOverridden: true)
        }"""
    )
    found = rules(Supergraph.from_sdl(sdl), "hello", **labels)
    assert [graph for graph, rule in found.items() if rule] == [owner]


def test_an_external_field_needs_to_be_provided() -> None:
    sdl = supergraph_sdl(
        """type Query @join__type(graph: ALL_THINGS) {
          hello: String @join__field(graph: ALL_THINGS, external: true)
        }"""
    )
    assert rules(Supergraph.from_sdl(sdl), "hello")["all-things"] == Rule(external=True)


def test_a_bare_directive_leaves_a_field_to_an_interface_object() -> None:
    sdl = supergraph_sdl("type Query @join__type(graph: ALL_THINGS) { hello: String @join__field }")
    assert rules(Supergraph.from_sdl(sdl), "hello") == {"all-things": None, "others": None}


def test_possible_types_are_those_of_all_subgraphs() -> None:
    sdl = supergraph_sdl(
        HELLO
        + """
        union Pet
          @join__type(graph: ALL_THINGS)
          @join__type(graph: OTHERS)
          @join__unionMember(graph: ALL_THINGS, member: "Cat")
          @join__unionMember(graph: OTHERS, member: "Dog") = Cat | Dog
        type Cat @join__type(graph: ALL_THINGS) { id: ID }
        type Dog @join__type(graph: OTHERS) { id: ID }
        """
    )
    supergraph = Supergraph.from_sdl(sdl)
    assert supergraph.possible_types("Pet") == {"Cat", "Dog"}
    assert supergraph.possible_types("Cat") == {"Cat"}
    assert supergraph.possible_types("Nothing") == frozenset()
    assert supergraph.types["Pet"].members == {
        "all-things": frozenset({"Cat"}),
        "others": frozenset({"Dog"}),
    }


def test_equal_sdl_has_an_equal_hash() -> None:
    one, other = (Supergraph.from_sdl(supergraph_sdl(HELLO)) for _ in range(2))
    assert one.hash == other.hash
    assert Supergraph.from_sdl(supergraph_sdl(HELLO) + "# changed").hash != one.hash


FIRST_FEDERATION = """
schema
  @core(feature: "https://specs.apollo.dev/core/v0.1")
  @core(feature: "https://specs.apollo.dev/join/v0.1") { query: Query }
directive @core(feature: String!) repeatable on SCHEMA
directive @join__field(
  graph: join__Graph, requires: join__FieldSet, provides: join__FieldSet
) on FIELD_DEFINITION
directive @join__type(graph: join__Graph!, key: join__FieldSet) repeatable on OBJECT | INTERFACE
directive @join__owner(graph: join__Graph!) on OBJECT | INTERFACE
directive @join__graph(name: String!, url: String!) on ENUM_VALUE
scalar join__FieldSet
enum join__Graph {
  PRODUCTS @join__graph(name: "products", url: "http://products.test")
  REVIEWS @join__graph(name: "reviews", url: "http://reviews.test")
}
interface Named { name: String }
union Thing = Product | Size
type Query { top: Product @join__field(graph: PRODUCTS) }
type Product implements Named
  @join__owner(graph: PRODUCTS)
  @join__type(graph: PRODUCTS, key: "id")
  @join__type(graph: REVIEWS, key: "id") {
  id: ID!
  name: String
  score: Int @join__field(graph: REVIEWS)
}
type Size { width: Int }
"""


def test_the_first_join_specification_has_owners() -> None:
    types = Supergraph.from_sdl(FIRST_FEDERATION).types
    owners = {
        name: [g for g in ("products", "reviews") if field_rule(types["Product"], field, g, {})]
        for name, field in types["Product"].fields.items()
    }
    assert owners == {
        "id": ["products", "reviews"],
        "name": ["products"],
        "score": ["reviews"],
    }
    assert types["Size"].graphs == {"products", "reviews"}
    assert types["Named"].members["reviews"] == {"Product"}
    assert types["Thing"].members["products"] == {"Product", "Size"}


def test_a_value_of_the_first_version_has_its_fields_in_every_subgraph() -> None:
    marked = 'type Size { width: Int owner: Product @join__field(provides: "name") }'
    size = Supergraph.from_sdl(FIRST_FEDERATION.replace("type Size { width: Int }", marked))
    field = size.types["Size"].fields["owner"]
    for graph in ("products", "reviews"):
        rule = field_rule(size.types["Size"], field, graph, {})
        assert rule is not None
        assert not rule.provides


EXTENDED_INTERFACE = FIRST_FEDERATION.replace(
    "interface Named { name: String }", "interface Named { id: ID! name: String score: Int }"
)


@pytest.mark.parametrize(
    ("name", "graphs"), [("id", {"products"}), ("name", {"products"}), ("score", {"reviews"})]
)
def test_an_interface_of_the_first_version_has_what_its_objects_own(
    name: str, graphs: set[str]
) -> None:
    named = Supergraph.from_sdl(EXTENDED_INTERFACE).types["Named"]
    assert {g for g in named.graphs if field_rule(named, named.fields[name], g, {})} == graphs


@pytest.mark.parametrize(
    ("sdl", "message"),
    [
        ("", "it is empty"),
        ("type Query {\n  a: [Int\n}", "line 3, column 1: Syntax Error"),
        ("type Query { a: Int }", "does not link the join specification"),
        (
            supergraph_sdl(HELLO, links=LINKS.replace("v0.3", "v0.9")),
            "versions 0.1 to 0.5",
        ),
        (supergraph_sdl("type Query { a: Missing }"), "Unknown type 'Missing'"),
        (
            supergraph_sdl('type Query @join__type(graph: ALL_THINGS, key: "{") { a: Int }'),
            "is not a field set",
        ),
        (supergraph_sdl("type Other { a: Int }"), "Unknown type 'Query'"),
        (
            supergraph_sdl("interface I { a: Int } type Query implements I { b: Int }"),
            "Interface field I.a expected",
        ),
    ],
)
def test_what_is_no_supergraph_is_refused(sdl: str, message: str) -> None:
    with pytest.raises(SupergraphError, match=message):
        Supergraph.from_sdl(sdl)


@pytest.mark.parametrize(
    ("types", "message"),
    [
        (
            'type Query @join__type(graph: OTHERS, key: "ib") { id: ID }',
            "Query: 'ib' needs Query.ib, which does not exist",
        ),
        (
            """type Query @join__type(graph: OTHERS) {
              a: Int b: Query @join__field(graph: OTHERS, requires: "a b { ... on Query { c } }")
            }""",
            r"Query\.b: 'a b \{ \.\.\. on Query \{ c \} \}' needs Query\.c",
        ),
        (
            """type Query @join__type(graph: OTHERS) {
              a: Int @join__field(graph: OTHERS, provides: "b")
            }""",
            r"Query\.a: 'b' needs Int\.b",
        ),
        (
            """type Query @join__type(graph: OTHERS) {
              a: Query @join__field(graph: OTHERS, requires: "a { ... on Nobody { a } }")
            }""",
            r"Query\.a: there is no type 'Nobody'",
        ),
        (
            """type Query @join__type(graph: OTHERS) {
              a: Int @join__field(graph: OTHERS, type: "[Int")
            }""",
            r"Query\.a: '\[Int' is not a type",
        ),
        (
            HELLO
            + """union Any @join__type(graph: OTHERS)
              @join__unionMember(graph: OTHERS, member: "Nobody") = Query""",
            "Any: there is no type 'Nobody'",
        ),
        (
            HELLO
            + """type A @join__type(graph: OTHERS)
              @join__implements(graph: OTHERS, interface: "Nobody") { a: Int }""",
            "A: there is no type 'Nobody'",
        ),
    ],
)
def test_a_mistake_is_told_with_the_type_or_field_it_is_about(types: str, message: str) -> None:
    with pytest.raises(SupergraphError, match=message):
        Supergraph.from_sdl(supergraph_sdl(types))


def test_a_field_set_may_ask_for_a_type_name() -> None:
    key = 'type Query @join__type(graph: OTHERS, key: "__typename id") { id: ID }'
    assert Supergraph.from_sdl(supergraph_sdl(key)).types["Query"].keys["others"]


def test_two_subgraphs_of_one_name_are_refused() -> None:
    sdl = supergraph_sdl(HELLO).replace('name: "others"', 'name: "all-things"')
    with pytest.raises(SupergraphError, match="two subgraphs are named 'all-things'"):
        Supergraph.from_sdl(sdl)


def test_a_supergraph_without_subgraphs_is_refused() -> None:
    sdl = supergraph_sdl(HELLO).replace("enum join__Graph", "enum join__Other")
    sdl = sdl.replace("join__Graph", "String").replace("graph: ALL_THINGS", 'graph: "x"')
    with pytest.raises(SupergraphError, match="the enum join__Graph is missing"):
        Supergraph.from_sdl(sdl)


def test_a_directive_that_names_no_subgraph_is_refused() -> None:
    sdl = supergraph_sdl(HELLO).replace("join__Graph!", "String!")
    sdl = sdl.replace("graph: ALL_THINGS)", 'graph: "NOBODY")')
    with pytest.raises(SupergraphError, match="Query: there is no subgraph 'NOBODY'"):
        Supergraph.from_sdl(sdl)


@pytest.mark.parametrize("purpose", ["SECURITY", "EXECUTION"])
def test_a_critical_feature_that_is_not_supported_is_refused(purpose: str) -> None:
    link = f'@link(url: "https://specs.apollo.dev/context/v0.1", for: {purpose})'
    with pytest.raises(SupergraphError, match=rf"context/v0\.1 \(for: {purpose}\)"):
        Supergraph.from_sdl(supergraph_sdl(HELLO, links=LINKS + link))


@pytest.mark.parametrize(
    "url",
    [
        "https://example.test/authenticated/v0.1",
        "https://specs.apollo.dev/nested/authenticated/v0.1",
        "https://specs.apollo.dev/authenticated/v0.2",
        "https://specs.apollo.dev/authenticated",
    ],
)
def test_a_critical_feature_is_known_by_its_whole_address(url: str) -> None:
    link = f'@link(url: "{url}", for: SECURITY)'
    with pytest.raises(SupergraphError, match="does not support"):
        Supergraph.from_sdl(supergraph_sdl(HELLO, links=LINKS + link))


def test_a_critical_feature_that_is_supported_is_accepted() -> None:
    link = '@link(url: "https://specs.apollo.dev/policy/v0.1", for: SECURITY)'
    supported = Supergraph.from_sdl(supergraph_sdl(HELLO, links=LINKS + link))
    assert [feature.spec for feature in supported.features] == ["link", "join", "policy"]


def test_an_argument_from_context_is_refused_whatever_the_links_say() -> None:
    argument = '{context: "c", name: "n", type: "Int", selection: "{ n }"}'
    given = f"@join__field(graph: ALL_THINGS, contextArguments: [{argument}])"
    sdl = supergraph_sdl(f"type Query @join__type(graph: ALL_THINGS) {{ hello: Int {given} }}")
    with pytest.raises(SupergraphError, match="@fromContext is not supported"):
        Supergraph.from_sdl(sdl)


def test_a_feature_that_is_not_critical_is_ignored() -> None:
    link = '@link(url: "https://example.test/custom/v1.0") @link(url: "https://example.test/odd")'
    supergraph = Supergraph.from_sdl(supergraph_sdl(HELLO, links=LINKS + link))
    assert [feature.version for feature in supergraph.features][2:] == [(1, 0), None]


@pytest.mark.parametrize("text", ["...F", "{", "a }  query {b"])
def test_a_field_set_has_only_fields_and_inline_fragments(text: str) -> None:
    with pytest.raises(ValueError, match=r"field set"):
        parse_field_set(text)


def test_a_field_set_may_have_fragments_without_a_type() -> None:
    assert parse_field_set("... { id }") == parse_field_set("id")


def test_an_operation_over_the_first_join_specification_is_planned() -> None:
    top = Field("top", "top", (), (Field("name", "name"), Field("score", "score")))
    operation = Operation(OperationType.QUERY, None, "Query", {}, (top,))
    found = plan(Supergraph.from_sdl(FIRST_FEDERATION), operation)
    root, entities = found.fetches
    assert (root.subgraph, root.document) == ("products", "{top{__typename name id}}")
    assert entities.subgraph == "reviews"
    assert entities.document.endswith("{...on Product{score}}}")
