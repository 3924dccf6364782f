"""From supergraph SDL to the model; reads join specification 0.1 to 0.5."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from graphql import (
    ConstDirectiveNode,
    DocumentNode,
    EnumTypeDefinitionNode,
    EnumValueDefinitionNode,
    FieldDefinitionNode,
    GraphQLSyntaxError,
    InputObjectTypeDefinitionNode,
    InterfaceTypeDefinitionNode,
    ObjectTypeDefinitionNode,
    TypeDefinitionNode,
    TypeNode,
    UnionTypeDefinitionNode,
    parse_type,
    specified_scalar_types,
)

from gateway.federation.operation.selection import Fragment, Selection
from gateway.federation.supergraph.fieldset import parse_field_set
from gateway.federation.supergraph.links import Feature, argument_values
from gateway.federation.supergraph.model import (
    FieldInfo,
    JoinField,
    Key,
    Kind,
    SubgraphInfo,
    TypeInfo,
    named_type,
)

__all__ = ["Model", "load_model"]

_Composite = ObjectTypeDefinitionNode | InterfaceTypeDefinitionNode


@dataclass(frozen=True, slots=True)
class Model:
    """The subgraphs and types of a supergraph, and the labels its overrides carry."""

    subgraphs: Mapping[str, SubgraphInfo]
    types: Mapping[str, TypeInfo]
    labels: frozenset[str]


def load_model(document: DocumentNode, join: Feature, hidden: Sequence[Feature]) -> Model:
    """The model of a supergraph document; raises ``ValueError`` on contradictory directives."""
    reader = _Reader(join, document)
    types = {
        node.name.value: reader.type(node)
        for node in document.definitions
        if isinstance(node, TypeDefinitionNode)
        and not isinstance(node, InputObjectTypeDefinitionNode)
        and not any(feature.owns_type(node.name.value) for feature in hidden)
    }
    labels = {
        join_field.override_label
        for type_ in types.values()
        for info in type_.fields.values()
        for join_field in (info.joins or {}).values()
        if join_field.override_label
    }
    return Model(reader.subgraphs, types, frozenset(labels))


@dataclass(slots=True)
class _Reader:
    join: Feature
    document: DocumentNode
    names: dict[str, str] = field(default_factory=dict)
    subgraphs: dict[str, SubgraphInfo] = field(default_factory=dict)
    definitions: dict[str, TypeDefinitionNode] = field(default_factory=dict)
    implementers: dict[str, list[ObjectTypeDefinitionNode]] = field(default_factory=dict)
    field_sets: dict[tuple[str, str], tuple[Selection, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for node in self.document.definitions:
            if isinstance(node, TypeDefinitionNode):
                self.definitions[node.name.value] = node
            if isinstance(node, ObjectTypeDefinitionNode):
                for interface in node.interfaces or ():
                    self.implementers.setdefault(interface.name.value, []).append(node)
        graphs = self.definitions.get(self.join.type("Graph"))
        values = graphs.values if isinstance(graphs, EnumTypeDefinitionNode) else None
        if not values:
            raise ValueError(f"the enum {self.join.type('Graph')} is missing")
        for value in values:
            self._subgraph(value)

    def _subgraph(self, node: EnumValueDefinitionNode) -> None:
        values = next(iter(self.applied(node, "graph")), {})
        name = str(values.get("name") or node.name.value)
        if name in self.subgraphs:
            raise ValueError(f"two subgraphs are named {name!r}")
        self.names[node.name.value] = name
        self.subgraphs[name] = SubgraphInfo(name, str(values.get("url") or ""))

    @property
    def is_first_version(self) -> bool:
        return self.join.version == (0, 1)

    def applied(
        self, node: TypeDefinitionNode | FieldDefinitionNode | EnumValueDefinitionNode, name: str
    ) -> list[dict[str, object]]:
        """The arguments of each use of a join directive on a definition."""
        local = self.join.directive(name)
        directives: Sequence[ConstDirectiveNode] = node.directives or ()
        return [argument_values(d) for d in directives if d.name.value == local]

    def graph(self, value: object) -> str:
        name = self.names.get(str(value))
        if name is None:
            raise ValueError(f"there is no subgraph {value!r}")
        return name

    def field_set(self, value: object, on: str) -> tuple[Selection, ...]:
        """The selections of a field set on a type; raises ``ValueError`` if they are not there."""
        if not isinstance(value, str):
            return ()
        if (value, on) not in self.field_sets:
            parsed = parse_field_set(value)
            self._check(parsed, on, value)
            self.field_sets[value, on] = parsed
        return self.field_sets[value, on]

    def _check(self, selections: Iterable[Selection], on: str, text: str) -> None:
        known = {f.name.value: f for f in getattr(self.definition(on), "fields", None) or ()}
        for one in selections:
            if isinstance(one, Fragment):
                self._check(one.selections, one.on, text)
            elif one.name in known:
                self._check(one.selections, named_type(known[one.name].type), text)
            elif one.name != "__typename":
                raise ValueError(f"{text!r} needs {on}.{one.name}, which does not exist")

    def definition(self, name: str) -> TypeDefinitionNode | None:
        """The definition of a type, None for a scalar of the language; raises ``ValueError``."""
        if name not in self.definitions and name not in specified_scalar_types:
            raise ValueError(f"there is no type {name!r}")
        return self.definitions.get(name)

    def type(self, node: TypeDefinitionNode) -> TypeInfo:
        """One type of the model."""
        name = node.name.value
        applied = self.applied(node, "type")
        keys: dict[str, tuple[Key, ...]] = {}
        with _at(name):
            for values in applied:
                graph = self.graph(values["graph"])
                if isinstance(text := values.get("key"), str):
                    is_resolvable = values.get("resolvable") is not False
                    key = Key(self.field_set(text, name), is_resolvable, text)
                    keys[graph] = (*keys.get(graph, ()), key)
            # Before 0.2 a value type carries no directive and is in every subgraph.
            graphs = frozenset(self.graph(v["graph"]) for v in applied) or frozenset(self.subgraphs)
            members = self._members(node, graphs)
            for values in self.applied(node, "implements"):
                self.definition(str(values["interface"]))
        return TypeInfo(
            name=name,
            kind=_kind(node),
            graphs=graphs,
            keys=keys,
            fields=dict(self._fields(node, keys)) if isinstance(node, _Composite) else {},
            interface_object_in=frozenset(
                self.graph(v["graph"]) for v in applied if v.get("isInterfaceObject")
            ),
            members=members,
        )

    def _fields(
        self, node: _Composite, keys: Mapping[str, tuple[Key, ...]]
    ) -> Iterator[tuple[str, FieldInfo]]:
        owner = next((v["graph"] for v in self.applied(node, "owner")), None)
        for definition in node.fields or ():
            name = definition.name.value
            with _at(f"{node.name.value}.{name}"):
                joins = self._joins(definition, node.name.value)
            if self.is_first_version and owner is not None:
                joins = joins or {self.graph(owner): JoinField()}
                holders = (g for g, ks in keys.items() if any(_selects(k, name) for k in ks))
                joins |= {graph: JoinField() for graph in holders if graph not in joins}
            elif self.is_first_version and isinstance(node, InterfaceTypeDefinitionNode):
                joins = self._joins_of_all(node.name.value, name)
            yield name, FieldInfo(name, definition.type, joins)

    def _joins_of_all(self, interface: str, name: str) -> dict[str, JoinField] | None:
        """The subgraphs whose interface surely has a field: all its objects there own it.

        Version 0.1 does not say what an interface is in each subgraph, and one that
        another subgraph extends lacks the keys that the objects repeat.
        """
        owned = {
            graph: JoinField()
            for graph in self.subgraphs
            if all(
                self._owner(node, name) in (graph, None)
                for node in self.implementers.get(interface, ())
                if self._exists(node.name.value, graph)
            )
        }
        return owned if len(owned) < len(self.subgraphs) else None

    def _owner(self, node: ObjectTypeDefinitionNode, name: str) -> str | None:
        """The subgraph that owns a field in version 0.1; None if all that have it do."""
        field_ = next(one for one in node.fields or () if one.name.value == name)
        applied = [*self.applied(field_, "field"), *self.applied(node, "owner")]
        return next((self.graph(one["graph"]) for one in applied if one.get("graph")), None)

    def _joins(self, node: FieldDefinitionNode, on: str) -> dict[str, JoinField] | None:
        applied = self.applied(node, "field")
        named = [values for values in applied if values.get("graph") is not None]
        # In 0.1 a field of a value type may be marked with what some subgraph provides below it.
        if not applied or (self.is_first_version and not named):
            return None
        return {self.graph(one["graph"]): self._join_field(one, on, node.type) for one in named}

    def _join_field(self, values: Mapping[str, object], on: str, returned: TypeNode) -> JoinField:
        if values.get("contextArguments"):
            raise ValueError("@fromContext is not supported")
        type_, override, label = (values.get(k) for k in ("type", "override", "overrideLabel"))
        type_node = _type_node(type_) if isinstance(type_, str) else None
        return JoinField(
            type=type_node,
            requires=self.field_set(values.get("requires"), on),
            provides=self.field_set(values.get("provides"), named_type(type_node or returned)),
            external=values.get("external") is True,
            override=None if override is None else str(override),
            override_label=None if label is None else str(label),
            used_overridden=values.get("usedOverridden") is True,
        )

    def _members(
        self, node: TypeDefinitionNode, graphs: Iterable[str]
    ) -> dict[str, frozenset[str]]:
        if isinstance(node, InterfaceTypeDefinitionNode):
            return self._implementers(node.name.value, graphs)
        if not isinstance(node, UnionTypeDefinitionNode):
            return {}
        applied = self.applied(node, "unionMember")
        if not applied:
            names = [member.name.value for member in node.types or ()]
            return {g: frozenset(n for n in names if self._exists(n, g)) for g in graphs}
        members: dict[str, set[str]] = {graph: set() for graph in graphs}
        for values in applied:
            self.definition(member := str(values["member"]))
            members.setdefault(self.graph(values["graph"]), set()).add(member)
        return {graph: frozenset(names) for graph, names in members.items()}

    def _implementers(self, interface: str, graphs: Iterable[str]) -> dict[str, frozenset[str]]:
        members: dict[str, set[str]] = {graph: set() for graph in graphs}
        for node in self.implementers.get(interface, ()):
            for graph in self._implementing_graphs(node, interface):
                members.setdefault(graph, set()).add(node.name.value)
        return {graph: frozenset(names) for graph, names in members.items()}

    def _implementing_graphs(self, node: ObjectTypeDefinitionNode, interface: str) -> Iterable[str]:
        if self.is_first_version:
            return [g for g in self.subgraphs if self._exists(node.name.value, g)]
        return [
            self.graph(values["graph"])
            for values in self.applied(node, "implements")
            if values["interface"] == interface
        ]

    def _exists(self, type_: str, graph: str) -> bool:
        applied = self.applied(self.definitions[type_], "type")
        return not applied or any(self.graph(values["graph"]) == graph for values in applied)


@contextmanager
def _at(place: str) -> Iterator[None]:
    """Say of a mistake in the block what it is about."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from error


def _type_node(text: str) -> TypeNode:
    try:
        return parse_type(text, no_location=True)
    except GraphQLSyntaxError as error:
        raise ValueError(f"{text!r} is not a type: {error.message}") from error


def _kind(node: TypeDefinitionNode) -> Kind:
    if isinstance(node, ObjectTypeDefinitionNode):
        return Kind.OBJECT
    if isinstance(node, InterfaceTypeDefinitionNode):
        return Kind.INTERFACE
    return Kind.UNION if isinstance(node, UnionTypeDefinitionNode) else Kind.LEAF


def _selects(key: Key, name: str) -> bool:
    return any(getattr(selection, "name", None) == name for selection in key.fields)
