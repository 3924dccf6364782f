"""What `@cost` and `@listSize` say of a supergraph's types, fields and arguments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import TYPE_CHECKING, Any

from graphql import (
    GraphQLInputType,
    Undefined,
    get_named_type,
    is_abstract_type,
    is_composite_type,
    is_input_object_type,
    is_interface_type,
    is_list_type,
    is_non_null_type,
)

from gateway.federation.operation.selection import Field
from gateway.federation.supergraph.fieldset import parse_field_set
from gateway.federation.supergraph.links import argument_values
from gateway.federation.supergraph.model import list_depth, named_type, type_in

if TYPE_CHECKING:
    from graphql import GraphQLArgument, GraphQLField, GraphQLInputField

    from gateway.federation.cost.formula import Number
    from gateway.federation.operation.selection import Selection
    from gateway.federation.supergraph import Supergraph

__all__ = ["MUTATION", "FieldInfo", "ListSize", "Weights"]

MUTATION = 10
"""What a fetch that changes something costs beside its fields."""

FieldPath = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ListSize:
    """One `@listSize`; ``sized`` are the paths of the lists it is about, by field names.

    Without any it is about the field's own list.
    """

    assumed: int | None
    slicing: tuple[FieldPath, ...]
    sized: tuple[FieldPath, ...]
    exactly_one: bool


@dataclass(frozen=True, slots=True)
class FieldInfo:
    """What one field of a type costs; on an interface the most that any implementer's may.

    ``weight`` is that of each object or leaf.  ``by_type`` has the weights of
    the objects it can be where that depends on their type.
    """

    name: str
    weight: Number
    by_type: Mapping[str, Number]
    list_depth: int
    type_name: str
    is_leaf: bool
    sizes: tuple[ListSize, ...]
    arguments: Mapping[str, GraphQLArgument]


@dataclass(slots=True)
class Weights:
    """The weights of one supergraph; ``list_size`` is that of lists nothing is said about."""

    supergraph: Supergraph
    list_size: int = 10
    _cost: frozenset[str] = field(init=False)
    _list_size: frozenset[str] = field(init=False)
    _fields: dict[tuple[str, str, str], FieldInfo] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        specs = [one for one in self.supergraph.features if one.spec == "cost"]
        self._cost = frozenset(one.directive("cost") for one in specs)
        self._list_size = frozenset(one.directive("listSize") for one in specs)

    def of_type(self, name: str) -> Number:
        """The weight of an object or a leaf; of an abstract type the most it may be."""
        type_ = self.supergraph.schema.type_map[name]
        if is_abstract_type(type_):
            return max((self.of_type(one) for one in self._possible(name)), default=1)
        own = self._weight(type_)
        if own is not None:
            return own
        return 1 if is_composite_type(type_) else 0

    def field(self, type_name: str, name: str, *, subgraph: str) -> FieldInfo:
        """What a field costs; a subgraph may know its type more exactly."""
        key = (type_name, name, subgraph)
        found = self._fields.get(key)
        if found is None:
            found = self._fields[key] = self._field(*key)
        return found

    def _field(self, type_name: str, name: str, subgraph: str) -> FieldInfo:
        type_ = type_in(self.supergraph.types[type_name].fields[name], subgraph)
        named = self.supergraph.schema.type_map[named_type(type_)]
        declared = list(self._declared(type_name, name))
        weights = [weight for one in declared if (weight := self._weight(one)) is not None]
        by_type: dict[str, Number] = {}
        if not weights and is_abstract_type(named):
            by_type = {one: self.of_type(one) for one in self._possible(named.name)}
        sizes = (size for one in declared for size in self._sizes(one))
        return FieldInfo(
            name=f"{type_name}.{name}",
            weight=max(weights) if weights else self.of_type(named.name),
            by_type=by_type if len(set(by_type.values())) > 1 else {},
            list_depth=list_depth(type_),
            type_name=named.name,
            is_leaf=not is_composite_type(named),
            sizes=tuple(dict.fromkeys(sizes)),
            arguments=declared[0].args,
        )

    def _declared(self, type_name: str, name: str) -> Iterator[GraphQLField]:
        """The field of the type, and of all objects that an interface stands for."""
        schema = self.supergraph.schema
        type_: Any = schema.type_map[type_name]
        yield type_.fields[name]
        if is_interface_type(type_):
            for one in schema.get_possible_types(type_):
                yield one.fields[name]

    def _possible(self, name: str) -> frozenset[str]:
        return self.supergraph.possible_types(name)

    def _weight(self, element: Any) -> Number | None:
        for values in self._applied(element, self._cost):
            return _number(values.get("weight"))
        return None

    def _sizes(self, element: GraphQLField) -> Iterator[ListSize]:
        for values in self._applied(element, self._list_size):
            assumed = values.get("assumedSize")
            yield ListSize(
                assumed=max(0, assumed) if isinstance(assumed, int) else None,
                slicing=tuple(tuple(one.split(".")) for one in _texts(values, "slicingArguments")),
                sized=tuple(
                    path for one in _texts(values, "sizedFields") for path in _field_paths(one)
                ),
                exactly_one=values.get("requireOneSlicingArgument") is not False,
            )

    @staticmethod
    def _applied(element: Any, names: frozenset[str]) -> Iterator[dict[str, Any]]:
        node = element.ast_node
        for directive in (node.directives if node else None) or ():
            if directive.name.value in names:
                yield argument_values(directive)

    def of_argument(self, argument: GraphQLArgument | GraphQLInputField, value: object) -> Number:
        """What a value costs as an argument, or as a field of an input object.

        A weight of the argument itself counts once, however much the value
        lists, in place of the default of its type.
        """
        return self._of_value(argument.type, self._weight(argument), value)

    def _of_value(self, type_: GraphQLInputType, own: Number | None, value: Any) -> Number:
        if value is None or value is Undefined:
            return 0
        if is_non_null_type(type_):
            return self._of_value(type_.of_type, own, value)
        if is_list_type(type_):
            items = value if isinstance(value, list) else [value]
            each = None if own is None else 0
            return (own or 0) + sum(self._of_value(type_.of_type, each, one) for one in items)
        if not is_input_object_type(type_):
            return self.of_type(get_named_type(type_).name) if own is None else own
        given = value if isinstance(value, dict) else {}
        inner = (
            self.of_argument(one, given[name])
            for name, one in type_.fields.items()
            if name in given
        )
        return (1 if own is None else own) + sum(inner)

    def of_any_argument(self, argument: GraphQLArgument) -> Number | None:
        """What every value of an argument costs; None if it depends on the value."""
        return self._of_any(argument.type, self._weight(argument))

    def _of_any(self, type_: GraphQLInputType, own: Number | None) -> Number | None:
        if is_non_null_type(type_):
            return self._of_any_not_null(type_.of_type, own)
        # A null costs nothing.
        return 0 if self._of_any_not_null(type_, own) == 0 else None

    def _of_any_not_null(self, type_: GraphQLInputType, own: Number | None) -> Number | None:
        if is_list_type(type_):
            each = self._of_any(type_.of_type, None if own is None else 0)
            return (own or 0) if each == 0 else None
        if not is_input_object_type(type_):
            return self.of_type(get_named_type(type_).name) if own is None else own
        if any(self._may_cost(one) for one in type_.fields.values()):
            return None
        return 1 if own is None else own

    def _may_cost(self, field: GraphQLInputField) -> bool:
        # Input objects may hold each other, so one in another is not looked into.
        if is_input_object_type(get_named_type(field.type)):
            return True
        return self._of_any(field.type, self._weight(field)) != 0


def _number(value: object) -> Number | None:
    """A weight: IBM's specification writes numbers as text, federation's whole numbers."""
    try:
        number = float(str(value))
    except ValueError:
        return None
    if not isfinite(number):
        return None
    return int(number) if number.is_integer() else number


def _texts(values: Mapping[str, Any], name: str) -> list[str]:
    given = values.get(name)
    return [str(one) for one in given] if isinstance(given, list) else []


def _field_paths(text: str) -> Iterator[FieldPath]:
    """The paths in ``edges``, ``results.page`` or ``results { page }``."""
    if "{" not in text:
        yield tuple(text.strip().split("."))
        return
    yield from _leaves(parse_field_set(text), ())


def _leaves(selections: Sequence[Selection], above: FieldPath) -> Iterator[FieldPath]:
    for one in selections:
        path = (*above, one.name) if isinstance(one, Field) else above
        if one.selections:
            yield from _leaves(one.selections, path)
        else:
            yield path
