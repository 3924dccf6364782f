"""Exports and deletion requests over REST, on real servers."""

from __future__ import annotations

import asyncio
import io
import json
import tracemalloc
import zipfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import strawberry
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from gateway.context import RequestContext
from gateway.rest import privacy
from gateway.rest.operations import routes
from gateway.rest.subgraphs import asking
from gateway.transports.local import LocalTransport
from shared.auth import Identity
from shared.config import SUBGRAPHS
from shared.errors import Unavailable
from shared.graphql import BigInt, Context, build_schema
from shared.privacy import Piece, PrivacyExportPage, PrivacyFile, Reader, export_field
from shared.subgraph import SubgraphService
from tests.serving import serving

ADA = "0192f0c1-2d3e-7a4b-8c5d-6e7f80910111"
EXPORT = "/api/user/export"

Sections = dict[str, Reader]


def reading(*rows: Mapping[str, Any]) -> Reader:
    """A section of one piece."""

    async def read(_: object, __: str, ___: str | None) -> Piece:
        return Piece(rows)

    return read


def subgraph(name: str, sections: Sections) -> SubgraphService:
    """A subgraph that has nothing but an export."""

    @strawberry.type
    class Query:
        privacy_export: PrivacyExportPage = export_field(name, sections)

    return SubgraphService(name, build_schema(Query), lambda caller: Context(caller, None))


async def identify(request: Request) -> RequestContext:
    """Believes what the token says."""
    scheme, _, user_id = request.headers.get("authorization", "").partition(" ")
    return RequestContext(identity=Identity(user_id, "s") if scheme else Identity())


@dataclass
class Store:
    """The object store, as far as downloads are concerned."""

    url: str = ""
    files: dict[str, Callable[[], Awaitable[Response]]] = field(default_factory=dict)

    async def answer(self, request: Request) -> Response:
        """The file of the path."""
        make = self.files.get(request.path_params["name"])
        return await make() if make else Response(status_code=404)

    def add(self, name: str, content: bytes) -> None:
        """A file with this content."""

        async def make() -> Response:
            return Response(content, media_type="text/plain")

        self.files[name] = make

    def file(self, name: str, size: int, *, path: str | None = None) -> PrivacyFile:
        """What an export says about it."""
        url = f"{self.url}/{name}"
        path = f"files/{name}" if path is None else path
        return PrivacyFile(path=path, url=url, size_bytes=BigInt(size))


@dataclass
class Exports:
    """A gateway over four subgraphs whose sections the test decides."""

    client: httpx.AsyncClient
    sections: dict[str, Sections]
    store: Store

    def get(self, *, user_id: str = ADA, path: str = EXPORT) -> Awaitable[httpx.Response]:
        """A whole download."""
        return self.client.get(path, headers={"authorization": f"Bearer {user_id}"})

    def stream(self, *, user_id: str = ADA) -> Any:
        """A download that is read bit by bit."""
        return self.client.stream("GET", EXPORT, headers={"authorization": f"Bearer {user_id}"})

    async def archive(self) -> zipfile.ZipFile:
        """A download that worked."""
        response = await self.get()
        assert response.status_code == 200, response.text
        archive = zipfile.ZipFile(io.BytesIO(response.content))
        assert archive.testzip() is None
        return archive


@asynccontextmanager
async def exporting(sections: dict[str, Sections]) -> AsyncIterator[Exports]:
    """The gateway, listening."""
    store = Store()
    services = {name: subgraph(name, sections[name]) for name in SUBGRAPHS}
    ask = asking(lambda: LocalTransport(services))
    app = Starlette(routes=routes(privacy.operations(ask, identify)))
    files = Starlette(routes=[Route("/{name:path}", store.answer)])
    async with (
        serving(app) as base,
        serving(files) as store.url,
        httpx.AsyncClient(base_url=base, timeout=20) as client,
    ):
        yield Exports(client, sections, store)


@pytest.fixture
async def exports() -> AsyncIterator[Exports]:
    """Four subgraphs with a document each."""
    sections = {name: {"things": reading({"of": name})} for name in SUBGRAPHS}
    async with exporting(sections) as found:
        yield found


