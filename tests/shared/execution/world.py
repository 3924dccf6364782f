"""A schema that has every kind of field, and resolvers that do whatever is drawn for them.

What a field answers depends on its parent and on the seed alone, so that two
executors that ask in different orders are told the same.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from graphql import (
    GraphQLError,
    GraphQLSchema,
    build_schema,
    get_named_type,
    is_enum_type,
    is_interface_type,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
    is_object_type,
    is_union_type,
)

from shared.execution import batched_resolver

SDL: Final = """
type Query { node: Node  thing: Thing!  things(first: Int = 2, where: Filter): [Thing!]
  grid: [[Leafy]!]  person: Person  people: [Person]!  union: [Either!]  leafy: Leafy! }
type Mutation { first: Person  second: Person!  third(name: String!): [Person!] }
interface Node { id: ID!  name(upper: Boolean = false): String  next: Node }
interface Named implements Node { id: ID!  name(upper: Boolean = false): String  next: Node
  nick: String! }
type Person implements Node & Named { id: ID!  name(upper: Boolean = false): String  next: Node
  nick: String!  age: Int  score: Float!  color: Color  active: Boolean!  friends: [Person!]!
  best: Person  pets: [Either]  tags: [String!]  matrix: [[Int!]!]!  born: Date }
type Thing implements Node { id: ID!  name(upper: Boolean = false): String  next: Node
  size: Int!  owner: Person!  parts: [Thing!]  colors: [Color!]!  made: Date! }
type Leafy { id: ID  text: String  number: Int!  deep: Leafy  list: [Leafy!] }
union Either = Person | Thing
enum Color { RED GREEN BLUE }
scalar Date
input Filter { color: Color = RED  size: Int  not: Filter  names: [String!] }
"""

# How a field gets its value.
MODES: Final = (
    "attribute",
    "sync",
    "async",
    "slow",
    "awaitable",
    "batched",
)
# A batch with an item too few.
WRONG: Final = ("short",)

Mode = str
Node = dict[str, Any]


class Value:
    """An object of the graph, read by attribute."""

    def __init__(self, entries: dict[str, Any]) -> None:
        self.__dict__.update(entries)


@dataclass(frozen=True, slots=True)
class World:
    """What is drawn: how each field gets its value, and how often something is wrong."""

    seed: int
    modes: dict[str, Mode]  # by "Type.field"
    faults: int  # in a hundred values
    objects: bool  # parents are objects rather than dictionaries
    calls: list[str] = field(default_factory=list)

    def chance(self, *key: object) -> random.Random:
        """Randomness that belongs to one value."""
        return random.Random(f"{self.seed}{key}")  # noqa: S311 - not a secret


def fields() -> list[str]:
    """All fields of the schema's object types, as "Type.field"."""
    schema = build_schema(SDL)
    return [
        f"{type_.name}.{name}"
        for type_ in schema.type_map.values()
        if is_object_type(type_) and not type_.name.startswith("__")
        for name in type_.fields
    ]


def schema_of(world: World) -> GraphQLSchema:
    """The schema, with resolvers that behave as drawn."""
    schema = build_schema(SDL)
    date: Any = schema.type_map["Date"]
    date.coerce_output_value = _date
    for type_ in schema.type_map.values():
        if not is_object_type(type_) or type_.name.startswith("__"):
            continue
        for name, definition in type_.fields.items():
            mode = world.modes.get(f"{type_.name}.{name}", "attribute")
            if mode != "attribute":
                definition.resolve = _resolver(world, mode, type_.name, name, definition.type)
    return schema


def _date(value: Any) -> Any:
    if not isinstance(value, str) or not value.startswith("date"):
        raise GraphQLError(f"Date cannot represent {value!r}")
    return None if value == "date-none" else value


def root_of(world: World, type_name: str = "Query") -> Any:
    """The root value."""
    return _object(world, type_name, "root", 0)


