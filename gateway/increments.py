"""The parts of an answer with deferred fragments, as clients read them.

Two formats are in use.  ``deferSpec=20220824`` has a patch name its path and
label.  ``incrementalSpec=v0.2`` announces each patch under an id, and tells which
ids are completed; a fragment that became null is completed with errors only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gateway.masking import quotable
from shared.protocols.service import GraphQLResult

if TYPE_CHECKING:
    from gateway.federation.execution import Increment, Patch, Pending
    from shared.protocols.service import IncrementalFormat

__all__ = ["written"]


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
