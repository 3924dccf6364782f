"""`@defer`: each part is there as soon as its own fetches are, and all together are the answer."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Mapping
from random import Random
from typing import Any

import pytest

from gateway.federation.deferral import in_parts
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
from gateway.federation.supergraph import Supergraph
from gateway.federation.transport import SubgraphError, SubgraphRequest, SubgraphResponse
from tests.federation.deferring import deferring, put
from tests.federation.operations import random_operation
from tests.federation.scripted import Scripted, answer, supergraph
from tests.federation.subgraphs import InMemory
from tests.federation.supergraph.sdl import supergraph_sdl
from tests.federation.world import WORLD, monolith

KEY = (RequireField("__typename", "__typename"), RequireField("id", "id", is_key=True))


def incremental(
    source: str,
    *fetches: Fetch,
    variables: Mapping[str, Any] | None = None,
    of: Supergraph | None = None,
) -> tuple[IncrementalPlan | None, dict[str, Any]]:
    """The incremental form of an operation, with our planner's plan or a written one."""
    of = of or supergraph()
    prepared = prepare(of.api_schema, parse_and_validate(of.api_schema, source))
    coerced = prepared.coerce(variables)
    whole, primary, deferred = in_parts(of, prepared, coerced)
    made = QueryPlan(fetches, {}) if fetches else plan(of, whole)
    executable = compile_plan(of, whole, made)
    return compile_incremental(executable, primary, deferred), coerced


async def increments(source: str, transport: Any, *fetches: Fetch, **more: Any) -> list[Increment]:
    found, variables = incremental(source, *fetches, **more)
    assert found is not None
    return [one async for one in found.run(transport, variables, None)]


async def in_world(source: str, **more: Any) -> list[Increment]:
    return await increments(source, InMemory(*WORLD.subgraphs), **more)


def patches(increment: Increment) -> list[tuple[Any, str | None, Any]]:
    return [(patch.of.path, patch.of.label, patch.data) for patch in increment.patches]


def places(increment: Increment) -> list[tuple[Any, str | None]]:
    return [(one.path, one.label) for one in increment.pending]


def labels(increment: Increment) -> list[str | None]:
    return [patch.of.label for patch in increment.patches]


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
    assert places(first) == [(["books", 0], "counts"), (["books", 1], "counts")]
    assert "end 1" not in transport.order
    transport.gates[1].set()
    last = await anext(stream)
    assert not last.has_next
    assert [patch.of for patch in last.patches] == first.pending
    assert patches(last) == [
        (["books", 0], "counts", {"reviewCount": 5}),
        (["books", 1], "counts", {"reviewCount": None}),
    ]
    with pytest.raises(StopAsyncIteration):
        await anext(stream)


STOCK = hop(2, "{...on Book{inStock}}", "books", AT)
TWO = """{ books { title
  ... @defer(label: "slow") { reviewCount }
  ... @defer(label: "fast") { inStock }
} }"""


@pytest.mark.parametrize(("slow", "fast"), [(1, 2), (2, 1)])
async def test_a_part_is_not_held_up_by_another(slow: int, fast: int) -> None:
    name = {1: "reviewCount", 2: "inStock"}
    source = TWO.replace("reviewCount", name[slow], 1)
    source = source[: source.index("fast")] + source[source.index("fast") :].replace(
        "inStock", name[fast]
    )
    transport = Scripted(
        {0: BOOKS, **{one: answer({"_entities": [{name[one]: 7}, None]}) for one in (1, 2)}}
    )
    transport.gates[slow] = asyncio.Event()
    found, _ = incremental(source, ROOT, COUNT, STOCK)
    assert found is not None
    stream = found.run(transport, {}, None)
    await anext(stream)
    second = await anext(stream)
    assert second.has_next
    assert patches(second) == [
        (["books", 0], "fast", {name[fast]: 7}),
        (["books", 1], "fast", {name[fast]: None}),
    ]
    transport.gates[slow].set()
    third = await anext(stream)
    assert not third.has_next
    assert labels(third) == ["slow", "slow"]


