"""What subgraphs answer reaches clients unharmed: numbers of any size, bytes as they came."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from gateway import standalone
from gateway.configuration import Configuration
from tests.gateway.bookshop import SDL
from tests.serving import serving

LARGE = 1234567890123456789012345678901234567890
GRAPH = """
enum join__Graph { BOX @join__graph(name: "box", url: "URL/box")
  OTHER @join__graph(name: "other", url: "URL/other") }
scalar Big @join__type(graph: BOX) @join__type(graph: OTHER)
type Query @join__type(graph: BOX) @join__type(graph: OTHER) {
  big(of: Big, int: Int): Big @join__field(graph: BOX)
  must: Int! @join__field(graph: BOX)
  other: Int @join__field(graph: OTHER)
}
type Subscription @join__type(graph: BOX) { bigs: Big @join__field(graph: BOX) }
"""


class Box:
    """A subgraph that answers with the bytes it is told to."""

    def __init__(self) -> None:
        self.answer = b""
        self.asked: list[dict[str, Any]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        self.asked.append(json.loads(await request.body()))
        kind, answer = "application/json", self.answer
        if scope["path"] == "/other":
            answer = b'{"data": {"other": 1}}'
        elif "subscription" in self.asked[-1]["query"]:
            kind = "text/event-stream"
            answer = b"event: next\ndata: " + answer + b"\n\nevent: complete\ndata:\n\n"
        await Response(answer, media_type=kind)(scope, receive, send)


@pytest.fixture
def box() -> Box:
    return Box()


@pytest.fixture
async def gateway(box: Box, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    path = tmp_path / "supergraph.graphql"
    head = SDL[: SDL.index("enum join__Graph")].replace("mutation: Mutation", "")
    told = Configuration.model_validate({"subgraphs": {"box": {"subscriptions": "sse"}}})
    async with AsyncExitStack() as stack:
        address = await stack.enter_async_context(serving(box, lifespan="off"))
        path.write_text(head + GRAPH.replace("URL", address))
        app = await standalone.create(str(path), told, draining=asyncio.Event())
        url = await stack.enter_async_context(serving(app))
        yield await stack.enter_async_context(httpx.AsyncClient(base_url=url, timeout=5))


@pytest.mark.parametrize("number", [LARGE, -LARGE, 2**64, -(2**63) - 1, 2**63 - 1])
@pytest.mark.parametrize("selection", ["big(of: $n)", "big(of: $n) other"])
async def test_an_integer_of_any_size_goes_through_and_comes_back(
    gateway: httpx.AsyncClient, box: Box, number: int, selection: str
) -> None:
    box.answer = b'{"data": {"big": {"is": [%d]}}}' % number
    query = f"query($n: Big) {{ {selection} }}"
    variables = f'{{"n": {{"is": [{number}]}}}}'
    body = f'{{"query": {json.dumps(query)}, "variables": {variables}}}'
    headers = {"content-type": "application/json"}
    for answer in (
        await gateway.post("/graphql", content=body, headers=headers),
        await gateway.get("/graphql", params={"query": query, "variables": variables}),
    ):
        assert answer.json()["data"]["big"] == {"is": [number]}
    sent = [asked["variables"] for asked in box.asked if "big" in asked["query"]]
    assert sent == [{"n": {"is": [number]}}] * 2


@pytest.mark.parametrize("query", ["{ big }", "{ big other }"])
async def test_what_nests_deeply_goes_through(
    gateway: httpx.AsyncClient, box: Box, query: str
) -> None:
    value = b"[" * 400 + b"]" * 400
    box.answer = b'{"data": {"big": %b}}' % value
    answer = await gateway.post("/graphql", json={"query": query})
    assert b'"big":%b' % value in answer.content.replace(b" ", b"")


async def test_an_integer_that_is_no_int_is_refused_as_it_was_written(
    gateway: httpx.AsyncClient,
) -> None:
    query = {"query": "query($n: Int) { big(int: $n) }", "variables": {"n": LARGE}}
    answer = await gateway.post("/graphql", json=query)
    (error,) = answer.json()["errors"]
    assert error["extensions"]["code"] == "BAD_USER_INPUT"
    assert f"Int cannot represent non 32-bit signed integer value: {LARGE}" in error["message"]


async def test_large_integers_go_over_sockets_and_streams_too(
    gateway: httpx.AsyncClient, box: Box
) -> None:
    box.answer = b'{"data": {"bigs": %d}}' % LARGE
    url = str(gateway.base_url).replace("http", "ws") + "/graphql"
    async with connect(url, subprotocols=[Subprotocol("graphql-transport-ws")]) as socket:
        await socket.send('{"type": "connection_init"}')
        query = {"query": "subscription { bigs }", "variables": {"n": LARGE}}
        await socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": query}))
        messages = [json.loads(await socket.recv()) for _ in range(2)]
    assert messages[1]["payload"] == {"data": {"bigs": LARGE}}
    box.answer = b'{"data": {"big": 1}, "errors": [{"message": "m", "extensions": {"n": %d}}]}'
    box.answer = box.answer % LARGE
    answer = await gateway.post("/graphql", json={"query": "{ big }"})
    assert answer.json()["errors"][0]["extensions"]["n"] == LARGE


@pytest.mark.parametrize(
    "wrong",
    [
        b'{"data": {"big": "\xff"}}',
        b'{"data": {"\xed\xa0\x80": 1}}',
        b'{"data": {"big": "a\nb"}}',
        b'{"data": {"big": 01}}',
        b'{"data": {"big": "\\ud800"}}',
        b'{"data": {"big": 1}}}',
        b'{"data": {"big": 1e999}, "errors": [{"message": ""}]}',
        # Python 3.14 reads what is nested tens of thousands deep.
        b'{"data": {"big": ' + b"[" * 300_000 + b"]" * 300_000 + b"}}",
    ],
)
@pytest.mark.parametrize("query", ["{ big }", "{ big other }"])
async def test_what_is_not_json_in_utf8_is_not_passed_on(
    gateway: httpx.AsyncClient, box: Box, wrong: bytes, query: str
) -> None:
    box.answer = wrong
    answer = (await gateway.post("/graphql", json={"query": query})).json()
    assert answer["data"]["big"] is None
    (error,) = answer["errors"]
    assert error["extensions"]["code"] == "DOWNSTREAM_SERVICE_ERROR"
    assert error["extensions"]["serviceName"] == "box"


@pytest.mark.parametrize(
    ("query", "data", "expected"),
    [
        ("{ big }", "{}", {"big": None}),
        ("{ big b: big }", '{"b": 1}', {"big": None, "b": 1}),
        ("{ big b: big }", f'{{"b": 1, "big": {LARGE}}}', {"big": LARGE, "b": 1}),
        ("{ big }", '{"secret": 1, "big": {"any": 2}}', {"big": {"any": 2}}),
        ("{ big must }", '{"big": 1}', None),
    ],
)
async def test_an_answer_has_the_keys_that_were_asked_for(
    gateway: httpx.AsyncClient, box: Box, query: str, data: str, expected: object
) -> None:
    box.answer = b'{"data": %b}' % data.encode()
    answer = await gateway.post("/graphql", json={"query": query})
    assert json.dumps(answer.json()["data"]) == json.dumps(expected)
    errors = answer.json().get("errors", [])
    assert [(one["path"], one["extensions"]["code"]) for one in errors] == (
        [] if expected else [(["must"], "INVALID_SUBGRAPH_RESPONSE")]
    )


async def test_an_answer_written_for_people_is_one_event(
    gateway: httpx.AsyncClient, box: Box
) -> None:
    box.answer = b'{\r\n  "data": {\n\n    "big": "a\\nb"\n  }\n}\n'
    answer = await gateway.post(
        "/graphql", json={"query": "{ big }"}, headers={"accept": "text/event-stream"}
    )
    events = [event for event in answer.text.split("\n\n") if event.startswith("event: next")]
    assert [json.loads(event.partition("data: ")[2]) for event in events] == [
        {"data": {"big": "a\nb"}}
    ]
