"""What a runtime keeps, and what it makes once."""

from __future__ import annotations

import asyncio
import threading

import pytest
from prometheus_client import REGISTRY

from gateway.cache import LruCache
from gateway.context import RequestContext
from gateway.federation.operation.prepare import InvalidRequest
from gateway.federation.supergraph import Supergraph
from gateway.labels import OverrideLabels
from gateway.pipeline import Pipeline
from gateway.runtime import Document, Runtime
from gateway.security.limits import LimitExceeded, Limits
from gateway.transports.local import LocalTransport
from shared.aside import Aside, TooManyNewOperations
from shared.auth import ANONYMOUS, Identity
from shared.deadline import deadline
from shared.errors import TimedOut
from shared.protocols.service import GraphQLRequest
from tests.gateway.bookshop import SDL, SUPERGRAPH, Bookshop, make_bookshop

QUERY = "query($deep: Boolean!) { authors { id books @include(if: $deep) { title } } }"


def runtime(sdl: str | None = None, *, limits: Limits | None = None) -> Runtime:
    supergraph = Supergraph.from_sdl(sdl) if sdl else SUPERGRAPH
    return Runtime(supergraph, LocalTransport(make_bookshop(Bookshop())), limits=limits)


async def test_a_document_asked_for_by_many_is_prepared_and_planned_once() -> None:
    made = runtime()
    long = QUERY + "#" * 3_000
    documents = await asyncio.gather(*(made.prepare(long, None) for _ in range(5)))
    assert len(set(documents)) == 1
    plans = await asyncio.gather(*(made.plan(documents[0], {"deep": True}, {}) for _ in range(5)))
    assert len({id(planned.executable) for planned in plans}) == 1


async def test_a_wrong_value_gives_no_name_of_the_schema_away() -> None:
    shade = "enum Shade @join__type(graph: AUTHORS) { LIGHT @join__enumValue(graph: AUTHORS) }"
    made = runtime(SDL.replace("whoami: String", "whoami(shade: Shade): String") + shade)
    document = await made.prepare("query($shade: Shade) { whoami(shade: $shade) }", None)
    with pytest.raises(InvalidRequest, match="'LIGTH'") as caught:
        made.coerce(document, {"shade": "LIGTH"})
    assert "LIGHT" not in str(caught.value)


async def test_only_so_many_unknown_operations_may_wait() -> None:
    made = runtime()
    texts = [f"{QUERY}#{number:0300}" for number in range(102)]
    results = await asyncio.gather(
        *(made.prepare(text, None) for text in texts), return_exceptions=True
    )
    assert [type(result) for result in results] == [Document] * 101 + [TooManyNewOperations]
    assert isinstance(await made.prepare(texts[-1], None), Document)


async def test_a_short_operation_goes_before_long_ones_and_takes_the_place_of_the_longest() -> None:
    made = runtime()
    done: list[int] = []

    async def prepare(length: int) -> None:
        await made.prepare(f"{QUERY}#".ljust(length, "#"), None)
        done.append(length)

    lengths = [99_990 - number for number in range(11)]
    results = await asyncio.gather(*map(prepare, [*lengths, 400]), return_exceptions=True)
    assert isinstance(results[1], TooManyNewOperations)
    assert done[:3] == [lengths[0], 400, lengths[-1]]
    assert len(done) == 11


async def test_what_goes_wrong_beside_the_loop_is_raised_where_it_is_awaited() -> None:
    aside = Aside(most=10, size=10)

    def fail() -> None:
        raise ZeroDivisionError

    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            await aside.once("a", 1, fail)
    aside.close()


async def test_what_nobody_waits_for_any_more_is_not_read() -> None:
    aside = Aside(most=10, size=10)
    begun: list[int] = []
    first_may_end = threading.Event()

    def begin(number: int) -> None:
        begun.append(number)
        first_may_end.wait(60)

    waiting = [asyncio.ensure_future(aside.once(n, 1, begin, n)) for n in range(3)]
    await asyncio.sleep(0)
    waiting[1].cancel()
    await asyncio.wait(waiting[1:2])
    first_may_end.set()
    await asyncio.wait(waiting)
    assert begun == [0, 2]
    aside.close()


async def test_an_unknown_operation_waits_no_longer_than_the_request_may_take() -> None:
    made = runtime()
    waiting = [made.prepare(f"{QUERY}#{number:0300}", None) for number in range(50)]
    token = deadline.set(0.0)
    try:
        results = await asyncio.gather(*waiting, return_exceptions=True)
    finally:
        deadline.reset(token)
    assert isinstance(results[-1], TimedOut)


