"""What the join directives say, as plain values: which subgraph has which type and field.

Subgraphs go by their real name everywhere; the ids of ``join__Graph`` end here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from graphql import ListTypeNode, NamedTypeNode, NonNullTypeNode, TypeNode

from gateway.federation.operation.selection import Selection

__all__ = [
    "FieldInfo",
    "JoinField",
    "Key",
    "Kind",
    "Rule",
    "SubgraphInfo",
    "TypeInfo",
    "declared",
    "field_rule",
    "list_depth",
    "named_type",
    "type_in",
]


class Kind(Enum):
    """What a type of the supergraph is."""

    OBJECT = "object"
    INTERFACE = "interface"
    UNION = "union"
    LEAF = "leaf"


@dataclass(frozen=True, slots=True)
class SubgraphInfo:
    """A subgraph: its name and where it is served (empty when it is not over HTTP)."""

    name: str
    url: str


@dataclass(frozen=True, slots=True)
class Key:
    """One ``@key`` of a type in one subgraph."""

    fields: tuple[Selection, ...]
    resolvable: bool
    text: str


@dataclass(frozen=True, slots=True)
class JoinField:
    """One ``@join__field``: how one subgraph declares the field."""

    type: TypeNode | None = None
    requires: tuple[Selection, ...] = ()
    provides: tuple[Selection, ...] = ()
    external: bool = False
    override: str | None = None
    override_label: str | None = None
    used_overridden: bool = False


@dataclass(frozen=True, slots=True)
class FieldInfo:
    """A field of the supergraph.

    ``joins`` is None when every subgraph of the type resolves the field, and
    empty when none does by itself (it comes from an ``@interfaceObject``).
    """

    name: str
    type: TypeNode
    joins: Mapping[str, JoinField] | None


@dataclass(frozen=True, slots=True)
class TypeInfo:
    """A type of the supergraph and what each subgraph knows of it.

    ``members`` are, per subgraph, the object types an abstract type can be there.
    """

    name: str
    kind: Kind
    graphs: frozenset[str]
    keys: Mapping[str, tuple[Key, ...]]
    fields: Mapping[str, FieldInfo]
    interface_object_in: frozenset[str]
    members: Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True)
class Rule:
    """How a subgraph resolves a field: on its own, after ``requires``, or only if provided."""

    external: bool = False
    requires: tuple[Selection, ...] = ()
    provides: tuple[Selection, ...] = ()


_OWN = Rule()
_EXTERNAL = Rule(external=True)


def field_rule(
    type_: TypeInfo, field: FieldInfo, graph: str, labels: Mapping[str, bool]
) -> Rule | None:
    """How ``graph`` resolves the field under these override labels; None when it never does.

    A label that is not among them is off.
    """
    if graph not in type_.graphs:
        return None
    if field.joins is None:
        return _OWN
    join = field.joins.get(graph)
    if join is None:
        return None
    if join.override_label:
        if (join.override is not None) != labels.get(join.override_label, False):
            return None
    elif join.used_overridden:
        return None
    if any(other.override == graph and not other.override_label for other in field.joins.values()):
        return None
    if join.external:
        return _EXTERNAL
    if join.requires or join.provides:
        return Rule(requires=join.requires, provides=join.provides)
    return _OWN


def declared(type_: TypeInfo, field: FieldInfo, graph: str) -> bool:
    """Whether the field is in the subgraph's own schema, whoever resolves it."""
    return graph in type_.graphs and (field.joins is None or graph in field.joins)


def type_in(field: FieldInfo, graph: str) -> TypeNode:
    """The field's type as the subgraph declares it."""
    join = field.joins.get(graph) if field.joins else None
    return field.type if join is None or join.type is None else join.type


def named_type(node: TypeNode) -> str:
    """The name inside a type's lists and non-nulls."""
    while isinstance(node, ListTypeNode | NonNullTypeNode):
        node = node.type
    assert isinstance(node, NamedTypeNode)
    return node.name.value


def list_depth(node: TypeNode) -> int:
    """How many lists a type is wrapped in."""
    depth = 0
    while isinstance(node, ListTypeNode | NonNullTypeNode):
        depth += isinstance(node, ListTypeNode)
        node = node.type
    return depth
