"""Subscriptions over server-sent events and multipart, as clients see them."""

from __future__ import annotations

import asyncio
import json
from contextlib import AbstractAsyncContextManager

import httpx
import pytest
from prometheus_client import REGISTRY

from shared.protocols.sse import EventStreams
from tests.clients import node, npm_packages
from tests.serving import serving
from tests.shared.protocols.conftest import Served
from tests.shared.protocols.counting import Counting, name_of

COUNT = "subscription { count(to: 3) }"
COUNTED = [{"data": {"count": n}} for n in (1, 2, 3)]


@pytest.mark.parametrize("mode", ["distinct", "single"])
async def test_graphql_sse_gets_every_event(served: Served, mode: str) -> None:
    await npm_packages()
    requests = [{"query": COUNT}, {"query": "{ apple }"}, {"query": COUNT}]
    answers = await node("graphql_sse.mjs", served.url, json.dumps(requests), mode)
    assert answers == [
        {"results": COUNTED},
        {"results": [{"data": {"apple": 2}}]},
        {"results": COUNTED},
    ]


async def test_a_stream_of_events_is_written_as_the_protocol_says(
    served: Served, client: httpx.AsyncClient
) -> None:
    response = await client.post(
        served.url, json={"query": COUNT}, headers={"accept": "text/event-stream"}
    )
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert response.text == (
        ":\n\n"
        'event: next\ndata: {"data":{"count":1}}\n\n'
        'event: next\ndata: {"data":{"count":2}}\n\n'
        'event: next\ndata: {"data":{"count":3}}\n\n'
        "event: complete\ndata: \n\n"
    )


async def test_an_invalid_operation_is_an_event_when_only_events_are_accepted(
    served: Served, client: httpx.AsyncClient
) -> None:
    response = await client.post(
        served.url, json={"query": "{ nothing }"}, headers={"accept": "text/event-stream"}
    )
    assert response.status_code == 200
    assert "Cannot query field 'nothing'" in response.text
    assert response.text.endswith("event: complete\ndata: \n\n")


async def test_a_query_is_answered_plainly_when_both_are_accepted(
    served: Served, client: httpx.AsyncClient
) -> None:
    accept = "application/graphql-response+json, text/event-stream, multipart/mixed"
    response = await client.post(
        served.url, json={"query": "{ apple }"}, headers={"accept": accept}
    )
    assert response.json() == {"data": {"apple": 2}}


async def test_multipart_parts_carry_payloads(served: Served, client: httpx.AsyncClient) -> None:
    accept = "multipart/mixed;boundary=graphql;subscriptionSpec=1.0,application/json"
    response = await client.post(served.url, json={"query": COUNT}, headers={"accept": accept})
    assert response.headers["content-type"].startswith("multipart/mixed;boundary=")
    assert response.text.split("\r\n--graphql") == [
        "",
        "\r\ncontent-type: application/json\r\n\r\n{}",
        '\r\ncontent-type: application/json\r\n\r\n{"payload":{"data":{"count":1}}}',
        '\r\ncontent-type: application/json\r\n\r\n{"payload":{"data":{"count":2}}}',
        '\r\ncontent-type: application/json\r\n\r\n{"payload":{"data":{"count":3}}}',
        "--\r\n",
    ]


@pytest.mark.parametrize("accept", ["text/event-stream", "multipart/mixed"])
async def test_a_quiet_stream_has_heartbeats_and_ends_with_the_client(
    served: Served, client: httpx.AsyncClient, accept: str
) -> None:
    heartbeat = ":\n\n" if accept == "text/event-stream" else "\r\n\r\n{}"
    request = client.stream(
        "POST",
        served.url,
        json={"query": "subscription { forever }"},
        headers={"accept": accept},
    )
    async with request as response:
        text = ""
        async for chunk in response.aiter_text():
            text += chunk
            if text.count(heartbeat) >= 3:
                break
    assert '"forever":1' in text
    async with asyncio.timeout(5):
        await served.service.stopped.wait()


@pytest.mark.parametrize("accept", ["text/event-stream", "multipart/mixed"])
async def test_a_draining_server_ends_a_stream_without_completing_it(
    served: Served, client: httpx.AsyncClient, accept: str
) -> None:
    request = client.stream(
        "POST",
        served.url,
        json={"query": "subscription { forever }"},
        headers={"accept": accept},
    )
    async with request as response:
        await served.service.streaming.wait()
        served.draining.set()
        text = "".join([chunk async for chunk in response.aiter_text()])
    assert "complete" not in text
    assert "--graphql--" not in text
    assert served.service.stopped.is_set()


@pytest.mark.parametrize("accept", ["text/event-stream", "multipart/mixed"])
async def test_a_stream_that_breaks_says_no_more_than_internal(
    served: Served, client: httpx.AsyncClient, accept: str
) -> None:
    response = await client.post(
        served.url, json={"query": "subscription { broken }"}, headers={"accept": accept}
    )
    assert '"INTERNAL"' in response.text
    assert "secret" not in response.text


async def reserve(served: Served, client: httpx.AsyncClient) -> dict[str, str]:
    response = await client.put(served.url)
    assert response.status_code == 201
    return {"x-graphql-event-stream-token": response.text}


