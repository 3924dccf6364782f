"""Corners: what is odd, rare, or cancelled in between."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Mapping, Sequence
from functools import partial
from types import SimpleNamespace
from typing import Annotated, Any, Generic, TypeVar

import pytest
import strawberry
from graphql import GraphQLSchema, build_schema, parse
from strawberry import relay
from strawberry.permission import BasePermission, PermissionExtension

from shared.execution import CompiledOperation, batched, compile_operation
from shared.execution.place import Place
from tests.shared.execution.differential import compiled, compiled_operation, same
from tests.shared.execution.test_behaviours import later, never, schema_of

T = TypeVar("T")


class Record(Mapping[str, Any]):
    """A mapping that is no dictionary."""

    def __init__(self, entries: dict[str, Any]) -> None:
        self._entries = entries

    def __getitem__(self, key: str) -> Any:
        return self._entries[key]

    def __iter__(self) -> Any:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


class Dynamic:
    """An object that has whatever is asked for, but for what Python asks."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return name


ITEMS = build_schema("type Query { items: [Item]  item: Item } type Item { id: ID  item: Item! }")


@pytest.mark.parametrize(
    "make",
    [
        dict,
        Record,
        lambda entries: SimpleNamespace(**entries),
        lambda entries: entries if entries["id"] == "1" else SimpleNamespace(**entries),
        lambda entries: Record(entries) if entries["id"] == "1" else SimpleNamespace(**entries),
    ],
)
async def test_sources_are_read_by_key_or_by_attribute(make: Any) -> None:
    def root() -> dict[str, Any]:
        inner = make({"id": "1"})
        return {"items": [make({"id": "1", "item": inner}), None, make({"id": "2", "item": inner})]}

    await same(ITEMS, "{ items { id item { id } } }", root=root)
    await same(ITEMS, "{ items { id } }", root=root)


async def test_objects_that_have_everything_are_read() -> None:
    await same(ITEMS, "{ items { id } }", root=lambda: {"items": [Dynamic(), Dynamic()]})


async def test_a_nested_object_of_another_kind_is_read_too() -> None:
    root = {"items": [{"id": "1", "item": SimpleNamespace(id="2")}]}
    await same(ITEMS, "{ items { id item { id } } }", root=lambda: root)


async def test_the_base_of_all_places_says_nothing() -> None:
    place = Place()
    for ask in (place.up, place.path, place.order):
        with pytest.raises(NotImplementedError):
            ask(0)


NODES = """
interface Node { id: ID!  slow: Int!  next: Node }
type A implements Node { id: ID!  slow: Int!  next: Node }
type B implements Node { id: ID!  slow: Int!  next: Node }
type Query { nodes: [Node!]  one: Node  fails: Int! }
"""


def nodes_schema(*, asks: bool = False) -> GraphQLSchema:
    def slow(source: Any, _info: Any) -> Any:
        return never() if source.get("hangs") else later(source.get("slow", 1))

    schema = schema_of(NODES, A_slow=slow, B_slow=slow, Query_fails=lambda *_: later(None))
    if asks:
        for name in "AB":
            type_: Any = schema.type_map[name]
            type_.is_type_of = partial(_is_type, name)
    return schema


def _is_type(name: str, source: Any, _info: Any) -> Any:
    return never() if source.get("asks") else later(source["__typename"] == name)


def node(kind: str, **entries: Any) -> dict[str, Any]:
    return {"__typename": kind, "id": kind, **entries}


@pytest.mark.parametrize("asks", [False, True])
async def test_a_failure_among_several_types_stops_the_others(asks: bool) -> None:
    schema = nodes_schema(asks=asks)
    for nodes in (
        [node("A", hangs=True), node("B", slow=None)],
        [node("A", slow=None), node("B", hangs=True)],
        [node("A"), node("B"), node("A")],
    ):
        root = {"nodes": nodes, "one": nodes[0] | {"hangs": False}}
        await same(schema, "{ nodes { slow } }", root=root.copy)
        await same(schema, "{ nodes { id slow } one { slow } }", root=root.copy)


async def test_types_that_are_still_being_asked_for_are_given_up() -> None:
    schema = nodes_schema(asks=True)
    root = {"nodes": [node("A", asks=True), node("A", asks=True)]}
    await same(schema, "{ nodes { slow } fails }", root=lambda: root)
    query: Any = schema.type_map["Node"]
    query.resolve_type = lambda *_: never()
    await same(schema, "{ nodes { slow } fails }", root=lambda: root)


