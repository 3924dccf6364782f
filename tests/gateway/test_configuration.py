"""The settings file of the gateway of any supergraph: what it refuses, what it changes."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from gateway import standalone
from gateway.configuration import Configuration, json_schema, masked, read
from gateway.explain import sign
from gateway.federation.supergraph import SupergraphError
from shared.auth import ANONYMOUS, Identity
from shared.config import ConfigurationError
from shared.protocols.http import GraphQLHTTP
from tests.clients import node, npm_packages
from tests.gateway.bookshop import SDL, Bookshop, make_bookshop
from tests.hostile import HOSTILE
from tests.serving import serving
from tests.support.nexus import ROOT

WRONG = """
server: {timeout_seconds: "3", corse: {}, cors: {origins: ["*"], credentials: true}}
headers:
  request:
    - propagate: {named: a, matching: b}
    - propagate: {matching: "[z-a]"}
    - propagate: {matching: a, rename: b}
    - insert: {name: x, value: "env:NOT_THERE"}
    - remove: {}
    - {}
    - insert: {name: Content-Length, value: "5"}
    - insert: {name: x, value: "5\\nhost: me"}
    - propagate: {named: x, rename: "x y"}
    - tell: {claim: sub, name: Transfer-Encoding}
  response: [{named: Content-Length}]
