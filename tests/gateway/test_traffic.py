"""What the gateway does for subgraphs in trouble, against servers that are."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from prometheus_client import REGISTRY
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from gateway.context import RequestContext
from gateway.federation.plan import Fetch
from gateway.federation.transport import SubgraphRequest
from gateway.pipeline import Pipeline
from gateway.runtime import Runtime
from gateway.transports.http import HttpTransport, SubgraphEndpoint
from gateway.transports.traffic import CircuitBreakers, Traffic
from shared.deadline import deadline
from shared.protocols.service import GraphQLRequest, GraphQLResult
from tests.gateway.bookshop import SUPERGRAPH
from tests.gateway.conftest import as_json
from tests.serving import serving


class Trouble:
    """A subgraph that answers what the test says, and counts."""

    def __init__(self) -> None:
        self.answers: list[Callable[[], Response]] = []
        self.calls: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.hold: asyncio.Event | None = None
        self.asked = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        self.calls.append(await request.json())
        self.headers.append(dict(request.headers))
        self.asked.set()
        if self.hold is not None:
            await self.hold.wait()
        answer = self.answers.pop(0) if self.answers else fine
        await answer()(scope, receive, send)


def fine() -> Response:
    return JSONResponse({"data": {"whoami": "me"}}, headers={"cache-control": "max-age=60"})


def gone() -> Response:
    return PlainTextResponse("bad gateway", status_code=502)


def graphql_error() -> Response:
    return JSONResponse({"errors": [{"message": "no"}], "data": None}, status_code=500)


@pytest.fixture
async def trouble() -> Trouble:
    return Trouble()


@pytest.fixture
async def pipeline(trouble: Trouble) -> AsyncIterator[Pipeline]:
    async with AsyncExitStack() as stack:
        address = await stack.enter_async_context(serving(trouble, lifespan="off"))
        endpoints = {name: SubgraphEndpoint(address) for name in ("authors", "books")}

        http = HttpTransport(endpoints, lambda *_: {}, timeout_seconds=5)
        traffic = Traffic(http, CircuitBreakers(least_calls=6), pause_seconds=0.01)
        pipeline = Pipeline(Runtime(SUPERGRAPH, traffic))
        yield pipeline
        await pipeline.close()


async def ask(
    pipeline: Pipeline, query: str = "{ whoami }", context: RequestContext | None = None
) -> GraphQLResult:
    context = context or RequestContext(audience="everybody")
    return await pipeline.execute(GraphQLRequest(query), context)


async def test_a_query_is_asked_again_when_nothing_answered(
    pipeline: Pipeline, trouble: Trouble
) -> None:
    trouble.answers = [gone]
    assert as_json(await ask(pipeline)) == {"data": {"whoami": "me"}}
    assert len(trouble.calls) == 2


async def test_a_query_is_not_asked_a_third_time(pipeline: Pipeline, trouble: Trouble) -> None:
    trouble.answers = [gone, gone]
    answer = as_json(await ask(pipeline))
    assert answer["data"] == {"whoami": None}
    assert answer["errors"][0]["extensions"] == {
        "code": "DOWNSTREAM_SERVICE_ERROR",
        "serviceName": "authors",
    }
    assert len(trouble.calls) == 2


async def test_a_mutation_is_never_asked_again(pipeline: Pipeline, trouble: Trouble) -> None:
    trouble.answers = [gone]
    answer = as_json(await ask(pipeline, 'mutation { rename(id: "1", name: "x") { id } }'))
    assert answer["data"] is None
    assert len(trouble.calls) == 1


async def test_metrics_tell_how_long_each_attempt_took(
    pipeline: Pipeline, trouble: Trouble
) -> None:
    def counted() -> float:
        return (
            REGISTRY.get_sample_value(
                "subgraph_fetch_duration_seconds_count", {"subgraph": "authors"}
            )
            or 0
        )

    before = counted()
    trouble.answers = [gone]
    await ask(pipeline)
    assert counted() - before == 2


async def test_a_graphql_answer_is_an_answer_whatever_its_status(
    pipeline: Pipeline, trouble: Trouble
) -> None:
    trouble.answers = [graphql_error]
    answer = as_json(await ask(pipeline))
    assert answer["errors"][0]["message"] == "no"
    assert len(trouble.calls) == 1


async def test_a_subgraph_that_does_not_answer_is_left_alone(
    pipeline: Pipeline, trouble: Trouble
) -> None:
    trouble.answers = [gone] * 6
    for _ in range(3):
        await ask(pipeline)
    answer = as_json(await ask(pipeline))
    assert answer["errors"][0]["extensions"]["code"] == "DOWNSTREAM_UNAVAILABLE"
    assert len(trouble.calls) == 6


@pytest.mark.parametrize(("audience", "calls"), [("everybody", 1), (None, 3)])
async def test_identical_fetches_in_flight_are_made_once_for_one_audience(
    pipeline: Pipeline, trouble: Trouble, audience: str | None, calls: int
) -> None:
    trouble.hold = asyncio.Event()
    contexts = [RequestContext(audience=audience) for _ in range(3)]
    asking = [asyncio.create_task(ask(pipeline, context=context)) for context in contexts]
    await trouble.asked.wait()
    while len(trouble.calls) < calls:
        await asyncio.wait(asking, timeout=0.01)
    asking[2].cancel()
    await asyncio.wait([asking[2]])
    trouble.hold.set()
    results = [as_json(await task) for task in asking[:2]]
    assert results == [{"data": {"whoami": "me"}}] * 2
    assert len(trouble.calls) == calls


@pytest.mark.parametrize(("audience", "calls"), [("everybody", 2), (None, 3)])
async def test_when_the_one_who_asked_leaves_another_asks_for_all_who_wait(
    pipeline: Pipeline, trouble: Trouble, audience: str | None, calls: int
) -> None:
    trouble.hold = asyncio.Event()
    contexts = [RequestContext(audience=audience) for _ in range(3)]
    asking = [asyncio.create_task(ask(pipeline, context=context)) for context in contexts]
    await trouble.asked.wait()
    asking[0].cancel()
    await asyncio.wait([asking[0]])
    while len(trouble.calls) < calls:
        await asyncio.wait(asking, timeout=0.01)
    trouble.hold.set()
    results = [as_json(await task) for task in asking[1:]]
    assert results == [{"data": {"whoami": "me"}}] * 2
    assert len(trouble.calls) == calls


async def in_time(pipeline: Pipeline, seconds: float) -> GraphQLResult:
    deadline.set(time.monotonic() + seconds)
    return await ask(pipeline)


async def test_who_waits_for_the_fetch_of_another_waits_no_longer_than_its_own_time(
    pipeline: Pipeline, trouble: Trouble
) -> None:
    trouble.hold = asyncio.Event()
    first = asyncio.create_task(ask(pipeline))
    await trouble.asked.wait()
    answer = as_json(await asyncio.create_task(in_time(pipeline, 0.05)))
    assert answer["errors"][0]["extensions"]["code"] == "DOWNSTREAM_TIMEOUT"
    assert not first.done()
    trouble.hold.set()
    assert as_json(await first) == {"data": {"whoami": "me"}}
    assert len(trouble.calls) == 1


async def test_who_has_more_time_than_the_one_who_asked_asks_itself(
    pipeline: Pipeline, trouble: Trouble
) -> None:
    await ask(pipeline)  # From here on it is planned, so that who comes first asks first.
    trouble.hold = asyncio.Event()
    hasty = asyncio.create_task(in_time(pipeline, 0.05))
    patient = asyncio.create_task(ask(pipeline))
    answer = as_json(await hasty)
    assert answer["errors"][0]["extensions"]["code"] == "DOWNSTREAM_TIMEOUT"
    trouble.hold.set()
    assert as_json(await patient) == {"data": {"whoami": "me"}}


@pytest.mark.parametrize(
    "body",
    [b'{"data":5}', b'{"data":["me"]}', b'{"data":' + b"[" * 5_000 + b"]" * 5_000 + b"}"],
    ids=["number", "list", "deep"],
)
async def test_an_answer_whose_data_is_no_object_is_no_answer(
    pipeline: Pipeline, trouble: Trouble, body: bytes
) -> None:
    trouble.answers = [lambda: Response(body, media_type="application/json")]
    answer = as_json(await ask(pipeline))
    assert answer["data"] == {"whoami": None}
    assert answer["errors"][0]["extensions"]["code"] == "DOWNSTREAM_SERVICE_ERROR"


async def test_a_query_after_a_mutation_is_not_given_what_began_before_it(
    pipeline: Pipeline, trouble: Trouble
) -> None:
    hold = trouble.hold = asyncio.Event()
    before = asyncio.create_task(ask(pipeline))
    await trouble.asked.wait()
    trouble.hold = None
    await ask(pipeline, 'mutation { rename(id: "1", name: "x") { id } }')
    await ask(pipeline)
    assert len(trouble.calls) == 3
    hold.set()
    await before


async def test_the_strictest_cache_control_is_the_answers(
    pipeline: Pipeline, trouble: Trouble
) -> None:
    kept = {"cache-control": "max-age=60", "vary": "Authorization"}
    assert (await ask(pipeline)).headers == kept
    trouble.answers = [lambda: JSONResponse({"data": {"whoami": "me"}})]
    assert (await ask(pipeline)).headers == {"cache-control": "no-store"}
    trouble.answers = [graphql_error]
    assert (await ask(pipeline)).headers == {}


async def test_a_fetch_carries_what_remains_of_the_time(
    pipeline: Pipeline, trouble: Trouble
) -> None:
    await ask(pipeline)
    assert 0 < int(trouble.headers[0]["x-nexus-timeout-ms"]) <= 5_000


def test_integers_beyond_64_bits_reach_the_subgraph() -> None:
    fetch = Fetch(1, "books", "query", "query($n: Big) { a(n: $n) }", None, (("n", "n"),))
    body = HttpTransport.encode(SubgraphRequest(fetch, {"n": 10**30}, None))
    assert json.loads(body)["variables"] == {"n": 10**30}