async def test_documents_are_forgotten_when_they_hold_too_much_memory() -> None:
    made = runtime()
    texts = [f"{QUERY}#{number:090000}" for number in range(9)]
    first, *_ = [await made.prepare(text, None) for text in texts]
    last = await made.prepare(texts[-1], None)
    assert await made.prepare(texts[-1], None) is last
    assert await made.prepare(texts[0], None) is not first


async def test_a_kept_document_still_tells_where_a_variable_is() -> None:
    made = runtime()
    document = await made.prepare(QUERY, None)
    assert document.operation.node.loc is None
    with pytest.raises(InvalidRequest) as caught:
        document.operation.coerce({"deep": "no"})
    (error,) = caught.value.errors
    assert error.locations == [(1, 7)]


@pytest.mark.parametrize("most", [11, 12])
async def test_variables_are_counted_before_they_are_read(most: int) -> None:
    given = {"filter": {"ids": [1, 2, 3], "deep": [[{"a": None}], []]}, "deep": True}
    made = runtime(limits=Limits(values=most - 1))
    document = await made.prepare(QUERY, None)
    if most == 12:
        assert made.coerce(document, given) == {"deep": True}
        return
    with pytest.raises(LimitExceeded) as caught:
        made.coerce(document, given)
    assert caught.value.code == "MAX_VALUES_LIMIT"


async def test_variables_over_a_limit_that_is_only_measured_are_read_up_to_ten_times_it() -> None:
    made = runtime(limits=Limits(values=1, measured=frozenset({"values"})))
    document = await made.prepare(QUERY, None)
    assert made.coerce(document, {"deep": True, "other": 1}) == {"deep": True}
    with pytest.raises(LimitExceeded):
        made.coerce(document, {"deep": True, "other": [1] * 20})


async def test_texts_that_mean_the_same_share_a_plan() -> None:
    made = runtime()
    first = await made.prepare("{ authors { id name } }", None)
    second = await made.prepare("{ authors { ...A } } fragment A on Author { id name }", None)
    plans = [await made.plan(document, {}, {}) for document in (first, second)]
    assert plans[0].executable is plans[1].executable


async def test_operations_that_differ_in_a_directive_have_plans_of_their_own() -> None:
    made = runtime(SDL + "directive @cased on QUERY | FIELD")
    texts = ("{ whoami }", "query @cased { whoami }", "{ whoami @cased }")
    documents = [await made.prepare(text, None) for text in texts]
    plans = [await made.plan(document, {}, {}) for document in documents]
    sent = [plan.executable.plan.fetches[0].document for plan in plans]
    assert sent == ["{whoami}", "query@cased{whoami}", "{whoami@cased}"]


async def test_a_new_runtime_makes_the_plans_that_ran_before_it_serves() -> None:
    old = runtime()
    pipeline = Pipeline(old)
    for deep in (True, False):
        request = GraphQLRequest(QUERY, variables={"deep": deep})
        await pipeline.execute(request, RequestContext())
    await pipeline.execute(GraphQLRequest("{ whoami }"), RequestContext())
    new = runtime(SDL.replace("whoami", "whois"))
    assert await new.warm_up(old) == 2
    assert len(new.plans()) == 2


def tangle(graphs: int) -> str:
    """A supergraph in which each of many subgraphs knows the same type and one field of it."""
    names = [f"G{number}" for number in range(graphs)]
    entries = " ".join(f'{name} @join__graph(name: "{name.lower()}", url: "")' for name in names)
    anywhere = " ".join(f"@join__type(graph: {name})" for name in names)
    keyed = " ".join(f'@join__type(graph: {name}, key: "id")' for name in names)
    fields = " ".join(f"{name.lower()}: Int @join__field(graph: {name})" for name in names)
    head = SDL[: SDL.index("enum join__Graph")].replace("mutation: Mutation", "")
    return (
        f"{head.replace('subscription: Subscription', '')} enum join__Graph {{ {entries} }}"
        f" type Query {anywhere} {{ thing: Thing }}"
        f" type Thing {keyed} {{ id: ID! next: Thing {fields} }}"
    )


async def test_an_operation_that_is_too_complex_to_plan_is_cut_off_with_its_own_code() -> None:
    fields = " ".join(f"g{number}" for number in range(16))
    query = "{ thing { " + f"next {{ {fields} " * 30 + "id" + " }" * 32
    pipeline = Pipeline(runtime(tangle(16), limits=Limits(depth=100)))
    for _ in range(2):
        result = await pipeline.execute(GraphQLRequest(query), RequestContext())
        assert result.data is None
        (error,) = result.errors
        assert error["extensions"]["code"] == "QUERY_PLAN_TOO_COMPLEX"


