"""Strawberry schemas: permissions, extensions, injections and types behave as they do there."""

from __future__ import annotations

import asyncio
import datetime as dt
import enum
import uuid
from collections.abc import AsyncIterator, Sequence
from decimal import Decimal
from typing import Annotated, Any, Generic, NewType, TypeVar

import pytest
import strawberry
from strawberry.extensions import FieldExtension, SchemaExtension
from strawberry.permission import BasePermission, PermissionExtension
from strawberry.scalars import JSON
from strawberry.schema.config import StrawberryConfig

from shared.execution import Executor, batched
from tests.shared.execution.differential import compiled, compiled_operation, same

T = TypeVar("T")
Context = dict[str, Any]
Info = strawberry.Info[Context, Any]
Bytes = NewType("Bytes", int)


class May(BasePermission):
    """Lets a source through unless the context names its id."""

    message = "You may not"
    error_extensions = {"code": "FORBIDDEN"}  # noqa: RUF012

    def has_permission(self, source: Any, info: Info, **kwargs: Any) -> bool:
        info.context["asked"].append((getattr(source, "id", None), sorted(kwargs)))
        return getattr(source, "id", None) not in info.context["refused"]


class MayLater(May):
    message = "You may not, after all"

    async def has_permission(self, source: Any, info: Info, **kwargs: Any) -> bool:  # type: ignore[override]
        await asyncio.sleep(0)
        return super().has_permission(source, info, **kwargs)


class MayMaybe(May):
    def has_permission(self, source: Any, info: Info, **kwargs: Any) -> Any:
        return "yes" if source.id == "1" else later(super().has_permission(source, info, **kwargs))


async def later(value: T) -> T:
    await asyncio.sleep(0)
    return value


class Upper(FieldExtension):
    """Writes what a field answers in capitals."""

    def resolve(self, next_: Any, source: Any, info: Any, **kwargs: Any) -> Any:
        return str(next_(source, info, **kwargs)).upper()

    async def resolve_async(self, next_: Any, source: Any, info: Any, **kwargs: Any) -> Any:
        return str(await next_(source, info, **kwargs)).upper()


class Twice(FieldExtension):
    """Asks some parents for another number than the others."""

    async def resolve_async(self, next_: Any, source: Any, info: Any, **kwargs: Any) -> Any:
        kwargs["first"] = kwargs.get("first", 1) * (2 if source.id == "1" else 1)
        return await next_(source, info, **kwargs)


@strawberry.enum
class Color(enum.Enum):
    RED = "red"
    GREEN = strawberry.enum_value("green", name="VERT")


@strawberry.enum
class Odd(enum.Enum):
    LIST = [1]  # noqa: RUF012


@strawberry.input
class Filter:
    color: Color = Color.RED
    names: list[str] = strawberry.field(default_factory=list)
    inner: Filter | None = None


@strawberry.interface
class Named:
    id: strawberry.ID
    name: str = "none"

    @strawberry.field
    def shout(self) -> str:
        return self.name.upper()


@strawberry.type
class Page(Generic[T]):
    items: list[T]
    total: int = 3

    @strawberry.field
    def size(self) -> int:
        return len(self.items)


@strawberry.type
class Team(Named):
    lead: Annotated[Person, strawberry.lazy("tests.shared.execution.test_strawberry")] | None = None


