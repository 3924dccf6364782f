"""Random supergraphs whose entities have many keys, so that there are many ways to each field.

No subgraph has all keys of a type: some are found by others, and a far subgraph may
take two calls, or one and a key of several fields.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from random import Random
from typing import Any

from tests.federation.subgraphs import FED2, Subgraph

__all__ = [
    "RandomSupergraph",
    "Selections",
    "random_selections",
    "random_supergraph",
    "truth",
    "written",
]

HEAD = """schema
  @link(url: "https://specs.apollo.dev/link/v1.0")
  @link(url: "https://specs.apollo.dev/join/v0.3", for: EXECUTION) {
  query: Query
}
directive @join__enumValue(graph: join__Graph!) repeatable on ENUM_VALUE
directive @join__graph(name: String!, url: String!) on ENUM_VALUE
directive @join__field(
  graph: join__Graph
  requires: join__FieldSet
  provides: join__FieldSet
  type: String
  external: Boolean
  override: String
  usedOverridden: Boolean
) repeatable on FIELD_DEFINITION | INPUT_FIELD_DEFINITION
directive @join__implements(
  graph: join__Graph!
  interface: String!
) repeatable on OBJECT | INTERFACE
directive @join__type(
  graph: join__Graph!
  key: join__FieldSet
  extension: Boolean! = false
  resolvable: Boolean! = true
  isInterfaceObject: Boolean! = false
) repeatable on OBJECT | INTERFACE | UNION | ENUM | INPUT_OBJECT | SCALAR
directive @join__unionMember(graph: join__Graph!, member: String!) repeatable on UNION
directive @link(
  url: String
  as: String
  for: link__Purpose
  import: [link__Import]
) repeatable on SCHEMA
scalar join__FieldSet
scalar link__Import
enum link__Purpose {
  SECURITY
  EXECUTION
}
"""
OBJECTS = 3
"""How many objects there are of a type."""

Graph = str
Type = str
Name = str
Selections = dict[Name, Any]
"""Fields, each with the selections below it: none below a leaf."""


@dataclass(frozen=True)
class RandomSupergraph:
    """Who has what: fields by type and name, each with its subgraphs and what they require.

    ``leads`` says of a field, or of a field of the root, which type it returns: a leaf has none.
    """

    graphs: Sequence[Graph]
    keys: Mapping[tuple[Type, Graph], Sequence[Sequence[Name]]]
    fields: Mapping[Type, Mapping[Name, Mapping[Graph, Sequence[Name]]]]
    external: Mapping[tuple[Type, Graph], Sequence[Name]]
    leads: Mapping[tuple[Type, Name], Type]

    @cached_property
    def sdl(self) -> str:
        """What composition would make of it."""
        graphs = " ".join(
            f'{graph.upper()} @join__graph(name: "{graph}", url: "http://{graph}.test/graphql")'
            for graph in self.graphs
        )
        types = [f"enum join__Graph {{ {graphs} }}", *map(self._joined, self.fields)]
        return HEAD + "\n".join(types) + "\n"

    @cached_property
    def subgraphs(self) -> list[Subgraph]:
        """The subgraphs, which know only what they have or are told."""
        return [self._subgraph(graph) for graph in self.graphs]

    def _types(self, graph: Graph) -> list[Type]:
        return [type_ for type_ in self.fields if type_ == "Query" or self.keys.get((type_, graph))]

    def _joined(self, type_: Type) -> str:
        joins = [
            f'@join__type(graph: {graph.upper()}, key: "{" ".join(key)}")'
            for graph in self.graphs
            for key in self.keys.get((type_, graph), ())
        ]
        if type_ == "Query":
            joins = [f"@join__type(graph: {graph.upper()})" for graph in self.graphs]
        lines = [self._joined_field(type_, name) for name in self.fields[type_]]
        return "\n  ".join([f"type {type_} {' '.join(joins)} {{", *lines]) + "\n}"

    def _joined_field(self, type_: Type, name: Name) -> str:
        joins = []
        for graph in self.graphs:
            requires = self.fields[type_][name].get(graph)
            if requires:
                joins.append(
                    f'@join__field(graph: {graph.upper()}, requires: "{" ".join(requires)}")'
                )
            elif requires is not None:
                joins.append(f"@join__field(graph: {graph.upper()})")
            elif name in self.external.get((type_, graph), ()):
                joins.append(f"@join__field(graph: {graph.upper()}, external: true)")
        return f"{name}: {self._returned(type_, name)} {' '.join(joins)}"

    def _returned(self, type_: Type, name: Name) -> str:
        return self.leads.get((type_, name)) or ("ID!" if name.startswith("k") else "Int")

    def _subgraph(self, graph: Graph) -> Subgraph:
        sdl = FED2
        resolvers: dict[str, dict[str, Any]] = {}
        for type_ in self._types(graph):
            names = {
                name: graphs[graph]
                for name, graphs in self.fields[type_].items()
                if graph in graphs
            }
            if not names:
                continue
            keys = "".join(
                f' @key(fields: "{" ".join(key)}")' for key in self.keys.get((type_, graph), ())
            )
            lines = [
                f"{name}: {self._returned(type_, name)}"
                + (f' @requires(fields: "{" ".join(requires)}")' if requires else "")
                for name, requires in names.items()
            ]
            lines += [f"{name}: Int @external" for name in self.external.get((type_, graph), ())]
            sdl += f"type {type_}{keys} {{ {' '.join(lines)} }}\n"
            resolvers[type_] = {
                name: partial(self._resolve, type_, name, requires)
                for name, requires in names.items()
            }
            if type_ != "Query":
                known = self.keys[type_, graph]
                resolvers[type_]["__resolveReference"] = partial(self._found, known)
        return Subgraph(graph, sdl, resolvers)

    @staticmethod
    def _found(keys: Sequence[Sequence[Name]], representation: dict[str, Any]) -> dict[str, Any]:
        """The object that any of the keys says, and what else came with it."""
        (number,) = {
            representation[name].partition("-")[2]
            for key in keys
            if all(name in representation for name in key)
            for name in key
        }
        return {**representation, "number": int(number)}

    def _resolve(
        self, type_: Type, name: Name, requires: Sequence[Name], parent: dict[str, Any] | None
    ) -> Any:
        number = parent["number"] if parent else 0
        for one in requires:
            assert parent is not None
            assert parent[one] == self.value(type_, one, number)
        value = self.value(type_, name, number)
        return {"number": value} if (type_, name) in self.leads else value

    def value(self, type_: Type, name: Name, number: int) -> Any:
        """What a field of an object is, whoever is asked: another's number, a key, a value."""
        if (type_, name) in self.leads:
            return (number + len(name) + int(name[-1])) % OBJECTS
        if name.startswith("k"):
            return f"{name}-{number}"
        return 10 * number + int(name[1:])