async def test_an_export_holds_the_documents_of_every_domain(exports: Exports) -> None:
    response = await exports.get()
    assert response.headers["content-type"] == "application/zip"
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["content-disposition"].startswith('attachment; filename="nexus-export-')
    archive = zipfile.ZipFile(io.BytesIO(response.content))
    assert archive.testzip() is None
    assert archive.namelist() == [
        *(f"{name}/things.json" for name in SUBGRAPHS),
        "manifest.json",
    ]
    for name in SUBGRAPHS:
        assert json.loads(archive.read(f"{name}/things.json")) == [{"of": name}]
    manifest = json.loads(archive.read("manifest.json"))
    assert (manifest["user_id"], manifest["domains"]) == (ADA, list(SUBGRAPHS))


async def test_the_versioned_path_is_the_same(exports: Exports) -> None:
    response = await exports.get(path="/api/v1/users/me/export")
    assert "billing/things.json" in zipfile.ZipFile(io.BytesIO(response.content)).namelist()


async def test_a_long_section_is_read_to_its_end(exports: Exports) -> None:
    async def read(_: object, __: str, after: str | None) -> Piece:
        number = int(after or 0)
        return Piece([{"number": number}], after=str(number + 1) if number < 9 else None)

    exports.sections["billing"]["things"] = read
    archive = await exports.archive()
    found = [
        json.loads(archive.read(name))[0]["number"]
        for name in archive.namelist()
        if name.startswith("billing/")
    ]
    assert found == list(range(10))


async def test_files_are_in_the_archive(exports: Exports) -> None:
    content = bytes(range(256)) * 1000
    exports.store.add("a.bin", content)
    exports.store.add("empty", b"")
    listed = [exports.store.file("a.bin", len(content)), exports.store.file("empty", 0)]
    exports.sections["storage"]["things"] = listing(*listed)
    archive = await exports.archive()
    assert archive.read("files/a.bin") == content
    assert archive.read("files/empty") == b""


def listing(*files: PrivacyFile) -> Reader:
    """A section with files."""

    async def read(_: object, __: str, ___: str | None) -> Piece:
        return Piece([], files=files)

    return read


async def test_no_path_leads_out_of_the_archive_and_no_two_are_one(exports: Exports) -> None:
    exports.store.add("x", b"x")
    given = [
        "../../etc/passwd",
        "/etc/passwd",
        "..\\..\\boot.ini",
        "files/a.txt",
        "files/A.TXT",
        "files//a.txt",
        "files/../files/a.txt",
        "files/nul\u0000byte",
        "con:stream",
        "..",
        "",
        "manifest.json",
    ]
    listed = [exports.store.file("x", 1, path=path) for path in given]
    exports.sections["storage"]["things"] = listing(*listed)
    names = (await exports.archive()).namelist()
    assert names[4:-1] == [
        "etc/passwd",
        "etc/passwd (2)",
        ".._.._boot.ini",
        "files/a.txt",
        "files/A (2).TXT",
        "files/a (3).txt",
        "files/files/a.txt",
        "files/nul_byte",
        "con_stream",
        "unnamed",
        "unnamed (2)",
        "manifest.json",
    ]
    assert names[-1] == "manifest (2).json"


async def test_a_large_file_passes_through_a_small_memory(exports: Exports) -> None:
    chunk, number = b"\x00\x01\x02\x03" * 65_536, 400

    async def make() -> Response:
        async def chunks() -> AsyncIterator[bytes]:
            for _ in range(number):
                yield chunk

        return StreamingResponse(chunks())

    exports.store.files["large"] = make
    exports.sections["storage"]["things"] = listing(
        exports.store.file("large", len(chunk) * number)
    )
    tracemalloc.start()
    try:
        async with exports.stream() as response:
            async for _ in response.aiter_raw():
                pass
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # The server, the store and the client are all in this process.
    assert len(chunk) * number > 100_000_000
    assert peak < 20_000_000


async def test_a_domain_that_cannot_answer_is_told_before_anything_is_sent(
    exports: Exports,
) -> None:
    async def read(_: object, __: str, ___: str | None) -> Piece:
        raise Unavailable

    exports.sections["orgs"]["things"] = read
    response = await exports.get()
    assert response.status_code == 503
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["code"] == "UNAVAILABLE"
    exports.sections["orgs"]["things"] = reading()
    await exports.archive()


async def test_a_domain_with_a_bug_is_an_internal_error(exports: Exports) -> None:
    async def read(_: object, __: str, ___: str | None) -> Piece:
        raise ZeroDivisionError("secret")

    exports.sections["orgs"]["things"] = read
    response = await exports.get()
    assert (response.status_code, response.json()["code"]) == (500, "INTERNAL")
    assert "secret" not in response.text