async def test_a_part_waits_for_all_of_its_own_fetches() -> None:
    transport = Scripted({0: BOOKS, **{one: answer({"_entities": [None, None]}) for one in (1, 2)}})
    transport.gates = {1: asyncio.Event(), 2: asyncio.Event()}
    source = "{ books { title ... @defer { reviewCount inStock } } }"
    found, _ = incremental(source, ROOT, COUNT, STOCK)
    assert found is not None
    stream = found.run(transport, {}, None)
    await anext(stream)
    transport.gates[1].set()
    waiting = asyncio.ensure_future(anext(stream))
    await transport.reached("end 1")
    transport.gates[2].set()
    last = await waiting
    assert transport.order[-1] == "end 2"
    assert [data for _, _, data in patches(last)] == [{"reviewCount": None, "inStock": None}] * 2


async def test_a_deferred_fetch_starts_before_the_first_answer_is_there() -> None:
    other = Fetch(1, "catalog", "query", "{items{__typename id}}")
    transport = Scripted({0: BOOKS, 1: answer({"items": []})})
    transport.gates = {0: asyncio.Event()}
    found, _ = incremental("{ books { title } ... @defer { items { id } } }", ROOT, other)
    assert found is not None
    stream = found.run(transport, {}, None)
    waiting = asyncio.ensure_future(anext(stream))
    await transport.reached("end 1")
    assert not waiting.done()
    transport.gates[0].set()
    assert patches(await waiting) == []
    assert patches(await anext(stream)) == [([], None, {"items": []})]


async def test_an_answer_may_be_deferred_as_a_whole() -> None:
    first, last = await in_world("{ ... @defer { books { id } } }")
    assert first.response is not None
    assert first.response.data == {}
    assert patches(last)[0][:2] == ([], None)


async def test_an_introspection_is_answered_at_once_or_with_its_part() -> None:
    source = """{
      books { title ... @defer { reviewCount } }
      t: __type(name: "Role") { kind }
      ... @defer(label: "schema") { __schema { queryType { name } } }
    }"""
    transport = Scripted({0: BOOKS, 1: answer({"_entities": [None, None]})})
    first, *rest = await increments(source, transport, ROOT, COUNT)
    assert first.response is not None
    assert (first.response.data or {})["t"] == {"kind": "ENUM"}
    found = [one for increment in rest for one in patches(increment)]
    assert ([], "schema", {"__schema": {"queryType": {"name": "Query"}}}) in found


async def test_the_schema_below_the_root_is_told_with_its_part() -> None:
    source = """{
      root { me { id } ... @defer(label: "later") { books { inStock } __schema { description } } }
    }"""
    first, *rest = await in_world(source)
    assert first.response is not None
    assert (
        first.response.data == monolith(supergraph().api_schema, "{ root { me { id } } }", {}).data
    )
    ((path, label, data),) = [one for increment in rest for one in patches(increment)]
    assert (path, label) == (["root"], "later")
    assert list(data or {}) == ["books", "__schema"]
    assert data["__schema"] == {"description": None}


async def test_where_nothing_is_shown_to_defer_on_the_first_answer_is_the_last() -> None:
    transport = Scripted({0: answer({"books": []})})
    transport.gates[1] = asyncio.Event()
    source = "{ books { title ... @defer { reviewCount } } }"
    (only,) = await increments(source, transport, ROOT, COUNT)
    assert only.response is not None
    assert (only.response.data, only.has_next) == ({"books": []}, False)


def test_a_plan_that_is_taken_apart_is_freed_without_the_garbage_collector() -> None:
    gc.collect()
    gc.disable()
    try:
        found, _ = incremental("{ books { title ... @defer { reviewCount } } }")
        assert found is not None
        projections = [found.projection, *(part.projection for part in found.parts)]
        functions = [found.executable._projection.root, *(one.root for one in projections)]
        freed = [weakref.ref(one) for one in functions]
        found.executable.take_apart()
        found.take_apart()
        del found, projections, functions
        assert [one() for one in freed] == [None] * 3
    finally:
        gc.enable()


async def test_closing_the_stream_stops_what_is_under_way() -> None:
    transport = Scripted({0: BOOKS})
    transport.gates[1] = asyncio.Event()
    found, _ = incremental(SOURCE, ROOT, COUNT)
    assert found is not None
    stream = found.run(transport, {}, None)
    before = asyncio.all_tasks()
    await anext(stream)
    await transport.reached("start 1")
    assert asyncio.all_tasks() > before
    await stream.aclose()
    assert asyncio.all_tasks() == before
    assert "end 1" not in transport.order


