"""GraphQL over server-sent events, both modes of the graphql-sse protocol.

Distinct connections: the response to one operation is its stream; `send_stream`
writes it for `GraphQLHTTP`.  Single connection: a client reserves a stream with
PUT, opens it with GET, and runs operations whose results arrive there;
`EventStreams` serves those requests.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import orjson
from prometheus_client import Counter
from starlette.requests import HTTPConnection

from shared.errors import BadRequest, Conflict, NotFound, RateLimited
from shared.headers import headers_of
from shared.protocols.lifetime import ClientGone, closing, first_of, gone, paced
from shared.protocols.openings import Openings
from shared.protocols.problems import internal_entry, refusal
from shared.protocols.reading import BodyLimit, read_operations, refuse_forgery
from shared.protocols.sending import send_response
from shared.protocols.service import GraphQLRequest, GraphQLResult, GraphQLService

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope, Send

__all__ = ["TOKEN_HEADER", "EventStreams", "send_stream"]

C = TypeVar("C")

TOKEN_HEADER = "x-graphql-event-stream-token"  # noqa: S105 - a header's name
_EVICTED = Counter(
    "graphql_reservations_evicted_total",
    "Event streams that were reserved, and forgotten for newer ones before they were opened.",
)
_PING = b":\n\n"
_COMPLETE = b"event: complete\ndata: \n\n"
_START: Message = {
    "type": "http.response.start",
    "status": 200,
    "headers": [
        (b"content-type", b"text/event-stream; charset=utf-8"),
        (b"cache-control", b"no-cache"),
        (b"x-accel-buffering", b"no"),
    ],
}


async def send_stream(
    results: AsyncIterator[GraphQLResult],
    receive: Receive,
    send: Send,
    *,
    heartbeat_seconds: float,
    openings: Openings,
) -> None:
    """Send one event per result until the stream ends or is over, or the client leaves."""
    send = openings.patient(send)
    await send(_START)
    # Some browsers report the stream as open only once something arrived.
    await _event(send, _PING)
    await first_of(_write(results, send, heartbeat_seconds), gone(receive), openings.over())
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _write(
    results: AsyncIterator[GraphQLResult], send: Send, heartbeat_seconds: float
) -> None:
    try:
        async for result in paced(results, heartbeat_seconds):
            await _event(send, _PING if result is None else _next(result.encode()))
    except ClientGone:
        raise
    except Exception as error:  # noqa: BLE001 - the edge: logged, and told to the client
        await _event(send, _next(orjson.dumps({"errors": [internal_entry(error)]})))
    await _event(send, _COMPLETE)


async def _event(send: Send, event: bytes) -> None:
    await send({"type": "http.response.body", "body": event, "more_body": True})


def _next(data: bytes) -> bytes:
    # Between values only, in JSON that a subgraph wrote for people; they would end the event.
    if b"\n" in data or b"\r" in data:
        data = data.translate(None, b"\r\n")
    return b"event: next\ndata: " + data + b"\n\n"


class _Stream:
    """A reserved stream: what is running on it, and the events that wait to be sent."""

    def __init__(self, waiting: int) -> None:
        self.events: asyncio.Queue[bytes] = asyncio.Queue(waiting)
        self.operations: dict[str, asyncio.Task[None]] = {}
        self.closed = False

    def forget(self, operation_id: str, task: asyncio.Task[None]) -> None:
        # The client may have stopped this id and used it again.
        if self.operations.get(operation_id) is task:
            del self.operations[operation_id]

    def close(self) -> None:
        self.closed = True
        for task in self.operations.values():
            task.cancel()
        self.operations.clear()


class EventStreams(Generic[C]):
    """An ASGI application for the single connection mode.

    A stream is known by the token that its reservation returned, in the header
    `TOKEN_HEADER` or the parameter ``token``.  An operation runs in the context
    of the request that asked for it.

    A stream that is reserved and not opened within ``reserved_seconds`` is forgotten,
    and the oldest of them is when there are ``max_reserved``: who reserves streams
    without end keeps nobody else from opening theirs soon.  Open ones are bounded
    by ``openings``.
    """

    def __init__(
        self,
        service: GraphQLService[C],
        make_context: Callable[[HTTPConnection], Awaitable[C]],
        *,
        max_body_bytes: int | BodyLimit = 1_000_000,
        max_reserved: int = 1_000,
        max_operations: int = 100,
        max_waiting_events: int = 64,
        reserved_seconds: float = 30.0,
        heartbeat_seconds: float = 12.0,
        draining: asyncio.Event | None = None,
        openings: Openings | None = None,
    ) -> None:
        self._service = service
        self._make_context = make_context
        self._max_body_bytes = max_body_bytes
        self._max_reserved = max_reserved
        self._max_operations = max_operations
        self._max_waiting_events = max_waiting_events
        self._reserved_seconds = reserved_seconds
        self._heartbeat_seconds = heartbeat_seconds
        self._openings = openings or Openings(draining)
        self._streams: dict[str, _Stream] = {}
        # What will forget each stream that is not open; the oldest is the first.
        self._reserved: dict[str, asyncio.TimerHandle] = {}

    @staticmethod
    def serves(scope: Scope) -> bool:
        """Whether this request belongs to the single connection mode."""
        if scope["method"] in ("PUT", "DELETE"):
            return True
        return TOKEN_HEADER in headers_of(scope) or (
            b"token=" in scope["query_string"] and _has_token(scope)
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection = HTTPConnection(scope)
        try:
            if scope["method"] == "PUT":
                await self._reserve(connection, send)
                return
            token, stream = self._find(connection)
            if scope["method"] == "DELETE":
                await self._stop(stream, connection, send)
            elif "text/event-stream" in headers_of(scope).get("accept", ""):
                await self._open(token, stream, receive, send)
            else:
                await self._start(stream, connection, receive, send)
        except Exception as error:  # noqa: BLE001 - the edge: bugs are logged by `refusal`
            await _answer(send, refusal(error))

    async def _reserve(self, connection: HTTPConnection, send: Send) -> None:
        await self._make_context(connection)
        if len(self._reserved) >= self._max_reserved:
            _EVICTED.inc()
            self._forget(next(iter(self._reserved)))
        token = secrets.token_urlsafe(24)
        self._streams[token] = _Stream(self._max_waiting_events)
        loop = asyncio.get_running_loop()
        self._reserved[token] = loop.call_later(self._reserved_seconds, self._forget, token)
        headers = {"content-type": "text/plain; charset=utf-8", "cache-control": "no-store"}
        await send_response(send, 201, token.encode(), headers)

    def _find(self, connection: HTTPConnection) -> tuple[str, _Stream]:
        token = _token(connection) or ""
        stream = self._streams.get(token)
        if stream is None:
            raise NotFound("Stream not found.")
        return token, stream

    def _forget(self, token: str) -> None:
        expiry = self._reserved.pop(token, None)
        if expiry is not None:
            expiry.cancel()
        self._streams.pop(token).close()

    async def _open(self, token: str, stream: _Stream, receive: Receive, send: Send) -> None:
        expiry = self._reserved.pop(token, None)
        if expiry is None:
            raise Conflict("Stream already open.")
        expiry.cancel()
        try:
            with self._openings.one(), suppress(ClientGone):
                send = self._openings.patient(send)
                await send(_START)
                await _event(send, _PING)
                await first_of(self._flush(stream, send), gone(receive), self._openings.over())
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            self._forget(token)

    async def _flush(self, stream: _Stream, send: Send) -> None:
        while True:
            try:
                async with asyncio.timeout(self._heartbeat_seconds):
                    event = await stream.events.get()
            except TimeoutError:
                event = _PING
            await _event(send, event)

    async def _start(
        self, stream: _Stream, connection: HTTPConnection, receive: Receive, send: Send
    ) -> None:
        refuse_forgery(connection.scope)
        request = await read_operations(connection, receive, max_bytes=self._max_body_bytes)
        if not isinstance(request, GraphQLRequest):
            raise BadRequest("Send one operation a request.")
        operation_id = request.extensions.get("operationId")
        if not isinstance(operation_id, str) or not operation_id:
            raise BadRequest("'extensions.operationId' is missing.")
        context = await self._make_context(connection)
        if stream.closed:
            raise NotFound("Stream not found.")
        if operation_id in stream.operations:
            raise Conflict("An operation with this id is running.")
        if len(stream.operations) >= self._max_operations:
            raise RateLimited("Too many operations are running on this stream.")
        refused: asyncio.Future[GraphQLResult | None] = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(self._operate(stream, operation_id, request, context, refused))
        stream.operations[operation_id] = task
        task.add_done_callback(lambda done: stream.forget(operation_id, done))
        either: set[asyncio.Future[Any]] = {task, refused}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not refused.done():
            raise NotFound("The operation was stopped before it began.")
        result = refused.result()
        if result is not None:
            await _answer(send, result)
        else:
            await send_response(send, 202, b"", {})

    async def _operate(
        self,
        stream: _Stream,
        operation_id: str,
        request: GraphQLRequest,
        context: C,
        refused: asyncio.Future[GraphQLResult | None],
    ) -> None:
        """Run an operation; ``refused`` is set to its answer if it never begins, or None."""
        results: GraphQLResult | AsyncIterator[GraphQLResult]
        try:
            results = await self._service.subscribe(request, context)
        except Exception as error:  # noqa: BLE001 - the edge: bugs are logged by `refusal`
            results = refusal(error)
        if isinstance(results, GraphQLResult) and not results.executed:
            refused.set_result(results)
            return
        refused.set_result(None)
        await self._run(stream, operation_id, results)

    async def _run(
        self,
        stream: _Stream,
        operation_id: str,
        results: GraphQLResult | AsyncIterator[GraphQLResult],
    ) -> None:
        label = orjson.dumps(operation_id)

        async def put(payload: bytes) -> None:
            await stream.events.put(_next(b'{"id":' + label + b',"payload":' + payload + b"}"))

        if isinstance(results, GraphQLResult):
            await put(results.encode())
        else:
            try:
                async for result in results:
                    await put(result.encode())
            except Exception as error:  # noqa: BLE001 - the edge: logged, and told to the client
                await put(orjson.dumps({"errors": [internal_entry(error)]}))
            finally:
                await closing(results)
        await stream.events.put(b'event: complete\ndata: {"id":' + label + b"}\n\n")

    async def _stop(self, stream: _Stream, connection: HTTPConnection, send: Send) -> None:
        operation_id = connection.query_params.get("operationId")
        if not operation_id:
            raise BadRequest("The parameter 'operationId' is missing.")
        task = stream.operations.pop(operation_id, None)
        if task is not None:
            task.cancel()
        await send_response(send, 200, b"", {})


async def _answer(send: Send, result: GraphQLResult) -> None:
    headers = {"content-type": "application/json; charset=utf-8"}
    await send_response(send, result.status, result.encode(), headers)


def _has_token(scope: Scope) -> bool:
    return _token(HTTPConnection(scope)) is not None


def _token(connection: HTTPConnection) -> str | None:
    return headers_of(connection.scope).get(TOKEN_HEADER) or connection.query_params.get("token")
