"""Supergraph SDL in the small, as composers write it."""

from __future__ import annotations

__all__ = ["LINKS", "supergraph_sdl"]

LINKS = """
  @link(url: "https://specs.apollo.dev/link/v1.0")
  @link(url: "https://specs.apollo.dev/join/v0.3", for: EXECUTION)
"""

_DEFINITIONS = """
directive @link(
  url: String!, as: String, for: link__Purpose, import: [link__Import]
) repeatable on SCHEMA
directive @join__graph(name: String!, url: String!) on ENUM_VALUE
directive @join__type(
  graph: join__Graph!, key: join__FieldSet, extension: Boolean! = false,
  resolvable: Boolean! = true, isInterfaceObject: Boolean! = false
) repeatable on OBJECT | INTERFACE | UNION | ENUM | INPUT_OBJECT | SCALAR
directive @join__field(
  graph: join__Graph, requires: join__FieldSet, provides: join__FieldSet, type: String,
  external: Boolean, override: String, usedOverridden: Boolean, overrideLabel: String,
  contextArguments: [join__ContextArgument!]
) repeatable on FIELD_DEFINITION | INPUT_FIELD_DEFINITION
directive @join__implements(
  graph: join__Graph!, interface: String!
) repeatable on OBJECT | INTERFACE
directive @join__unionMember(graph: join__Graph!, member: String!) repeatable on UNION
directive @join__enumValue(graph: join__Graph!) repeatable on ENUM_VALUE
enum link__Purpose { SECURITY EXECUTION }
scalar link__Import
input join__ContextArgument {
  name: String! type: String! context: String! selection: String
}
scalar join__FieldSet
enum join__Graph {
  ALL_THINGS @join__graph(name: "all-things", url: "http://all-things.test")
  OTHERS @join__graph(name: "others", url: "")
}
"""


def supergraph_sdl(types: str, *, links: str = LINKS, roots: str = "query: Query") -> str:
    """The SDL of a supergraph of two subgraphs, `all-things` and `others`."""
    return f"schema {links} {{ {roots} }}\n{_DEFINITIONS}\n{types}"
