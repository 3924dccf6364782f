"""Subscriptions through the pipeline: shared, never slowed, not interrupted by a reload."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from hashlib import sha256

import pytest
import structlog

from gateway.context import RequestContext
from gateway.documents import Documents, MemoryStore
from gateway.federation.supergraph import Supergraph
from gateway.pipeline import Pipeline
from gateway.runtime import Runtime
from gateway.transports.local import LocalTransport
from shared.auth import Identity
from shared.logger import request_id
from shared.protocols.service import GraphQLRequest, GraphQLResult
from tests.gateway.bookshop import SDL, SUPERGRAPH, Bookshop, make_bookshop
from tests.gateway.conftest import Gateway, as_json

QUERY = "subscription { bookAdded { title author { name } } }"
ALWAYS = {"title": "Always", "author": {"name": "Ursula"}}


@pytest.fixture
async def gateway(bookshop: Bookshop) -> AsyncIterator[Gateway]:
    transport = LocalTransport(make_bookshop(bookshop))
    pipeline = Pipeline(Runtime(SUPERGRAPH, transport))
    yield Gateway(pipeline, bookshop, transport, RequestContext(audience="everybody"))
    await pipeline.close()


async def opened(gateway: Gateway) -> AsyncIterator[GraphQLResult]:
    """A subscription that waits for its first event."""
    return await gateway.stream(QUERY)


async def first(stream: AsyncIterator[GraphQLResult]) -> asyncio.Task[GraphQLResult]:
    """The next event of a stream, as a task that has begun to wait for it."""

    async def wait() -> GraphQLResult:
        return await anext(stream)

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    return task


async def close(*streams: AsyncIterator[GraphQLResult]) -> None:
    for stream in streams:
        await stream.aclose()  # type: ignore[attr-defined]


async def test_identical_subscriptions_share_one_upstream(gateway: Gateway) -> None:
    streams = [await opened(gateway) for _ in range(3)]
    waiting = [await first(stream) for stream in streams]
    await gateway.bookshop.opened.get()
    gateway.bookshop.events.put_nowait("a")
    results = [as_json(await task)["data"]["bookAdded"] for task in waiting]
    assert results == [ALWAYS] * 3
    assert gateway.bookshop.subscribers == 1
    await close(*streams)
    assert gateway.bookshop.subscribers == 0


async def test_who_shares_an_upstream_is_told_its_own_id_and_the_log_whose_that_is(
    gateway: Gateway,
) -> None:
    async def listen(name: str) -> list[GraphQLResult]:
        request_id.set(name)
        return [result async for result in await opened(gateway)]

    with structlog.testing.capture_logs() as logs:
        listening = [asyncio.create_task(listen(name)) for name in ("one", "two", "three")]
        await gateway.bookshop.opened.get()
        gateway.bookshop.events.put_nowait("a")
        gateway.bookshop.events.put_nowait("no such book")
        answers = [await task for task in listening]
    assert not any(answer[0].errors for answer in answers)
    quoted = [answer[1].errors[0]["extensions"]["requestId"] for answer in answers]
    assert quoted == ["one", "two", "three"]
    joined = [one["opened_by"] for one in logs if one["event"] == "subscription.shared_errors"]
    assert joined == ["one"] * 2
    assert gateway.bookshop.opened.empty()


async def test_another_user_has_an_upstream_of_their_own(gateway: Gateway) -> None:
    ours = await opened(gateway)
    mine = await first(ours)
    gateway.context = RequestContext(audience="someone")
    theirs = await opened(gateway)
    waiting = await first(theirs)
    for _ in range(2):
        await gateway.bookshop.opened.get()
    gateway.bookshop.events.put_nowait("a")
    await asyncio.wait({mine, waiting}, return_when=asyncio.FIRST_COMPLETED)
    gateway.bookshop.events.put_nowait("a")
    assert as_json(await waiting) == as_json(await mine) == {"data": {"bookAdded": ALWAYS}}
    assert gateway.bookshop.subscribers == 2


async def test_a_slow_client_is_told_what_it_missed_and_slows_nobody(gateway: Gateway) -> None:
    slow, quick = await opened(gateway), await opened(gateway)
    waiting = await first(slow)
    bookshop = gateway.bookshop

    async def take_all() -> list[GraphQLResult]:
        return [result async for result in quick]

    taking = asyncio.create_task(take_all())
    await bookshop.opened.get()
    for _ in range(1 + 32 + 5):
        bookshop.events.put_nowait("a")
    await waiting
    await bookshop.events.join()
    for _ in range(32):
        assert "extensions" not in as_json(await anext(slow))
    bookshop.events.put_nowait("a")
    assert as_json(await anext(slow))["extensions"] == {"lagged": {"missed": 5}}
    bookshop.events.put_nowait(None)
    results = await taking
    assert len(results) == 39
    assert not any(result.extensions for result in results)
    await close(slow)


async def test_a_subscription_survives_reloads(gateway: Gateway) -> None:
    stream = await opened(gateway)
    waiting = await first(stream)
    for number in range(3):
        fresh = LocalTransport(make_bookshop(gateway.bookshop))
        gateway.pipeline.swap(Runtime(Supergraph.from_sdl(SDL + f"\n# {number}"), fresh))
        gateway.bookshop.events.put_nowait("a")
        assert as_json(await waiting) == {"data": {"bookAdded": ALWAYS}}
        waiting = await first(stream)
    gateway.bookshop.events.put_nowait(None)
    with pytest.raises(StopAsyncIteration):
        await waiting


class _FarAway(MemoryStore):
    """A store that answers when it is told to, and says that it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.answers = asyncio.Event(), asyncio.Event()

    async def get(self, digest: str) -> str | None:
        self.asked.set()
        await self.answers.wait()
        return await super().get(digest)


