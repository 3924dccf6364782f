"""The parts of an answer with deferred fragments, as clients read them.

Two formats are in use.  ``deferSpec=20220824`` has a patch name its path and
label.  ``incrementalSpec=v0.2`` announces each patch under an id, and tells which
ids are completed; a fragment that became null is completed with errors only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gateway.masking import quotable
from shared.protocols.service import GraphQLResult

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gateway.federation.execution import Increment, Patch, Pending
    from shared.protocols.service import IncrementalFormat

__all__ = ["Gathered", "written"]


def written(increment: Increment, written_in: IncrementalFormat) -> GraphQLResult:
    """One part of an answer in the format that the client asked for."""
    part: dict[str, Any] = {"hasNext": increment.has_next}
    announces = written_in == "incrementalspec=v0.2"
    if announces and increment.pending:
        part["pending"] = [_place(one) | {"id": one.id} for one in increment.pending]
    first = increment.response
    if first is not None:
        return GraphQLResult(first.data, quotable(first.errors), first.extensions, part=part)
    part.update(_completed(increment) if announces else _patched(increment))
    return GraphQLResult(part=part, follows=True)


def _place(pending: Pending) -> dict[str, Any]:
    label = {} if pending.label is None else {"label": pending.label}
    return {"path": pending.path, **label}


def _patched(increment: Increment) -> dict[str, Any]:
    return {
        "incremental": [
            {**_place(patch.of), "data": patch.data, **_errors(patch)}
            for patch in increment.patches
        ]
    }


def _completed(increment: Increment) -> dict[str, Any]:
    data = [
        {"id": patch.of.id, "data": patch.data, **_errors(patch)}
        for patch in increment.patches
        if patch.data is not None
    ]
    completed = [
        {"id": patch.of.id, **(_errors(patch) if patch.data is None else {})}
        for patch in increment.patches
    ]
    return {**({"incremental": data} if data else {}), "completed": completed}


def _errors(patch: Patch) -> dict[str, Any]:
    return {"errors": quotable(patch.errors)} if patch.errors else {}


@dataclass(slots=True)
class Gathered:
    """What a client has after some parts of an answer; nothing is written into them."""

    data: Any = None
    errors: list[Mapping[str, Any]] = field(default_factory=list)

    def add(self, increment: Increment) -> None:
        """Take in the next part."""
        if increment.response is not None:
            self.data = increment.response.data
            self.errors += increment.response.errors
        for patch in increment.patches:
            self.data = _put(self.data, patch.of.path, _shown(patch))
            self.errors += patch.errors


def _shown(patch: Patch) -> Mapping[str, Any]:
    """What a patch adds; of one that became null, the fields that made it so."""
    if patch.data is not None:
        return patch.data
    depth = len(patch.of.path)
    paths = (error.get("path", ()) for error in patch.errors)
    return {path[depth]: None for path in paths if len(path) > depth}


def _put(data: Any, path: Sequence[str | int], added: Any) -> Any:
    if path:
        step, *rest = path
        copy = data.copy()
        copy[step] = _put(data[step], rest, added)
        return copy
    if isinstance(data, dict):
        return {**data, **{key: _put(data.get(key), (), value) for key, value in added.items()}}
    if isinstance(data, list):
        return [_put(mine, (), theirs) for mine, theirs in zip(data, added, strict=True)]
    return added