@strawberry.type
class Person(Named):
    color: Color = Color.GREEN
    odd: Odd = Odd.LIST
    age: int | None = None
    born: dt.date = dt.date(2000, 1, 2)
    at: dt.datetime | None = None
    price: Decimal = Decimal("1.50")
    key: uuid.UUID = uuid.UUID(int=5)
    extra: JSON | None = None
    ratio: float = 0.5
    secret: strawberry.Private[int] = 3

    @strawberry.field
    def greeting(self, info: Info, polite: bool = False) -> str:
        return f"{'Dear' if polite else 'Hi'} {self.name} of {info.context['site']} {info.path.key}"

    @strawberry.field
    async def root_name(root: strawberry.Parent[Person]) -> str:  # noqa: N805
        return root.name

    @strawberry.field
    def filtered(self, where: Filter, limit: int | None = strawberry.UNSET) -> str:
        where.names.append(self.name)
        return f"{where} {limit is strawberry.UNSET}"

    @strawberry.field(permission_classes=[May])
    def guarded(self) -> str | None:
        return self.name

    @strawberry.field(permission_classes=[MayLater])
    async def guarded_later(self, times: int = 2) -> str | None:
        return self.name * times

    @strawberry.field(extensions=[Upper()])
    def loud(self) -> str:
        return self.name

    @strawberry.field(extensions=[PermissionExtension([May()], fail_silently=True)])
    def quiet(self) -> list[str]:
        return [self.name]

    @strawberry.field
    def fails(self) -> str:
        if self.id == "1":
            raise ValueError(f"no {self.id}")
        return "fine"

    @batched
    @staticmethod
    async def teams(
        parents: Sequence[Person], info: Info, first: int = 2, where: Filter | None = None
    ) -> list[Page[Team] | ValueError | None]:
        info.context["batches"].append(("teams", len(parents), first, where))
        return [
            Page(items=[Team(id=strawberry.ID(f"t{n}"), name=parent.name) for n in range(first)])
            if parent.id != "2"
            else ValueError("no teams")
            for parent in parents
        ]

    @batched(permission_classes=[May, MayLater])
    @staticmethod
    async def mine(parents: Sequence[Person], ctx: Info) -> list[str | None]:
        ctx.context["batches"].append(("mine", [parent.id for parent in parents]))
        return [parent.name for parent in parents]

    @batched(permission_classes=[MayMaybe])
    @staticmethod
    async def maybe(parents: Sequence[Person], first: int = 1) -> Sequence[str | None]:
        return [parent.name * first for parent in parents]

    @batched(extensions=[PermissionExtension([May()], fail_silently=True)])
    @staticmethod
    async def silent(parents: Sequence[Person]) -> list[list[str]]:
        return [[parent.name] for parent in parents]

    @batched(extensions=[Twice(), Upper()])
    @staticmethod
    async def repeated(parents: Sequence[Person], info: Info, first: int = 1) -> list[str]:
        info.context["batches"].append(("repeated", len(parents), first))
        return [parent.name * first for parent in parents]

    @batched
    @staticmethod
    async def short(parents: Sequence[Person]) -> list[str | None]:
        names: list[str | None] = [parent.name for parent in parents]
        return names[1:]

    @batched
    @staticmethod
    async def broken(parents: Sequence[Person]) -> list[str | None]:
        raise RuntimeError("broken for all")

    @batched
    @classmethod
    async def kind(cls, parents: Sequence[Person]) -> list[str]:
        return [cls.__name__ for _ in parents]


Either = Annotated[Person | Team, strawberry.union("Either")]


def people(count: int = 4) -> list[Person]:
    return [
        Person(
            id=strawberry.ID(str(number)),
            name=f"p{number}",
            age=number or None,
            extra=JSON({"n": [number]}),
            at=dt.datetime(2020, 1, 1, tzinfo=dt.UTC) if number % 2 else None,
            color=Color.RED if number % 2 else Color.GREEN,
        )
        for number in range(count)
    ]


@strawberry.type
class Query:
    @strawberry.field
    def people(self, count: int = 4) -> list[Person]:
        return people(count)

    @strawberry.field
    async def named(self) -> list[Named]:
        return [people(1)[0], Team(id=strawberry.ID("t"), lead=people(1)[0])]

    @strawberry.field
    def either(self) -> list[Either | None]:
        odd: list[Any] = [people(1)[0], None, Team(id=strawberry.ID("t")), object(), Page(items=[])]
        return odd

    @strawberry.field
    def pages(self) -> Page[Person]:
        return Page(items=people(2))

    @strawberry.field
    def wrong(self) -> Person:
        return Team(id=strawberry.ID("t"))  # type: ignore[return-value]

    @strawberry.field
    def cast(self) -> list[Either]:
        class Row:
            id = "row"
            name = "row"
            age = 3

        return [strawberry.cast(Person, Row()), strawberry.cast(Team, Row())]  # type: ignore[list-item]

    @strawberry.field
    def variables(self, info: Info, x: int = 1) -> str:
        selected = [getattr(field, "name", None) for field in info.selected_fields]
        return f"{info.variable_values} {selected} {info.field_name} {info.python_name}"

    @batched
    @staticmethod
    async def answer(parents: Sequence[None]) -> list[int]:
        return [42 for _ in parents]


@strawberry.type
class Item:
    some_name: str


@strawberry.type
class Shelf:
    @strawberry.field
    def items(self) -> list[Item]:
        values: list[Any] = [{"some_name": "a"}, {}]
        return values


@strawberry.type
class Mutation:
    @strawberry.mutation
    async def rename(self, info: Info, name: str) -> Person:
        info.context["asked"].append(name)
        return Person(id=strawberry.ID("1"), name=name)


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def ticks(self, count: int = 2) -> AsyncIterator[Person]:
        for person in people(count):
            yield person


