"""The rights of a data subject: an archive of everything held, and being forgotten."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import aiohttp
import orjson
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from gateway.context import RequestContext
from gateway.rest.archive import Archive
from gateway.rest.operations import Answer, Operation, Parameter
from gateway.rest.subgraphs import Ask, question
from shared.access import require_user
from shared.auth import GATEWAY
from shared.config import SUBGRAPHS
from shared.deadline import deadline
from shared.errors import (
    Conflict,
    NotFound,
    RateLimited,
    Unauthenticated,
    Unavailable,
)
from shared.logger import get_logger
from shared.privacy import EXPORT_QUERY

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

__all__ = ["ExportBroken", "operations"]

logger = get_logger(__name__)

Identify = Callable[[Request], Awaitable[RequestContext]]

_EXPORT_PATHS = ("/api/user/export", "/api/v1/users/me/export")
_REQUEST_PATHS = ("/api/user/deletion-request", "/api/v1/users/me/deletion-requests")
_MOST_EXPORTS = 8
_CHUNK = 65_536
_PATIENCE = aiohttp.ClientTimeout(total=None, sock_connect=30, sock_read=30)
_NO_STORE = {"cache-control": "no-store"}

_EXPORTS = {name: question(name, EXPORT_QUERY, "userId", "after") for name in SUBGRAPHS}
_FIELDS = "id status requestedAt startsAt endedAt receipt"
_REQUEST = question(
    "users",
    f"mutation RequestDeletion {{ requestDeletion {{ {_FIELDS} }} }}",
    mutates=True,
)
_CANCEL = question(
    "users",
    f"mutation CancelDeletion($id: ID!) {{ cancelDeletion(id: $id) {{ {_FIELDS} }} }}",
    "id",
    mutates=True,
)
_FIND = question(
    "users",
    "query DeletionRequest($id: ID!, $receipt: String)"
    f" {{ deletionRequest(id: $id, receipt: $receipt) {{ {_FIELDS} }} }}",
    "id",
    "receipt",
)

_TIME = {"type": "string", "format": "date-time"}
_DELETION_REQUEST = {
    "type": "object",
    "required": ["id", "status", "requestedAt", "startsAt", "endedAt"],
    "properties": {
        "id": {"type": "string", "format": "uuid"},
        "status": {
            "type": "string",
            "enum": ["pending", "started", "completed", "cancelled"],
            "description": "It can be cancelled while it is pending.",
        },
        "requestedAt": _TIME,
        "startsAt": {**_TIME, "description": "Until when it can be cancelled."},
        "endedAt": {
            "type": ["string", "null"],
            "format": "date-time",
            "description": "When it was completed or cancelled.",
        },
    },
}
_ID = Parameter("id", "path", "The id of the request.")
_RECEIPT = Parameter(
    "receipt",
    "query",
    "What the `Location` of the request came with. With it the status can be read without an"
    " access token, also when the account is gone.",
    required=False,
)
_SHOWN = {200: Answer("The request.", {"application/json": _DELETION_REQUEST})}


class ExportBroken(Exception):
    """A file came otherwise than it was announced; the download is cut off."""


def operations(ask: Ask, identify: Identify) -> Sequence[Operation]:
    """The endpoints; ``identify`` says who is calling."""
    requests = _DeletionRequests(ask, identify)
    return (
        Operation(
            name="exportData",
            method="GET",
            paths=_EXPORT_PATHS,
            handler=_Exports(ask, identify),
            summary="Download everything that is held about you",
            description=(
                "A ZIP archive of JSON documents and of your files, from every domain. It is made"
                " while it is sent; when a part cannot be read the download breaks off, and is no"
                " archive that a program could open."
            ),
            answers={
                200: Answer(
                    "The archive.",
                    {"application/zip": {"type": "string", "format": "binary"}},
                    {"Content-Disposition": "A file name for it."},
                )
            },
            failures=(Unauthenticated, RateLimited, Unavailable),
            caller="required",
            tag="privacy",
        ),
        Operation(
            name="requestDeletion",
            method="POST",
            paths=_REQUEST_PATHS,
            handler=requests.make,
            summary="Ask to be forgotten",
            description=(
                "After a time for second thoughts every domain erases, or makes anonymous what the"
                " law has it keep. While a request is open, asking again answers with it."
            ),
            answers={
                202: Answer(
                    "The request that is open now.",
                    {"application/json": _DELETION_REQUEST},
                    {"Location": "Where its status is; it is good also when the account is gone."},
                )
            },
            failures=(Unauthenticated, NotFound, Unavailable),
            caller="required",
            tag="privacy",
        ),
        Operation(
            name="getDeletion",
            method="GET",
            paths=tuple(f"{path}/{{id}}" for path in _REQUEST_PATHS),
            handler=requests.show,
            summary="See how far a deletion has come",
            description="For the person who asked for it, or with the receipt.",
            answers=_SHOWN,
            failures=(Unauthenticated, NotFound, Unavailable),
            parameters=(_ID, _RECEIPT),
            caller="optional",
            tag="privacy",
        ),
        Operation(
            name="cancelDeletion",
            method="DELETE",
            paths=tuple(f"{path}/{{id}}" for path in _REQUEST_PATHS),
            handler=requests.cancel,
            summary="Cancel a deletion that has not started",
            description="Cancelling again changes nothing.",
            answers=_SHOWN,
            failures=(Unauthenticated, NotFound, Conflict, Unavailable),
            parameters=(_ID,),
            caller="required",
            tag="privacy",
        ),
    )


class _DeletionRequests:
    """The handlers of deletion requests; users keeps them."""

    def __init__(self, ask: Ask, identify: Identify) -> None:
        self._ask = ask
        self._identify = identify

    async def make(self, request: Request) -> Response:
        context = await self._user(request)
        made = (await self._ask(_REQUEST, {}, context))["requestDeletion"]
        location = f"{request.url.path}/{made['id']}?{urlencode({'receipt': made['receipt']})}"
        return _shown(made, status=202, location=location)

    async def show(self, request: Request) -> Response:
        receipt = request.query_params.get("receipt")
        # Whoever has a receipt may still send the token of an account that is gone.
        context = RequestContext() if receipt is not None else await self._user(request)
        variables = {"id": request.path_params["id"], "receipt": receipt}
        return _shown((await self._ask(_FIND, variables, context))["deletionRequest"])

    async def cancel(self, request: Request) -> Response:
        context = await self._user(request)
        variables = {"id": request.path_params["id"]}
        return _shown((await self._ask(_CANCEL, variables, context))["cancelDeletion"])

    async def _user(self, request: Request) -> RequestContext:
        context = await self._identify(request)
        require_user(context.identity)
        return context


def _shown(found: Mapping[str, Any], *, status: int = 200, location: str | None = None) -> Response:
    body = {
        "id": found["id"],
        "status": found["status"].lower(),
        "requestedAt": found["requestedAt"],
        "startsAt": found["startsAt"],
        "endedAt": found["endedAt"],
    }
    headers = {**_NO_STORE, **({"location": location} if location else {})}
    return JSONResponse(body, status_code=status, headers=headers)


class _Exports:
    """The handler of exports: some at a time, one for each person."""

    def __init__(self, ask: Ask, identify: Identify) -> None:
        self._ask = ask
        self._identify = identify
        self._running: set[str] = set()

    async def __call__(self, request: Request) -> Response:
        context = await self._identify(request)
        user_id = require_user(context.identity)
        now = dt.datetime.now(dt.UTC)
        self._admit(user_id)
        try:
            # What fails here fails before anything was sent, and is answered properly.
            first = await asyncio.gather(*(self._page(name, user_id, None) for name in SUBGRAPHS))
            pages = dict(zip(SUBGRAPHS, first, strict=True))
            return _Download(self._archive(user_id, pages, now), now, lambda: self._end(user_id))
        except BaseException:
            self._end(user_id)
            raise

    def _admit(self, user_id: str) -> None:
        if user_id in self._running:
            raise RateLimited("An export of yours is running. Wait until it is done.")
        if len(self._running) >= _MOST_EXPORTS:
            raise Unavailable("Too many exports are running. Try again later.")
        self._running.add(user_id)

    def _end(self, user_id: str) -> None:
        self._running.discard(user_id)

    async def _page(self, name: str, user_id: str, after: str | None) -> Mapping[str, Any]:
        context = RequestContext(identity=GATEWAY)
        answer = await self._ask(_EXPORTS[name], {"userId": user_id, "after": after}, context)
        page: Mapping[str, Any] = answer["privacyExport"]
        return page

    async def _archive(
        self, user_id: str, pages: dict[str, Mapping[str, Any]], now: dt.datetime
    ) -> AsyncGenerator[bytes]:
        # Each question has its own time limit; the whole takes as long as it takes.
        deadline.set(None)
        with Archive(now) as archive:
            async with aiohttp.ClientSession(timeout=_PATIENCE, auto_decompress=False) as files:
                for name in SUBGRAPHS:
                    async with aclosing(self._domain(name, user_id, pages, archive, files)) as part:
                        async for chunk in part:
                            yield chunk
            manifest = {"user_id": user_id, "exported_at": now, "domains": SUBGRAPHS}
            yield archive.document("manifest.json", orjson.dumps(manifest).decode())
            yield archive.close()

    async def _domain(
        self,
        name: str,
        user_id: str,
        pages: dict[str, Mapping[str, Any]],
        archive: Archive,
        files: aiohttp.ClientSession,
    ) -> AsyncGenerator[bytes]:
        """The entries of one domain, of which the first page is there already."""
        page = pages.pop(name)
        while True:
            for document in page["documents"]:
                yield archive.document(document["path"], document["json"])
            for file in page["files"]:
                async with aclosing(_file(archive, files, file)) as chunks:
                    async for chunk in chunks:
                        yield chunk
            if page["endCursor"] is None:
                return
            page = await self._page(name, user_id, page["endCursor"])


class _Download(StreamingResponse):
    """The archive as it is made; however it ends, the next one may begin."""

    def __init__(
        self, archive: AsyncGenerator[bytes], now: dt.datetime, done: Callable[[], None]
    ) -> None:
        name = f"nexus-export-{now:%Y-%m-%d}.zip"
        headers = {**_NO_STORE, "content-disposition": f'attachment; filename="{name}"'}
        super().__init__(archive, media_type="application/zip", headers=headers)
        self._archive = archive
        self._done = done

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._archive.aclose()
            self._done()


async def _file(
    archive: Archive, session: aiohttp.ClientSession, file: Mapping[str, Any]
) -> AsyncGenerator[bytes]:
    """The entry of a stored file; raises `ExportBroken` unless it is all there."""
    async with session.get(file["url"], allow_redirects=False) as response:
        if response.status != 200:
            raise ExportBroken(f"a file was answered with status {response.status}")
        entry = archive.file(file["path"], file["sizeBytes"])
        async for chunk in response.content.iter_chunked(_CHUNK):
            yield entry.write(chunk)
        if entry.written != file["sizeBytes"]:
            raise ExportBroken(f"a file has {entry.written} bytes, not {file['sizeBytes']}")
        yield entry.close()