async def test_a_bug_in_the_engine_is_raised_not_waited_for() -> None:
    def broken(_: FetchReport) -> None:
        raise RuntimeError("a bug")

    transport = Scripted({0: BOOKS})
    found, _ = incremental(SOURCE, ROOT, COUNT)
    assert found is not None
    with pytest.raises(RuntimeError, match="a bug"):
        await anext(found.run(transport, {}, None, observer=broken))


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


def test_that_a_hop_tells_the_type_again_makes_nobody_wait_for_it() -> None:
    again = hop(1, "{...on Book{__typename reviewCount}}", "books", AT)
    assert incremental("{ books { __typename ... @defer { reviewCount } } }", ROOT, again)[0]
    narrowing = hop(1, "{...on Item{__typename reviewCount}}", "items", AT, on="Item")
    root = Fetch(0, "catalog", "query", "{items{__typename id}}")
    source = "{ items { __typename ... @defer { reviewCount: id } } }"
    assert incremental(source, root, narrowing)[0] is None


async def test_a_fetch_that_nobody_is_known_to_read_comes_first() -> None:
    extra = Fetch(2, "catalog", "query", "{a:me{id}}")
    found, _ = incremental(SOURCE, ROOT, COUNT, extra)
    assert found is not None
    transport = Scripted({0: BOOKS, 1: answer({"_entities": [None, None]}), 2: answer({})})
    transport.gates[1] = asyncio.Event()
    stream = found.run(transport, {}, None)
    await anext(stream)
    assert "end 2" in transport.order
    await stream.aclose()


async def test_a_fragment_is_deferred_once_however_often_it_is_spread() -> None:
    source = "{ books { title ...F @defer ...F @defer } } fragment F on Book { reviewCount }"
    transport = Scripted({0: BOOKS, 1: answer({"_entities": [None, None]})})
    _, last = await increments(source, transport, ROOT, COUNT)
    assert [path for path, _, _ in patches(last)] == [["books", 0], ["books", 1]]


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


async def test_an_error_of_a_shared_fetch_goes_with_the_part_that_reads_its_place() -> None:
    root = Fetch(0, "catalog", "query", "{books{__typename id title code isbn}}")
    error = {"message": "no", "path": ["books", 0, "code"]}
    books = answer({"books": [{"__typename": "Book", "id": "1", "title": "t"}]}, error)
    transport = Scripted({0: books, 1: answer({"_entities": [None]})})
    source = """{ books { title ... @defer(label: "a") { reviewCount }
      ... @defer(label: "b") { code } } }"""
    first, *rest = await increments(source, transport, root, COUNT)
    assert first.response is not None
    assert not first.response.errors
    told = {
        patch.of.label: [one["message"] for one in patch.errors]
        for increment in rest
        for patch in increment.patches
    }
    assert told == {"a": [], "b": ["no"]}


@pytest.mark.parametrize("failing", [1, 2])
async def test_the_failure_of_a_whole_fetch_is_told_with_the_part_that_needed_it(
    failing: int,
) -> None:
    answers: dict[int, Any] = {0: BOOKS, 1: answer({"_entities": [None, None]})}
    answers[2] = answers[1]
    answers[failing] = SubgraphError("It is down.")
    transport = Scripted(answers)
    first, *rest = await increments(TWO, transport, ROOT, COUNT, STOCK)
    assert first.response is not None
    assert not first.response.errors
    told = [
        (patch.of.label, patch.of.path, [one["message"] for one in patch.errors])
        for increment in rest
        for patch in increment.patches
        if patch.errors
    ]
    label = {1: "slow", 2: "fast"}[failing]
    assert told == [(label, ["books", 0], ["It is down."])]


async def test_a_null_that_came_from_what_is_deferred_is_explained_where_it_is_seen() -> None:
    root = Fetch(0, "catalog", "query", "{settings{version theme} me{id}}")
    error = {"message": "no", "path": ["settings", "version"]}
    transport = Scripted(
        {0: answer({"settings": None, "me": {"id": "1", "__typename": "User"}}, error)}
    )
    transport.answers = {**transport.answers, 1: answer({"_entities": [{"cart": None}]})}
    other = hop(1, "{...on User{email}}", "me", on="User")
    source = "{ settings { theme ... @defer { version } } me { ... @defer { email } } }"
    first, _ = await increments(source, transport, root, other)
    assert first.response is not None
    assert [one["path"] for one in first.response.errors] == [["settings", "version"]]