@pytest.mark.parametrize("field", ["bookAdded", "somethingElse"])
async def test_a_subscription_that_opens_during_a_reload_is_one_of_the_new_supergraph(
    bookshop: Bookshop, field: str
) -> None:
    store, digest = _FarAway(), sha256(QUERY.encode()).hexdigest()
    await store.put(digest, QUERY)
    runtime = Runtime(SUPERGRAPH, LocalTransport(make_bookshop(bookshop)))
    pipeline = Pipeline(runtime, documents=Documents(automatic=store))
    named = {"persistedQuery": {"version": 1, "sha256Hash": digest}}
    request = GraphQLRequest("", extensions=named)
    opening = asyncio.create_task(pipeline.subscribe(request, RequestContext()))
    await store.asked.wait()
    sdl = SDL.replace("bookAdded", field)
    transport = LocalTransport(make_bookshop(bookshop))
    pipeline.swap(Runtime(Supergraph.from_sdl(sdl), transport))
    store.answers.set()
    found = await opening
    assert isinstance(found, GraphQLResult) == (field == "somethingElse")
    await pipeline.close()


@pytest.mark.parametrize("field", ["bookAdded", "somethingElse"])
async def test_a_stream_that_is_not_begun_before_a_reload_is_one_of_the_new_supergraph(
    gateway: Gateway, field: str
) -> None:
    stream = await opened(gateway)
    old, transport = gateway.pipeline.runtime, LocalTransport(make_bookshop(gateway.bookshop))
    sdl = SDL.replace("bookAdded", field)
    gateway.pipeline.swap(Runtime(Supergraph.from_sdl(sdl), transport))
    waiting = await first(stream)
    if field == "bookAdded":
        gateway.bookshop.events.put_nowait("a")
        assert (await waiting).data == {"bookAdded": ALWAYS}
        await old.idle()
        again = LocalTransport(make_bookshop(gateway.bookshop))
        lacking = Supergraph.from_sdl(SDL.replace("bookAdded", "somethingElse"))
        waiting = await first(stream)
        gateway.pipeline.swap(Runtime(lacking, again))
        assert (await waiting).status == 410
    else:
        assert (await waiting).errors[0]["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"
    await close(stream)


async def test_an_answer_in_parts_that_is_not_begun_before_a_reload_is_one_of_the_new_supergraph(
    gateway: Gateway,
) -> None:
    query = "{ authors { id ... @defer { books { title } } } }"
    for sdl, parts in ((SDL + "#", 2), (SDL.replace("  title", "  name"), 1)):
        request = GraphQLRequest(query, incremental="incrementalspec=v0.2")
        answer = await gateway.pipeline.subscribe(request, gateway.context)
        assert not isinstance(answer, GraphQLResult)
        transport = LocalTransport(make_bookshop(gateway.bookshop))
        gateway.pipeline.swap(Runtime(Supergraph.from_sdl(sdl), transport))
        told = [as_json(part) async for part in answer]
        assert len(told) == parts
        assert told[-1]["hasNext"] is False


async def test_a_subscription_that_a_new_schema_lacks_is_ended(gateway: Gateway) -> None:
    stream = await opened(gateway)
    waiting = await first(stream)
    sdl = SDL.replace("bookAdded", "somethingElse")
    transport = LocalTransport(make_bookshop(gateway.bookshop))
    gateway.pipeline.swap(Runtime(Supergraph.from_sdl(sdl), transport))
    result = await waiting
    assert result.status == 410
    assert result.errors[0]["extensions"]["code"] == "SUBSCRIPTION_SCHEMA_RELOAD"


async def test_a_stream_ends_when_its_token_expires(gateway: Gateway) -> None:
    gateway.context = RequestContext(audience="everybody", expires_at=time.time() + 0.05)
    results = [result async for result in await opened(gateway)]
    assert [r.errors[0]["extensions"]["code"] for r in results] == ["SUBSCRIPTION_TOKEN_EXPIRED"]
    assert gateway.bookshop.subscribers == 0


async def test_an_invalid_subscription_is_refused_at_once(gateway: Gateway) -> None:
    request = GraphQLRequest("subscription { nothing }")
    result = await gateway.pipeline.subscribe(request, gateway.context)
    assert isinstance(result, GraphQLResult)
    assert result.status == 400


async def test_a_subscription_to_what_becomes_protected_is_ended(gateway: Gateway) -> None:
    stream = await opened(gateway)
    waiting = await first(stream)
    protected = SDL.replace("  title: String!\n", "  title: String! @authenticated\n").replace(
        "schema @link",
        "directive @authenticated on FIELD_DEFINITION\n\nschema"
        ' @link(url: "https://specs.apollo.dev/authenticated/v0.1", for: SECURITY) @link',
        1,
    )
    transport = LocalTransport(make_bookshop(gateway.bookshop))
    gateway.pipeline.swap(Runtime(Supergraph.from_sdl(protected), transport))
    result = await waiting
    assert result.errors[0]["extensions"]["code"] == "SUBSCRIPTION_SCHEMA_RELOAD"
    known = RequestContext(Identity("ada"), audience="ada")
    seen = await gateway.pipeline.subscribe(GraphQLRequest(QUERY), known)
    assert not isinstance(seen, GraphQLResult)
    waiting = await first(seen)
    again = LocalTransport(make_bookshop(gateway.bookshop))
    gateway.pipeline.swap(Runtime(Supergraph.from_sdl(protected + "# again"), again))
    await gateway.bookshop.opened.get()
    gateway.bookshop.events.put_nowait("a")
    assert as_json(await waiting)["data"]["bookAdded"]["author"]
    await close(seen)
