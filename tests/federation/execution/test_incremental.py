"""`@defer`: the first answer comes before the fetches that only deferred fragments need."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from random import Random
from typing import Any

import pytest

from gateway.federation.execution import (
    FetchReport,
    Increment,
    IncrementalPlan,
    compile_incremental,
    compile_plan,
)
from gateway.federation.operation.prepare import InvalidRequest, parse_and_validate, prepare
from gateway.federation.plan import AT, Entities, Fetch, QueryPlan, RequireField, RequireFragment
from gateway.federation.planner import plan
from tests.federation.operations import random_operation
from tests.federation.scripted import Scripted, answer, supergraph
from tests.federation.subgraphs import InMemory
from tests.federation.world import WORLD, monolith

KEY = (RequireField("__typename", "__typename"), RequireField("id", "id", is_key=True))


def incremental(
    source: str, *fetches: Fetch, variables: Mapping[str, Any] | None = None
) -> tuple[IncrementalPlan | None, dict[str, Any]]:
    """The incremental form of an operation, with our planner's plan or a written one."""
    schema = supergraph().api_schema
    prepared = prepare(schema, parse_and_validate(schema, source))
    coerced = prepared.coerce(variables)
    whole = prepared.fold(coerced)
    made = QueryPlan(fetches, {}) if fetches else plan(supergraph(), whole)
    executable = compile_plan(supergraph(), whole, made)
    return compile_incremental(executable, *prepared.split(coerced)), coerced


async def increments(source: str, transport: Any, *fetches: Fetch, **more: Any) -> list[Increment]:
    found, variables = incremental(source, *fetches, **more)
    assert found is not None
    return [one async for one in found.run(transport, variables, None)]


async def in_world(source: str, **more: Any) -> list[Increment]:
    return await increments(source, InMemory(*WORLD.subgraphs), **more)


def patches(increment: Increment) -> list[tuple[Any, str | None, Any]]:
    return [(patch.path, patch.label, patch.data) for patch in increment.patches]


def hop(number: int, document: str, *path: Any, on: str = "Book", after: int = 0) -> Fetch:
    call = Entities((path,), (RequireFragment(on, KEY),))
    text = (
        f"query($representations:[_Any!]!){{_entities(representations:$representations){document}}}"
    )
    return Fetch(number, "reviews", "query", text, entities=(call,), depends_on=(after,))


ROOT = Fetch(0, "catalog", "query", "{books{__typename id title isbn}}")
COUNT = hop(1, "{...on Book{reviewCount}}", "books", AT)
BOOKS = answer(
    {"books": [{"__typename": "Book", "id": one, "title": f"t{one}"} for one in ("1", "2")]}
)
SOURCE = '{ books { title ... @defer(label: "counts") { reviewCount } } }'


async def test_the_first_answer_waits_for_nothing_deferred() -> None:
    transport = Scripted({0: BOOKS, 1: answer({"_entities": [{"reviewCount": 5}, None]})})
    transport.gates[1] = asyncio.Event()
    found, _ = incremental(SOURCE, ROOT, COUNT)
    assert found is not None
    stream = found.run(transport, {}, None)
    first = await anext(stream)
    assert first.has_next
    assert first.response is not None
    assert first.response.data == {"books": [{"title": "t1"}, {"title": "t2"}]}
    assert transport.order == ["start 0", "end 0"]
    transport.gates[1].set()
    last = await anext(stream)
    assert not last.has_next
    assert patches(last) == [
        (["books", 0], "counts", {"reviewCount": 5}),
        (["books", 1], "counts", {"reviewCount": None}),
    ]
    with pytest.raises(StopAsyncIteration):
        await anext(stream)


async def test_an_introspection_is_answered_at_once_or_with_its_part() -> None:
    source = """{
      books { title ... @defer { reviewCount } }
      t: __type(name: "Role") { kind }
      ... @defer(label: "schema") { __schema { queryType { name } } }
    }"""
    transport = Scripted({0: answer({"books": []})})
    first, last = await increments(source, transport, ROOT, COUNT)
    assert first.response is not None
    assert first.response.data == {"books": [], "t": {"kind": "ENUM"}}
    assert patches(last) == [([], "schema", {"__schema": {"queryType": {"name": "Query"}}})]


async def test_closing_the_stream_asks_nothing_more() -> None:
    transport = Scripted({0: BOOKS})
    found, _ = incremental(SOURCE, ROOT, COUNT)
    assert found is not None
    stream = found.run(transport, {}, None)
    await anext(stream)
    await stream.aclose()
    assert transport.order == ["start 0", "end 0"]


async def test_an_observer_hears_of_all_fetches() -> None:
    transport = Scripted({0: BOOKS, 1: answer({"_entities": [None, None]})})
    found, _ = incremental(SOURCE, ROOT, COUNT)
    assert found is not None
    reports: list[FetchReport] = []
    async for _ in found.run(transport, {}, None, observer=reports.append):
        pass
    assert [report.fetch.id for report in reports] == [0, 1]


@pytest.mark.parametrize(
    "source",
    [
        "{ books { title reviewCount } }",
        "{ books { title ... @defer(if: false) { reviewCount } } }",
        "{ books { reviewCount ... @defer { title } } }",
        "query ($no: Boolean = false) { books { ... @defer(if: $no) { reviewCount } } }",
        "{ books { ...F @defer ...F } } fragment F on Book { reviewCount }",
    ],
)
def test_where_waiting_gains_nothing_there_is_one_answer(source: str) -> None:
    assert incremental(source, ROOT, COUNT)[0] is None