async def test_an_error_of_a_part_that_is_never_shown_is_not_lost() -> None:
    root = Fetch(0, "catalog", "query", "{books{__typename id title}}")
    error = {"message": "no", "path": ["books", 0, "title"]}
    transport = Scripted({0: answer({"books": []}, error), 1: answer({})})
    source = "{ books { id ... @defer { title reviewCount } } }"
    (only,) = await increments(source, transport, root, COUNT)
    assert only.response is not None
    assert [one["message"] for one in only.response.errors] == ["no"]
    inner = {"message": "no", "path": ["me", "email"]}
    me = Fetch(1, "accounts", "query", "{settings{version} me{email name}}")
    transport = Scripted({0: BOOKS, 1: answer({"me": None, "settings": {"version": 1}}, inner)})
    source = "{ books { id } ... @defer { settings { version } me { ... @defer { email } } } }"
    _, last = await increments(source, transport, ROOT, me)
    assert [[one["message"] for one in patch.errors] for patch in last.patches] == [["no"]]


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


SETTINGS = Fetch(0, "accounts", "query", "{settings{theme nested{right}}}")
VERSION = Fetch(1, "catalog", "query", "{settings{version}}")


async def test_what_a_client_has_seen_is_not_taken_away_again() -> None:
    shown = answer({"settings": {"theme": "dark", "nested": {"right": "r"}}})
    transport = Scripted({0: shown, 1: answer({"settings": {"version": None}})})
    source = "{ settings { theme nested { right } } ... @defer { settings { version theme } } }"
    first, last = await increments(source, transport, SETTINGS, VERSION)
    assert first.response is not None
    assert first.response.data == {"settings": {"theme": "dark", "nested": {"right": "r"}}}
    assert patches(last) == [([], None, None)]
    assert [one["path"] for one in last.patches[0].errors] == [["settings", "version"]]


async def test_what_became_null_for_a_client_stays_null() -> None:
    root = Fetch(0, "catalog", "query", "{books{__typename id isbn}}")
    stock = hop(1, "{...on Book{inStock}}", "books", AT)
    books = [{"__typename": "Book", "id": "1"}, {"__typename": "Book", "id": "2", "isbn": "i"}]
    stocked = answer({"_entities": [{"inStock": True}, {"inStock": False}]})
    transport = Scripted({0: answer({"books": books}), 1: stocked})
    source = "{ books { isbn } ... @defer { books { inStock } } }"
    first, last = await increments(source, transport, root, stock)
    assert first.response is not None
    assert first.response.data == {"books": [None, {"isbn": "i"}]}
    assert patches(last) == [([], None, {"books": [None, {"inStock": False}]})]


async def test_the_first_answer_explains_its_own_nulls() -> None:
    root = Fetch(0, "catalog", "query", "{books{__typename id isbn}}")
    transport = Scripted({0: BOOKS, 1: answer({"_entities": [None, None]})})
    (only,) = await increments(
        "{ books { isbn ... @defer { reviewCount } } }", transport, root, COUNT
    )
    assert only.response is not None
    assert only.response.data == {"books": [None, None]}
    assert len(only.response.errors) == 2


async def test_a_part_inside_a_part_is_announced_by_it() -> None:
    source = """{ books { title ... @defer(label: "outer") {
      reviewCount ... @defer(label: "inner") { inStock }
    } } }"""
    transport = Scripted({0: BOOKS, **{one: answer({"_entities": [None, None]}) for one in (1, 2)}})
    transport.gates[1] = asyncio.Event()
    found, _ = incremental(source, ROOT, COUNT, STOCK)
    assert found is not None
    stream = found.run(transport, {}, None)
    first = await anext(stream)
    assert [label for _, label in places(first)] == ["outer", "outer"]
    await transport.reached("end 2")
    transport.gates[1].set()
    last = await anext(stream)
    assert places(last) == [(["books", 0], "inner"), (["books", 1], "inner")]
    assert labels(last) == ["outer", "outer", "inner", "inner"]


