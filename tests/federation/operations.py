"""Random operations over a schema: shadowing aliases, other arguments, fragments, conditions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

from graphql import (
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    get_named_type,
    is_abstract_type,
    is_composite_type,
)

__all__ = ["random_operation"]

ARGUMENTS = {
    "first": ("0", "1", "2", "3", "$n", "null"),
    "currency": ('"USD"', '"EUR"', "$s"),
    "limit": ("1", "2", "$n"),
    "upper": ("true", "$yes", "$no"),
    "id": ('"0"', '"1"', '"4"', '"nobody"'),
    "ids": ('["1"]', '["0", "0", "3"]', "[]", "$ids"),
    "text": ('"x"', "$s"),
    "q": ('"x"',),
}
ALIASES = (
    *("id", "isbn", "email", "price", "title", "name", "score", "code", "since", "_k0", "_k1"),
    *("dimensions", "size", "weight", "author", "handle", "a", "b", "country", "_entities"),
)
VARIABLES = (
    "$n: Int = 1",
    '$s: String = "EUR"',
    "$yes: Boolean = true",
    "$no: Boolean = false",
    '$ids: [ID!] = ["2"]',
)


@dataclass
class _Writer:
    schema: GraphQLSchema
    random: Random
    budget: int
    arguments: Mapping[str, Sequence[str]]
    fragments: list[str] = field(default_factory=list)

    def selections(self, type_: object, depth: int) -> str:
        written = [self.selection(type_, depth) for _ in range(self.random.randint(1, 4))]
        return " ".join(one for one in written if one) or "__typename"

    def selection(self, type_: object, depth: int) -> str:
        self.budget -= 1
        dice = self.random.random()
        if self.budget < 0 or dice < 0.06:
            alias = self.random.choice(("", "", "kind: ", "name: "))
            return f"{alias}__typename{self.condition()}"
        if depth > 0 and dice < (0.5 if is_abstract_type(type_) else 0.12):
            return self.fragment(type_, depth)
        if isinstance(type_, GraphQLUnionType):
            return self.fragment(type_, depth)
        return self.field(type_, depth)

    def field(self, type_: object, depth: int) -> str:
        assert isinstance(type_, GraphQLObjectType | GraphQLInterfaceType)
        names = sorted(type_.fields)
        if depth <= 0:
            names = [
                one
                for one in names
                if not is_composite_type(get_named_type(type_.fields[one].type))
            ]
        if not names:
            return "__typename"
        name = self.random.choice(names)
        definition = type_.fields[name]
        alias = f"{self.random.choice(ALIASES)}: " if self.random.random() < 0.2 else ""
        arguments = []
        for argument, known in definition.args.items():
            if known.default is None or self.random.random() < 0.6:
                arguments.append(f"{argument}: {self.random.choice(self.arguments[argument])}")
        given = f"({', '.join(arguments)})" if arguments else ""
        inner = get_named_type(definition.type)
        below = f" {{ {self.selections(inner, depth - 1)} }}" if is_composite_type(inner) else ""
        return f"{alias}{name}{given}{self.condition()}{below}"

    def fragment(self, type_: object, depth: int) -> str:
        on = self.random.choice(self.overlapping(type_))
        body = self.selections(self.schema.type_map[on], depth - 1)
        if self.random.random() < 0.3:
            name = f"F{len(self.fragments)}"
            self.fragments.append(f"fragment {name} on {on} {{ {body} }}")
            return f"...{name}{self.condition()}"
        return f"... on {on}{self.condition()} {{ {body} }}"

    def overlapping(self, type_: object) -> list[str]:
        mine = self.objects(type_)
        return [
            name
            for name, other in sorted(self.schema.type_map.items())
            if not name.startswith("__")
            and is_composite_type(other)
            and name not in ("Query", "Mutation")
            and mine & self.objects(other)
        ] or [type_.name]  # type: ignore[attr-defined]

    def objects(self, type_: object) -> set[str]:
        if is_abstract_type(type_):
            return {one.name for one in self.schema.get_possible_types(type_)}
        return {type_.name}  # type: ignore[attr-defined]

    def condition(self) -> str:
        dice = self.random.random()
        if dice < 0.85:
            return ""
        value = self.random.choice(("true", "false", "$yes", "$no"))
        return f" @{'skip' if dice < 0.92 else 'include'}(if: {value})"


def random_operation(
    schema: GraphQLSchema,
    random: Random,
    *,
    depth: int = 4,
    mutation: bool = False,
    arguments: Mapping[str, Sequence[str]] = ARGUMENTS,
) -> str:
    """An operation that is well-formed; it may be invalid where its fields do not merge."""
    writer = _Writer(schema, random, random.randint(5, 60), arguments)
    body = writer.selections(schema.mutation_type if mutation else schema.query_type, depth)
    text = " ".join([f"{{ {body} }}", *writer.fragments])
    used = set(re.findall(r"\$\w+", text))
    kept = [one for one in VARIABLES if one.partition(":")[0] in used]
    kind = "mutation" if mutation else "query"
    head = f"{kind} ({', '.join(kept)}) " if kept else f"{kind} "
    return head + text