@dataclass
class _Maker:
    random: Random
    graphs: list[Graph]
    types: list[Type]
    keys: dict[tuple[Type, Graph], list[list[Name]]] = field(default_factory=dict)
    fields: dict[Type, dict[Name, dict[Graph, list[Name]]]] = field(default_factory=dict)
    external: dict[tuple[Type, Graph], list[Name]] = field(default_factory=dict)
    leads: dict[tuple[Type, Name], Type] = field(default_factory=dict)
    entered: set[tuple[Type, Graph]] = field(default_factory=set)

    def add_type(self, type_: Type) -> None:
        """A type with fields of its own, and with those that lead to others."""
        random = self.random
        self.fields[type_] = {f"k{number}": {} for number in range(random.randint(1, 4))}
        for number in range(random.randint(3, 6)):
            self._add_field(type_, f"f{number}", 1 if random.random() < 0.6 else 2)
        for number in range(random.randint(0, 2)):
            self.add_lead(type_, f"to{number}")

    def add_lead(self, type_: Type, name: Name) -> None:
        """A field that leads to a type: one of some, or the same."""
        target = self.leads[type_, name] = self.random.choice(self.types)
        owners = self.random.sample(self.graphs, self.random.randint(1, 3))
        self.fields[type_][name] = {graph: [] for graph in owners}
        self.entered.update((target, graph) for graph in owners)

    def _add_field(self, type_: Type, name: Name, owners: int) -> None:
        random = self.random
        has = self.fields[type_][name] = {graph: [] for graph in random.sample(self.graphs, owners)}
        for graph in list(has):
            elsewhere = [
                one
                for one, others in self.fields[type_].items()
                if one.startswith("f") and graph not in others
            ]
            if elsewhere and random.random() < 0.2:
                requires = random.sample(elsewhere, min(len(elsewhere), random.randint(1, 2)))
                external = self.external.setdefault((type_, graph), [])
                external += [one for one in requires if one not in external]
                has[graph] = requires

    def add_keys(self, type_: Type, graph: Graph) -> None:
        """A subgraph takes a key or two, and can tell those and maybe others."""
        random = self.random
        known = [name for name in self.fields[type_] if name.startswith("k")]
        is_needed = (type_, graph) in self.entered or any(
            graph in graphs for graphs in self.fields[type_].values()
        )
        if not is_needed and random.random() < 0.5:
            return
        chosen = [
            sorted(random.sample(known, 2 if len(known) > 1 and random.random() < 0.25 else 1))
            for _ in range(random.randint(1, 2))
        ]
        self.keys[type_, graph] = [
            key for number, key in enumerate(chosen) if key not in chosen[:number]
        ]
        told = {name for key in chosen for name in key}
        told.update(random.sample(known, random.randint(0, len(known))))
        for name in sorted(told):
            self.fields[type_][name][graph] = []


def random_supergraph(seed: int) -> RandomSupergraph:
    """The supergraph of a seed; not all of its fields can be found from everywhere."""
    random = Random(seed)  # noqa: S311
    graphs = [chr(ord("a") + number) for number in range(random.randint(4, 8))]
    maker = _Maker(random, graphs, ["A", "B", "C"][: random.randint(1, 3)])
    for type_ in maker.types:
        maker.add_type(type_)
    maker.fields["Query"] = {}
    for number in range(random.randint(1, 4)):
        maker.add_lead("Query", f"r{number}")
    for type_ in maker.types:
        for graph in graphs:
            maker.add_keys(type_, graph)
    return RandomSupergraph(graphs, maker.keys, maker.fields, maker.external, maker.leads)


def random_selections(
    graph: RandomSupergraph, random: Random, type_: Type = "Query", depth: int = 3
) -> Selections:
    """Some fields of a type, and of those that they lead to."""
    names = sorted(graph.fields[type_])
    random.shuffle(names)
    found: Selections = {}
    for name in names[: random.randint(1, 4)]:
        target = graph.leads.get((type_, name))
        if target is None:
            found[name] = {}
        elif depth:
            found[name] = random_selections(graph, random, target, depth - 1)
    return found or {"k0": {}}


def written(selections: Selections) -> str:
    """Selections as GraphQL has them."""
    fields = [f"{name} {written(below)}" if below else name for name, below in selections.items()]
    return f"{{ {' '.join(fields)} }}"


def truth(
    graph: RandomSupergraph, selections: Selections, type_: Type = "Query", number: int = 0
) -> dict[Name, Any]:
    """The answer to selections, in their order."""
    return {
        name: truth(graph, below, graph.leads[type_, name], graph.value(type_, name, number))
        if below
        else graph.value(type_, name, number)
        for name, below in selections.items()
    }
