"""The API schema: what clients may see of a supergraph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar

from graphql import (
    ConstDirectiveNode,
    DefinitionNode,
    DirectiveDefinitionNode,
    DocumentNode,
    EnumTypeDefinitionNode,
    GraphQLSchema,
    InputObjectTypeDefinitionNode,
    InterfaceTypeDefinitionNode,
    NamedTypeNode,
    ObjectTypeDefinitionNode,
    SchemaDefinitionNode,
    TypeDefinitionNode,
    UnionTypeDefinitionNode,
    build_ast_schema,
    parse,
)

from gateway.federation.supergraph.links import Feature

__all__ = ["build_api_schema"]

_N = TypeVar("_N")

_DEFER = parse(
    "directive @defer(if: Boolean! = true, label: String) on FRAGMENT_SPREAD | INLINE_FRAGMENT",
    no_location=True,
).definitions


def build_api_schema(document: DocumentNode, features: Sequence[Feature]) -> GraphQLSchema:
    """The supergraph without linked specifications and without what is ``@inaccessible``."""
    return build_ast_schema(_Filter(document, features).document(), assume_valid=True)


class _Filter:
    """Drops inaccessible elements and everything that belongs to a linked specification."""

    def __init__(self, document: DocumentNode, features: Sequence[Feature]) -> None:
        self._document = document
        self._features = features
        self._inaccessible = {
            feature.directive("inaccessible")
            for feature in features
            if feature.spec in ("inaccessible", "federation")
        }
        self._dropped_types = {
            node.name.value
            for node in document.definitions
            if isinstance(node, TypeDefinitionNode)
            and (self._hidden(node) or any(f.owns_type(node.name.value) for f in features))
        }

    def document(self) -> DocumentNode:
        kept = (self._definition(node) for node in self._document.definitions)
        definitions = tuple(node for node in kept if node is not None)
        # The engine answers @defer itself: no subgraph needs to know it.
        has_defer = any(
            isinstance(node, DirectiveDefinitionNode) and node.name.value == "defer"
            for node in definitions
        )
        return DocumentNode(definitions=definitions if has_defer else (*definitions, *_DEFER))

    def _definition(self, node: DefinitionNode) -> DefinitionNode | None:
        if isinstance(node, SchemaDefinitionNode):
            roots = (
                r for r in node.operation_types if r.type.name.value not in self._dropped_types
            )
            return replace(
                node, directives=self._directives(node.directives), operation_types=tuple(roots)
            )
        if isinstance(node, DirectiveDefinitionNode):
            if any(f.owns_directive(node.name.value) for f in self._features):
                return None
            return replace(node, arguments=self._visible(node.arguments))
        if isinstance(node, TypeDefinitionNode) and node.name.value not in self._dropped_types:
            return self._type(node)
        return None

    def _type(self, node: TypeDefinitionNode) -> TypeDefinitionNode:
        if isinstance(node, ObjectTypeDefinitionNode | InterfaceTypeDefinitionNode):
            node = replace(
                node,
                interfaces=self._references(node.interfaces),
                fields=tuple(
                    replace(field, arguments=self._visible(field.arguments))
                    for field in self._visible(node.fields)
                ),
            )
        elif isinstance(node, UnionTypeDefinitionNode):
            node = replace(node, types=self._references(node.types))
        elif isinstance(node, EnumTypeDefinitionNode):
            node = replace(node, values=self._visible(node.values))
        elif isinstance(node, InputObjectTypeDefinitionNode):
            node = replace(node, fields=self._visible(node.fields))
        return replace(node, directives=self._directives(node.directives))

    def _visible(self, nodes: Sequence[_N] | None) -> tuple[_N, ...]:
        return tuple(self._stripped(node) for node in nodes or () if not self._hidden(node))

    def _stripped(self, node: Any) -> Any:
        return replace(node, directives=self._directives(node.directives))

    def _references(self, nodes: Sequence[NamedTypeNode] | None) -> tuple[NamedTypeNode, ...]:
        return tuple(node for node in nodes or () if node.name.value not in self._dropped_types)

    def _directives(
        self, nodes: Sequence[ConstDirectiveNode] | None
    ) -> tuple[ConstDirectiveNode, ...]:
        return tuple(
            node
            for node in nodes or ()
            if not any(f.owns_directive(node.name.value) for f in self._features)
        )

    def _hidden(self, node: Any) -> bool:
        return any(d.name.value in self._inaccessible for d in node.directives or ())