async def test_a_part_inside_one_that_became_null_is_never_announced() -> None:
    source = """{ books { title ... @defer(label: "outer") {
      isbn ... @defer(label: "inner") { reviewCount }
    } } }"""
    root = Fetch(0, "catalog", "query", "{books{__typename id title}}")
    isbn = hop(2, "{...on Book{isbn}}", "books", AT)
    results = answer({"_entities": [{"isbn": "i"}, {"isbn": None}]})
    transport = Scripted({0: BOOKS, 1: answer({"_entities": [None, None]}), 2: results})
    _, *rest = await increments(source, transport, root, COUNT, isbn)
    announced = [one for increment in rest for one in places(increment)]
    assert announced == [(["books", 0], "inner")]
    assert rest[-1].has_next is False


async def test_a_type_condition_that_fails_gets_no_part() -> None:
    root = Fetch(0, "catalog", "query", "{items{__typename id}}")
    film = hop(1, "{...on Film{reviewCount}}", "items", AT, on="Film")
    items = [{"__typename": name, "id": name} for name in ("Book", "Film")]
    transport = Scripted(
        {0: answer({"items": items}), 1: answer({"_entities": [{"reviewCount": 3}]})}
    )
    source = "{ items { id ... on Film @defer { reviewCount } } }"
    first, last = await increments(source, transport, root, film)
    assert places(first) == [(["items", 1], None)]
    assert patches(last) == [(["items", 1], None, {"reviewCount": 3})]


async def test_what_tells_whether_a_fragment_applies_is_waited_for() -> None:
    root = Fetch(0, "reviews", "query", "{team{id}}")
    kind = hop(1, "{...on Member{__typename}}", "team", AT, on="Member")
    person = hop(2, "{...on Person{age}}", "team", AT, on="Person", after=1)
    team = [{"__typename": "Member", "id": one} for one in ("1", "2")]
    kinds = [{"__typename": "Person"}, {"__typename": "Bot"}]
    transport = Scripted(
        {
            0: answer({"team": team}),
            1: answer({"_entities": kinds}),
            2: answer({"_entities": [{"age": 30}]}),
        }
    )
    source = "{ team { id ... on Person @defer { age } } }"
    first, last = await increments(source, transport, root, kind, person)
    assert places(first) == [(["team", 0], None)]
    assert patches(last) == [(["team", 0], None, {"age": 30})]


def test_a_part_of_one_type_does_not_wait_for_what_another_type_gets() -> None:
    source = """{ items { id
      ... on Book @defer { reviewCount } ... on Film @defer { reviewCount }
      ... on Item @defer { related { id } }
    } }"""
    found, _ = incremental(source)
    assert found is not None
    owned = [fetch.part[0] for fetch in found.executable.plan.fetches]
    for index, part in enumerate(found.parts):
        assert {owned[fetch] for fetch in part.need.fetches} == {-1, index}


def test_a_deferred_fragment_that_cannot_apply_is_dropped() -> None:
    schema = supergraph().api_schema
    source = "{ books { ... on Item { id ... on Film @defer { code } } } }"
    prepared = prepare(schema, parse_and_validate(schema, source))
    assert prepared.split({})[1] == ()


class Shuffled(InMemory):
    """Answers what is asked at the same time in a random order."""

    def __init__(self, random: Random) -> None:
        super().__init__(*WORLD.subgraphs)
        self.random = random
        self.waiting: list[asyncio.Future[None]] = []

    async def execute(self, request: SubgraphRequest) -> SubgraphResponse:
        turn = asyncio.get_running_loop().create_future()
        self.waiting.append(turn)
        asyncio.get_running_loop().call_soon(self.release)
        await turn
        return await super().execute(request)

    def release(self) -> None:
        self.waiting.pop(self.random.randrange(len(self.waiting))).set_result(None)