def _object(world: World, type_name: str, key: str, depth: int) -> Any:
    """An object; what its fields read as attributes is made with it."""
    entries: Node = {"__typename": type_name, "key": key, "depth": depth}
    types = _TYPES.type_map
    for name, definition in getattr(types[type_name], "fields", {}).items():
        if world.modes.get(f"{type_name}.{name}", "attribute") == "attribute":
            entries[name] = _value(world, definition.type, f"{key}.{name}", depth + 1)
    if not world.objects:
        return entries
    value = Value(entries)
    setattr(value, "_Value__typename", type_name)  # noqa: B010 - a mangled name
    return value


_TYPES: Final = build_schema(SDL)


def _value(world: World, type_: Any, key: str, depth: int) -> Any:
    chance = world.chance(key, str(type_))
    if chance.randrange(100) < world.faults:
        return _fault(chance, key)
    if is_non_null_type(type_):
        return _good(world, type_.of_type, key, depth, chance)
    if depth > 3 or chance.randrange(5) == 0:
        return None
    return _good(world, type_, key, depth, chance)


def _fault(chance: random.Random, key: str) -> Any:
    wrong: list[Any] = [None, "wrong", 3, 1.5, float("nan"), 2**40, True, [], {}, object, ["x"]]
    if chance.randrange(3) == 0:
        return ValueError(f"returned at {key}")
    return chance.choice(wrong)


def _good(world: World, type_: Any, key: str, depth: int, chance: random.Random) -> Any:
    if is_list_type(type_):
        size = 0 if depth > 3 else chance.randrange(4 - depth % 2)
        items = [_value(world, type_.of_type, f"{key}{index}", depth) for index in range(size)]
        return tuple(items) if chance.randrange(4) == 0 else items
    if is_enum_type(type_):
        return chance.choice(list(type_.values))
    if is_leaf_type(type_):
        return _leaf(type_.name, chance)
    if is_union_type(type_) or is_interface_type(type_):
        names = sorted(each.name for each in _TYPES.get_possible_types(type_))
        return _shallow(world, chance.choice(names), key, depth)
    return _shallow(world, type_.name, key, depth)


def _shallow(world: World, type_name: str, key: str, depth: int) -> Any:
    return _object(world, type_name, key, depth) if depth < 5 else None


def _leaf(name: str, chance: random.Random) -> Any:
    number = chance.randrange(100)
    if name == "Date":
        return f"date-{number}"
    choices: dict[str, list[Any]] = {
        "String": [f"text {number}", number, number / 4, True],
        "ID": [f"id{number}", number],
        "Int": [number, float(number), True, str(number)],
        "Float": [number / 8, number, str(number)],
        "Boolean": [True, False, number],
    }
    usual, *others = choices[name]
    return usual if chance.randrange(8) else chance.choice([usual, *others])


def _resolver(world: World, mode: Mode, type_name: str, name: str, type_: Any) -> Any:
    def answer(source: Any, arguments: dict[str, Any]) -> Any:
        """What the field of one parent is; raises the errors that are raised."""
        key, depth = _key_of(source)
        at = f"{key}.{name}{sorted(arguments.items())}" if arguments else f"{key}.{name}"
        chance = world.chance("raise", at)
        if chance.randrange(100) < world.faults:
            raise (RuntimeError if chance.randrange(2) else GraphQLError)(f"raised at {at}")
        return _value(world, type_, at, depth + 1)

    def sync(source: Any, _info: Any, **arguments: Any) -> Any:
        return answer(source, arguments)

    async def simple(source: Any, _info: Any, **arguments: Any) -> Any:
        return answer(source, arguments)

    async def slow(source: Any, _info: Any, **arguments: Any) -> Any:
        for _ in range(world.chance("turns", _key_of(source)).randrange(4)):
            await asyncio.sleep(0)
        return answer(source, arguments)

    def awaitable(source: Any, _info: Any, **arguments: Any) -> Any:
        if world.chance("awaitable", _key_of(source)).randrange(2):
            return simple(source, None, **arguments)
        return answer(source, arguments)

    async def many(parents: Sequence[Any], _info: Any, **arguments: Any) -> list[Any]:
        await asyncio.sleep(0)
        world.calls.append(f"{type_name}.{name}")
        items: list[Any] = []
        for source in parents:
            try:
                items.append(answer(source, arguments))
            except (RuntimeError, GraphQLError) as error:
                items.append(error)
        return items

    async def short(parents: Sequence[Any], info: Any, **arguments: Any) -> list[Any]:
        return (await many(parents, info, **arguments))[1:]

    resolvers: dict[str, Callable[..., Any]] = {
        "sync": sync,
        "async": simple,
        "slow": slow,
        "awaitable": awaitable,
        "batched": batched_resolver(many),
        "short": batched_resolver(short),
    }
    return resolvers[mode]


