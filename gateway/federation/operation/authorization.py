"""Who may ask for what: `@authenticated`, `@requiresScopes` and `@policy` of a supergraph.

`AuthorizationRules.of` reads the rules once for a supergraph.  `prune` takes what
a caller may not have out of an operation before it is planned, so no subgraph is
ever asked for it; `Refusals` makes the same fields null in the answer, which still
has the client's keys in the client's order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from gateway.federation.operation.selection import Field, Selection
from gateway.federation.supergraph.links import argument_values
from gateway.federation.supergraph.model import Kind, list_depth, named_type

if TYPE_CHECKING:
    from gateway.federation.operation.selection import Operation
    from gateway.federation.supergraph import Supergraph
    from gateway.federation.supergraph.model import FieldInfo, TypeInfo

__all__ = [
    "CODE",
    "NOTHING_UNMET",
    "Authorization",
    "AuthorizationRules",
    "OperationRefused",
    "Refusals",
    "Requirement",
    "Unmet",
]

CODE = "UNAUTHORIZED_FIELD_OR_TYPE"
_MESSAGE = "Unauthorized field or type."
_TYPENAME = Field("__typename", "__typename")

Coordinate = tuple[str, str]
Keys = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Authorization:
    """What a caller has; a policy nobody decided on is not among ``policies``."""

    authenticated: bool = False
    scopes: frozenset[str] = frozenset()
    policies: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Requirement:
    """One directive: a caller needs everything of at least one of ``groups``."""

    directive: str
    groups: tuple[frozenset[str], ...] = ()

    def met_by(self, caller: Authorization) -> bool:
        """Whether the caller has what this asks for."""
        if self.directive == "authenticated":
            return caller.authenticated
        has = caller.scopes if self.directive == "requiresScopes" else caller.policies
        return any(group <= has for group in self.groups)


class OperationRefused(Exception):
    """An operation that is refused as a whole, with an error for each field that was the reason."""

    def __init__(self, errors: Sequence[dict[str, Any]]) -> None:
        super().__init__(_MESSAGE)
        self.errors = tuple(errors)


Unmet = frozenset[Requirement]
"""The requirements of a supergraph that a caller does not meet: all that a plan depends on."""

NOTHING_UNMET: Unmet = frozenset()
_LISTS = {"requiresScopes": "scopes", "policy": "policies"}


@dataclass(frozen=True, slots=True)
class AuthorizationRules:
    """The requirements on every type and field.

    Those on a field include what its type asks for, and what the fields ask for
    that its `@requires` reads, however many steps away.
    """

    supergraph: Supergraph
    types: Mapping[str, Unmet]
    fields: Mapping[Coordinate, Unmet]
    requirements: Unmet

    @classmethod
    def of(cls, supergraph: Supergraph) -> AuthorizationRules | None:
        """The rules of a supergraph, or None if it has none."""
        key = "authorization rules"
        if key not in supergraph.derived:
            supergraph.derived[key] = _Reader(supergraph).rules()
        rules = supergraph.derived[key]
        assert rules is None or isinstance(rules, cls)
        return rules

    def unmet(self, caller: Authorization) -> Unmet:
        """The requirements this caller does not meet."""
        return frozenset(one for one in self.requirements if not one.met_by(caller))

    def prune(self, operation: Operation, unmet: Unmet) -> tuple[Operation, Refusals | None]:
        """What is left of an operation, and what was refused (None if nothing was).

        A field with nothing left below it is refused as well, so an operation of
        refused fields only has no selections left.
        """
        pruner = _Pruner(self, unmet)
        kept, mask = pruner.selections(operation.selections, operation.root_type)
        if not mask:
            return operation, None
        return replace(operation, selections=kept), Refusals(mask)


@dataclass(slots=True)
class _Reader:
    """Reads the directives of a supergraph and follows what `@requires` reads."""

    supergraph: Supergraph
    directives: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for feature in self.supergraph.features:
            if feature.spec in ("authenticated", "requiresScopes", "policy"):
                self.directives[feature.directive(feature.spec)] = feature.spec

    def rules(self) -> AuthorizationRules | None:
        """The rules, or None if nothing asks for anything."""
        if not self.directives:
            return None
        types = {
            name: self._of(self.supergraph.schema.type_map[name]) for name in self.supergraph.types
        }
        own = dict(self._own_rules(types))
        fields = {coordinate: self._closed(coordinate, own, types) for coordinate in own}
        requirements = frozenset().union(*types.values(), *fields.values())
        if not requirements:
            return None
        return AuthorizationRules(self.supergraph, types, fields, requirements)

    def _of(self, element: Any) -> Unmet:
        """What the directives on one type or field ask for."""
        node = element.ast_node
        found = set()
        for directive in (node.directives if node else None) or ():
            spec = self.directives.get(directive.name.value)
            if spec == "authenticated":
                found.add(Requirement(spec))
            elif spec is not None:
                groups = argument_values(directive).get(_LISTS[spec])
                found.add(Requirement(spec, _groups(groups)))
        return frozenset(found)

    def _own_rules(self, types: Mapping[str, Unmet]) -> Iterator[tuple[Coordinate, Unmet]]:
        for type_ in self.supergraph.types.values():
            full: Any = self.supergraph.schema.type_map[type_.name]
            for name, info in type_.fields.items():
                rules = self._of(full.fields[name]) | types.get(named_type(info.type), frozenset())
                for interface in self._origins(type_, info):
                    above: Any = self.supergraph.schema.type_map[interface]
                    rules |= self._of(above.fields[name])
                yield (type_.name, name), rules

    def _origins(self, type_: TypeInfo, info: FieldInfo) -> Iterator[str]:
        """The interfaces that this field really is a field of, by `@interfaceObject`."""
        if type_.kind is Kind.OBJECT and info.joins is not None and not info.joins:
            full: Any = self.supergraph.schema.type_map[type_.name]
            for interface in full.interfaces:
                known = self.supergraph.types.get(interface.name)
                if known and known.interface_object_in and info.name in known.fields:
                    yield interface.name

    def _closed(
        self, start: Coordinate, own: Mapping[Coordinate, Unmet], types: Mapping[str, Unmet]
    ) -> Unmet:
        """The rules of a field and of everything it is computed from."""
        found: set[Requirement] = set()
        seen = {start}
        waiting = [start]
        while waiting:
            coordinate = waiting.pop()
            found |= own.get(coordinate, frozenset())
            for one in self._read_by(coordinate):
                found |= types.get(one[0], frozenset())
                if one not in seen:
                    seen.add(one)
                    waiting.append(one)
        return frozenset(found)

    def _read_by(self, coordinate: Coordinate) -> Iterator[Coordinate]:
        """The fields that the `@requires` of a field name, whichever subgraph resolves it."""
        type_ = self.supergraph.types[coordinate[0]]
        info = type_.fields[coordinate[1]]
        above = [self.supergraph.types[name] for name in self._origins(type_, info)]
        for one in (info, *(interface.fields[info.name] for interface in above)):
            for join in (one.joins or {}).values():
                yield from self._coordinates(join.requires, type_.name)

    def _coordinates(self, selections: Sequence[Selection], type_: str) -> Iterator[Coordinate]:
        for one in selections:
            if not isinstance(one, Field):
                yield from self._coordinates(one.selections, one.on)
                continue
            # Only their union counts, so the order of a set does no harm.
            for name in {type_, *self.supergraph.possible_types(type_)}:
                known = self.supergraph.types.get(name)
                if known and one.name in known.fields:
                    yield name, one.name
                    inner = named_type(known.fields[one.name].type)
                    yield from self._coordinates(one.selections, inner)


def _groups(value: Any) -> tuple[frozenset[str], ...]:
    """The sets of a list of lists; what is written without brackets is a list of itself."""
    groups = value if isinstance(value, list) else [] if value is None else [value]
    return tuple(
        frozenset(map(str, group if isinstance(group, list) else [group])) for group in groups
    )


@dataclass(frozen=True, slots=True)
class _Cut:
    """A refused field of the objects of these types; ``errors`` are paths from the object."""

    on: frozenset[str] | None
    key: str
    errors: tuple[Keys, ...]


@dataclass(frozen=True, slots=True)
class _Below:
    """A field that stays, with something refused in its value."""

    on: frozenset[str] | None
    key: str
    mask: _Mask


@dataclass(frozen=True, slots=True)
class _Mask:
    """What is refused of an object; one of a type in ``hidden`` is refused as a whole."""

    cuts: tuple[_Cut, ...] = ()
    below: tuple[_Below, ...] = ()
    hidden: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.cuts or self.below or self.hidden)


@dataclass(slots=True)
class _Pruner:
    """Takes what is refused out of selections, and notes where it was."""

    rules: AuthorizationRules
    unmet: Unmet

    def selections(
        self, selections: Sequence[Selection], type_: str
    ) -> tuple[tuple[Selection, ...], _Mask]:
        """What is left of the selections on a value, which is empty if nothing is."""
        possible = self.rules.supergraph.possible_types(type_)
        cuts: list[_Cut] = []
        below: list[_Below] = []
        kept = self._scope(selections, type_, possible, None, cuts, below)
        abstract = self.rules.supergraph.types[type_].kind is not Kind.OBJECT
        refused = (one for one in possible if self._refuses_type(one))
        hidden = frozenset(refused) if abstract else frozenset()
        mask = _Mask(tuple(cuts), tuple(below), hidden)
        # The answer still has the client's type conditions, even where all below them is gone.
        if mask and kept and abstract and _TYPENAME not in kept:
            kept = (*kept, _TYPENAME)
        return kept, mask

    def _scope(
        self,
        selections: Sequence[Selection],
        type_: str,
        possible: frozenset[str],
        on: frozenset[str] | None,
        cuts: list[_Cut],
        below: list[_Below],
    ) -> tuple[Selection, ...]:
        """What is left of selections that apply to objects of the ``possible`` types."""
        kept: list[Selection] = []
        for one in selections:
            if isinstance(one, Field):
                field_ = self._field(one, type_, possible, on, cuts, below)
                if field_ is not None:
                    kept.append(field_)
                continue
            narrowed = possible & self.rules.supergraph.possible_types(one.on)
            inner = self._scope(one.selections, one.on, narrowed, narrowed, cuts, below)
            if inner:
                kept.append(replace(one, selections=inner))
        return tuple(kept)

    def _field(
        self,
        one: Field,
        type_: str,
        possible: frozenset[str],
        on: frozenset[str] | None,
        cuts: list[_Cut],
        below: list[_Below],
    ) -> Field | None:
        if one.name.startswith("__"):
            return one
        if self._refuses(one.name, type_, possible):
            cuts.append(_Cut(on, one.key, ((one.key,),)))
            return None
        if not one.selections:
            return one
        declared = self.rules.supergraph.types[type_].fields[one.name].type
        kept, mask = self.selections(one.selections, named_type(declared))
        if not kept:
            cuts.append(_Cut(on, one.key, _errors(one.key, mask, list_depth(declared) > 0)))
            return None
        if mask:
            below.append(_Below(on, one.key, mask))
        return replace(one, selections=kept) if kept != one.selections else one

    def _refuses(self, name: str, type_: str, possible: frozenset[str]) -> bool:
        """Whether a field is refused on any of the objects it may be a field of."""
        fields, unmet = self.rules.fields, self.unmet
        return any(
            not unmet.isdisjoint(fields.get((one, name), NOTHING_UNMET)) or self._refuses_type(one)
            for one in (type_, *possible)
        )

    def _refuses_type(self, type_: str) -> bool:
        return not self.unmet.isdisjoint(self.rules.types.get(type_, NOTHING_UNMET))


def _errors(key: str, mask: _Mask, is_list: bool) -> tuple[Keys, ...]:
    """Where to report a field that has nothing left: at what was refused below it.

    Its elements are never fetched, so no path can lead through a list of them.
    """
    below = dict.fromkeys(path for cut in mask.cuts for path in cut.errors)
    if is_list or not below:
        return ((key,),)
    return tuple((key, *path) for path in below)


@dataclass(frozen=True, slots=True)
class Refusals:
    """What one operation asked for and its caller may not have."""

    _mask: _Mask

    @property
    def errors(self) -> list[dict[str, Any]]:
        """An error for each field that was refused by name, wherever it may come to be."""
        return [_error(keys) for keys in dict.fromkeys(_named(self._mask, ()))]

    def apply(self, data: Mapping[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """The data without what is refused, and an error for each refused place in it.

        Keys may be there because the engine itself read them, so they are taken
        out; nothing is written into the given data.
        """
        errors: list[dict[str, Any]] = []
        masked: dict[str, Any] = _masked(data, self._mask, [], errors)
        return masked, errors


def _named(mask: _Mask, path: Keys) -> Iterator[Keys]:
    for cut in mask.cuts:
        yield from ((*path, *keys) for keys in cut.errors)
    for below in mask.below:
        yield from _named(below.mask, (*path, below.key))


def _masked(value: Any, mask: _Mask, path: list[str | int], errors: list[dict[str, Any]]) -> Any:
    if isinstance(value, list):
        return [_masked(one, mask, [*path, index], errors) for index, one in enumerate(value)]
    if not isinstance(value, dict):
        return value
    given = value.get("__typename")
    type_name = given if isinstance(given, str) else None
    if type_name in mask.hidden:
        errors.append(_error(path))
        return None
    result = dict(value)
    told: set[Keys] = set()
    for below in mask.below:
        if below.key in result and _applies(below.on, type_name):
            inner = result[below.key]
            result[below.key] = _masked(inner, below.mask, [*path, below.key], errors)
    for cut in mask.cuts:
        if _applies(cut.on, type_name):
            result.pop(cut.key, None)
            errors.extend(_error([*path, *keys]) for keys in cut.errors if keys not in told)
            told.update(cut.errors)
    return result


def _applies(on: frozenset[str] | None, type_name: str | None) -> bool:
    return on is None or type_name is None or type_name in on


def _error(path: Sequence[str | int]) -> dict[str, Any]:
    return {"message": _MESSAGE, "path": list(path), "extensions": {"code": CODE}}