SCHEMA = strawberry.Schema(Query, Mutation, Subscription, types=[Team])


def context() -> Context:
    return {"site": "here", "asked": [], "refused": {"1"}, "batches": []}


@pytest.mark.parametrize(
    "text",
    [
        "{ people { id name color age born at price key extra ratio __typename } }",
        "{ people(count: 0) { id } pages { total size items { id loud shout } } }",
        "{ people { greeting polite: greeting(polite: true) rootName } }",
        '{ people { filtered(where: {color: VERT, names: ["x"], inner: {}}, limit: 3) } }',
        "query($w: Filter!) { people { filtered(where: $w) } }",
        "{ people { guarded guardedLater(times: 3) quiet loud } }",
        "{ people { id fails } }",
        "{ named { id name shout ... on Person { color } ... on Team { lead { name } } } }",
        "{ either { __typename ... on Named { name } } }",
        "{ wrong { id } }",
        "{ cast { ... on Person { id name age } ... on Team { name } } }",
        "query($x: Int = 3) { variables(x: $x) answer }",
        "{ people { odd } }",
        "{ people { teams { items { id name } } } }",
        "{ people { teams(first: 1, where: {}) { total } mine maybe(first: 2) silent } }",
        "{ people { repeated(first: 2) kind } }",
        "{ people { short broken } }",
        'mutation { a: rename(name: "a") { name } b: rename(name: "b") { teams { total } } }',
    ],
)
async def test_a_strawberry_schema_answers_the_same(text: str) -> None:
    contexts: list[Context] = []

    def remember() -> Context:
        contexts.append(context())
        return contexts[-1]

    await same(SCHEMA, text, variables={"w": {"names": ["n"]}}, context=remember)
    theirs, ours = contexts
    assert sorted(map(repr, ours["asked"])) == sorted(map(repr, theirs["asked"]))
    assert sorted(map(repr, ours["batches"])) == sorted(map(repr, theirs["batches"]))


async def test_a_batched_field_is_awaited_once_a_selection() -> None:
    seen = context()
    await compiled(
        SCHEMA, "{ people(count: 40) { teams { total } again: teams(first: 1) { total } mine } }",
        context=seen,
    )  # fmt: skip
    assert sorted(map(str, seen["batches"])) == [
        f"('mine', {[str(n) for n in range(40) if n != 1]})",
        "('teams', 40, 1, None)",
        "('teams', 40, 2, None)",
    ]


async def test_concurrent_requests_share_nothing() -> None:
    executor = Executor(SCHEMA)
    contexts = [context() | {"site": f"site {number}"} for number in range(20)]
    text = "{ people { greeting teams { total } repeated } }"
    results = await asyncio.gather(*(executor.execute(text, context=each) for each in contexts))
    for number, (result, each) in enumerate(zip(results, contexts, strict=True)):
        assert result.data is not None
        assert result.data["people"][0]["greeting"] == f"Hi p0 of site {number} greeting"
        assert each["site"] == f"site {number}"
        assert len(each["batches"]) == 3


async def test_a_subscription_runs_each_event_compiled() -> None:
    stream: Any = await compiled_operation(
        SCHEMA, "subscription($c: Int) { ticks(count: $c) { name kind } }"
    ).subscribe(None, context(), {"c": 3})
    assert [result.data async for result in stream] == [
        {"ticks": {"name": f"p{number}", "kind": "Person"}} for number in range(3)
    ]


async def test_a_default_resolver_of_ones_own_is_used() -> None:
    schema = strawberry.Schema(
        Shelf,
        config=StrawberryConfig(default_resolver=lambda source, name: source[name]),
    )
    await same(schema, "{ items { someName } }")


async def test_schema_extensions_run_as_ever_without_compilation() -> None:
    class Mark(SchemaExtension):
        def resolve(self, _next: Any, root: Any, info: Any, *args: Any, **kwargs: Any) -> Any:
            return _next(root, info, *args, **kwargs)

        def get_results(self) -> dict[str, Any]:
            return {"marked": True}

    reasons: list[str] = []
    schema = strawberry.Schema(Query, subscription=Subscription, types=[Team], extensions=[Mark])
    executor = Executor(schema, on_fallback=reasons.append)
    result = await executor.execute("{ answer }", context=context())
    assert (result.data, result.extensions) == ({"answer": 42}, {"marked": True})
    stream: Any = await executor.subscribe(
        "subscription { ticks(count: 1) { name } }", context=context()
    )
    assert [each.data async for each in stream] == [{"ticks": {"name": "p0"}}]
    assert reasons == ["the schema has extensions or operation directives"] * 2