def operation(query: str, operation_id: object = "1") -> dict[str, object]:
    return {"query": query, "extensions": {"operationId": operation_id}}


async def test_a_reserved_stream_carries_its_operations(
    served: Served, client: httpx.AsyncClient
) -> None:
    token = await reserve(served, client)
    accepted = await client.post(served.url, json=operation(COUNT), headers=token)
    assert accepted.status_code == 202
    text = ""
    request = client.stream("GET", served.url, headers={**token, "accept": "text/event-stream"})
    async with request as response:
        async for chunk in response.aiter_text():
            text += chunk
            if "complete" in text:
                break
    assert 'event: next\ndata: {"id":"1","payload":{"data":{"count":1}}}\n\n' in text
    assert text.endswith('event: complete\ndata: {"id":"1"}\n\n')


async def test_an_operation_on_a_reserved_stream_is_stopped_by_delete(
    served: Served, client: httpx.AsyncClient
) -> None:
    token = await reserve(served, client)
    forever = operation("subscription { forever }")
    assert (await client.post(served.url, json=forever, headers=token)).status_code == 202
    await served.service.streaming.wait()
    assert (await client.post(served.url, json=forever, headers=token)).status_code == 409
    params = {"operationId": "1"}
    assert (await client.delete(served.url, headers=token, params=params)).status_code == 200
    async with asyncio.timeout(5):
        await served.service.stopped.wait()


async def test_an_operation_that_has_not_begun_has_its_id_and_is_stopped(
    served: Served, client: httpx.AsyncClient
) -> None:
    token = await reserve(served, client)
    waiting = operation("{ wait }")
    asking = asyncio.create_task(client.post(served.url, json=waiting, headers=token))
    await served.service.waiting.wait()
    assert (await client.post(served.url, json=waiting, headers=token)).status_code == 409
    params = {"operationId": "1"}
    assert (await client.delete(served.url, headers=token, params=params)).status_code == 200
    assert (await asking).status_code == 404
    assert served.service.cancelled.is_set()


async def test_an_operation_that_has_not_begun_ends_with_its_stream(
    served: Served, client: httpx.AsyncClient
) -> None:
    token = await reserve(served, client)
    accept = {**token, "accept": "text/event-stream"}
    async with client.stream("GET", served.url, headers=accept) as response:
        await anext(response.aiter_text())
        begin = client.post(served.url, json=operation("{ wait }"), headers=token)
        asking = asyncio.create_task(begin)
        await served.service.waiting.wait()
    assert (await asking).status_code == 404
    assert served.service.cancelled.is_set()


async def test_requests_about_streams_are_checked(
    served: Served, client: httpx.AsyncClient
) -> None:
    token = await reserve(served, client)
    unknown = {"x-graphql-event-stream-token": "unknown"}
    assert (await client.delete(served.url, headers=unknown)).status_code == 404
    assert (await client.delete(served.url, headers=token)).status_code == 400
    for payload, status in (
        (operation("{ apple }", 7), 400),
        (operation("{ nothing }"), 400),
        (operation("{ explode }"), 500),
        ([operation("{ apple }")], 400),
    ):
        response = await client.post(served.url, json=payload, headers=token)
        assert response.status_code == status
    refused = await client.put(served.url, headers={"authorization": "expired"})
    assert refused.status_code == 401


async def test_a_reserved_stream_is_opened_once(served: Served, client: httpx.AsyncClient) -> None:
    token = await reserve(served, client)
    accept = {**token, "accept": "text/event-stream"}
    async with client.stream("GET", served.url, headers=accept) as response:
        await anext(response.aiter_text())
        assert (await client.get(served.url, headers=accept)).status_code == 409
        served.draining.set()
    assert response.status_code == 200


async def test_reserving_streams_keeps_nobody_from_opening_one(
    served: Served, client: httpx.AsyncClient
) -> None:
    def opening(token: dict[str, str]) -> AbstractAsyncContextManager[httpx.Response]:
        return client.stream("GET", served.url, headers={**token, "accept": "text/event-stream"})

    evicted, forever = _evicted(), operation("subscription { forever }")
    async with opening(await reserve(served, client)) as first:
        oldest = await reserve(served, client)
        assert (await client.post(served.url, json=forever, headers=oldest)).status_code == 202
        await served.service.streaming.wait()
        # An open one is no reservation: two more fit.
        mine = await reserve(served, client)
        assert _evicted() == evicted
        await reserve(served, client)
        assert _evicted() == evicted + 1
        async with opening(mine) as second, opening(oldest) as third:
            codes = [response.status_code for response in (first, second, third)]
            assert codes == [200, 200, 404]
            async with asyncio.timeout(5):
                await served.service.stopped.wait()


def _evicted() -> float:
    return REGISTRY.get_sample_value("graphql_reservations_evicted_total") or 0.0


async def test_a_reservation_that_nobody_opens_is_forgotten(client: httpx.AsyncClient) -> None:
    streams = EventStreams(Counting(), name_of, reserved_seconds=0)
    async with serving(streams, lifespan="off") as url:
        token = {"x-graphql-event-stream-token": (await client.put(url)).text}
        accept = {**token, "accept": "text/event-stream"}
        assert (await client.get(url, headers=accept)).status_code == 404