async def test_all_parts_together_are_the_whole_answer() -> None:
    schema = supergraph().api_schema
    seen = parts = nested = bubbled = 0
    for seed in range(400):
        random = Random(seed)  # noqa: S311
        whole = random_operation(schema, random)
        source = deferring(whole, random)
        try:
            found, variables = incremental(source)
        except InvalidRequest:
            continue
        if found is None:
            continue
        seen += 1
        transport = Shuffled(random)
        first, *rest = [one async for one in found.run(transport, variables, None)]
        assert [one.has_next for one in (first, *rest)] == [True] * len(rest) + [False]
        assert not transport.invalid
        assert first.response is not None
        together: Any = first.response.data
        errors = list(first.response.errors)
        expected = list(first.pending)
        failed = False
        for one in rest:
            parts += 1
            expected += one.pending
            nested += len(one.pending)
            assert one.patches
            for patch in one.patches:
                expected.remove(patch.of)
                errors += patch.errors
                failed = failed or patch.data is None
                if patch.data is not None:
                    together = put(together, patch.of.path, patch.data)
        assert not expected
        bubbled += failed
        plain = monolith(schema, whole, {})
        if not failed:
            assert together == plain.data, source
        told = {tuple(error.get("path", ())) for error in errors}
        assert told.issuperset(tuple(error.path or ()) for error in plain.errors or ()), source
    assert seen > 60
    assert parts > seen
    assert nested > 20


async def test_root_fields_below_the_root_are_deferred() -> None:
    source = "{ root { users { id } ... @defer { topReview { stars } } } }"
    first, *rest = await in_world(source)
    assert first.response is not None
    whole = monolith(supergraph().api_schema, "{ users { id } topReview { stars } }", {})
    assert whole.data is not None
    assert first.response.data == {"root": {"users": whole.data["users"]}}
    (patch,) = [one for increment in rest for one in increment.patches]
    assert patch.of.path == ["root"]
    assert patch.data == {"topReview": whole.data["topReview"]}


SETTLED = supergraph_sdl("""
type Query @join__type(graph: ALL_THINGS) { shelf: [Item] }
interface Item @join__type(graph: ALL_THINGS) { id: ID! next: Item }
interface Sold @join__type(graph: ALL_THINGS) { id: ID! }
type Book implements Item & Sold
  @join__implements(graph: ALL_THINGS, interface: "Item")
  @join__implements(graph: ALL_THINGS, interface: "Sold")
  @join__type(graph: ALL_THINGS, key: "id")
  @join__type(graph: OTHERS, key: "id")
{
  id: ID! next: Book @join__field(graph: ALL_THINGS) stock: Int @join__field(graph: OTHERS)
}
type Film implements Item
  @join__implements(graph: ALL_THINGS, interface: "Item") @join__type(graph: ALL_THINGS)
{ id: ID! next: Film }
type Lamp @join__type(graph: ALL_THINGS) { watts: Int }
""")


async def test_a_part_is_found_where_an_object_need_not_say_its_type() -> None:
    source = """{ shelf {
      ... on Sold { ... on Item { next {
        ... on Book { ... @defer(label: "book") { id } }
        ... on Film { ... @defer(label: "film") { id } }
      } } }
      ... on Book { ... @defer(label: "stock") { stock } }
    } }"""
    found, variables = incremental(source, of=Supergraph.from_sdl(SETTLED))
    assert found is not None
    assert "next{id}" in found.executable.plan.fetches[0].document
    book = {"__typename": "Book", "id": "1", "next": {"id": "2"}}
    stock = answer({"_entities": [{"stock": 5}]})
    transport = Scripted({0: answer({"shelf": [book, None]}), 1: stock})
    _, *later = [one async for one in found.run(transport, variables, None)]
    told = [patch for one in later for patch in patches(one)]
    assert sorted(told, key=str) == [
        (["shelf", 0, "next"], "book", {"id": "2"}),
        (["shelf", 0], "stock", {"stock": 5}),
    ]


@pytest.mark.parametrize("said", ["Lamp", "Nonsense", "Boolean"])
async def test_a_part_is_not_looked_for_in_what_is_of_no_possible_type(said: str) -> None:
    source = '{ shelf { next { id ... on Book { ... @defer(label: "book") { stock } } } } }'
    found, variables = incremental(source, of=Supergraph.from_sdl(SETTLED))
    assert found is not None
    next_ = {"__typename": "Book", "id": "2"}
    data = {"shelf": [{"__typename": said, "next": next_}, {"__typename": "Item", "next": 5}]}
    transport = Scripted({0: answer(data), 1: answer({"_entities": [{"stock": 5}]})})
    (only,) = [one async for one in found.run(transport, variables, None)]
    assert only.pending == []
