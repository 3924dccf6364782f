"""The cost of a plan: that of its fetches, so entity hops and what `@requires` reads count too.

An estimate is compiled once per plan; only what depends on variables is left to
be computed for a request.  Estimates are upper bounds where lists keep to the
lengths that were assumed of them: what is asked of entities is counted as often
as the lists they sit in allow, although an entity that comes twice is asked about once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from graphql import (
    FieldNode,
    InlineFragmentNode,
    ObjectValueNode,
    OperationDefinitionNode,
    OperationType,
    ValueNode,
    VariableNode,
    get_named_type,
    parse,
    value_from_ast_untyped,
    visit,
)
from graphql.language import Visitor

from gateway.federation.cost.formula import (
    MOST,
    Cost,
    Given,
    Input,
    Number,
    Size,
    add,
    evaluate,
    largest,
    length,
    not_negative,
    times,
)
from gateway.federation.cost.weights import MUTATION, FieldInfo, ListSize, Weights
from gateway.federation.execution.positions import keys_of

if TYPE_CHECKING:
    from graphql import GraphQLArgument, GraphQLInputField, SelectionSetNode

    from gateway.federation.plan import Entities, Fetch, Path, QueryPlan

__all__ = ["FetchCost", "PlanCost", "compile_cost"]

Types = frozenset[str]
Keys = tuple[str, ...]
Sized = tuple[tuple[Keys, Cost], ...]
"""Lists, by the field names that lead to them, and how long they are."""


@dataclass(frozen=True, slots=True)
class _Part:
    """One field of a fetch that costs something, or has something below it that does.

    ``on`` are the types whose objects have it; None says all that can be there.
    """

    key: str
    on: Types | None
    weight: Number
    by_type: Mapping[str, Number]
    size: Cost
    arguments: Cost
    below: tuple[_Part, ...]

    def estimate(self) -> Cost:
        """What it costs at most."""
        each = add(self.weight, _estimate(self.below))
        cost = add(times(self.size, each), self.arguments)
        # No field makes an operation cheaper than it would be without it.
        known = self.weight >= 0 and isinstance(self.arguments, int | float) and self.arguments >= 0
        return cost if known else not_negative(cost)

    def actual(self, value: object, variables: Mapping[str, Any]) -> Number:
        """What a value that was answered costs."""
        return max(0, self._of(value, variables) + evaluate(self.arguments, variables))

    def _of(self, value: object, variables: Mapping[str, Any]) -> Number:
        if value is None:
            return 0
        if type(value) is list:
            if not self.below and not self.by_type and list not in map(type, value):
                return self.weight * (len(value) - value.count(None))
            return sum(self._of(one, variables) for one in value)
        if type(value) is not dict:
            return self.weight
        weight = self.weight
        if self.by_type:
            weight = self.by_type.get(str(value.get("__typename")), weight)
        return weight + _actual(self.below, value, variables)


def _estimate(parts: Sequence[_Part]) -> Cost:
    """What the parts of one object cost at most, whichever of the possible types it has."""
    groups: dict[Types | None, list[Cost]] = {}
    for part in parts:
        groups.setdefault(part.on, []).append(part.estimate())
    always = add(*groups.pop(None, ()))
    costs = {on: add(*group) for on, group in groups.items() if on is not None}
    # Types that have the same parts need to be looked at once.
    together = {tuple(on for on in costs if name in on) for name in frozenset().union(*costs)}
    options = [add(*(costs[on] for on in shared)) for shared in together]
    return add(always, largest(*options)) if options else always


def _actual(parts: Sequence[_Part], one: Mapping[str, Any], variables: Mapping[str, Any]) -> Number:
    total: Number = 0
    name = one.get("__typename")
    for part in parts:
        if part.key not in one:
            continue
        if part.on is None or name is None or name in part.on:
            total += part.actual(one[part.key], variables)
    return total


@dataclass(frozen=True, slots=True)
class FetchCost:
    """What one fetch costs: ``estimate`` at most, `actual` once it was answered."""

    estimate: Cost
    _base: Number
    _parts: tuple[_Part, ...]

    def actual(self, data: Mapping[str, Any] | None, variables: Mapping[str, Any]) -> Number:
        """What an answer cost; ``variables`` are the client's."""
        return min(self._base + _actual(self._parts, data or {}, variables), MOST)


@dataclass(frozen=True, slots=True)
class _Sliced:
    """The slicing arguments of a field that must have exactly one of them."""

    name: str
    size: Size

    def fits(self, variables: Mapping[str, Any]) -> bool:
        return sum(value is not None for value in self.size.values(variables)) == 1


@dataclass(frozen=True, slots=True)
class PlanCost:
    """What a plan costs; numbers where no variable has a say."""

    total: Cost
    subgraphs: Mapping[str, Cost]
    fetches: Mapping[Fetch, FetchCost]
    _sliced: tuple[_Sliced, ...]

    def unsized(self, variables: Mapping[str, Any]) -> str | None:
        """A field without exactly one slicing argument where its `@listSize` asks for one."""
        for one in self._sliced:
            if not one.fits(variables):
                return one.name
        return None