subgraphs:
  books: {url: ftp://books, timeout_seconds: -1}
  authors: {url: "http://me:secret@cache"}
  sellers: {url: "http://sellers:99999/"}
  buyers: {url: "http://:80/"}
documents:
  automatic: {redis: {url: "redis://:secret@cache"}}
  trusted: {mode: enforce}
explain: {secret: file:none}
"""
PROBLEMS = {
    "server.timeout_seconds: Input should be a valid number",
    "server.corse: unknown",
    "server.cors: credentials need exact origins",
    "headers.response.0.named: Content-Length is the gateway's own",
    "headers.request.0.propagate: say either named or matching",
    "headers.request.1.propagate.matching: not a regular expression",
    "headers.request.2.propagate: rename and default go with named",
    "headers.request.3.insert.value: the environment variable NOT_THERE is not set",
    "headers.request.4.remove: say either named or matching",
    "headers.request.5: say one of propagate, insert, remove and tell",
    "headers.request.6.insert.name: Content-Length is the gateway's own",
    "headers.request.7.insert.value: a header's value has no line breaks",
    "headers.request.8.propagate.rename: 'x y' cannot be a header's name",
    "headers.request.9.tell.name: Transfer-Encoding is the gateway's own",
    "subgraphs.sellers.url: Port out of range 0-65535",
    "subgraphs.buyers.url: an address without a host or a port",
    "subgraphs.books.url: not an http(s) address",
    "subgraphs.authors.url: an address with a password in it: insert a header instead",
    "subgraphs.books.timeout_seconds: Input should be greater than 0",
    "documents.automatic.redis.url: a secret in plain text: say file:/path or env:NAME",
    "documents.trusted: mode is enforce and there is no manifest",
}


def written(folder: Path, text: str) -> Path:
    path = folder / "gateway.yaml"
    path.write_text(text)
    return path


def test_every_mistake_is_told_at_once_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read(written(tmp_path, WRONG))
    found = str(caught.value).replace(
        "expression: bad character range z-a at position 1", "expression"
    )
    problems = set(found.splitlines())
    assert f"explain.secret: cannot read {tmp_path / 'none'}: FileNotFoundError" in problems
    assert problems >= PROBLEMS
    assert "secret@cache" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("server: {}\nserver: {}", "server stands there twice"),
        ("server: [", "is not YAML"),
        ("[]", "the file: "),
        ("server: {cors: {origins: ['https://app.example/']}}", "not an origin"),
        ("server: {cors: {origins: {1: 2}}}", "server.cors.origins"),
        ("explain: {secret: 'file:empty'}", "is empty"),
    ],
)
def test_a_file_of_another_form_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    (tmp_path / "empty").write_text("\n")
    with pytest.raises(ConfigurationError, match=problem):
        read(written(tmp_path, text))


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot read"):
        read(tmp_path / "none.yaml")


def test_an_empty_file_says_what_no_file_says(tmp_path: Path) -> None:
    assert read(written(tmp_path, "# Nothing.\n")) == Configuration()


def test_off_is_a_word_and_mappings_may_be_merged(tmp_path: Path) -> None:
    text = (
        "documents: {trusted: {mode: off}}\n"
        "subgraphs:\n  a: &slow {timeout_seconds: 5}\n  b: {<<: *slow, max_connections: 2}\n"
    )
    told = read(written(tmp_path, text))
    assert told.documents.trusted.mode == "off"
    assert told.of_subgraph("b").timeout_seconds == 5
    assert told.of_subgraph("c").timeout_seconds is None


def test_secrets_come_from_files_and_variables_and_are_never_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "signs").write_text("from a file\n")
    monkeypatch.setenv("CACHE", "redis://:from-a-variable@cache")
    text = (
        "explain: {secret: 'file:signs'}\n"
        "documents: {automatic: {redis: {url: 'env:CACHE'}}, trusted: {manifests: [ids.json]}}\n"
        "headers: {request: [insert: {name: x-key, value: in the file}]}\n"
    )
    told = read(written(tmp_path, text))
    assert told.explain.secret is not None
    assert told.explain.secret.get_secret_value() == "from a file"
    assert told.documents.trusted.manifests == (tmp_path / "ids.json",)
    shown = masked(told)
    assert yaml.safe_load(shown)["headers"]["request"][0]["insert"]["name"] == "x-key"
    for secret in ("from a file", "from-a-variable", "in the file"):
        assert secret not in shown


def test_editors_can_be_told_every_setting() -> None:
    schema = json_schema()
    assert set(schema["properties"]) == set(Configuration.model_fields)
    assert schema["additionalProperties"] is False
    limit = schema["$defs"]["Server"]["properties"]["batch_limit"]
    assert limit["description"] == "The most operations in one request; 0 turns batches off."


@dataclass
class Behind:
    """What the subgraphs were asked, and what they add to their answers."""

    bookshop: Bookshop = field(default_factory=Bookshop)
    seen: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    cookies: dict[str, str] = field(default_factory=dict)
    caching: dict[str, str] = field(default_factory=dict)
    keeping: dict[str, list[tuple[bytes, bytes]]] = field(default_factory=dict)
    sdl: str = SDL
    addresses: dict[str, str] = field(default_factory=dict)

    def served(self, name: str, service: Any) -> ASGIApp:
        async def identity(connection: HTTPConnection) -> Identity:
            self.seen.setdefault(name, []).append(dict(connection.headers))
            return ANONYMOUS

        app = GraphQLHTTP(service, identity)

        async def adding(scope: Scope, receive: Receive, send: Send) -> None:
            async def sending(message: Message) -> None:
                if message["type"] == "http.response.start":
                    message["headers"] += self.added(name)
                await send(message)

            await app(scope, receive, sending)

        return adding

    def added(self, name: str) -> list[tuple[bytes, bytes]]:
        headers = []
        if name in self.cookies:
            headers += [(b"set-cookie", self.cookies[name].encode()), (b"x-from", name.encode())]
        if name in self.caching:
            headers.append((b"cache-control", self.caching[name].encode()))
        return headers + self.keeping.get(name, [])


Start = Callable[..., Awaitable[httpx.AsyncClient]]


@pytest.fixture
async def behind() -> AsyncIterator[Behind]:
    found = Behind()
    async with AsyncExitStack() as stack:
        for name, service in make_bookshop(found.bookshop).items():
            app = found.served(name, service)
            address = await stack.enter_async_context(serving(app, lifespan="off"))
            found.addresses[name] = address
            found.sdl = found.sdl.replace(f"http://{name}.test", address)
        yield found


@pytest.fixture
async def start(behind: Behind, tmp_path: Path) -> AsyncIterator[Start]:
    """Starts a gateway with these settings; gives a client of it."""
    async with AsyncExitStack() as stack:
        draining = asyncio.Event()

        async def starting(settings: str, *, sdl: str | None = None) -> httpx.AsyncClient:
            path = tmp_path / "supergraph.graphql"
            path.write_text(sdl or behind.sdl)
            told = read(written(tmp_path, settings))
            app = await standalone.create(str(path), told, draining=draining)
            url = await stack.enter_async_context(serving(app))
            client = httpx.AsyncClient(base_url=url, timeout=5)
            return await stack.enter_async_context(client)

        yield starting
        draining.set()


async def ask(client: httpx.AsyncClient, query: str = "", **more: Any) -> dict[str, Any]:
    body = {"query": query, **more} if query else more
    answer: dict[str, Any] = (await client.post("/graphql", json=body)).json()
    return answer


def code(answer: dict[str, Any]) -> str:
    found: str = answer["errors"][0]["extensions"]["code"]
    return found


BOTH = "{ authors { name books { title } } }"


@pytest.mark.parametrize("address", ["", "books:4001", "http://", "http://me:secret@books/"])
async def test_a_subgraph_without_an_address_stops_the_start_unless_the_settings_have_one(
    start: Start, behind: Behind, address: str
) -> None:
    sdl = re.sub(r'(name: "books", url: )"[^"]*"', rf'\1"{address}"', behind.sdl)
    assert sdl != behind.sdl
    with pytest.raises(SupergraphError, match=r"books: .* subgraphs\.books\.url") as caught:
        await start("", sdl=sdl)
    assert "secret" not in str(caught.value)
    client = await start("subgraphs: {books: {url: 'http://books.test/'}}", sdl=sdl)
    assert (await client.get("/health/live")).status_code == 200


async def test_each_subgraph_gets_the_headers_that_its_rules_let_through(
    start: Start, behind: Behind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEY", "inserted")
    client = await start(
        """
        headers:
          request:
            - propagate: {matching: "x-.*"}
            - remove: {named: X-Secret}
            - insert: {name: X-Key, value: "env:KEY"}
        subgraphs:
          books:
            headers:
              request:
                - propagate: {named: Authorization, rename: x-token}
                - propagate: {named: accept-language, default: pt}
                - remove: {matching: "x-o.*"}
        """
    )
    headers = {"x-one": "1", "x-secret": "2", "authorization": "mine", "cookie": "a=1"}
    client.headers.update(headers)
    await ask(client, BOTH)
    ((authors,), (books,)) = behind.seen["authors"], behind.seen["books"]
    assert (authors["x-one"], authors["x-key"]) == ("1", "inserted")
    assert (books["x-token"], books["x-key"]) == ("mine", "inserted")
    assert books["accept-language"] == "pt"
    assert not {"x-secret", "authorization", "x-token", "cookie"} & set(authors)
    assert not {"x-secret", "authorization", "x-one", "cookie"} & set(books)


async def test_a_header_that_stands_there_twice_is_passed_on_whole(
    start: Start, behind: Behind
) -> None:
    client = await start("headers: {request: [propagate: {matching: '.*'}]}")
    # The second one is a proxy's, which says more than what a client made up.
    twice = [("x-forwarded-for", "made up"), ("x-forwarded-for", "true")]
    cookies = [("cookie", "a=1"), ("cookie", "b=2")]
    await client.post("/graphql", json={"query": "{ whoami }"}, headers=[*twice, *cookies])
    (headers,) = behind.seen["authors"]
    assert (headers["x-forwarded-for"], headers["cookie"]) == ("made up, true", "a=1; b=2")


@pytest.mark.parametrize(
    ("rules", "kept", "varies"),
    [
        ("[propagate: {named: X-One}, propagate: {named: b}]", "public, max-age=9", "b, x-one"),
        ("[insert: {name: x, value: '1'}]", "public, max-age=9", None),
        ("[propagate: {matching: 'x-.*'}]", "private, max-age=9", None),
    ],
)
async def test_who_keeps_an_answer_is_told_which_headers_decide_it(
    start: Start, behind: Behind, rules: str, kept: str, varies: str | None
) -> None:
    behind.caching = {"authors": "public, max-age=9"}
    client = await start(f"headers: {{request: {rules}}}")
    answer = await client.post("/graphql", json={"query": "{ authors { name } }"})
    assert answer.headers["cache-control"] == kept
    assert answer.headers["vary"] == ("Accept" if varies is None else f"Accept, {varies}")


@pytest.mark.parametrize(
    "more", [{"headers": {"x-nexus-explain": "1"}}, {"extensions": {"cost": True}}]
)
async def test_what_is_told_about_an_answer_is_kept_by_nobody(
    start: Start, behind: Behind, more: dict[str, dict[str, Any]]
) -> None:
    behind.caching = {"authors": "public, max-age=9"}
    client = await start("{headers: {request: []}, explain: {freely: true}}")
    client.headers.update(more.pop("headers", {}))
    answer = await client.post("/graphql", json={"query": "{ authors { name } }", **more})
    assert answer.json()["extensions"]
    assert answer.headers["cache-control"] == "no-store"


async def test_what_a_socket_begins_with_stands_for_headers_and_forges_none(
    start: Start, behind: Behind
) -> None:
    client = await start(
        """
        headers: {request: [propagate: {matching: '.*'}]}
        subscriptions: {init_headers: [authorization, X-One, x-four, x-five, content-length,
                                       transfer-encoding, sec-websocket-key]}
        """
    )
    url = f"{client.base_url}/graphql".replace("http", "ws")
    said = {
        "Authorization": "mine",
        "x-one": "1",
        "x-two\r\nhost": "evil",
        "x-four": "4\r\nhost: evil",
        "x-five": {"a": 5},
        "content-length": "6",
        "Transfer-Encoding": "chunked",
        "sec-websocket-key": "7",
    }
    async with connect(url, subprotocols=[Subprotocol("graphql-transport-ws")]) as socket:
        await socket.send(json.dumps({"type": "connection_init", "payload": said}))
        assert json.loads(await socket.recv())["type"] == "connection_ack"
        payload = {"query": "{ whoami }"}
        await socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": payload}))
        answer = json.loads(await socket.recv())
    assert answer["payload"] == {"data": {"whoami": None}}
    (headers,) = behind.seen["authors"]
    assert (headers["authorization"], headers["x-one"]) == ("mine", "1")
    assert "evil" not in str(headers)
    assert not {"x-four", "x-five", "transfer-encoding", "sec-websocket-key"} & set(headers)
    assert headers["content-length"] != "6"


async def test_what_a_socket_begins_with_overrules_no_proxy(start: Start, behind: Behind) -> None:
    client = await start("headers: {request: [propagate: {matching: 'x-.*|authorization'}]}")
    url = f"{client.base_url}/graphql".replace("http", "ws")
    said = {"X-User": "admin", "x-role": "admin", "authorization": "mine"}
    async with connect(
        url,
        subprotocols=[Subprotocol("graphql-transport-ws")],
        additional_headers={"x-user": "somebody"},
    ) as socket:
        await socket.send(json.dumps({"type": "connection_init", "payload": said}))
        payload = {"query": "{ whoami }"}
        await socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": payload}))
        for _ in range(2):
            await socket.recv()
    (headers,) = behind.seen["authors"]
    assert (headers["x-user"], headers["authorization"]) == ("somebody", "mine")
    assert "x-role" not in headers


async def test_headers_of_subgraphs_reach_the_client_by_rule(start: Start, behind: Behind) -> None:
    behind.cookies = {"authors": "a=1", "books": "b=2"}
    client = await start(
        """
        headers: {response: [{named: Set-Cookie}, {named: x-from, keep: first}]}
        """
    )
    both = await client.post("/graphql", json={"query": BOTH})
    assert both.headers.get_list("set-cookie") == ["a=1", "b=2"]
    assert both.headers.get_list("x-from") == ["authors"]
    passed_through = await client.post("/graphql", json={"query": "{ whoami }"})
    assert passed_through.headers.get_list("set-cookie") == ["a=1"]


@pytest.mark.parametrize("keep", ["first", "last"])
async def test_one_of_several_headers_is_kept(start: Start, behind: Behind, keep: str) -> None:
    behind.cookies = {"authors": "a=1", "books": "b=2"}
    own = "subgraphs: {books: {headers: {response: [{named: x-from, keep: last}]}}}"
    client = await start(f"headers: {{response: [{{named: x-from, keep: {keep}}}]}}\n{own}")
    response = await client.post("/graphql", json={"query": BOTH})
    assert response.headers.get_list("x-from") == ["books"]
    assert "set-cookie" not in response.headers


async def test_what_a_subgraph_says_to_one_client_is_not_said_to_another(
    start: Start, behind: Behind
) -> None:
    client = await start("headers: {response: [{named: set-cookie}]}")
    one = asyncio.create_task(ask(client, "{ slow }"))
    await behind.bookshop.started.wait()
    behind.bookshop.started.clear()
    other = asyncio.create_task(ask(client, "{ slow }"))
    async with asyncio.timeout(5):
        await behind.bookshop.started.wait()
    behind.bookshop.release.set()
    assert [await one, await other] == [{"data": {"slow": 2}}] * 2


async def test_without_rules_no_header_of_a_subgraph_reaches_the_client(
    start: Start, behind: Behind
) -> None:
    behind.cookies = {"authors": "a=1"}
    client = await start("")
    response = await client.post("/graphql", json={"query": BOTH})
    assert "set-cookie" not in response.headers


async def test_a_subgraph_is_asked_where_the_settings_say(start: Start, behind: Behind) -> None:
    elsewhere = behind.sdl.replace(behind.addresses["books"], "http://127.0.0.1:9")
    settings = f"subgraphs: {{books: {{url: '{behind.addresses['books']}/graphql'}}}}"
    client = await start(settings, sdl=elsewhere)
    assert "errors" not in await ask(client, BOTH)


async def test_a_subgraph_has_its_own_time_limit(start: Start, behind: Behind) -> None:
    client = await start("{traffic: {attempts: 1}, subgraphs: {authors: {timeout_seconds: 0.05}}}")
    answer = await ask(client, "{ slow books { title } }")
    assert code(answer) == "DOWNSTREAM_TIMEOUT"
    assert answer["data"]["books"]


async def test_a_subgraph_is_tried_and_left_alone_as_its_own_settings_say(
    start: Start, behind: Behind
) -> None:
    away = behind.sdl
    for address in behind.addresses.values():
        away = away.replace(address, "http://127.0.0.1:9")
    settings = """
    traffic: {attempts: 1, breaker: {least_calls: 3, failing_share: 0.9}}
    subgraphs: {books: {attempts: 2, breaker: {least_calls: 2}}}
    """
    client = await start(settings, sdl=away)
    left_alone = [code(await ask(client, "{ books { title } }")) for _ in range(2)]
    assert left_alone == ["DOWNSTREAM_SERVICE_ERROR", "DOWNSTREAM_UNAVAILABLE"]
    tried = [code(await ask(client, "{ whoami }")) for _ in range(4)]
    assert tried == ["DOWNSTREAM_SERVICE_ERROR"] * 3 + ["DOWNSTREAM_UNAVAILABLE"]


async def test_a_subgraph_streams_as_and_where_the_settings_say(
    start: Start, behind: Behind
) -> None:
    url = f"{behind.addresses['books']}/elsewhere"
    client = await start(
        f"subgraphs: {{books: {{subscriptions: sse, subscriptions_url: '{url}'}}}}"
    )
    for isbn in ("a", None):
        behind.bookshop.events.put_nowait(isbn)
    response = await client.post(
        "/graphql",
        json={"query": "subscription { bookAdded { title author { name } } }"},
        headers={"accept": "text/event-stream"},
    )
    assert '{"data":{"bookAdded":{"title":"Always","author":{"name":"Ursula"}}}}' in response.text
    assert response.text.endswith("event: complete\ndata: \n\n")
    assert behind.seen["books"][0]["accept"] == "text/event-stream"


async def test_settings_of_a_subgraph_that_there_is_not_stop_the_start(start: Start) -> None:
    with pytest.raises(ConfigurationError, match=r"subgraphs\.bokks: the supergraph has no such"):
        await start("subgraphs: {bokks: {timeout_seconds: 1}}")


async def test_documents_that_one_gateway_was_told_another_knows(
    start: Start, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CACHE", redis_url)
    settings = "documents: {automatic: {redis: {url: 'env:CACHE', timeout_seconds: 5}}}"
    one, other = await start(settings), await start(settings)
    digest = hashlib.sha256(b"{ whoami }").hexdigest()
    persisted: dict[str, Any] = {
        "extensions": {"persistedQuery": {"version": 1, "sha256Hash": digest}}
    }
    assert code(await ask(one, **persisted)) == "PERSISTED_QUERY_NOT_FOUND"
    assert await ask(one, "{ whoami }", **persisted) == {"data": {"whoami": None}}
    assert await ask(other, **persisted) == {"data": {"whoami": None}}


async def test_apollo_client_names_a_document_that_the_gateway_was_told(start: Start) -> None:
    await npm_packages()
    client = await start("")
    url = f"{client.base_url}/graphql"
    found = await node("apollo_persisted.mjs", url, "{ authors { name } }")
    assert found["answers"][0]["authors"][0]["name"] == "Ursula"
    assert found["answers"] == [found["answers"][0]] * 4
    asking, telling = ["GET", "hash"], ["POST", "text", "hash"]
    assert found["requests"] == [asking, telling, asking, asking, asking]


async def test_apollo_client_sends_texts_where_documents_are_not_kept(start: Start) -> None:
    await npm_packages()
    client = await start("documents: {automatic: {enabled: false}}")
    url = f"{client.base_url}/graphql"
    found = await node("apollo_persisted.mjs", url, "{ authors { name } }")
    assert found["answers"] == [found["answers"][0]] * 4
    asking, telling = ["GET", "hash"], ["POST", "text"]
    assert found["requests"] == [asking, telling, telling] * 2


async def test_only_trusted_documents_are_answered_if_the_settings_say_so(
    start: Start, tmp_path: Path
) -> None:
    (tmp_path / "relay.json").write_text(json.dumps({"md5-of-it": "{ whoami }"}))
    operation = {"id": "other", "name": "B", "type": "query", "body": "{ books { title } }"}
    apollo = {"format": "apollo-persisted-query-manifest", "version": 1, "operations": [operation]}
    (tmp_path / "apollo.json").write_text(json.dumps(apollo))
    manifests = "manifests: [relay.json, apollo.json]"
    client = await start(f"documents: {{trusted: {{mode: enforce, {manifests}}}}}")
    assert await ask(client, documentId="md5-of-it") == {"data": {"whoami": None}}
    assert (await ask(client, documentId="other"))["data"]["books"]
    assert code(await ask(client, "{ authors { name } }")) == "QUERY_NOT_IN_SAFELIST"
    assert code(await ask(client, "{ __schema { queryType { name } } }")) == "QUERY_NOT_IN_SAFELIST"


async def test_a_manifest_that_cannot_be_read_stops_the_start(start: Start) -> None:
    with pytest.raises(ConfigurationError, match="cannot read the trusted documents"):
        await start("documents: {trusted: {manifests: [none.json]}}")


@pytest.mark.parametrize(
    ("settings", "introspected", "suggested"),
    [
        ("", True, True),
        ("introspection: {enabled: false}", False, False),
        ("introspection: {enabled: false, suggestions: true}", False, True),
        ("introspection: {suggestions: false}", True, False),
    ],
)
async def test_the_schema_is_told_to_whom_the_settings_say(
    start: Start, settings: str, introspected: bool, suggested: bool
) -> None:
    client = await start(settings)
    answer = await ask(client, "{ __schema { queryType { name } } }")
    assert ("data" in answer) is introspected
    assert await ask(client, "{ __typename }") == {"data": {"__typename": "Query"}}
    (error,) = (await ask(client, "{ author }"))["errors"][:1]
    assert error["message"]
    (misspelt,) = (await ask(client, "{ whoamI }"))["errors"]
    assert ("Did you mean" in misspelt["message"]) is suggested


async def test_batches_are_off_until_the_settings_allow_them(start: Start) -> None:
    batch = [{"query": "{ whoami }"}] * 2
    off = await start("")
    assert (await off.post("/graphql", json=batch)).status_code == 400
    on = await start("server: {batch_limit: 2}")
    assert (await on.post("/graphql", json=batch)).json() == [{"data": {"whoami": None}}] * 2
    assert (await on.post("/graphql", json=[*batch, *batch])).status_code == 400


async def test_pages_of_other_sites_may_do_what_the_settings_say(start: Start) -> None:
    client = await start(
        "server: {cors: {origins: ['https://app.example'], credentials: true, headers: [x-tenant],"
        " expose_headers: [x-served-by]}}"
    )
    preflight = {
        "origin": "https://app.example",
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type,x-tenant",
    }
    allowed = await client.options("/graphql", headers=preflight)
    assert allowed.status_code == 200
    assert allowed.headers["access-control-allow-credentials"] == "true"
    headers = {"origin": "https://app.example"}
    answer = await client.post("/graphql", json={"query": "{ whoami }"}, headers=headers)
    assert answer.headers["access-control-allow-origin"] == "https://app.example"
    assert "x-served-by" in answer.headers["access-control-expose-headers"]
    evil = await client.options("/graphql", headers={**preflight, "origin": "https://evil.example"})
    assert "access-control-allow-origin" not in evil.headers
    bare = await start("")
    answer = await bare.post("/graphql", json={"query": "{ whoami }"}, headers=headers)
    assert "access-control-allow-origin" not in answer.headers


async def test_large_answers_are_compressed_unless_the_settings_say_no(start: Start) -> None:
    query = "{" + " ".join(f"a{n}: books {{ title isbn }}" for n in range(100)) + "}"
    for settings, coding in (("", "gzip"), ("server: {compression: {enabled: false}}", None)):
        client = await start(settings)
        response = await client.post("/graphql", json={"query": query})
        assert response.headers.get("content-encoding") == coding
        assert len(response.json()["data"]) == 100


async def test_an_answer_is_explained_to_who_holds_the_secret(start: Start, tmp_path: Path) -> None:
    (tmp_path / "signs").write_text("it signs")
    for settings, value, explained in (
        ("", "1", False),
        ("explain: {freely: true}", "1", True),
        ("explain: {secret: 'file:signs'}", "1", False),
        ("explain: {secret: 'file:signs'}", sign("it signs"), True),
    ):
        client = await start(settings)
        client.headers["x-nexus-explain"] = value
        assert ("extensions" in await ask(client, "{ whoami }")) is explained


async def test_clients_are_counted_but_not_all_that_they_make_up(start: Start) -> None:
    client = await start("")
    client.headers.update({"graphql-client-name": "shop-web", "graphql-client-version": "1.2"})
    await ask(client, "query Who { whoami }")
    for number in range(150):
        client.headers["graphql-client-name"] = f"made-up-{number}"
        await ask(client, "query Who { whoami }")
    metrics = (await client.get("/metrics")).text
    counted = [line for line in metrics.splitlines() if line.startswith("graphql_client_op")]
    assert any('client="shop-web",version="1.2"' in line for line in counted)
    assert any('client="other"' in line for line in counted)
    assert len([line for line in counted if "_total{" in line]) < 120


async def test_an_operation_is_counted_once_whatever_its_client_accepts(start: Start) -> None:
    client = await start("")
    client.headers.update({"graphql-client-name": "counted-once"})
    # What urql says of itself.
    client.headers["accept"] = "application/json, text/event-stream, multipart/mixed"
    await ask(client, "{ whoami }")
    metrics = (await client.get("/metrics")).text
    assert 'operations_total{client="counted-once",version=""} 1.0' in metrics


async def test_the_command_serves_what_the_file_says_and_logs_who_asks(
    behind: Behind, tmp_path: Path
) -> None:
    supergraph = tmp_path / "supergraph.graphql"
    supergraph.write_text(behind.sdl)
    settings = written(tmp_path, "introspection: {enabled: false}")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    arguments = f"gateway --supergraph {supergraph} --config {settings} --port {port}"
    command = [sys.executable, "-m", "cli", *arguments.split()]
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stderr=subprocess.PIPE)
    try:
        headers = {"graphql-client-name": "shop", "apollographql-client-version": "1.2"}
        url = f"http://127.0.0.1:{port}"
        async with httpx.AsyncClient(base_url=url, headers=headers, timeout=300) as client:
            await until_up(client)
            refused = await ask(client, "query Schema { __schema { queryType { name } } }")
    finally:
        process.send_signal(signal.SIGINT)
        _, errors = await process.communicate()
    assert code(refused) == "INTROSPECTION_DISABLED"
    assert process.returncode == 0
    logged = [json.loads(line) for line in errors.splitlines()]
    (request,) = [line for line in logged if line.get("operation") == "Schema"]
    assert (request["event"], request["client"]) == ("http.request", "shop/1.2")


async def until_up(client: httpx.AsyncClient) -> None:
    async with asyncio.timeout(300):
        while True:
            try:
                await client.get("/health")
            except httpx.TransportError:
                await asyncio.to_thread(lambda: None)
            else:
                return


async def test_hostile_requests_are_refused(start: Start) -> None:
    client = await start("introspection: {enabled: false}")
    for hostile in HOSTILE:
        await hostile.refused(client)


async def test_what_a_client_is_told_of_the_schema_is_no_more_than_it_said(start: Start) -> None:
    client = await start("introspection: {enabled: false}")
    for query in (
        "{ authrs { name } }",
        "{ author(idd: 1) { name } }",
        "query($a: ID) { authors { name(a: $a) } }",
        "{ authors { ... on Authr { name } } }",
        "query($a: Itn) { authors { name } }",
        "{ authors { name @inclde(if: true) } }",
        "mutation { renam }",
    ):
        answer = await ask(client, query)
        assert "errors" in answer
        assert "Did you mean" not in json.dumps(answer), query


async def test_what_subgraphs_say_of_age_and_variance_counts(start: Start, behind: Behind) -> None:
    behind.caching = {"authors": "public, max-age=60", "books": "public, max-age=50"}
    behind.keeping = {"authors": [(b"age", b"20"), (b"vary", b"Origin")]}
    client = await start("headers: {request: []}")
    for query in (BOTH, "{ authors { name } }"):
        aged = await client.post("/graphql", json={"query": query})
        assert aged.headers["cache-control"] == "public, max-age=40"
    behind.keeping = {"books": [(b"vary", b"Accept"), (b"vary", b"*")]}
    never = await client.post("/graphql", json={"query": BOTH})
    assert never.headers["cache-control"] == "no-store"


async def test_answers_for_different_clients_are_kept_apart(start: Start, behind: Behind) -> None:
    behind.caching = {"authors": "public, max-age=60", "books": "public, max-age=9, s-maxage=5"}
    client = await start("headers: {request: [{propagate: {named: authorization}}]}")
    shared = await client.post("/graphql", json={"query": BOTH})
    assert shared.headers["cache-control"] == "public, max-age=5"
    headers = {"authorization": "mine"}
    mine = await client.post("/graphql", json={"query": BOTH}, headers=headers)
    assert mine.headers["cache-control"] == "private, max-age=5"
    failed = await client.post("/graphql", json={"query": "{ authors { name } bug }"})
    assert failed.headers["cache-control"] == "no-store"
    del behind.caching["books"]
    silent = await client.post("/graphql", json={"query": BOTH})
    assert silent.headers["cache-control"] == "no-store"