@pytest.mark.parametrize("asks", [False, True])
async def test_the_types_of_one_dead_parent_are_given_up_alone(asks: bool) -> None:
    schema = schema_of(
        "type Query { items: [Item] } type Item { node: Node  bad: Int! }"
        " interface Node { id: ID! } type A implements Node { id: ID! }",
        Item_bad=lambda source, _info: later(source["bad"]),
    )
    type_: Any = schema.type_map["A" if asks else "Node"]

    def answer(source: Any, *_: Any) -> Any:
        return never() if source["asks"] else later(True if asks else "A")

    if asks:
        type_.is_type_of = answer
        schema.type_map["Node"].resolve_type = lambda *_: "A"  # type: ignore[attr-defined]
    else:
        type_.resolve_type = answer
    items = [
        {"node": {"id": 1, "asks": bad is None}, "bad": bad} for bad in (None, 1, 2)
    ]  # fmt: skip
    result = await same(schema, "{ items { node { id } bad } }", root=lambda: {"items": items})
    assert result.data is not None
    assert result.data["items"][0] is None


async def test_directives_without_a_meaning_are_passed_over() -> None:
    schema = build_schema("directive @client on FIELD | QUERY  type Query { a: Int  b: Int }")
    await same(schema, "query @client { a @client b @skip(if: true) }", root=lambda: {"a": 1})


async def test_a_cancelled_resolver_cancels_the_request() -> None:
    async def cancelled(*_: Any) -> None:
        raise asyncio.CancelledError

    schema = schema_of(
        "type Query { a: Int  b: Int }", Query_a=cancelled, Query_b=lambda *_: later(1)
    )
    for text in ("{ a }", "{ a b }"):
        with pytest.raises(asyncio.CancelledError):
            await compiled(schema, text)


async def test_streams_of_objects_are_completed() -> None:
    async def stream(*_: Any) -> Any:
        for number in range(2):
            yield {"id": later(number)}

    schema = schema_of("type Query { items: [Item] } type Item { id: Int }", Query_items=stream)
    await same(schema, "{ items { id } }")


async def test_what_can_only_fail_does_not_wait() -> None:
    for wrong in (None, ValueError("no")):
        schema = schema_of(
            "type Query { items: [Int!]  all: [[Int!]] }",
            Query_items=lambda *_, wrong=wrong: [later(1), wrong],
            Query_all=lambda *_, wrong=wrong: [[later(1), wrong], [later(2)]],
        )
        await same(schema, "{ items all }")


async def test_lists_of_lists_may_be_variables() -> None:
    schema = schema_of(
        "type Query { sum(of: [[Int!]!]): String }", Query_sum=lambda *_, of: repr(of)
    )
    text = "query($of: [[Int!]!]) { sum(of: $of) }"
    for value in ([[1], [2, 3]], [[1], None], 5, None):
        await same(schema, text, variables={"of": value})


async def test_a_type_that_does_not_exist_cannot_be_a_variables() -> None:
    document = parse("query($x: Nope) { items { id } }")
    operation = compile_operation(ITEMS, document)
    assert isinstance(operation, CompiledOperation)
    result = await operation.execute(None, None, {"x": 1})
    assert result.errors is not None
    assert "Nope" in result.errors[0].message


# --- Strawberry -------------------------------------------------------------------------------


class Strange(BasePermission):
    """Answers with a coroutine inside a coroutine, refuses late, or fails."""

    message = "strange"

    async def has_permission(self, source: Any, info: Any, **kwargs: Any) -> Any:
        if source.name == "a":
            return later(True)
        if source.name == "b":
            raise ValueError("cannot say")
        return source.name == "c"


class Open(BasePermission):
    def has_permission(self, source: Any, info: Any, **kwargs: Any) -> bool:
        return True


class Closed(BasePermission):
    message = "closed"

    def has_permission(self, source: Any, info: Any, **kwargs: Any) -> bool:
        return False


class Failing(BasePermission):
    def has_permission(self, source: Any, info: Any, **kwargs: Any) -> bool:
        raise RuntimeError(source.name)


@strawberry.interface
class Named:
    name: str


@strawberry.type
class Leaf(Named):
    size: int = 1


@strawberry.type
class Branch(Named, Generic[T]):
    of: T


@strawberry.enum
class Kind(enum.Enum):
    OAK = "oak"


@strawberry.type
class Named2(Named):
    kind: Kind | None = Kind.OAK
    none: Kind | None = None


@strawberry.type
class Outsider:
    name: str = "out"


Twin = strawberry.type(type("Leaf", (Named,), {"__annotations__": {"size": int}}), name="Twin")


@strawberry.type
class Pair:
    first: Leaf
    second: Leaf | None = None
    twin: Twin | None = None  # type: ignore[valid-type]


@strawberry.input
class Size:
    size: int = 1


