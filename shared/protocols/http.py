"""GraphQL over HTTP: requests in, status codes and both media types out.

Follows the GraphQL over HTTP specification.  A subscription is answered as
server-sent events or as multipart, whichever the client accepts.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Generic, TypeVar

from starlette.requests import HTTPConnection

from shared.errors import BadRequest, NexusError, Unavailable
from shared.headers import headers_of
from shared.protocols import multipart, sse
from shared.protocols.compression import accepted_coding, compress
from shared.protocols.lifetime import ClientGone, closing, until_gone
from shared.protocols.negotiation import JSON, Accepted, negotiate
from shared.protocols.openings import Openings
from shared.protocols.problems import refusal
from shared.protocols.reading import BodyLimit, read_operations, refuse_forgery
from shared.protocols.sending import send_response
from shared.protocols.service import (
    GraphQLRequest,
    GraphQLResult,
    GraphQLService,
    IncrementalStream,
)

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

__all__ = ["GraphQLHTTP"]

C = TypeVar("C")
Answer = GraphQLResult | list[GraphQLResult] | AsyncIterator[GraphQLResult]


class MethodNotAllowed(NexusError):
    """Neither GET nor POST."""

    code = "METHOD_NOT_ALLOWED"
    status = 405
    message = "Use GET or POST."


class NotAcceptable(NexusError):
    """The client accepts no format that there is."""

    code = "NOT_ACCEPTABLE"
    status = 406
    message = "Accept application/graphql-response+json or application/json."


class GraphQLHTTP(Generic[C]):
    """An ASGI application that serves ``service`` over GET and POST.

    ``make_context`` turns the connection into what the service is given next to
    the operation; a `NexusError` it raises is the answer.  ``batch_limit`` is the
    most operations one request may hold in a JSON array; 0 refuses arrays.  Answers
    of ``compress_from`` bytes and more are compressed; 0 compresses none.
    Streams end when ``draining`` is set, so that clients connect elsewhere; other
    bounds of theirs are in ``openings``.
    """

    def __init__(
        self,
        service: GraphQLService[C],
        make_context: Callable[[HTTPConnection], Awaitable[C]],
        *,
        max_body_bytes: int | BodyLimit = 1_000_000,
        batch_limit: int = 0,
        compress_from: int = 0,
        heartbeat_seconds: float = 12.0,
        draining: asyncio.Event | None = None,
        openings: Openings | None = None,
    ) -> None:
        self._service = service
        self._make_context = make_context
        self._max_body_bytes = max_body_bytes
        self._batch_limit = batch_limit
        self._compress_from = compress_from
        self._heartbeat_seconds = heartbeat_seconds
        self._openings = openings or Openings(draining)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection = HTTPConnection(scope)
        accepted = negotiate(headers_of(scope).get("accept", ""))
        try:
            answer = await self._answer(connection, accepted, receive)
        except ClientGone:
            return
        except Exception as error:  # noqa: BLE001 - the edge: bugs are logged by `refusal`
            result = refusal(error)
            await _send_result(send, result, accepted.single or JSON, status=result.status)
        else:
            await self._respond(answer, connection, accepted, receive, send)

    async def _answer(
        self, connection: HTTPConnection, accepted: Accepted, receive: Receive
    ) -> Answer:
        if connection.scope["method"] not in ("GET", "POST"):
            raise MethodNotAllowed
        refuse_forgery(connection.scope)
        if accepted.single is None and accepted.stream is None:
            raise NotAcceptable
        requests = await read_operations(connection, receive, max_bytes=self._max_body_bytes)
        context = await self._make_context(connection)
        return await until_gone(connection.scope, receive, self._serve(requests, accepted, context))

    async def _serve(
        self, requests: GraphQLRequest | list[GraphQLRequest], accepted: Accepted, context: C
    ) -> Answer:
        if isinstance(requests, GraphQLRequest):
            if accepted.stream is None:
                return await self._service.execute(requests, context)
            request = replace(requests, incremental=accepted.incremental)
            return await self._service.subscribe(request, context)
        if not self._batch_limit:
            raise BadRequest("Send one operation a request: batching is off.")
        if not 0 < len(requests) <= self._batch_limit:
            raise BadRequest(f"Send 1 to {self._batch_limit} operations a request.")
        work = (self._service.execute(request, context) for request in requests)
        return await asyncio.gather(*work)

    async def _respond(
        self,
        answer: Answer,
        connection: HTTPConnection,
        accepted: Accepted,
        receive: Receive,
        send: Send,
    ) -> None:
        content_type = accepted.single
        if isinstance(answer, list):
            body = b"[" + b",".join(result.encode() for result in answer) + b"]"
            headers = {"content-type": content_type or JSON, "vary": "Accept"}
            await self._send(send, connection, body, headers)
        elif not isinstance(answer, GraphQLResult):
            await self._stream(answer, accepted, receive, send)
        elif content_type is None:
            await self._stream(_only(answer), accepted, receive, send)
        elif answer.executed:
            headers = {"content-type": content_type, **answer.headers, "vary": _vary(answer)}
            await self._send(send, connection, answer.encode(), headers)
        else:
            # Under application/json a well-formed request is answered 200, whatever came of it.
            legacy = content_type is JSON and answer.status == 400
            status = 200 if legacy else answer.status
            await _send_result(send, answer, content_type, status=status)

    async def _send(
        self, send: Send, connection: HTTPConnection, body: bytes, headers: dict[str, str]
    ) -> None:
        """Send what operations gave."""
        if self._compress_from and len(body) >= self._compress_from:
            headers["vary"] += ", Accept-Encoding"
            coding = accepted_coding(headers_of(connection.scope).get("accept-encoding", ""))
            if coding is not None:
                body = await compress(body, coding)
                headers["content-encoding"] = coding
        await send_response(send, 200, body, headers)

    async def _stream(
        self,
        results: AsyncIterator[GraphQLResult],
        accepted: Accepted,
        receive: Receive,
        send: Send,
    ) -> None:
        if isinstance(results, IncrementalStream):
            await multipart.send_parts(results, receive, send)
            return
        respond = sse.send_stream if accepted.stream == "sse" else multipart.send_stream
        with ExitStack() as stack:
            try:
                stack.enter_context(self._openings.one())
            except Unavailable as error:
                await closing(results)
                result = refusal(error)
                await _send_result(send, result, accepted.single or JSON, status=result.status)
                return
            stack.enter_context(suppress(ClientGone))
            await respond(
                results,
                receive,
                send,
                heartbeat_seconds=self._heartbeat_seconds,
                openings=self._openings,
            )


def _vary(answer: GraphQLResult) -> str:
    own = answer.headers.get("vary")
    return f"Accept, {own}" if own else "Accept"


async def _only(result: GraphQLResult) -> AsyncIterator[GraphQLResult]:
    yield result


async def _send_result(
    send: Send, result: GraphQLResult, content_type: str, *, status: int
) -> None:
    headers = {"content-type": content_type, "vary": "Accept", **result.headers}
    if status == 405:
        headers.setdefault("allow", "GET, POST")
    await send_response(send, status, result.encode(), headers)