def compile_cost(weights: Weights, plan: QueryPlan) -> PlanCost:
    """Return what a plan costs."""
    reader = _Reader(weights)
    fetches = {fetch: reader.fetch(fetch) for fetch in plan.fetches}
    by_subgraph: dict[str, list[Cost]] = {}
    for fetch, cost in fetches.items():
        by_subgraph.setdefault(fetch.subgraph, []).append(cost.estimate)
    return PlanCost(
        total=add(*(cost.estimate for cost in fetches.values())),
        subgraphs={name: add(*costs) for name, costs in by_subgraph.items()},
        fetches=fetches,
        _sliced=tuple(reader.sliced),
    )


@dataclass(frozen=True, slots=True)
class _Place:
    """One position of the response: how many objects are there, and which lists below are sized."""

    count: Cost = 1
    sized: Sized = ()

    def below(self, name: str) -> Sized:
        """What is known of the lists below a field."""
        return tuple((path[1:], size) for path, size in self.sized if path[0] == name)


@dataclass(frozen=True, slots=True)
class _Scope:
    """Where a selection set is read: the objects' type, positions, and key path in the fetch."""

    type_name: str
    places: tuple[tuple[Keys, _Place], ...]
    inside: Keys
    on: Types | None = None


@dataclass(slots=True)
class _Reader:
    """Reads the fetches of a plan in their order: they ask about what earlier ones delivered."""

    weights: Weights
    places: dict[Keys, _Place] = field(default_factory=lambda: {(): _Place()})
    sliced: list[_Sliced] = field(default_factory=list)
    _subgraph: str = ""
    _names: Mapping[str, str] = field(default_factory=dict)
    """The client's names of the variables in the document that is read."""
    _renamed: Mapping[Keys, str] = field(default_factory=dict)

    def fetch(self, fetch: Fetch) -> FetchCost:
        """What a fetch costs."""
        (definition,) = parse(fetch.document, no_location=True).definitions
        assert isinstance(definition, OperationDefinitionNode)
        self._subgraph, self._names = fetch.subgraph, dict(fetch.variables)
        base = MUTATION if fetch.kind == "mutation" else 0
        if fetch.entities:
            nodes = _entity_nodes(definition.selection_set)
            parts = tuple(self._entities(one, nodes[one.alias]) for one in fetch.entities)
        else:
            self._renamed = _renames(fetch.output_rewrites)
            root = self.weights.supergraph.schema.get_root_type(OperationType(fetch.kind))
            assert root is not None
            scope = _Scope(root.name, self._at(fetch.at or ((),)), ())
            parts = tuple(self._parts(definition.selection_set, scope))
        return FetchCost(add(base, _estimate(parts)), base, parts)

    def _entities(self, entities: Entities, selection_set: SelectionSetNode) -> _Part:
        """One `_entities` call: a list that is as long as the positions have objects."""
        self._renamed = _renames(entities.output_rewrites)
        places = self._at(entities.paths)
        weights: dict[str, Number] = {}
        parts: list[_Part] = []
        fragments = (n for n in selection_set.selections if isinstance(n, InlineFragmentNode))
        for node in fragments:
            assert node.type_condition is not None
            name = node.type_condition.name.value
            on = self._types(name)
            weights |= {one: self.weights.of_type(one) for one in on}
            parts += self._parts(node.selection_set, _Scope(name, places, (), on))
        return _Part(
            key=entities.alias,
            on=None,
            weight=max(weights.values(), default=1),
            by_type=weights if len(set(weights.values())) > 1 else {},
            size=add(*(place.count for _, place in places)),
            arguments=0,
            below=tuple(parts),
        )

    def _at(self, paths: Sequence[Path]) -> tuple[tuple[Keys, _Place], ...]:
        return tuple((keys, self.places[keys]) for keys in map(keys_of, paths))

    def _parts(self, selection_set: SelectionSetNode, scope: _Scope) -> Iterator[_Part]:
        for node in selection_set.selections:
            if isinstance(node, FieldNode):
                part = self._field(node, scope)
                if part is not None:
                    yield part
            else:
                assert isinstance(node, InlineFragmentNode)
                assert node.type_condition is not None
                name = node.type_condition.name.value
                possible = self._types(scope.type_name) if scope.on is None else scope.on
                on = (self._types(name) & possible) | {name}
                inner = _Scope(name, scope.places, scope.inside, on)
                yield from self._parts(node.selection_set, inner)

    def _types(self, name: str) -> Types:
        """The types an object may say it has; of an `@interfaceObject` the interface's name."""
        return self.weights.supergraph.possible_types(name) | {name}

    def _field(self, node: FieldNode, scope: _Scope) -> _Part | None:
        """What a field costs; None if that is nothing."""
        name, key = node.name.value, (node.alias or node.name).value
        if name == "__typename":
            return None
        info = self.weights.field(scope.type_name, name, subgraph=self._subgraph)
        arguments = self._arguments(node, info)
        if info.is_leaf and not info.weight and not arguments:
            return None
        inside = (*scope.inside, key)
        lengths = [(size, self._slice(node, info, size)) for size in info.sizes]
        sizes, places = [], []
        for keys, place in scope.places:
            size, below = self._sized(info, lengths, place.below(name))
            here = (*keys, self._renamed.get(inside, key)), _Place(times(place.count, size), below)
            sizes.append(size)
            places.append(here)
            self._remember(*here)
        parts: tuple[_Part, ...] = ()
        if node.selection_set is not None:
            inner = _Scope(info.type_name, tuple(places), inside)
            parts = tuple(self._parts(node.selection_set, inner))
        return _Part(key, scope.on, info.weight, info.by_type, largest(*sizes), arguments, parts)

    def _remember(self, keys: Keys, place: _Place) -> None:
        """Note a position; fields of several types may share it."""
        known = self.places.get(keys)
        if known is not None:
            place = _Place(largest(known.count, place.count), (*known.sized, *place.sized))
        self.places[keys] = place

    def _sized(
        self, info: FieldInfo, lengths: Sequence[tuple[ListSize, Cost]], from_above: Sized
    ) -> tuple[Cost, Sized]:
        """How many values a field has, and what is known of the lists below it."""
        own = [size for path, size in from_above if not path]
        own = own or [size for one, size in lengths if not one.sized]
        below = [(path, size) for path, size in from_above if path]
        below += [(path, size) for one, size in lengths for path in one.sized]
        if not info.list_depth:
            return 1, tuple(below)
        default = self.weights.list_size
        # Nothing can be said of lists in lists.
        inner = [default] * (info.list_depth - 1)
        return times(largest(*own) if own else default, *inner), tuple(below)

    def _slice(self, node: FieldNode, info: FieldInfo, size: ListSize) -> Cost:
        """The length that a `@listSize` gives under the field's arguments."""
        otherwise = self.weights.list_size if size.assumed is None else size.assumed
        given = {one.name.value: one.value for one in node.arguments or ()}
        named = [(path, info.arguments.get(path[0])) for path in size.slicing]
        known = [
            (self._asked(argument, given.get(path[0]), path[1:]), path[0] in given)
            for path, argument in named
            if argument is not None
        ]
        told = [value for value, is_given in known if is_given and value is not None]
        # What the schema says stands in only for what the client leaves out.
        told = told or [value for value, _ in known if value is not None]
        found = Size(tuple(told), otherwise)
        if size.exactly_one and size.slicing:
            self._demand_one(_Sliced(info.name, found))
        if all(isinstance(value, int) for value in told):
            return found.at({})
        return found

    def _demand_one(self, sliced: _Sliced) -> None:
        open_ = not all(isinstance(value, int) for value in sliced.size.arguments)
        if open_ or not sliced.fits({}):
            self.sliced.append(sliced)

    def _asked(
        self, definition: GraphQLArgument | GraphQLInputField, node: ValueNode | None, path: Keys
    ) -> int | Given | None:
        """The length in a slicing argument."""
        assert definition.ast_node is not None
        default = definition.ast_node.default_value
        node = node or default
        if node is None:
            return None
        if isinstance(node, VariableNode):
            otherwise = None if default is None else length(value_from_ast_untyped(default), path)
            return Given(self._names[node.name.value], path, otherwise)
        if path and isinstance(node, ObjectValueNode):
            fields: Mapping[str, Any] = getattr(get_named_type(definition.type), "fields", {})
            inner = fields.get(path[0])
            values = {one.name.value: one.value for one in node.fields}
            return None if inner is None else self._asked(inner, values.get(path[0]), path[1:])
        return length(value_from_ast_untyped(node), path)

    def _arguments(self, node: FieldNode, info: FieldInfo) -> Cost:
        """What the arguments cost that a field is given."""
        given = [(info.arguments.get(one.name.value), one.value) for one in node.arguments or ()]
        return add(*(self._argument(one, value) for one, value in given if one is not None))

    def _argument(self, argument: GraphQLArgument, value: ValueNode) -> Cost:
        always = self.weights.of_any_argument(argument)
        if always is not None:
            return always
        names = {name: self._names[name] for name in _variables(value)}
        if not names:
            return self.weights.of_argument(argument, value_from_ast_untyped(value))
        return Input(partial(_value, value, names), partial(self.weights.of_argument, argument))


def _value(node: ValueNode, names: Mapping[str, str], variables: Mapping[str, Any]) -> Any:
    here = {name: variables[key] for name, key in names.items() if key in variables}
    return value_from_ast_untyped(node, here)


def _variables(node: ValueNode) -> list[str]:
    found: list[str] = []

    class Names(Visitor):
        def enter_variable(self, node: VariableNode, *_: object) -> None:
            found.append(node.name.value)

    visit(node, Names())
    return found


def _entity_nodes(selection_set: SelectionSetNode) -> dict[str, SelectionSetNode]:
    """The selections of each `_entities` call of a document, by its response key."""
    return {
        (node.alias or node.name).value: node.selection_set
        for node in selection_set.selections
        if isinstance(node, FieldNode) and node.selection_set is not None
    }


def _renames(rewrites: Sequence[Any]) -> dict[Keys, str]:
    return {keys_of(one.path): one.key for one in rewrites}