def test_a_fetch_for_anything_wanted_at_once_comes_first() -> None:
    assert incremental("{ books { title ... @defer { isbn reviewCount } } }", ROOT, COUNT)[0]
    assert not incremental("{ books { reviewCount ... @defer { title } } }", ROOT, COUNT)[0]


async def test_errors_go_with_the_part_they_belong_to() -> None:
    error = {"message": "no", "path": ["_entities", 1, "reviewCount"]}
    transport = Scripted({0: BOOKS, 1: answer({"_entities": [None, None]}, error)})
    first, last = await increments(SOURCE, transport, ROOT, COUNT)
    assert first.response is not None
    assert not first.response.errors
    assert [[one["path"] for one in patch.errors] for patch in last.patches] == [
        [],
        [["books", 1, "reviewCount"]],
    ]


async def test_an_error_that_belongs_to_no_part_is_not_lost() -> None:
    transport = Scripted(
        {0: answer({"books": None}), 1: answer({}), 2: answer({"a": 1}, {"message": "no"})}
    )
    extra = Fetch(2, "catalog", "query", "{a:me{id}}", depends_on=(0,))
    _, last = await increments(SOURCE, transport, ROOT, COUNT, extra)
    assert [(patch.path, patch.data, len(patch.errors)) for patch in last.patches] == [([], {}, 1)]


async def test_a_null_that_bubbles_stays_inside_its_part() -> None:
    deferred = hop(1, "{...on Book{isbn}}", "books", AT)
    root = Fetch(0, "catalog", "query", "{books{__typename id title}}")
    transport = Scripted({0: BOOKS, 1: answer({"_entities": [{"isbn": "i"}, {"isbn": None}]})})
    first, last = await increments(
        "{ books { title ... @defer { isbn } } }", transport, root, deferred
    )
    assert first.response is not None
    assert first.response.data == {"books": [{"title": "t1"}, {"title": "t2"}]}
    assert patches(last) == [(["books", 0], None, {"isbn": "i"}), (["books", 1], None, None)]
    assert [error["message"] for error in last.patches[1].errors] == [
        "Cannot return null for non-nullable field Book.isbn."
    ]


async def test_the_first_answer_explains_its_own_nulls() -> None:
    root = Fetch(0, "catalog", "query", "{books{__typename id isbn}}")
    transport = Scripted({0: BOOKS, 1: answer({"_entities": [None, None]})})
    first, last = await increments(
        "{ books { isbn ... @defer { reviewCount } } }", transport, root, COUNT
    )
    assert first.response is not None
    assert first.response.data == {"books": [None, None]}
    assert len(first.response.errors) == 2
    assert patches(last) == []


async def test_a_deferred_part_of_a_deferred_part_comes_after_it() -> None:
    source = """{ books { id ... @defer(label: "a") {
      author { ... @defer(label: "b") { name } score }
    } } }"""
    _, last = await in_world(source)
    labels = [patch.label for patch in last.patches]
    assert labels == sorted(str(label) for label in labels)
    assert "b" in labels


async def test_a_type_condition_that_fails_gets_no_part() -> None:
    root = Fetch(0, "catalog", "query", "{items{__typename id}}")
    film = hop(1, "{...on Film{reviewCount}}", "items", AT, on="Film")
    items = [{"__typename": name, "id": name} for name in ("Book", "Film")]
    transport = Scripted(
        {0: answer({"items": items}), 1: answer({"_entities": [{"reviewCount": 3}]})}
    )
    source = "{ items { id ... on Film @defer { reviewCount } } }"
    _, last = await increments(source, transport, root, film)
    assert patches(last) == [(["items", 1], None, {"reviewCount": 3})]


def test_a_deferred_fragment_that_cannot_apply_is_dropped() -> None:
    schema = supergraph().api_schema
    source = "{ books { ... on Item { id ... on Film @defer { code } } } }"
    prepared = prepare(schema, parse_and_validate(schema, source))
    assert prepared.split({})[1] == ()


def deferring(source: str, random: Random) -> str:
    """The same operation with `@defer` on some of its fragments."""
    pieces = source.split("... on ")
    written = pieces[0]
    for piece in pieces[1:]:
        name, _, rest = piece.partition(" ")
        defer = " @defer" if random.random() < 0.6 else ""
        written += f"... on {name}{defer} {rest}"
    return written


def put(data: Any, path: list[Any], patch: Any) -> None:
    """Merge a patch into a response as a client does."""
    for step in path:
        data = data[step]
    merge(data, patch)


def merge(data: Any, patch: Any) -> None:
    for key, value in patch.items():
        if isinstance(value, dict) and isinstance(data.get(key), dict):
            merge(data[key], value)
        elif isinstance(value, list) and isinstance(data.get(key), list):
            for mine, theirs in zip(data[key], value, strict=True):
                if isinstance(mine, dict) and isinstance(theirs, dict):
                    merge(mine, theirs)
        else:
            data[key] = value


async def test_all_parts_together_are_the_whole_answer() -> None:
    seen = 0
    for seed in range(400):
        random = Random(seed)  # noqa: S311
        whole = random_operation(supergraph().api_schema, random)
        source = deferring(whole, random)
        try:
            found, variables = incremental(source)
        except InvalidRequest:
            continue
        expected = monolith(supergraph().api_schema, whole, {}).data
        if found is None or expected is None:
            continue
        seen += 1
        transport = InMemory(*WORLD.subgraphs)
        first, *rest = [one async for one in found.run(transport, variables, None)]
        assert first.response is not None
        together = dict(first.response.data or {})
        bubbled = any(patch.data is None for one in rest for patch in one.patches)
        for one in rest:
            for patch in one.patches:
                if patch.data is not None:
                    put(together, patch.path, patch.data)
        if not bubbled:
            assert together == expected, source
    assert seen > 20
