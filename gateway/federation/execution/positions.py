"""Where a fetch applies: the objects a plan's path leads to in the response data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gateway.federation.plan import AT, Gate

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from gateway.federation.plan import Path

    PossibleTypes = Callable[[str], Collection[str]]
    ResponsePath = list[str | int]

__all__ = ["Position", "keys_of", "steps_of", "type_name_of"]


def keys_of(path: Path) -> tuple[str, ...]:
    """Return the response keys of a path, without its list steps and its gates."""
    return tuple(step for step in path if isinstance(step, str) and step != AT)


def type_name_of(one: Mapping[str, Any]) -> str | None:
    """Return what an object says its type is; a subgraph may say anything, so only if a name."""
    name = one.get("__typename")
    return name if type(name) is str else None


class Position:
    """A path, ready to be walked.

    Lists are entered wherever the data has them, so the path's own list steps
    say nothing new: a subgraph may nest lists deeper than a plan knows.
    """

    __slots__ = ("_steps", "keys", "path")

    def __init__(self, path: Path, possible_types: PossibleTypes) -> None:
        self.path = path
        self.keys = keys_of(path)
        self._steps = steps_of(path, possible_types)

    def objects(self, data: dict[str, Any]) -> list[dict[str, Any]]:
        """Return every object at this position, in the order of the response."""
        found = [data]
        for step in self._steps:
            if isinstance(step, str):
                found = _descend(found, step)
            else:
                found = [one for one in found if type_name_of(one) in step]
        return found

    def located(self, data: dict[str, Any]) -> Iterator[tuple[ResponsePath, dict[str, Any]]]:
        """Yield the same objects, each with its response path: for errors, so it may be slow."""
        return _locate(data, self._steps, 0, [])

    def prefix(self) -> ResponsePath:
        """Return the path up to the first list: what can be said without an index."""
        known: ResponsePath = []
        for step in self.path:
            if step == AT:
                break
            if isinstance(step, str):
                known.append(step)
        return known


def steps_of(path: Path, possible_types: PossibleTypes) -> list[str | frozenset[str]]:
    """Return the keys of a path, and between them the type names that its gates let pass."""
    return [
        _admitted(step, possible_types) if isinstance(step, Gate) else step
        for step in path
        if step != AT
    ]


def _admitted(gate: Gate, possible_types: PossibleTypes) -> frozenset[str]:
    """Return the type names a gate lets pass, an interface's own (`@interfaceObject`) too."""
    return gate.types.union(*(possible_types(name) for name in gate.types))


def _descend(objects: Sequence[dict[str, Any]], key: str) -> list[dict[str, Any]]:
    found: list[Any] = [value for one in objects if (value := one.get(key)) is not None]
    while True:
        # Looking at the set of types keeps the usual case, all objects, at C speed.
        kinds = set(map(type, found))
        if not kinds or kinds == {dict}:
            return found
        if list not in kinds:
            return [value for value in found if type(value) is dict]
        found = [
            inner
            for value in found
            for inner in (value if type(value) is list else (value,))
            if inner is not None
        ]


def _locate(
    value: Any, steps: Sequence[str | frozenset[str]], index: int, path: ResponsePath
) -> Iterator[tuple[ResponsePath, dict[str, Any]]]:
    if type(value) is list:
        for position, inner in enumerate(value):
            yield from _locate(inner, steps, index, [*path, position])
    elif type(value) is dict:
        if index == len(steps):
            yield path, value
            return
        step = steps[index]
        if isinstance(step, str):
            yield from _locate(value.get(step), steps, index + 1, [*path, step])
        elif type_name_of(value) in step:
            yield from _locate(value, steps, index + 1, path)
