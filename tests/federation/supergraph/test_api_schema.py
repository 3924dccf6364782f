"""The API schema: what clients see of a supergraph."""

from __future__ import annotations

from graphql import print_schema
from inline_snapshot import snapshot

from gateway.federation.supergraph import Supergraph
from tests.federation.supergraph.sdl import LINKS, supergraph_sdl

HIDING = LINKS + '@link(url: "https://specs.apollo.dev/inaccessible/v0.2", for: SECURITY)'
HIDDEN = """
directive @inaccessible on
  | FIELD_DEFINITION | OBJECT | INTERFACE | UNION | ARGUMENT_DEFINITION | SCALAR | ENUM
  | ENUM_VALUE | INPUT_OBJECT | INPUT_FIELD_DEFINITION
"""


def api_schema(sdl: str) -> str:
    return print_schema(Supergraph.from_sdl(sdl).api_schema)


def test_everything_inaccessible_is_gone_and_so_are_references_to_it() -> None:
    sdl = supergraph_sdl(
        HIDDEN
        + '''
        """Where it starts."""
        type Query @join__type(graph: ALL_THINGS) {
          shown(a: Int, b: Int = 1 @inaccessible, in: Filter): Pet
          hidden: Secret @inaccessible
          color: Color @deprecated(reason: "colours fade")
        }
        interface Named @join__type(graph: ALL_THINGS) @inaccessible { name: String }
        type Cat implements Named
          @join__implements(graph: ALL_THINGS, interface: "Named")
          @join__type(graph: ALL_THINGS) { name: String }
        type Secret @join__type(graph: ALL_THINGS) @inaccessible { id: ID }
        union Pet
          @join__type(graph: ALL_THINGS)
          @join__unionMember(graph: ALL_THINGS, member: "Cat")
          @join__unionMember(graph: ALL_THINGS, member: "Secret") = Cat | Secret
        enum Color @join__type(graph: ALL_THINGS) {
          RED @join__enumValue(graph: ALL_THINGS)
          GREEN @join__enumValue(graph: ALL_THINGS) @inaccessible
        }
        input Filter @join__type(graph: ALL_THINGS) { name: String, secret: Int @inaccessible }
        scalar Money @join__type(graph: ALL_THINGS) @specifiedBy(url: "https://money.test")
        ''',
        links=HIDING,
    )
    assert api_schema(sdl) == snapshot('''\
directive @defer(if: Boolean! = true, label: String) on FRAGMENT_SPREAD | INLINE_FRAGMENT

"""Where it starts."""
type Query {
  shown(a: Int, in: Filter): Pet
  color: Color @deprecated(reason: "colours fade")
}

type Cat {
  name: String
}

union Pet = Cat

enum Color {
  RED
}

input Filter {
  name: String
}

scalar Money @specifiedBy(url: "https://money.test")\
''')


def test_what_the_language_itself_says_of_a_schema_is_kept() -> None:
    sdl = supergraph_sdl(
        """
        type Query @join__type(graph: ALL_THINGS) {
          pet(by: By, id: ID @deprecated(reason: "say by")): Color
        }
        input By @join__type(graph: ALL_THINGS) @oneOf {
          name: String @deprecated(reason: "say tag")
          tag: String
        }
        enum Color @join__type(graph: ALL_THINGS) {
          RED @join__enumValue(graph: ALL_THINGS) @deprecated(reason: "too loud")
        }
        """
    )
    assert api_schema(sdl) == snapshot("""\
directive @defer(if: Boolean! = true, label: String) on FRAGMENT_SPREAD | INLINE_FRAGMENT

type Query {
  pet(by: By, id: ID @deprecated(reason: "say by")): Color
}

input By @oneOf {
  name: String @deprecated(reason: "say tag")
  tag: String
}

enum Color {
  RED @deprecated(reason: "too loud")
}\
""")


def test_imported_names_are_followed() -> None:
    links = LINKS + (
        '@link(url: "https://specs.apollo.dev/inaccessible/v0.2", for: SECURITY,'
        ' import: [{name: "@inaccessible", as: "@private"}])'
        '@link(url: "https://specs.apollo.dev/tag/v0.3", as: "mark", import: ["Label"])'
    )
    sdl = supergraph_sdl(
        """
        directive @private on FIELD_DEFINITION
        directive @mark(name: String!) on FIELD_DEFINITION
        scalar Label
        scalar mark__Other
        directive @loud on FIELD
        extend schema @link(url: "https://example.test/more/v1.0")
        type Query @join__type(graph: ALL_THINGS) {
          a: String @mark(name: "x")
          b: String @private
        }
        """,
        links=links,
    )
    assert api_schema(sdl) == snapshot("""\
directive @loud on FIELD

directive @defer(if: Boolean! = true, label: String) on FRAGMENT_SPREAD | INLINE_FRAGMENT

type Query {
  a: String
}\
""")


def test_root_types_keep_their_names() -> None:
    sdl = supergraph_sdl(
        "type Start @join__type(graph: ALL_THINGS) { a: Int }", roots="query: Start"
    )
    assert api_schema(sdl) == snapshot("""\
schema {
  query: Start
}

directive @defer(if: Boolean! = true, label: String) on FRAGMENT_SPREAD | INLINE_FRAGMENT

type Start {
  a: Int
}\
""")


def test_a_root_type_that_is_inaccessible_is_no_root() -> None:
    sdl = supergraph_sdl(
        HIDDEN
        + """
        type Query @join__type(graph: ALL_THINGS) { a: Int }
        type Mutation @join__type(graph: ALL_THINGS) @inaccessible { b: Int }
        """,
        roots="query: Query mutation: Mutation",
        links=HIDING,
    )
    schema = Supergraph.from_sdl(sdl).api_schema
    assert schema.mutation_type is None
    assert schema.query_type is not None
