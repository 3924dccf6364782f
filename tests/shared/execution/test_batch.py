"""The decorators, under plain Strawberry and under graphql-core."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Sequence
from typing import Annotated, Any

import pytest
import strawberry
from graphql import build_schema, execute, parse

from shared.execution import batch as batch_module
from shared.execution import batched, batched_resolver
from tests.shared.execution.differential import same


@strawberry.type
class Thing:
    id: strawberry.ID

    @batched(
        name="renamed",
        description="Its label.",
        deprecation_reason="old",
        graphql_type=str | None,
        metadata={"a": 1},
    )
    @staticmethod
    async def label(parents: Sequence[Thing]) -> list[Any]:
        return [parent.id for parent in parents]

    @batched
    async def either(
        parents: Sequence[Thing],  # noqa: N805
    ) -> Sequence[Annotated[Thing | Other, strawberry.union("Either")] | KeyError | None]:
        return [Other(name="o") if parent.id == "1" else parent for parent in parents]

    @batched
    async def only_errors(parents: Sequence[Thing]) -> list[ValueError | RuntimeError | None]:  # noqa: N805
        return [ValueError("no") for _ in parents]


@strawberry.type
class Other:
    name: str


@strawberry.type
class Query:
    @strawberry.field
    def things(self) -> list[Thing]:
        return [Thing(id=strawberry.ID(str(number))) for number in range(3)]


def test_a_batched_field_has_the_type_of_one_item_and_the_options_of_a_field() -> None:
    sdl = strawberry.Schema(Query).as_str()
    assert '"""Its label."""\n  renamed: String @deprecated(reason: "old")' in sdl
    assert "either: Either\n" in sdl
    assert "onlyErrors: Void" in sdl


async def test_federation_directives_pass_through() -> None:
    @strawberry.federation.type(keys=["id"])
    class Entity:
        id: strawberry.ID
        size: int = strawberry.federation.field(external=True, default=0)

        @batched(
            requires=["size"],
            provides=["id"],
            shareable=True,
            inaccessible=True,
            override="other",
            tags=["a"],
        )
        @staticmethod
        async def sized(parents: Sequence[Any]) -> list[int]:
            return [0 for _ in parents]

        @batched(external=True)
        @staticmethod
        async def foreign(parents: Sequence[Any]) -> list[int]:
            return [0 for _ in parents]

    sdl = strawberry.federation.Schema(types=[Entity]).as_str()
    for directive in (
        '@requires(fields: "size")',
        '@provides(fields: "id")',
        "@shareable",
        "@inaccessible",
        '@override(from: "other")',
        '@tag(name: "a")',
        "foreign: Int! @external",
    ):
        assert directive in sdl


async def test_items_of_a_union_or_an_exception_are_completed() -> None:
    await same(
        strawberry.Schema(Query),
        "{ things { renamed onlyErrors either { ... on Thing { id } ... on Other { name } } } }",
    )


@pytest.mark.parametrize("answer", [[1], [1, 2, 3], None, "ab", (1, 2), {1, 2}])
async def test_a_batch_must_answer_one_item_a_parent(answer: Any) -> None:
    async def many(parents: Sequence[Any], _info: Any) -> Any:
        return answer

    schema = build_schema("type Query { items: [Item] } type Item { value: Int }")
    item: Any = schema.type_map["Item"]
    item.fields["value"].resolve = batched_resolver(many)
    await same(schema, "{ items { value } }", root=lambda: {"items": [{}, {}]})


async def test_a_batch_gets_the_arguments_and_the_info_of_the_first_parent() -> None:
    seen: list[Any] = []

    async def many(parents: Sequence[Any], info: Any, *, size: int = 0) -> list[int]:
        seen.append((list(parents), info.path.as_list(), size))
        return [size for _ in parents]

    schema = build_schema("type Query { items: [Item] } type Item { value(size: Int = 3): Int }")
    item: Any = schema.type_map["Item"]
    item.fields["value"].resolve = batched_resolver(many)
    items = [None, {"a": 1}, {"a": 2}]
    await same(schema, "{ items { value other: value(size: 5) } }", root=lambda: {"items": items})
    assert (
        seen[:2]
        == seen[2:]
        == [
            ([{"a": 1}, {"a": 2}], ["items", 1, "value"], 3),
            ([{"a": 1}, {"a": 2}], ["items", 1, "other"], 5),
        ]
    )


async def test_loaders_disappear_with_their_execution() -> None:
    async def many(parents: Sequence[Any], _info: Any) -> list[int]:
        await asyncio.sleep(0)
        return [1 for _ in parents]

    schema = build_schema("type Query { value: Int }")
    schema.query_type.fields["value"].resolve = batched_resolver(many)  # type: ignore[union-attr]
    gc.collect()
    before = len(batch_module._loaders)
    result: Any = execute(schema, parse("{ value }"))
    assert (await result).data == {"value": 1}
    del result
    gc.collect()
    assert len(batch_module._loaders) <= before


def test_a_batch_function_is_async_and_takes_parents() -> None:
    with pytest.raises(TypeError, match="no parameter 'parents'"):
        batched(wrong_name)
    with pytest.raises(TypeError, match="must be an async function"):
        batched(not_async)  # type: ignore[arg-type]


def test_a_batch_function_returns_a_list() -> None:
    with pytest.raises(TypeError, match=r"returns list\[...\], not <class 'int'>"):
        _ = batched(no_list).type  # type: ignore[arg-type]


async def wrong_name(many: Sequence[Any]) -> list[int]:
    return [len(many)]


def not_async(parents: Sequence[Any]) -> list[int]:
    return [len(parents)]


async def no_list(parents: Sequence[Any]) -> int:
    return len(parents)


def test_a_batch_function_must_say_what_it_returns() -> None:
    async def silent(parents):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        return parents

    with pytest.raises(Exception, match="silent"):
        strawberry.type(type("Silent", (), {"silent": batched(silent), "__annotations__": {}}))
