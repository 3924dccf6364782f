"""Operations with deferred fragments, and what a client makes of their parts."""

from __future__ import annotations

from random import Random
from typing import Any

from graphql import InlineFragmentNode, Visitor, parse, print_ast, visit
from graphql.language import SelectionSetNode

__all__ = ["deferring", "put"]


def deferring(source: str, random: Random) -> str:
    """The same operation with some of what it selects in deferred fragments, some of it twice."""
    return print_ast(visit(parse(source), _Deferring(random)))


class _Deferring(Visitor):
    """Wraps selections, innermost first."""

    def __init__(self, random: Random) -> None:
        super().__init__()
        self.random = random
        self.labels = 0

    def leave_selection_set(self, node: SelectionSetNode, *_: Any) -> SelectionSetNode | None:
        if self.random.random() < 0.6:
            return None
        chosen = [one for one in node.selections if self.random.random() < 0.6]
        if not chosen:
            return None
        self.labels += 1
        kept = [one for one in node.selections if one not in chosen or self.random.random() < 0.2]
        (fragment,) = parse(f'{{ ... @defer(label: "l{self.labels}") {{ a }} }}').definitions
        inline = fragment.selection_set.selections[0]  # type: ignore[attr-defined]
        deferred = InlineFragmentNode(
            directives=inline.directives,
            selection_set=SelectionSetNode(selections=tuple(chosen)),
        )
        return SelectionSetNode(selections=(*kept, deferred))


def _merge(data: Any, patch: Any) -> Any:
    """What a client makes of two answers about the same place."""
    if isinstance(data, dict) and isinstance(patch, dict):
        return {**data, **{key: _merge(data.get(key), value) for key, value in patch.items()}}
    if isinstance(data, list) and isinstance(patch, list):
        return [_merge(mine, theirs) for mine, theirs in zip(data, patch, strict=True)]
    assert data is None or data == patch
    return patch


def put(data: Any, path: list[Any], patch: Any) -> Any:
    """The response after a patch."""
    if not path:
        return _merge(data, patch)
    copy = data.copy()
    copy[path[0]] = put(data[path[0]], path[1:], patch)
    return copy