@strawberry.type
class Tree:
    name: str

    @batched(permission_classes=[Strange, Open])
    @staticmethod
    async def strange(parents: Sequence[Tree]) -> list[str | None]:
        return [parent.name for parent in parents]

    @batched(extensions=[PermissionExtension([Strange(), Open()], fail_silently=True)])
    @staticmethod
    async def quietly(parents: Sequence[Tree]) -> list[list[str]]:
        return [[parent.name] for parent in parents]

    @batched(permission_classes=[Closed])
    @staticmethod
    async def closed(parents: Sequence[Tree]) -> list[str | None]:
        return [parent.name for parent in parents]

    @batched(permission_classes=[Failing])
    @staticmethod
    async def failing(parents: Sequence[Tree]) -> list[str | None]:
        return [parent.name for parent in parents]

    @batched
    @staticmethod
    async def annotated(
        parents: Sequence[Tree],
    ) -> list[Annotated[str | ValueError | None, "a name"]]:
        return [parent.name for parent in parents]

    @strawberry.field
    def constant() -> int:
        return 3

    @strawberry.field
    def sized(self, by: Size, times: int = 2) -> int:
        return by.size * times

    @strawberry.field
    def grown(self, kind: Kind = Kind.OAK, by: int | None = None, at: str = "a") -> str:
        return f"{kind} {by} {at}"

    @strawberry.field
    def by_key(self, key: relay.GlobalID) -> str:
        return key.node_id

    @strawberry.field
    def listed(self, sizes: list[int]) -> list[int]:
        sizes.append(0)
        return sizes


@strawberry.type
class Query:
    @strawberry.field
    def trees(self) -> list[Tree]:
        return [Tree(name=name) for name in "abcd"]

    @strawberry.field
    def named(self) -> list[Named]:
        values: list[Any] = [Leaf(name="leaf"), Branch(name="branch", of=3), Leaf(name="2")]
        return values

    @strawberry.field
    def leaves(self) -> list[Leaf | None]:
        values: list[Any] = [Leaf(name="leaf"), None, Outsider(), Leaf(name="last")]
        return values

    @strawberry.field
    def kinds(self) -> list[Named2]:
        return [Named2(name="kinds")]

    @strawberry.field
    def pairs(self, wrong: bool = False) -> list[Pair]:
        odd: Any = Outsider() if wrong else Leaf(name="usual")
        twin = Twin(name="twin", size=2)
        return [Pair(first=Leaf(name="a")), Pair(first=odd, second=Leaf(name="b"), twin=twin)]

    @strawberry.field
    def outsiders(self) -> list[Named | None]:
        values: list[Any] = [Outsider(), Outsider()]
        return values

    @strawberry.field
    def mixed(self) -> list[Annotated[Branch[int] | Branch[str], strawberry.union("Mixed")]]:
        return [Branch(name="number", of=3), Branch(name="text", of="x")]


TREES = strawberry.Schema(Query, types=[Leaf, Branch[int]])


@pytest.mark.parametrize(
    "text",
    [
        "{ trees { strange quietly } }",
        "{ trees { closed } }",
        "{ trees { failing } }",
        "{ trees { annotated constant } }",
        "query($b: Int) { trees { grown(by: $b) all: grown(by: 3, kind: OAK) } }",
        '{ trees { byKey(key: "VHJlZTox") bad: byKey(key: "nothing") } }',
        "{ trees { sized(by: {size: 2}) listed(sizes: [1]) } }",
        "query($l: [Int!]!) { trees { listed(sizes: $l) } }",
        "{ named { __typename name ... on Leaf { size } } }",
        "{ leaves { name size } }",
        "{ kinds { kind none } }",
        "{ pairs { first { name size } second { name } twin { name size } } }",
        "{ pairs(wrong: true) { first { name size } second { name } } }",
        "{ outsiders { name } }",
        "{ mixed { ... on IntBranch { of } ... on StrBranch { text: of } } }",
    ],
)
async def test_rare_strawberry_fields_answer_the_same(text: str) -> None:
    await same(TREES, text, variables={"l": [5]})


async def test_input_extensions_are_none() -> None:
    seen: list[Any] = []

    @strawberry.type
    class Root:
        @strawberry.field
        def value(self, info: strawberry.Info) -> int:
            seen.append(info.input_extensions)
            return 1

    await same(strawberry.Schema(Root), "{ value }")
    assert seen == [None, None]


async def test_shared_selections_are_shown_once() -> None:
    operation = compiled_operation(ITEMS, "query($x: Boolean!) { item { id @skip(if: $x) } }")
    for value in (True, False, True):
        await operation.execute({"item": {"id": "1"}}, None, {"x": value})
    assert operation.source_code.count("def rows") == 2
