"""From the response so far to the representations of an `_entities` call.

The selections a plan requires are compiled to one generated function per
runtime type.  It goes over the objects of that type, reads their leaves, and
builds a representation only if no equal one exists yet.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gateway.federation.execution.positions import Position, type_name_of
from gateway.federation.plan import AT, Entities, Gate, RequireField, RequireFragment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from gateway.federation.execution.positions import PossibleTypes
    from gateway.federation.plan import RequireSelection, ValueSetter

    Objects = list[dict[str, Any]]
    # Takes objects of one type, the index of each canonical key, and what is to be
    # added to: the representations, their index per object, the objects that have one.
    Builder = Callable[[Objects, dict[Any, int], Objects, list[int], Objects], None]

__all__ = ["Batch", "EntityBuilder", "compile_entities"]

_ABSENT = object()


@dataclass(slots=True)
class Batch:
    """The representations of one `_entities` call, and whom its results belong to.

    ``indexes[p][n]`` is the representation of ``objects[p][n]``, for every position `p`.
    """

    values: list[dict[str, Any]]
    indexes: list[list[int]]
    objects: list[list[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class EntityBuilder:
    """One compiled `Entities` of a fetch."""

    entities: Entities
    positions: tuple[Position, ...]
    builders: Mapping[str | None, Builder]

    def build(self, data: dict[str, Any]) -> Batch:
        """Return the distinct representations of all objects at the positions."""
        values: list[dict[str, Any]] = []
        known: dict[Any, int] = {}
        batch = Batch(values, [], [])
        for position in self.positions:
            indexes: list[int] = []
            kept: list[dict[str, Any]] = []
            for type_name, objects in _by_type(position.objects(data)).items():
                builder = self.builders.get(type_name)
                if builder is not None:
                    builder(objects, known, values, indexes, kept)
            batch.indexes.append(indexes)
            batch.objects.append(kept)
        return batch


def _by_type(objects: list[dict[str, Any]]) -> dict[str | None, list[dict[str, Any]]]:
    """Group objects by their type, in order."""
    names = [type_name_of(one) for one in objects]
    if names and names.count(names[0]) == len(names):
        return {names[0]: objects}
    groups: dict[str | None, list[dict[str, Any]]] = {}
    for name, one in zip(names, objects, strict=True):
        groups.setdefault(name, []).append(one)
    return groups


def compile_entities(entities: Entities, possible_types: PossibleTypes) -> EntityBuilder:
    """Return the builder of one `_entities` call; `possible_types` are the supergraph's."""
    fields_of = _fields_by_type(entities.requires, possible_types)
    setters = entities.input_rewrites
    builders: dict[str | None, Builder] = {
        name: _compile_builder(name, fields, setters, possible_types)
        for name, fields in fields_of.items()
    }
    conditions = {one.on for one in entities.requires if isinstance(one, RequireFragment)}
    gated = any(isinstance(step, Gate) for path in entities.paths for step in path)
    if len(conditions) == 1 and len(fields_of) == 1 and not gated:
        # Only one type can be here, so an object need not say that it is of it.
        builders[None] = next(iter(builders.values()))
    positions = tuple(Position(path, possible_types) for path in entities.paths)
    return EntityBuilder(entities, positions, builders)


def _fields_by_type(
    requires: Sequence[RequireSelection], possible_types: PossibleTypes
) -> dict[str, tuple[RequireField, ...]]:
    """Return, for each type name an object may carry, the fields its representation has."""
    found: dict[str, dict[str, RequireField]] = {}
    for fragment in requires:
        # An entity's requirements are always stated per type.
        assert isinstance(fragment, RequireFragment)
        for name in (fragment.on, *sorted(possible_types(fragment.on))):
            known = found.setdefault(name, {})
            for one in _flatten(fragment.selections, name, possible_types):
                if one.name != "__typename":
                    known.setdefault(one.key, one)
    return {name: tuple(fields.values()) for name, fields in found.items()}


def _flatten(
    selections: Iterable[RequireSelection], type_name: str | None, possible_types: PossibleTypes
) -> Iterable[RequireField]:
    """Yield the fields that apply to an object of the type."""
    for one in selections:
        if isinstance(one, RequireField):
            yield one
        elif type_name == one.on or type_name in possible_types(one.on):
            yield from _flatten(one.selections, type_name, possible_types)


