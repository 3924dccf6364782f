"""The query graph: every (type, subgraph), and the moves between them.

Built lazily and kept for as long as the supergraph, under fixed values of its
override labels.  Everything here is the same whatever the operation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from graphql import OperationType

from gateway.federation.operation.selection import Field, Fragment, Selection
from gateway.federation.supergraph import Supergraph
from gateway.federation.supergraph.model import (
    FieldInfo,
    Key,
    Kind,
    Rule,
    TypeInfo,
    field_rule,
    list_depth,
    named_type,
    type_in,
)

__all__ = ["NOTHING_PROVIDED", "NO_KEY", "Edge", "Move", "Node", "Provided", "QueryGraph"]

NO_KEY = Key((), resolvable=True, text="")
"""What it takes to enter the query root of a subgraph."""


@dataclass(slots=True, eq=False)
class Node:
    """A type in a subgraph; interned, so compared by identity.

    ``members`` are the object types a value here can turn out to be.  Where an
    interface is an ``@interfaceObject`` the subgraph cannot tell them apart.
    """

    type: str
    graph: str
    info: TypeInfo
    members: frozenset[str]
    interface_object: bool
    edges: dict[str, Edge | None] = field(default_factory=dict)
    moves: tuple[Move, ...] | None = None

    @property
    def is_interface(self) -> bool:
        """Whether runtime types hide behind this node and the subgraph tells them apart."""
        return self.info.kind is Kind.INTERFACE and not self.interface_object


@dataclass(frozen=True, slots=True, eq=False)
class Edge:
    """A field of a node: where it leads (None for a leaf) and on what conditions."""

    target: Node | None
    rule: Rule
    lists: int


@dataclass(frozen=True, slots=True, eq=False)
class Move:
    """An ``_entities`` call: enters ``target`` with the fields of ``key``.

    With `NO_KEY` the objects are the query root, and its fields are asked anew.
    ``rename`` means the representation must carry the target's type name in
    place of the object's own (one side is an ``@interfaceObject``).
    """

    target: Node
    key: Key
    rename: bool = False


@dataclass(slots=True, eq=False)
class Provided:
    """What ``@provides`` unlocks at a position; interned, so compared by identity."""

    fields: Mapping[str, tuple[Selection, ...]]
    fragments: tuple[Fragment, ...]


NOTHING_PROVIDED = Provided({}, ())


class QueryGraph:
    """The supergraph as nodes, edges and moves, under fixed values of its labels."""

    def __init__(self, supergraph: Supergraph, labels: Mapping[str, bool]) -> None:
        self.supergraph = supergraph
        self.types = supergraph.types
        self.labels = {label: bool(labels.get(label)) for label in supergraph.labels}
        self.memo: dict[object, object] = {}
        self._nodes: dict[tuple[str, str], Node] = {}
        self._provided: dict[tuple[Selection, ...], Provided] = {(): NOTHING_PROVIDED}

    def take_apart(self) -> None:
        """Free the nodes, which lead to one another, when nobody will plan with them any more."""
        for node in self._nodes.values():
            node.edges.clear()
            node.moves = None

    def root_type(self, kind: OperationType) -> str | None:
        """The name of the type an operation of this kind starts on."""
        root = self.supergraph.schema.get_root_type(kind)
        return root.name if root else None

    def entries(self, type_: str) -> list[Node]:
        """The root nodes an operation can start on, in a fixed order."""
        nodes = [self.node(type_, graph) for graph in sorted(self.types[type_].graphs)]
        return [node for node in nodes if any(self.edge(node, name) for name in node.info.fields)]

    def node(self, type_: str, graph: str) -> Node:
        """The one node for a type in a subgraph."""
        node = self._nodes.get((type_, graph))
        if node is None:
            info = self.types[type_]
            interface_object = graph in info.interface_object_in
            members = (
                frozenset((type_,))
                if info.kind is Kind.OBJECT
                else self.supergraph.possible_types(type_)
                if interface_object
                else info.members[graph]
            )
            node = Node(type_, graph, info, members, interface_object)
            self._nodes[type_, graph] = node
        return node

    def edge(self, node: Node, name: str) -> Edge | None:
        """The field ``name`` of a node, when its subgraph may resolve it at all."""
        try:
            return node.edges[name]
        except KeyError:
            edge = node.edges[name] = self._edge(node, name)
            return edge

    def _edge(self, node: Node, name: str) -> Edge | None:
        info = node.info.fields.get(name)
        rule = field_rule(node.info, info, node.graph, self.labels) if info else None
        return self._edge_to(node, info, rule) if info and rule else None

    def provided_edge(self, node: Node, name: str) -> Edge:
        """The field of a node as ``@provides`` unlocks it."""
        return self._edge_to(node, node.info.fields[name], Rule())

    def _edge_to(self, node: Node, info: FieldInfo, rule: Rule) -> Edge:
        type_ = type_in(info, node.graph)
        name = named_type(type_)
        composite = self.types.get(name)
        is_leaf = composite is None or composite.kind is Kind.LEAF
        return Edge(
            target=None if is_leaf else self.node(name, node.graph),
            rule=rule,
            lists=list_depth(type_),
        )

    def moves(self, node: Node) -> tuple[Move, ...]:
        """The entity calls that may leave a node, own subgraph included, in a fixed order."""
        if node.moves is None:
            node.moves = tuple(self._moves(node))
        return node.moves

    def _moves(self, node: Node) -> Iterator[Move]:
        if node.type == self.root_type(OperationType.QUERY):
            for graph in sorted(node.info.graphs):
                yield Move(self.node(node.type, graph), NO_KEY)
        for graph in sorted(node.info.graphs):
            target = self.node(node.type, graph)
            if target.is_interface and not target.members:
                # No object there is one, so the subgraph would refuse the fragment.
                continue
            if node.is_interface and target.is_interface:
                yield from self._moves_of_all_members(node, target)
            else:
                rename = node.interface_object or target.interface_object
                yield from self._keys(target, rename)
        if node.info.kind is Kind.OBJECT:
            yield from self._moves_to_interface_objects(node)

    def _moves_of_all_members(self, node: Node, target: Node) -> Iterator[Move]:
        """Enter an interface with the names of its objects, by keys all of them have there."""
        if not node.members or not node.members <= target.members:
            return
        first, *others = (
            {
                key.text: key
                for key in self.types[member].keys.get(target.graph, ())
                if key.resolvable
            }
            for member in sorted(node.members)
        )
        for text, key in first.items():
            if all(text in keys for keys in others) and self._is_on_interface(node, key):
                yield Move(target, key)

    @staticmethod
    def _is_on_interface(node: Node, key: Key) -> bool:
        return all(isinstance(s, Field) and s.name in node.info.fields for s in key.fields)

    def _moves_to_interface_objects(self, node: Node) -> Iterator[Move]:
        for info in self.types.values():
            if info.kind is Kind.INTERFACE and self.is_possible(node.type, info.name):
                for graph in sorted(info.interface_object_in):
                    yield from self._keys(self.node(info.name, graph), rename=True)

    @staticmethod
    def _keys(target: Node, rename: bool) -> Iterator[Move]:
        for key in target.info.keys.get(target.graph, ()):
            if key.resolvable:
                yield Move(target, key, rename)

    def target_type(self, type_: str, name: str) -> str:
        """The name of the composite type a field leads to in the supergraph."""
        return named_type(self.types[type_].fields[name].type)

    def is_possible(self, type_: str, abstract: str) -> bool:
        """Whether an object of ``type_`` is an ``abstract`` in the supergraph."""
        return type_ in self.supergraph.possible_types(abstract)

    def provided(self, selections: Sequence[Selection]) -> Provided:
        """The interned form of a ``@provides`` selection."""
        identity = tuple(selections)
        if identity not in self._provided:
            fields: dict[str, tuple[Selection, ...]] = {}
            for selection in identity:
                if isinstance(selection, Field):
                    before = fields.get(selection.name, ())
                    fields[selection.name] = before + selection.selections
            fragments = tuple(s for s in identity if isinstance(s, Fragment))
            self._provided[identity] = Provided(fields, fragments)
        return self._provided[identity]

    def provided_below(
        self, provided: Provided, name: str, more: tuple[Selection, ...]
    ) -> Provided:
        """What is unlocked under a field: what was, and what the field itself provides."""
        if provided is NOTHING_PROVIDED and not more:
            return NOTHING_PROVIDED
        return self.provided((*provided.fields.get(name, ()), *more))

    def provided_on(self, provided: Provided, type_: str) -> Provided:
        """What is unlocked once an object is known to be of ``type_``."""
        return self.provided(self._on(provided, type_))

    def _on(self, provided: Provided, type_: str) -> list[Selection]:
        selections: list[Selection] = [
            Field(name, name, selections=below) for name, below in provided.fields.items()
        ]
        for fragment in provided.fragments:
            if fragment.on == type_ or self.is_possible(type_, fragment.on):
                selections += self._on(self.provided(fragment.selections), type_)
        return selections
