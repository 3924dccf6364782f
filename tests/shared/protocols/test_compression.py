"""Large answers for clients that accept less, decoded by what such clients use."""

from __future__ import annotations

import sys
import zlib
from collections.abc import AsyncIterator

import httpx
import pytest

from shared.protocols.compression import Coding, accepted_coding
from shared.protocols.http import GraphQLHTTP
from tests.serving import serving
from tests.shared.protocols.counting import Counting, name_of

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

LARGE = {"query": "query($name: String) { hello(name: $name) }", "variables": {"name": "a" * 900}}
ANSWER = {"data": {"hello": "hello " + "a" * 900}}
# Compressed in a thread.
HUGE = {**LARGE, "variables": {"name": "a" * 300_000}}


@pytest.fixture
async def url() -> AsyncIterator[str]:
    app = GraphQLHTTP(Counting(), name_of, batch_limit=2, compress_from=500)
    async with serving(app, lifespan="off") as address:
        yield address


async def raw(client: httpx.AsyncClient, url: str, body: object, accept: str) -> httpx.Response:
    """The response, and in ``extensions["raw"]`` its body as it came."""
    request = client.build_request("POST", url, json=body, headers={"accept-encoding": accept})
    response = await client.send(request, stream=True)
    response.extensions["raw"] = b"".join([chunk async for chunk in response.aiter_raw()])
    return response


@pytest.mark.parametrize(
    ("header", "coding"),
    [
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip, deflate", "gzip"),
        ("GZIP", "gzip"),
        ("zstd;q=0.5, gzip", "gzip"),
        ("zstd;q=0, *", "gzip"),
        ("*", "zstd"),
        ("gzip;q=0", None),
        ("gzip;q=x", None),
        ("gzip;level=9;q=0.1", "gzip"),
        ("identity", None),
        ("br", None),
        ("", None),
    ],
)
def test_the_coding_is_the_best_that_the_client_accepts(header: str, coding: Coding | None) -> None:
    assert accepted_coding(header) == coding


@pytest.mark.parametrize("body", [LARGE, HUGE])
async def test_a_large_answer_is_compressed_as_the_client_likes(
    client: httpx.AsyncClient, url: str, body: dict[str, dict[str, str]]
) -> None:
    answer = b'{"data":{"hello":"hello ' + body["variables"]["name"].encode() + b'"}}'
    gzipped = await raw(client, url, body, "gzip")
    assert gzipped.headers["content-encoding"] == "gzip"
    assert zlib.decompress(gzipped.extensions["raw"], zlib.MAX_WBITS + 16) == answer
    fast = await raw(client, url, body, "gzip, zstd")
    assert fast.headers["content-encoding"] == "zstd"
    assert zstd.decompress(fast.extensions["raw"]) == answer
    for response in (gzipped, fast):
        assert int(response.headers["content-length"]) == len(response.extensions["raw"])
        assert response.headers["vary"] == "Accept, Accept-Encoding"
        assert len(response.extensions["raw"]) < len(answer) / 2


async def test_a_small_answer_and_one_for_a_client_that_does_not_ask_are_not(
    client: httpx.AsyncClient, url: str
) -> None:
    small = await client.post(url, json={"query": "{ apple }"})
    assert "content-encoding" not in small.headers
    assert small.headers["vary"] == "Accept"
    plain = await raw(client, url, LARGE, "identity")
    assert "content-encoding" not in plain.headers
    assert plain.headers["vary"] == "Accept, Accept-Encoding"


async def test_a_batch_is_compressed_as_a_whole(client: httpx.AsyncClient, url: str) -> None:
    response = await client.post(url, json=[LARGE, LARGE], headers={"accept-encoding": "gzip"})
    assert response.headers["content-encoding"] == "gzip"
    assert response.json() == [ANSWER, ANSWER]


async def test_neither_a_refusal_nor_a_stream_is_compressed(
    client: httpx.AsyncClient, url: str
) -> None:
    refused = await client.post(url, json={"query": "{ " + "apples " * 200 + "}"})
    assert len(refused.content) > 500
    assert "content-encoding" not in refused.headers
    streamed = await client.post(url, json=LARGE, headers={"accept": "text/event-stream"})
    assert "content-encoding" not in streamed.headers


async def test_a_compressed_request_is_refused(client: httpx.AsyncClient, url: str) -> None:
    response = await client.post(
        url,
        content=zlib.compress(b'{"query": "{ apple }"}'),
        headers={"content-type": "application/json", "content-encoding": "gzip"},
    )
    assert response.status_code == 415
