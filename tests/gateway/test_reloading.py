"""Where the supergraph comes from, and what becomes of one that is new."""

from __future__ import annotations

import asyncio
import gc
import gzip
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from click import ClickException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import Receive, Scope, Send

from cli.serving import _standalone as serve_any
from gateway import standalone
from gateway.configuration import Configuration, read
from gateway.context import RequestContext
from gateway.federation.planner.graph import QueryGraph
from gateway.federation.supergraph import Supergraph
from gateway.pipeline import Pipeline
from gateway.reloading import (
    FileSource,
    Reloading,
    SourceUnavailable,
    UrlSource,
    read_now,
    source_of,
)
from gateway.runtime import Runtime
from gateway.transports.local import LocalTransport
from shared.protocols.service import GraphQLRequest, IncrementalStream
from tests.gateway.bookshop import SDL, Bookshop, make_bookshop
from tests.serving import serving

RENAMED = SDL.replace("whoami", "whois")


class Given:
    """A source that gives, in order, what a test puts into it."""

    def __init__(self, *given: str | SourceUnavailable | None) -> None:
        self._given = list(given)

    async def read(self) -> str | None:
        found = self._given.pop(0)
        if isinstance(found, SourceUnavailable):
            raise found
        return found


def make_runtime(supergraph: Supergraph) -> Runtime:
    return Runtime(supergraph, LocalTransport(make_bookshop(Bookshop())))


@asynccontextmanager
async def pipeline() -> AsyncIterator[Pipeline]:
    made = Pipeline(make_runtime(Supergraph.from_sdl(SDL)))
    yield made
    await made.close()


