"""Field sets: the selections inside ``@key``, ``@requires`` and ``@provides``."""

from __future__ import annotations

from collections.abc import Iterable

from graphql import (
    FieldNode,
    GraphQLSyntaxError,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionNode,
    parse,
)

from gateway.federation.operation.selection import Field, Fragment, Selection

__all__ = ["parse_field_set"]


def parse_field_set(text: str) -> tuple[Selection, ...]:
    """The selections of a field set such as ``id owner { id }``; raises ``ValueError``."""
    try:
        document = parse("{" + text + "}", no_location=True)
    except GraphQLSyntaxError as error:
        raise ValueError(f"{text!r} is not a field set: {error.message}") from error
    operation, *others = document.definitions
    if others:
        raise ValueError(f"{text!r} is not a field set")
    assert isinstance(operation, OperationDefinitionNode)
    return tuple(_selections(operation.selection_set.selections))


def _selections(nodes: Iterable[SelectionNode]) -> Iterable[Selection]:
    for node in nodes:
        if isinstance(node, FieldNode):
            yield Field(
                key=node.name.value,
                name=node.name.value,
                arguments=tuple(
                    sorted(
                        ((a.name.value, a.value) for a in node.arguments or ()), key=lambda a: a[0]
                    )
                ),
                selections=tuple(_selections(node.selection_set.selections))
                if node.selection_set
                else (),
            )
        elif isinstance(node, InlineFragmentNode) and node.type_condition is not None:
            yield Fragment(
                node.type_condition.name.value, tuple(_selections(node.selection_set.selections))
            )
        elif isinstance(node, InlineFragmentNode):
            yield from _selections(node.selection_set.selections)
        else:
            raise ValueError("a field set cannot spread a named fragment")
