"""An operation back as a document, for planners and executors that want text."""

from __future__ import annotations

from graphql import print_ast

from gateway.federation.operation.selection import Field, Operation, Selection

__all__ = ["print_operation"]


def print_operation(operation: Operation) -> str:
    """The operation's document; a field left with nothing gets a `__typename`."""
    variables = ", ".join(print_ast(node) for node in operation.variables.values())
    head = f"{operation.kind.value} {operation.name or 'Q'}"
    body = " ".join(_print(one) for one in operation.selections)
    return f"{head}{f'({variables})' if variables else ''} {{ {body} }}"


def _print(selection: Selection) -> str:
    inner = " ".join(_print(one) for one in selection.selections)
    if not isinstance(selection, Field):
        return f"... on {selection.on} {{ {inner or '__typename'} }}"
    alias = "" if selection.key == selection.name else f"{selection.key}: "
    arguments = ", ".join(f"{name}: {print_ast(value)}" for name, value in selection.arguments)
    text = f"{alias}{selection.name}{f'({arguments})' if arguments else ''}"
    return f"{text} {{ {inner} }}" if inner else text