def _key_of(source: Any) -> tuple[str, int]:
    if isinstance(source, dict):
        return str(source.get("key")), source.get("depth", 0)
    return str(getattr(source, "key", None)), getattr(source, "depth", 0)


# --- operations -----------------------------------------------------------------------------


def operation(seed: int, kind: str = "query") -> tuple[str, dict[str, Any]]:
    """A random operation that selects a lot, with fragments, aliases and conditions."""
    writer = _Operation(random.Random(seed))  # noqa: S311 - not a secret
    return writer.text(kind), writer.variables


class _Operation:
    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.variables = {"yes": True, "no": False}

    def text(self, kind: str) -> str:
        root = {"query": "Query", "mutation": "Mutation"}[kind]
        body = self.selection(root, 0)
        fragments = (
            "fragment NodeParts on Node { __typename id next { id } }"
            " fragment PersonParts on Person { nick best { id name } tags }"
        )
        spread = "...NodeParts" in body, "...PersonParts" in body
        used = " ".join(
            part
            for part, wanted in zip(fragments.split(" fragment ", 1), spread, strict=True)
            if wanted
        )
        if spread[1]:
            used = used.replace("PersonParts on", "fragment PersonParts on", 1)
        return f"{kind} ($yes: Boolean!, $no: Boolean = false) {body} {used} ".replace(
            "{ ", "{ _c: __typename @include(if: $yes) @skip(if: $no) ", 1
        )

    def selection(self, type_name: str, depth: int) -> str:
        type_ = _TYPES.type_map[type_name]
        parts = []
        if is_union_type(type_):
            parts = ["__typename", *self.inline(type_, depth)]
        else:
            names = list(type_.fields)  # type: ignore[attr-defined]
            wanted = self.chance.sample(names, self.chance.randint(1, min(6, len(names))))
            parts = [self.field(type_, name, depth) for name in wanted]
            if is_interface_type(type_):
                parts += self.inline(type_, depth)
            if type_name == "Person" and self.chance.randrange(3) == 0:
                parts.append("...PersonParts")
            if type_name in ("Node", "Thing") and self.chance.randrange(3) == 0:
                parts.append("...NodeParts")
        return "{ " + " ".join(part for part in parts if part) + " __typename }"

    def inline(self, type_: Any, depth: int) -> list[str]:
        possible = _TYPES.get_possible_types(type_)
        return [
            f"... on {each.name} {self.condition()} {self.selection(each.name, depth)}"
            for each in possible
            if self.chance.randrange(3)
        ]

    def field(self, type_: Any, name: str, depth: int) -> str:
        definition = type_.fields[name]
        inner = get_named_type(definition.type)
        arguments = self.arguments(name, definition)
        alias = f"{type_.name}{name}{len(arguments)}: " if arguments else ""
        if is_leaf_type(inner):
            return f"{alias}{name}{arguments} {self.condition()}"
        if depth >= 4:
            return ""
        return (
            f"{alias}{name}{arguments} {self.condition()} {self.selection(inner.name, depth + 1)}"
        )

    def arguments(self, name: str, definition: Any) -> str:
        if not definition.args or self.chance.randrange(2):
            return '(name: "x")' if name == "third" else ""
        return {
            "name": "(upper: true)",
            "things": "(first: 3, where: {color: BLUE, not: {size: 1}})",
            "third": '(name: "y")',
        }[name]

    def condition(self) -> str:
        return self.chance.choice(
            [""] * 8 + ["@skip(if: $no)", "@include(if: $yes)", "@skip(if: $yes)"]
        )
