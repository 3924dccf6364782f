"""Whether a plan's only fetch already gives the client's answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphql import (
    FieldNode,
    GraphQLEnumType,
    InlineFragmentNode,
    OperationDefinitionNode,
    get_named_type,
    is_abstract_type,
    is_composite_type,
)

from gateway.federation.operation.selection import Field, Fragment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from graphql import DocumentNode, GraphQLCompositeType, SelectionSetNode

    from gateway.federation.operation.selection import Operation, Selection
    from gateway.federation.plan import QueryPlan
    from gateway.federation.supergraph import Supergraph

__all__ = ["passes_through"]


def passes_through(
    supergraph: Supergraph,
    operation: Operation,
    plan: QueryPlan,
    documents: Sequence[DocumentNode],
) -> bool:
    """Return whether the answer of the plan's only fetch needs no projection.

    So it is if the subgraph is asked for exactly what the client selected, and
    nothing it may answer is hidden from clients.  The subgraph's own types are
    at least as strict as the API's, so its nulls have bubbled far enough.
    `documents` are the fetches', parsed.
    """
    if len(plan.fetches) != 1:
        return False
    (fetch,) = plan.fetches
    if fetch.entities or fetch.output_rewrites or fetch.kind == "subscription":
        return False
    definition, *fragments = documents[0].definitions
    if fragments or not isinstance(definition, OperationDefinitionNode):
        return False
    if not _same(definition.selection_set, operation.selections):
        return False
    root = supergraph.api_schema.get_root_type(operation.kind)
    assert root is not None
    return _hides_nothing(supergraph, root, operation.selections)


def _same(selection_set: SelectionSetNode | None, selections: Sequence[Selection]) -> bool:
    """Return whether a document selects exactly this, in this order.

    Arguments need no look: the planner wrote them, and only the shape and the
    order of the answer are in question.
    """
    nodes = selection_set.selections if selection_set else ()
    if len(nodes) != len(selections):
        return False
    for node, one in zip(nodes, selections, strict=True):
        if isinstance(node, FieldNode) and isinstance(one, Field):
            key = node.alias.value if node.alias else node.name.value
            if (key, node.name.value) != (one.key, one.name):
                return False
        elif isinstance(node, InlineFragmentNode) and isinstance(one, Fragment):
            if node.type_condition is None or node.type_condition.name.value != one.on:
                return False
        else:
            return False
        if not _same(node.selection_set, one.selections):
            return False
    return True


def _hides_nothing(
    supergraph: Supergraph, parent: GraphQLCompositeType, selections: Sequence[Selection]
) -> bool:
    schema = supergraph.api_schema
    if is_abstract_type(parent):
        visible = {one.name for one in schema.get_possible_types(parent)}
        if visible != supergraph.possible_types(parent.name):
            return False
    for one in selections:
        if isinstance(one, Fragment):
            inner = schema.type_map[one.on]
        else:
            definition = schema.get_field(parent, one.name)
            assert definition is not None
            inner = get_named_type(definition.type)
        if is_composite_type(inner):
            # No selections: they were folded away, and the subgraph was asked for something.
            if not one.selections or not _hides_nothing(supergraph, inner, one.selections):
                return False
        elif isinstance(inner, GraphQLEnumType):
            full = supergraph.schema.type_map[inner.name]
            assert isinstance(full, GraphQLEnumType)
            if set(full.values) != set(inner.values):
                return False
    return True
