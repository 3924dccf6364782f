"""Why is it null, where no error says so? Nulls that stand for what no subgraph answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gateway.federation.execution.positions import type_name_of
from gateway.federation.plan import RequireField

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway.federation.execution import ExecutablePlan
    from gateway.federation.execution.run import Call, Step
    from gateway.federation.plan import Fetch, RequireSelection

    Path = list[str | int]

__all__ = ["Unanswered", "why_unanswered"]

_ABSENT = object()


@dataclass(frozen=True, slots=True)
class Unanswered:
    """What a null stands for, where that began, and the fetch that it has to do with."""

    code: str
    message: str
    path: Path
    fetch: Fetch | None


def why_unanswered(
    executable: ExecutablePlan,
    data: dict[str, Any],
    answers: Mapping[int, Mapping[str, Any] | None],
    sources: Sequence[tuple[Step, Call | None]],
    path: Path,
) -> Unanswered | None:
    """Why a response has a null at a place; None if a subgraph answered null there.

    ``data`` is what all subgraphs answered together, and ``answers`` by the id of a
    fetch what each did.  ``sources`` are what brings something to the place: fetches,
    and their `_entities` calls.
    """
    objects, value = _follow(data, path)
    if value is None:
        return None
    if value is not _ABSENT:
        visible = executable.supergraph.api_schema.type_map
        if isinstance(value, dict) and type_name_of(value) in visible:
            return None
        fetch = sources[0][0].fetch if sources else None
        return Unanswered("INACCESSIBLE", "Clients may not see what was answered.", path, fetch)
    aliases = executable.plan.key_aliases
    for step, call in sources:
        if call is None:
            message = f"{step.fetch.subgraph} left it out of its answer."
            return Unanswered("NOT_ANSWERED", message, path, step.fetch)
        for depth, one in objects:
            found = _of_entity(step, call, data, one, answers)
            if found is not None:
                code, message, key = found
                below = [aliases.get(key, key)] if key else path[depth:]
                return Unanswered(code, message, [*path[:depth], *below], step.fetch)
    message = "No subgraph that could be asked here has it."
    return Unanswered("NOT_ASKED", message, path, None)


def _follow(data: Any, path: Path) -> tuple[list[tuple[int, dict[str, Any]]], Any]:
    """The objects on the way to a place, each with its depth, the last first; and what is there."""
    objects: list[tuple[int, dict[str, Any]]] = []
    for depth, step in enumerate(path):
        if isinstance(data, dict):
            objects.append((depth, data))
            data = data.get(step, _ABSENT)
        elif isinstance(data, list) and isinstance(step, int) and step < len(data):
            data = data[step]
        else:
            return objects[::-1], _ABSENT
    return objects[::-1], data


def _of_entity(
    step: Step,
    call: Call,
    data: dict[str, Any],
    one: dict[str, Any],
    answers: Mapping[int, Mapping[str, Any] | None],
) -> tuple[str, str, str | None] | None:
    """Why an entity lacks what a fetch should have brought; None if it was not about this one."""
    builder, subgraph = call.builder, step.fetch.subgraph
    if type_name_of(one) not in builder.builders:
        return None
    if not any(one is each for place in builder.positions for each in place.objects(data)):
        return None
    batch = builder.build(data)
    for indexes, objects in zip(batch.indexes, batch.objects, strict=True):
        for index, each in zip(indexes, objects, strict=True):
            if each is one:
                results = (answers.get(step.fetch.id) or {}).get(builder.entities.alias) or []
                if index < len(results) and results[index] is not None:
                    return "NOT_ANSWERED", f"{subgraph} left it out of its answer.", None
                return "ENTITY_NOT_FOUND", f"{subgraph} knows no such entity.", None
    # What may be null is the reason only where all is.
    parts = sorted(_key_parts(builder.entities.requires), key=lambda part: part.may_be_null)
    missing = next((part.name for part in parts if one.get(part.name) is None), None)
    message = f"{subgraph} was not asked: part of the entity's key is null."
    return "KEY_IS_NULL", message, missing


def _key_parts(selections: Sequence[RequireSelection]) -> Iterator[RequireField]:
    for selection in selections:
        if not isinstance(selection, RequireField):
            yield from _key_parts(selection.selections)
        elif selection.is_key and selection.name != "__typename":
            yield selection
