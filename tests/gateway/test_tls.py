"""Subgraphs over TLS: whose certificates are believed, and what is said of the others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest
import structlog
from starlette.requests import HTTPConnection

from gateway import standalone
from gateway.configuration import read
from shared.auth import ANONYMOUS, Identity
from shared.config import ConfigurationError
from shared.protocols.endpoint import GraphQLEndpoint
from shared.protocols.http import GraphQLHTTP
from shared.protocols.websocket import GraphQLWebSocket
from tests.gateway.bookshop import SDL, Bookshop, make_bookshop
from tests.serving import serving
from tests.support.certificates import certified

Start = Callable[..., Awaitable[httpx.AsyncClient]]
TRUSTING = "traffic: {ca_file: certificate.pem}"
REFUSED = "certificate verify failed"


async def nobody(_: HTTPConnection, __: object = None) -> Identity:
    return ANONYMOUS


@pytest.fixture
async def bookshop() -> Bookshop:
    return Bookshop()


@pytest.fixture
async def start(bookshop: Bookshop, tmp_path: Path) -> AsyncIterator[Start]:
    """Starts a gateway over subgraphs with a certificate for 127.0.0.1; gives a client of it."""
    certified(tmp_path)
    files = {"ssl_certfile": tmp_path / "certificate.pem", "ssl_keyfile": tmp_path / "key.pem"}
    sdl = SDL
    async with AsyncExitStack() as stack:
        for name, service in make_bookshop(bookshop).items():
            app = GraphQLEndpoint(
                http=GraphQLHTTP(service, nobody), websocket=GraphQLWebSocket(service, nobody)
            )
            url = await stack.enter_async_context(serving(app, lifespan="off", **files))
            sdl = sdl.replace(f"http://{name}.test", url.replace("http", "https"))

        async def starting(settings: str, host: str = "127.0.0.1") -> httpx.AsyncClient:
            supergraph, told = tmp_path / "supergraph.graphql", tmp_path / "gateway.yaml"
            supergraph.write_text(sdl.replace("127.0.0.1", host))
            told.write_text(settings)
            app = await standalone.create(str(supergraph), read(told), draining=asyncio.Event())
            url = await stack.enter_async_context(serving(app))
            client = httpx.AsyncClient(base_url=url, timeout=5)
            return await stack.enter_async_context(client)

        yield starting


async def test_subgraphs_are_believed_whom_an_authority_of_the_settings_vouches_for(
    start: Start, bookshop: Bookshop
) -> None:
    client = await start(TRUSTING)
    answer = await client.post("/graphql", json={"query": "{ authors { books { title } } }"})
    assert answer.json()["data"]["authors"][0]["books"] == [{"title": "Always"}]
    for isbn in ("a", None):
        bookshop.events.put_nowait(isbn)
    stream = await client.post(
        "/graphql",
        json={"query": "subscription { bookAdded { title } }"},
        headers={"accept": "text/event-stream"},
    )
    assert '{"data":{"bookAdded":{"title":"Always"}}}' in stream.text


@pytest.mark.parametrize(
    ("settings", "host", "reason"),
    [("", "127.0.0.1", "self-signed"), (TRUSTING, "localhost", "not valid for 'localhost'")],
)
async def test_others_are_not_asked_and_the_log_says_why_once(
    start: Start, bookshop: Bookshop, settings: str, host: str, reason: str
) -> None:
    client = await start(settings, host)
    with structlog.testing.capture_logs() as logs:
        for _ in range(3):
            answer = (await client.post("/graphql", json={"query": "{ whoami }"})).json()
    assert answer["errors"][0]["message"] == "authors cannot be reached."
    (told,) = [line for line in logs if line["event"] == "subgraph.unreachable"]
    assert told["subgraph"] == "authors"
    assert REFUSED in told["reason"]
    assert reason in told["reason"]
    with structlog.testing.capture_logs() as logs:
        stream = await client.post(
            "/graphql",
            json={"query": "subscription { bookAdded { title } }"},
            headers={"accept": "text/event-stream"},
        )
    assert "opened no stream" in stream.text
    (told,) = [line for line in logs if line["event"] == "subgraph.unreachable"]
    assert reason in told["reason"]
    assert bookshop.subscribers == 0


@pytest.mark.parametrize("text", [None, "not a certificate"])
def test_a_file_without_certificates_stops_the_start(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "certificate.pem").write_text(text)
    told = tmp_path / "gateway.yaml"
    told.write_text(TRUSTING + "\nlimit: {}")
    with pytest.raises(ConfigurationError, match=r"traffic\.ca_file: no certificates") as caught:
        read(told)
    assert "limit: unknown" in str(caught.value)