async def test_what_no_subgraph_can_be_asked_for_is_refused_with_its_own_code() -> None:
    changed = SDL.replace("whoami: String", "whoami: String again: Mutation").replace(
        "type Mutation @join__type(graph: AUTHORS) {",
        "type Mutation @join__type(graph: AUTHORS) @join__type(graph: BOOKS) {"
        " publish: Int @join__field(graph: BOOKS)",
    )
    pipeline = Pipeline(runtime(changed))
    result = await pipeline.execute(GraphQLRequest("{ again { publish } }"), RequestContext())
    assert result.data is None
    assert result.errors == [
        {
            "message": "Mutation.publish cannot be reached from authors",
            "extensions": {"code": "QUERY_PLAN_FAILED"},
        }
    ]


async def test_the_plans_that_ran_most_often_come_first() -> None:
    old = runtime()
    pipeline = Pipeline(old)
    for query in ("{ authors { id } }", "{ authors { id } }", "{ authors { name } }"):
        await pipeline.execute(GraphQLRequest(query), RequestContext())
    new = runtime()
    assert await new.warm_up(old, most=1) == 1
    ((document, *_), _), *others = new.plans()
    assert (document.source, others) == ("{ authors { id } }", [])


async def test_plans_are_made_on_a_supergraph_with_other_labels_too() -> None:
    old = runtime()
    await Pipeline(old).execute(GraphQLRequest("{ authors { name } }"), RequestContext())
    progressive = SDL.replace(
        "name: String @join__field(graph: AUTHORS)",
        'name: String @join__field(graph: AUTHORS, override: "books", overrideLabel: "percent(5)")'
        " @join__field(graph: BOOKS)",
    )
    new = runtime(progressive)
    assert set(new.supergraph.labels) == {"percent(5)"}
    assert await new.warm_up(old) == 1
    assert await runtime(SDL).warm_up(new) == 1


def test_a_cache_forgets_what_was_not_used_for_longest() -> None:
    cache: LruCache[str, int] = LruCache(entries=2)
    cache.put("a", 1)
    cache.put("b", 2)
    assert cache.get("a") == 1
    cache.put("c", 3)
    assert (cache.get("a"), cache.get("b"), cache.get("c")) == (1, None, 3)
    assert len(cache) == 2


def test_a_cache_is_bounded_by_weight() -> None:
    cache: LruCache[str, int] = LruCache(entries=10, weight=10)
    cache.put("a", 1, weight=6)
    cache.put("a", 2, weight=5)
    cache.put("b", 3, weight=5)
    cache.put("c", 4, weight=1)
    cache.put("d", 5, weight=11)
    assert [key for key, _ in cache.latest()] == ["c", "b"]


async def test_metrics_tell_how_often_operations_were_known() -> None:
    def count(cache: str, result: str) -> float:
        labels = {"cache": cache, "result": result}
        return REGISTRY.get_sample_value("cache_requests_total", labels) or 0

    kinds = [(cache, result) for cache in ("documents", "plans") for result in ("hit", "miss")]
    before = [count(*kind) for kind in kinds]
    pipeline = Pipeline(runtime())
    for _ in range(4):
        await pipeline.execute(GraphQLRequest("{ authors { id } }"), RequestContext())
    after = [count(*kind) for kind in kinds]
    assert [new - old for new, old in zip(after, before, strict=True)] == [3, 1, 3, 1]


def test_a_user_stays_on_one_side_of_a_percentage() -> None:
    labels = OverrideLabels(["percent(30)", "custom", "other"], switched_on=["custom"])
    users = [Identity(user_id=str(number)) for number in range(1_000)]
    sides = [labels.decide(user)["percent(30)"] for user in users]
    assert sides == [labels.decide(user)["percent(30)"] for user in users]
    assert 250 < sum(sides) < 350
    outcome = labels.decide(users[0])
    assert (outcome["custom"], outcome["other"]) == (True, False)


@pytest.mark.parametrize(("drawn", "taken"), [(0.29, True), (0.31, False)])
def test_a_stranger_is_drawn_anew(drawn: float, taken: bool) -> None:
    labels = OverrideLabels(["percent(30)"], draw=lambda: drawn)
    assert labels.decide(ANONYMOUS) == {"percent(30)": taken}
