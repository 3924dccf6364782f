"""The gateway of any supergraph: HTTP subgraphs of any make, reloaded while it runs."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse, Response
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from gateway import standalone
from gateway.configuration import Configuration, Watching
from gateway.federation.supergraph import SupergraphError
from gateway.reloading import SourceUnavailable, UrlSource
from shared.auth import ANONYMOUS, Identity
from shared.protocols.endpoint import GraphQLEndpoint
from shared.protocols.http import GraphQLHTTP
from shared.protocols.websocket import GraphQLWebSocket
from tests.cli.test_dev import free_port
from tests.clients import node, npm_packages
from tests.gateway.bookshop import SDL, Bookshop, make_bookshop
from tests.gateway.test_configuration import until_up
from tests.serving import serving
from tests.support.nexus import ROOT


@dataclass
class Running:
    """A gateway, the file it watches, and the bookshop behind it."""

    url: str
    path: Path
    sdl: str
    bookshop: Bookshop
    seen: list[dict[str, str]]

    @property
    def graphql(self) -> str:
        return f"{self.url}/graphql"


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    bookshop, seen = Bookshop(), list[dict[str, str]]()

    async def identity(connection: HTTPConnection, _: object = None) -> Identity:
        seen.append(dict(connection.headers))
        return ANONYMOUS

    async with AsyncExitStack() as stack:
        sdl = SDL
        for name, service in make_bookshop(bookshop).items():
            app = GraphQLEndpoint(
                http=GraphQLHTTP(service, identity), websocket=GraphQLWebSocket(service, identity)
            )
            address = await stack.enter_async_context(serving(app, lifespan="off"))
            sdl = sdl.replace(f"http://{name}.test", address)
        path = tmp_path / "supergraph.graphql"
        path.write_text(sdl)
        draining = asyncio.Event()
        told = Configuration(supergraph=Watching(interval_seconds=0.02))
        gateway = await standalone.create(str(path), told, draining=draining)
        url = await stack.enter_async_context(serving(gateway))
        yield Running(url, path, sdl, bookshop, seen)
        draining.set()


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=5) as client:
        yield client


async def ask(client: httpx.AsyncClient, running: Running, query: str) -> dict[str, Any]:
    answer: dict[str, Any] = (await client.post(running.graphql, json={"query": query})).json()
    return answer


async def test_it_serves_the_supergraph_and_passes_the_audit(
    running: Running, client: httpx.AsyncClient
) -> None:
    await npm_packages()
    answer = await ask(client, running, "{ authors { name books { title } } }")
    assert answer["data"]["authors"][0] == {"name": "Ursula", "books": [{"title": "Always"}]}
    assert (await client.get(f"{running.url}/health")).json()["status"] == "ok"
    results = await node("audit.mjs", running.graphql)
    assert [result for result in results if result["status"] != "ok"] == []


async def test_metrics_do_not_grow_with_what_clients_make_up(
    running: Running, client: httpx.AsyncClient
) -> None:
    for number in range(3):
        await client.request(f"MADEUP{number}", f"{running.url}/made/up/{number}")
    metrics = (await client.get(f"{running.url}/metrics")).text
    assert "MADEUP" not in metrics
    assert "/made/up" not in metrics


async def test_only_headers_that_the_rules_name_reach_subgraphs(
    running: Running, client: httpx.AsyncClient
) -> None:
    response = await client.post(
        running.graphql,
        json={"query": "{ whoami }"},
        headers={"authorization": "Bearer theirs", "x-secret": "1", "accept-language": "pt"},
    )
    (headers,) = running.seen
    assert headers["authorization"] == "Bearer theirs"
    assert headers["accept-language"] == "pt"
    assert "x-secret" not in headers
    assert headers["x-request-id"] == response.headers["x-request-id"]
    assert "traceparent" in headers or "x-nexus-timeout-ms" in headers


async def test_a_subscription_reaches_a_published_client(
    running: Running, client: httpx.AsyncClient
) -> None:
    await npm_packages()
    for isbn in ("a", None):
        running.bookshop.events.put_nowait(isbn)
    requests = json.dumps([{"query": "subscription { bookAdded { title author { name } } }"}])
    (answer,) = await node("graphql_ws.mjs", running.graphql.replace("http", "ws"), requests)
    event = {"title": "Always", "author": {"name": "Ursula"}}
    assert answer == {"results": [{"data": {"bookAdded": event}}]}


async def test_a_client_that_hangs_up_ends_the_call_to_the_subgraph(running: Running) -> None:
    host, port = running.url.removeprefix("http://").split(":")
    body = b'{"query": "{ slow }"}'
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        b"POST /graphql HTTP/1.1\r\nhost: gateway\r\ncontent-type: application/json\r\n"
        b"content-length: %d\r\n\r\n%s" % (len(body), body)
    )
    await running.bookshop.started.wait()
    writer.close()
    await writer.wait_closed()
    await running.bookshop.cancelled.wait()


async def until(client: httpx.AsyncClient, running: Running, query: str, *, valid: bool) -> None:
    """Return when the gateway answers the query, or refuses it."""
    async with asyncio.timeout(10):
        while ("data" in await ask(client, running, query)) is not valid:
            await asyncio.to_thread(lambda: None)


async def test_a_new_supergraph_is_served_and_a_broken_one_is_not(
    running: Running, client: httpx.AsyncClient
) -> None:
    await ask(client, running, "{ whoami }")
    renamed = running.sdl.replace("whoami", "whois")
    running.path.write_text(renamed)
    await until(client, running, "{ whois }", valid=True)
    running.path.write_text("type Query { broken")
    metrics = ""
    async with asyncio.timeout(10):
        while "supergraph_refused 1.0" not in metrics:
            metrics = (await client.get(f"{running.url}/metrics")).text
    assert "data" in await ask(client, running, "{ whois }")
    running.path.write_text(running.sdl)
    await until(client, running, "{ whoami }", valid=True)


async def test_a_supergraph_that_cannot_be_served_stops_the_start(tmp_path: Path) -> None:
    path = tmp_path / "supergraph.graphql"
    with pytest.raises(SourceUnavailable, match="cannot read"):
        await standalone.create(str(path), draining=asyncio.Event())
    path.write_text("type Query { a: Int }")
    with pytest.raises(SupergraphError, match="compose it first"):
        await standalone.create(str(path), draining=asyncio.Event())


async def test_an_address_is_asked_with_the_tag_of_what_it_gave() -> None:
    asked: list[str | None] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        tag = Request(scope, receive).headers.get("if-none-match")
        asked.append(tag)
        response: Response = (
            Response(status_code=304)
            if tag == '"1"'
            else PlainTextResponse("type Query", headers={"etag": '"1"'})
        )
        await response(scope, receive, send)

    async with serving(app, lifespan="off") as url:
        source = UrlSource(url)
        assert await source.read() == "type Query"
        assert await source.read() is None
    assert asked == [None, '"1"']
    with pytest.raises(SourceUnavailable):
        await source.read()


@pytest.mark.parametrize("script", ["apollo.mjs", "urql.mjs"])
async def test_published_clients_query_mutate_and_subscribe(running: Running, script: str) -> None:
    await npm_packages()
    running.bookshop.release.set()
    for isbn in ("a", "b", None):
        running.bookshop.events.put_nowait(isbn)
    requests = [
        {"query": "query($id: ID!) { author(id: $id) { id name } }", "variables": {"id": "2"}},
        {"query": 'mutation { rename(id: "1", name: "Le Guin") { id name } }'},
        {"query": "subscription { bookAdded { title author { id } } }"},
    ]
    query, mutation, subscription = await node(script, running.graphql, json.dumps(requests))
    assert without_typenames(query) == {"results": [{"author": {"id": "2", "name": "Stanisław"}}]}
    assert without_typenames(mutation) == {"results": [{"rename": {"id": "1", "name": "Le Guin"}}]}
    assert without_typenames(subscription) == {
        "results": [
            {"bookAdded": {"title": "Always", "author": {"id": "1"}}},
            {"bookAdded": {"title": "Solaris", "author": {"id": "2"}}},
        ]
    }


def without_typenames(value: Any) -> Any:
    """The answer without what Apollo Client adds to every selection."""
    if isinstance(value, list):
        return [without_typenames(item) for item in value]
    if isinstance(value, dict):
        return {k: without_typenames(v) for k, v in value.items() if k != "__typename"}
    return value


async def test_a_label_that_overrides_nothing_is_warned_of(tmp_path: Path) -> None:
    path = tmp_path / "supergraph.graphql"
    path.write_text(SDL)
    told = Configuration(override_labels=("no-such-label",))
    with structlog.testing.capture_logs() as logs:
        await standalone.create(str(path), told, draining=asyncio.Event())
    (warning,) = [one for one in logs if one["event"] == "override_labels.unknown"]
    assert warning["labels"] == ["no-such-label"]


async def test_what_hides_its_cause_says_the_id_under_which_the_logs_tell_it(
    running: Running, client: httpx.AsyncClient, capfd: pytest.CaptureFixture[str]
) -> None:
    ids = ["of-json", "of-sse", "of-parts"]
    for accept, name in zip(
        ("application/json", "text/event-stream", "multipart/mixed"), ids, strict=True
    ):
        headers = {"accept": accept, "x-request-id": name}
        response = await client.post(
            running.graphql, json={"query": "{ bug whoami }"}, headers=headers
        )
        assert response.headers["x-request-id"] == name
        assert f'"requestId":"{name}"' in response.text
    url = running.graphql.replace("http", "ws")
    async with connect(
        url,
        subprotocols=[Subprotocol("graphql-transport-ws")],
        additional_headers={"x-request-id": "socket"},
    ) as socket:
        await socket.send('{"type": "connection_init"}')
        await socket.recv()
        for number in ("1", "2"):
            payload = {"query": "query Broken { bug whoami }", "operationName": "Broken"}
            message = {"id": number, "type": "subscribe", "payload": payload}
            await socket.send(json.dumps(message))
            answer = json.loads(await socket.recv())
            (error,) = answer["payload"]["errors"]
            assert error["message"] == "Something went wrong on our side."
            assert error["extensions"]["code"] == "INTERNAL"
            assert error["extensions"]["requestId"] == f"socket.{number}"
            await socket.recv()
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    logged = [line for line in lines if line["event"] == "graphql.masked_errors"]
    assert [line["request_id"] for line in logged] == [*ids, "socket.1", "socket.2"]
    assert logged[0]["first"] == [{"code": "INTERNAL", "subgraph": "authors", "path": "bug"}]


async def test_what_tells_its_cause_needs_no_id(
    running: Running, client: httpx.AsyncClient
) -> None:
    answer = await ask(client, running, '{ author(id: "9") { id } }')
    assert answer["errors"][0]["extensions"] == {"code": "NOT_FOUND", "serviceName": "authors"}


async def test_traces_are_sent_when_the_command_is_stopped(
    running: Running, client: httpx.AsyncClient, tmp_path: Path
) -> None:
    sent = asyncio.Queue[str]()

    async def collector(scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        await request.body()
        sent.put_nowait(request.url.path)
        await Response()(scope, receive, send)

    async with serving(collector, lifespan="off") as collecting:
        settings = tmp_path / "gateway.yaml"
        settings.write_text(f"telemetry: {{otlp_endpoint: '{collecting}'}}")
        port = free_port()
        arguments = f"gateway --supergraph {running.path} --config {settings} --port {port}"
        command = [sys.executable, "-m", "cli", *arguments.split()]
        process = await asyncio.create_subprocess_exec(*command, cwd=ROOT)
        try:
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=300) as own:
                await until_up(own)
                await own.post("/graphql", json={"query": "{ whoami }"})
        finally:
            process.send_signal(signal.SIGINT)
            code = await process.wait()
        assert code == 0
        assert sent.get_nowait() == "/v1/traces"
