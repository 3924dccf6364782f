"""Whether a process should be sent traffic: not a question of single subgraphs."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from starlette.requests import Request

from gateway.context import RequestContext
from gateway.federation.supergraph import Supergraph
from gateway.health import Check, Ready, all_of, subgraphs_of
from gateway.pipeline import Pipeline
from gateway.runtime import Runtime
from gateway.transports.http import HttpTransport, SubgraphEndpoint
from gateway.transports.traffic import CircuitBreakers, Traffic
from tests.gateway.bookshop import SDL
from tests.serving import serving


async def fine() -> None:
    return


async def hanging() -> None:
    await asyncio.Event().wait()


async def broken() -> None:
    raise ConnectionError


async def report(ready: Ready) -> tuple[int, dict[str, Any]]:
    response = await ready.respond(Request({"type": "http", "method": "GET"}))
    return response.status_code, json.loads(bytes(response.body))


async def test_what_nothing_works_without_decides() -> None:
    status, told = await report(Ready({"a": broken, "b": fine}, asyncio.Event()))
    assert (status, told["status"]) == (503, "unavailable")
    assert told["checks"] == {"a": "ConnectionError", "b": "ok"}


async def test_a_check_is_not_waited_for_without_end() -> None:
    status, told = await report(Ready({"a": hanging}, asyncio.Event(), check_seconds=0.01))
    assert (status, told["checks"]) == (503, {"a": "TimeoutError"})


async def test_a_process_that_drains_is_not_ready() -> None:
    draining = asyncio.Event()
    ready = Ready({"a": fine}, draining)
    assert (await report(ready))[0] == 200
    draining.set()
    status, told = await report(ready)
    assert (status, told["status"]) == (503, "draining")


async def test_a_part_that_fails_is_told_and_does_not_decide() -> None:
    parts: dict[str, Check] = {"users": fine, "storage": all_of({"s3": broken, "postgres": fine})}
    ready = Ready({}, asyncio.Event(), parts=lambda: parts, needs_a_part=True)
    status, told = await report(ready)
    assert (status, told["status"]) == (200, "degraded")
    assert told["subgraphs"] == {"users": "ok", "storage": "ConnectionError"}


async def test_without_any_part_that_works_nothing_can_be_served() -> None:
    parts: dict[str, Check] = {"users": broken, "storage": broken}
    for needs, expected in ((True, 503), (False, 200)):
        ready = Ready({}, asyncio.Event(), parts=lambda: parts, needs_a_part=needs)
        assert (await report(ready))[0] == expected


async def test_a_supergraph_that_was_refused_degrades() -> None:
    status, told = await report(Ready({}, asyncio.Event(), supergraph=lambda: "refused"))
    assert (status, told["status"], told["supergraph"]) == (200, "degraded", "refused")


async def test_findings_are_kept_for_a_while() -> None:
    looked = 0

    async def look() -> None:
        nonlocal looked
        looked += 1

    now = [0.0]
    ready = Ready({"a": look}, asyncio.Event(), parts=lambda: {"b": look}, clock=lambda: now[0])
    await asyncio.gather(*(report(ready) for _ in range(5)))
    assert looked == 2
    for now[0], expected in ((2.0, 3), (3.0, 3), (11.0, 5)):
        await report(ready)
        assert looked == expected


async def test_any_answer_of_a_subgraph_counts_and_none_does_not() -> None:
    async def refusing(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 401, "headers": []})
        await send({"type": "http.response.body", "body": b"no"})

    async with serving(refusing, lifespan="off") as url:
        addresses = {"authors": url, "books": "http://127.0.0.1:1"}
        endpoints = {name: SubgraphEndpoint(address) for name, address in addresses.items()}

        def headers(_: RequestContext, __: str) -> dict[str, str]:
            return {}

        transport = Traffic(
            HttpTransport(endpoints, headers), CircuitBreakers(), pause_seconds=0.001
        )
        pipeline = Pipeline(Runtime(Supergraph.from_sdl(SDL), transport))
        ready = Ready({}, asyncio.Event(), parts=lambda: subgraphs_of(pipeline), check_seconds=300)
        status, told = await report(ready)
        await pipeline.close()
    assert (status, told["status"]) == (200, "degraded")
    assert told["subgraphs"] == {"authors": "ok", "books": "DOWNSTREAM_SERVICE_ERROR"}