def _compile_builder(
    type_name: str,
    fields: Sequence[RequireField],
    setters: Sequence[ValueSetter],
    possible_types: PossibleTypes,
) -> Builder:
    """Generate the builder of one type.

    Only names from the schema and response keys get into the source, always as
    literals made by `repr`.
    """
    sent_as, nested_setters = _sent_type(type_name, setters, possible_types)
    scope: dict[str, Any] = {
        "ABSENT": _ABSENT,
        "Incomplete": _Incomplete,
        "freeze": _freeze,
        "is_nothing": _is_nothing,
    }
    lines = [
        "def build(objects, known, values, indexes, kept):",
        " for one in objects:",
        "  get = one.get",
    ]
    parts, optional, nullable = [repr(sent_as)], [], []
    for number, field in enumerate(fields):
        local = f"v{number}"
        if field.is_key and not field.may_be_null:
            lines += [f"  {local} = get({field.name!r})", f"  if {local} is None: continue"]
        elif field.is_key:
            lines += [
                f"  {local} = get({field.name!r}, ABSENT)",
                f"  if {local} is ABSENT: continue",
            ]
            nullable.append(local)
        else:
            lines += [f"  {local} = get({field.name!r}, ABSENT)"]
            optional.append((local, field.key))
        if field.selections:
            scope[f"copy{number}"] = _NestedCopy(field, possible_types)
            lines += [
                "  try:",
                f"   {local} = copy{number}({local})",
                "  except Incomplete: continue",
            ]
            parts.append(f"freeze({local})")
        else:
            # What a custom scalar tells apart is equal in Python: 1, 1.0 and true.
            parts += [local, f"{local}.__class__"]
    if nullable and len(nullable) == sum(field.is_key for field in fields):
        lines.append(f"  if {' and '.join(f'is_nothing({local})' for local in nullable)}: continue")
    elif fields and len(optional) == len(fields):
        nothing = " and ".join(f"({local} is None or {local} is ABSENT)" for local, _ in optional)
        lines.append(f"  if {nothing}: continue")
    entries = [f'"__typename": {sent_as!r}']
    entries += [f"{field.key!r}: v{number}" for number, field in enumerate(fields) if field.is_key]
    lines += [
        f"  key = ({', '.join(parts)},)",
        "  try: index = known.get(key)",
        "  except TypeError:",
        "   key = freeze(key)",
        "   index = known.get(key)",
        "  if index is None:",
        "   index = known[key] = len(values)",
        f"   value = {{{', '.join(entries)}}}",
    ]
    lines += [f"   if {local} is not ABSENT: value[{key!r}] = {local}" for local, key in optional]
    if nested_setters:
        scope["setters"] = [(setter.path, setter.value) for setter in nested_setters]
        scope["set_value"] = _set_value
        lines.append("   for path, new in setters: set_value(value, path, new)")
    lines += ["   values.append(value)", "  indexes.append(index)", "  kept.append(one)"]
    exec(compile("\n".join(lines), f"<representation of {type_name}>", "exec"), scope)  # noqa: S102
    # Left there it would refer to itself, and only the collector would free it.
    builder: Builder = scope.pop("build")
    return builder


def _sent_type(
    type_name: str, setters: Sequence[ValueSetter], possible_types: PossibleTypes
) -> tuple[str, list[ValueSetter]]:
    """Return the `__typename` a representation is sent with, and the rewrites that remain."""
    sent_as, rest = type_name, []
    for setter in setters:
        *gates, last = setter.path
        if last != "__typename" or not all(isinstance(step, Gate) for step in gates):
            rest.append(setter)
        elif all(_admits(gate, type_name, possible_types) for gate in gates):
            sent_as = setter.value
    return sent_as, rest


def _admits(gate: Any, type_name: str, possible_types: PossibleTypes) -> bool:
    return any(type_name == name or type_name in possible_types(name) for name in gate.types)


class _Incomplete(Exception):
    """A part of the key is not there, so nothing can be asked about the entity."""


class _NestedCopy:
    """Copies what a nested requirement selects out of an object or a list of them."""

    __slots__ = ("_field", "_possible_types")

    def __init__(self, field: RequireField, possible_types: PossibleTypes) -> None:
        self._field = field
        self._possible_types = possible_types

    def __call__(self, value: Any) -> Any:
        return self._copy(value, self._field)

    def _copy(self, value: Any, field: RequireField) -> Any:
        if not field.selections:
            return value
        if type(value) is list:
            return [self._copy(inner, field) for inner in value]
        if type(value) is not dict:
            return value
        type_name = type_name_of(value)
        copy: dict[str, Any] = {}
        for one in _flatten(field.selections, type_name, self._possible_types):
            inner = value.get(one.name, _ABSENT)
            if inner is _ABSENT or (inner is None and one.is_key and not one.may_be_null):
                if one.is_key:
                    raise _Incomplete
                continue
            copy[one.key] = self._copy(inner, one)
        return copy


def _is_nothing(value: Any) -> bool:
    """Return whether a part of a key identifies nothing: it is null, or all in it is."""
    if type(value) is dict:
        return all(_is_nothing(inner) for key, inner in value.items() if key != "__typename")
    return value is None


def _freeze(value: Any) -> Any:
    """Return a hashable value, equal exactly for equal representations."""
    if type(value) is dict:
        return (dict, *((key, _freeze(inner)) for key, inner in sorted(value.items())))
    if type(value) is list or type(value) is tuple:
        return (list, *map(_freeze, value))
    return value if type(value) is str else (type(value), value)


def _set_value(value: Any, path: Sequence[Any], new: str) -> None:
    """Set what a path leads to, within one representation, wherever its gates let through."""
    if type(value) is list:
        for inner in value:
            _set_value(inner, path, new)
        return
    if type(value) is not dict:
        return
    step, *rest = path
    if isinstance(step, Gate):
        if type_name_of(value) in step.types:
            _set_value(value, rest, new)
    elif step == AT:
        _set_value(value, rest, new)
    elif rest:
        _set_value(value.get(step), rest, new)
    else:
        value[step] = new