async def broken(exports: Exports) -> bytes:
    """What came of a download that must break off."""
    received = bytearray()
    with pytest.raises(httpx.RemoteProtocolError):
        await _read_into(received, exports)
    with pytest.raises(zipfile.BadZipFile):
        zipfile.ZipFile(io.BytesIO(received))
    return bytes(received)


async def _read_into(received: bytearray, exports: Exports) -> None:
    async with exports.stream() as response:
        assert response.status_code == 200
        async for chunk in response.aiter_raw():
            received += chunk


async def test_a_domain_that_fails_midway_breaks_the_download(exports: Exports) -> None:
    async def read(_: object, __: str, after: str | None) -> Piece:
        if after:
            raise Unavailable
        return Piece([{"first": True}], after="x")

    exports.sections["orgs"]["things"] = read
    assert b"users/things.json" in await broken(exports)


async def test_a_file_that_is_not_whole_breaks_the_download(exports: Exports) -> None:
    exports.store.add("short", b"short")
    for file in (
        exports.store.file("short", 6),
        exports.store.file("short", 4),
        exports.store.file("missing", 5),
    ):
        exports.sections["storage"]["things"] = listing(file)
        await broken(exports)


async def test_a_file_is_not_looked_for_elsewhere(exports: Exports) -> None:
    async def make() -> Response:
        return Response(status_code=302, headers={"location": f"{exports.store.url}/secret"})

    exports.store.add("secret", b"secret")
    exports.store.files["moved"] = make
    exports.sections["storage"]["things"] = listing(exports.store.file("moved", 6))
    await broken(exports)


async def test_a_person_has_one_export_at_a_time(exports: Exports) -> None:
    release = asyncio.Event()

    async def make() -> Response:
        await release.wait()
        return Response(b"late")

    exports.store.files["late"] = make
    exports.sections["storage"]["things"] = listing(exports.store.file("late", 4))
    async with exports.stream() as running:
        second = await exports.get()
        assert (second.status_code, second.json()["code"]) == (429, "RATE_LIMITED")
        assert second.headers["retry-after"]
        release.set()
        await running.aread()
    await exports.archive()


async def test_a_process_makes_so_many_exports_at_a_time(exports: Exports) -> None:
    release = asyncio.Event()

    async def make() -> Response:
        await release.wait()
        return Response(b"late")

    exports.store.files["late"] = make
    exports.sections["storage"]["things"] = listing(exports.store.file("late", 4))
    people = [f"0192f0c1-2d3e-7a4b-8c5d-6e7f809101{number:02}" for number in range(9)]
    running = [exports.stream(user_id=person) for person in people[:8]]
    responses = [await each.__aenter__() for each in running]
    refused = await exports.get(user_id=people[8])
    assert (refused.status_code, refused.json()["code"]) == (503, "UNAVAILABLE")
    release.set()
    for response, each in zip(responses, running, strict=True):
        await response.aread()
        await each.__aexit__(None, None, None)
    assert (await exports.get(user_id=people[8])).status_code == 200


async def test_a_client_that_leaves_frees_its_place(exports: Exports) -> None:
    left = asyncio.Event()

    async def make() -> Response:
        async def chunks() -> AsyncIterator[bytes]:
            try:
                while True:
                    yield b"x" * 65_536
                    await asyncio.sleep(0)
            finally:
                left.set()

        return StreamingResponse(chunks())

    exports.store.files["endless"] = make
    exports.sections["storage"]["things"] = listing(exports.store.file("endless", 10**12))
    async with exports.stream() as response:
        await anext(response.aiter_raw())
    async with asyncio.timeout(10):
        await left.wait()
    exports.sections["storage"]["things"] = reading()
    await exports.archive()


async def test_a_stranger_exports_nothing(exports: Exports) -> None:
    response = await exports.client.get(EXPORT)
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"
    assert response.json()["code"] == "UNAUTHENTICATED"


async def test_other_methods_are_refused(exports: Exports) -> None:
    for method in ("HEAD", "POST", "PUT", "DELETE", "OPTIONS"):
        response = await exports.client.request(method, EXPORT)
        assert response.status_code == 405, method
        assert response.headers["allow"] == "GET"
    assert response.json()["code"] == "METHOD_NOT_ALLOWED"