@asynccontextmanager
async def answering(respond: Callable[[Request], Response]) -> AsyncIterator[str]:
    """The address of a server that answers so."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(Request(scope))(scope, receive, send)

    async with serving(app, lifespan="off") as url:
        yield url


@pytest.mark.parametrize(
    ("respond", "reason"),
    [
        (lambda _: PlainTextResponse("x" * 2_000), "more than 1000 bytes"),
        (
            lambda _: Response(
                gzip.compress(b"x" * 1_000_000), headers={"content-encoding": "gzip"}
            ),
            "more than 1000 bytes",
        ),
        (lambda _: PlainTextResponse("later", status_code=503), "HTTP status 503"),
        (lambda _: Response(status_code=304), "HTTP status 304, no supergraph"),
        (lambda _: Response(status_code=204), "HTTP status 204, no supergraph"),
        (lambda _: PlainTextResponse(""), "HTTP status 200, no supergraph"),
        (lambda _: Response(b"\xff\xfe"), "UnicodeDecodeError"),
        (lambda _: RedirectResponse("/again"), "too many redirects"),
        (lambda _: RedirectResponse("file:///etc/passwd"), "NonHttpUrlClientError"),
    ],
)
async def test_an_address_that_misbehaves_gives_nothing(
    respond: Callable[[Request], Response], reason: str
) -> None:
    async with answering(respond) as url:
        with pytest.raises(SourceUnavailable, match=reason):
            await UrlSource(f"{url}/?token=secret", max_bytes=1_000).read()


@pytest.mark.parametrize(
    ("location", "told"),
    [
        ("http://me:secret@127.0.0.1:9/a.graphql?key=secret", "http://127.0.0.1:9/a.graphql"),
        ("/run/a@b?c.graphql", "/run/a@b?c.graphql"),
    ],
)
async def test_what_may_be_secret_in_an_address_is_not_told(location: str, told: str) -> None:
    with pytest.raises(ClickException) as caught:
        await serve_any(location, Configuration(), asyncio.Event())
    assert caught.value.message.startswith(f"{told}: ")
    assert "secret" not in caught.value.message


async def test_an_address_that_does_not_answer_is_not_waited_for() -> None:
    left = asyncio.Event()

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        await writer.wait_closed()
        left.set()

    server = await asyncio.start_server(hold, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    source = UrlSource(f"http://127.0.0.1:{port}/?token=secret", timeout_seconds=0.05)
    with pytest.raises(SourceUnavailable, match="TimeoutError") as caught:
        await source.read()
    assert "secret" not in str(caught.value)
    await left.wait()
    server.close()


async def test_a_registry_gets_its_key_and_a_slow_one_its_time(tmp_path: Path) -> None:
    asked: list[str | None] = []

    def respond(request: Request) -> Response:
        asked.append(request.headers.get("x-hive-cdn-key"))
        return PlainTextResponse(SDL)

    (tmp_path / "key").write_text("the key")
    settings = tmp_path / "gateway.yaml"
    settings.write_text(
        "supergraph: {headers: {X-Hive-CDN-Key: 'file:key'}, timeout_seconds: 5, max_bytes: 9000}"
    )
    async with answering(respond) as url:
        told = read(settings)
        await standalone.create(url, told, draining=asyncio.Event())
        told = told.model_copy(
            update={"supergraph": told.supergraph.model_copy(update={"max_bytes": 1_000})}
        )
        with pytest.raises(SourceUnavailable, match="more than 1000 bytes"):
            await standalone.create(url, told, draining=asyncio.Event())
    assert asked == ["the key", "the key"]


async def test_a_registrys_key_is_not_sent_where_it_redirects_to() -> None:
    asked: list[tuple[str, str | None]] = []

    def respond(request: Request) -> Response:
        asked.append((request.url.path, request.headers.get("x-key")))
        return PlainTextResponse(SDL)

    async with answering(respond) as storage:

        def redirect(request: Request) -> Response:
            asked.append((request.url.path, request.headers.get("x-key")))
            within = request.url.path == "/"
            return RedirectResponse("/latest" if within else f"{storage}/file?signature=1")

        async with answering(redirect) as registry:
            assert await UrlSource(f"{registry}/", headers={"x-key": "secret"}).read() == SDL
    assert asked == [("/", "secret"), ("/latest", "secret"), ("/file", None)]


async def test_without_a_tag_the_same_text_is_not_new() -> None:
    async with answering(lambda _: PlainTextResponse("type Query")) as url:
        source = source_of(url)
        assert await source.read() == "type Query"
        assert await source.read() is None


async def test_a_source_is_read_before_anything_runs(tmp_path: object) -> None:
    assert read_now(Given("type Query")) == "type Query"
    with pytest.raises(SourceUnavailable):
        read_now(Given(None))
    with pytest.raises(SourceUnavailable, match="cannot read"):
        read_now(source_of(f"{tmp_path}/nothing"))
    assert isinstance(source_of("supergraph.graphql"), FileSource)


async def test_a_file_has_a_size(tmp_path: Path) -> None:
    path = tmp_path / "large.graphql"
    path.write_text("type Query { a: Int }")
    assert await FileSource(path, max_bytes=21).read() is not None
    with pytest.raises(SourceUnavailable, match=r"large\.graphql has more than 20 bytes"):
        await FileSource(path, max_bytes=20).read()


async def test_a_source_that_cannot_be_read_is_asked_more_and_more_rarely() -> None:
    gone = [SourceUnavailable("gone")] * 9
    reloading = Reloading(Given(*gone, None), make_runtime, interval_seconds=1.0, most_seconds=60.0)
    async with pipeline() as running:
        pauses = [reloading.pause()]
        for _ in gone:
            assert not await reloading.look(running)
            pauses.append(reloading.pause())
        states = [reloading.state]
        await reloading.look(running)
    assert pauses[0] == 1.0
    assert all(0.75 * 2**n <= pause <= 2**n for n, pause in enumerate(pauses[1:6], start=1))
    assert all(45 <= pause <= 60 for pause in pauses[6:])
    assert reloading.pause() == 1.0
    assert [*states, reloading.state] == ["unavailable", "ok"]


async def test_what_is_refused_stays_refused_until_something_better_comes() -> None:
    reloading = Reloading(
        Given("type Query { a", SourceUnavailable("gone"), None, SDL, RENAMED), make_runtime
    )
    states = []
    async with pipeline() as running:
        first = running.runtime
        for _ in range(4):
            assert not await reloading.look(running)
            states.append(reloading.state)
        assert running.runtime is first
        assert await reloading.look(running)
        assert running.runtime is not first
    assert states == ["refused", "unavailable", "refused", "ok"]


async def test_a_runtime_that_cannot_be_warmed_up_is_not_swapped_in() -> None:
    class Unready(Runtime):
        async def warm_up(self, previous: Runtime, *, most: int = 200) -> int:
            raise RuntimeError

    closed = asyncio.Event()

    class Noting(LocalTransport):
        async def close(self) -> None:
            closed.set()

    def make(supergraph: Supergraph) -> Runtime:
        return Unready(supergraph, Noting(make_bookshop(Bookshop())))

    reloading = Reloading(Given(RENAMED, None), make, interval_seconds=0.001)
    async with pipeline() as running:
        first = running.runtime
        watching = asyncio.create_task(reloading.watch(running))
        await closed.wait()
        watching.cancel()
        await asyncio.wait([watching])
        assert running.runtime is first
    assert reloading.state == "refused"


def parts_of(runtime: Runtime) -> list[object]:
    """What of a runtime is all cycles, or the key to it."""
    supergraph = runtime.supergraph
    planned = [one for _, one in runtime.plans()]
    parts = [one.incremental for one in planned if one.incremental is not None]
    graphs = [one for one in supergraph.derived.values() if isinstance(one, QueryGraph)]
    functions = [one.executable._projection.root for one in planned]
    functions += [one.projection.root for one in parts]
    functions += [part.projection.root for one in parts for part in one.parts]
    assert len(graphs) == 1
    assert len(functions) == 4
    return [supergraph.schema, supergraph.api_schema, *graphs, *functions]


async def test_what_was_replaced_is_freed_without_the_garbage_collector() -> None:
    reloading = Reloading(Given(RENAMED), make_runtime)
    loop = asyncio.get_running_loop()
    async with pipeline() as running:
        await running.execute(GraphQLRequest("{ authors { books { title } } }"), RequestContext())
        deferring = "{ authors { name ... @defer { books { title } } } }"
        request = GraphQLRequest(deferring, incremental="incrementalspec=v0.2")
        answer = await running.subscribe(request, RequestContext())
        assert isinstance(answer, IncrementalStream)
        assert len([part async for part in answer]) == 2
        # What validation left, which is young and soon found.
        gc.collect()
        gc.disable()
        try:
            freed = []
            for one in parts_of(running.runtime):
                freed.append(asyncio.Event())
                weakref.finalize(one, loop.call_soon_threadsafe, freed[-1].set)
            del one, answer
            assert await reloading.look(running)
            async with asyncio.timeout(10):
                for event in freed:
                    await event.wait()
        finally:
            gc.enable()


async def test_a_supergraph_is_freed_when_its_last_request_has_ended() -> None:
    reloading = Reloading(Given(RENAMED), make_runtime)
    async with pipeline() as running:
        old = running.runtime
        with old.use():
            assert await reloading.look(running)
            document = await old.prepare("{ whoami }", None)
            planned = await old.plan(document, {}, {})
            assert (await planned.executable.run(old.transport, {}, RequestContext())).errors == []
