"""GraphQL over WebSocket: the server of the ``graphql-transport-ws`` protocol.

Close codes are graphql-ws': 4400 bad message, 4401 subscribe before the
acknowledgement, 4403 refused or expired, 4406 subprotocol, 4408 no init in
time, 4409 id in use, 4429 second init, 4500 our own failure.  1012 asks the
client to connect again, perhaps elsewhere, 1013 to do so later, 1000 ends what
was idle, 1009 says that a message was too long.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from urllib.parse import urlsplit

import orjson
from starlette.requests import HTTPConnection

from shared import exact_json
from shared.errors import BadRequest, NexusError, Unavailable
from shared.logger import get_logger, request_id
from shared.protocols.lifetime import closing, first_of
from shared.protocols.openings import Openings
from shared.protocols.problems import error_entry, internal_entry
from shared.protocols.reading import parse_operation
from shared.protocols.service import GraphQLRequest, GraphQLResult, GraphQLService

if TYPE_CHECKING:
    from starlette.datastructures import Headers
    from starlette.types import Receive, Scope, Send

__all__ = ["SUBPROTOCOL", "GraphQLWebSocket"]

C = TypeVar("C")

logger = get_logger(__name__)

SUBPROTOCOL = "graphql-transport-ws"
_LONGEST_NAME = 100


class _Closed(Exception):
    """The connection is over, with this code."""

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class GraphQLWebSocket(Generic[C]):
    """An ASGI application that serves ``service`` over one WebSocket per client.

    ``make_context`` sees the connection and the payload of its init message; a
    `NexusError` it raises closes the connection with 4403, the code after which
    clients log in and try again.  ``expires_at`` tells until when (seconds since
    the epoch) what it returned may be used.  Each operation has a request id of its
    own: that of the connection, and a number.  A browser's socket is accepted from
    pages of our own host and of ``allowed_origins`` only, since it may carry
    cookies.
    """

    def __init__(
        self,
        service: GraphQLService[C],
        make_context: Callable[[HTTPConnection, Mapping[str, Any]], Awaitable[C]],
        *,
        expires_at: Callable[[C], float | None] = lambda _: None,
        init_timeout_seconds: float = 3.0,
        ping_seconds: float = 12.0,
        max_message_bytes: int = 1_000_000,
        max_operations: int = 100,
        allowed_origins: Collection[str] = (),
        idle_seconds: float = 3_600.0,
        draining: asyncio.Event | None = None,
        openings: Openings | None = None,
    ) -> None:
        self.service = service
        self.make_context = make_context
        self.expires_at = expires_at
        self.init_timeout_seconds = init_timeout_seconds
        self.ping_seconds = ping_seconds
        self.max_message_bytes = max_message_bytes
        self.max_operations = max_operations
        self._allowed_origins = frozenset(allowed_origins)
        self.idle_seconds = idle_seconds
        self.openings = openings or Openings(draining)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        connection = HTTPConnection(scope)
        if not self._is_allowed(connection.headers):
            await send({"type": "websocket.close", "code": 1008, "reason": "Origin not allowed"})
            return
        offered = scope.get("subprotocols") or ()
        accepted = SUBPROTOCOL in offered
        await send({"type": "websocket.accept", "subprotocol": SUBPROTOCOL if accepted else None})
        if not accepted:
            reason = "Subprotocol not acceptable"
            await send({"type": "websocket.close", "code": 4406, "reason": reason})
            return
        try:
            with self.openings.one():
                await _Connection(self, connection, receive, send).run()
        except Unavailable as error:
            await send({"type": "websocket.close", "code": 1013, "reason": str(error)})

    def _is_allowed(self, headers: Headers) -> bool:
        origin = headers.get("origin")
        if origin is None or origin in self._allowed_origins:
            return True
        return urlsplit(origin).netloc == headers.get("host")


class _Connection(Generic[C]):
    """One client: its context once it is acknowledged, and its running operations."""

    def __init__(
        self,
        server: GraphQLWebSocket[C],
        connection: HTTPConnection,
        receive: Receive,
        send: Send,
    ) -> None:
        self._server = server
        self._connection = connection
        self._receive = receive
        self._send = send
        self._initialised = asyncio.Event()
        self._acknowledged = asyncio.Event()
        self._context: C | None = None
        self._operations: dict[str, asyncio.Task[None]] = {}
        # Those that may still turn out to have one answer.
        self._answering: set[asyncio.Task[None]] = set()
        self._is_over = False
        self._used = False
        self._name = request_id.get() or secrets.token_hex(16)
        self._count = 0

    async def run(self) -> None:
        try:
            await first_of(self._read(), self._lifetime(), self._ping(), self._over(), self._idle())
        except _Closed as closed:
            await self._close(closed)
        except Exception as error:  # noqa: BLE001 - the edge: logged, and told to the client
            internal_entry(error)
            await self._close(_Closed(4500, "Internal server error"))
        finally:
            await self._stop_all()

    async def _close(self, closed: _Closed) -> None:
        if closed.code:
            message = {"code": closed.code, "reason": closed.reason}
            with suppress(OSError):
                await self._send({"type": "websocket.close", **message})

    async def _stop_all(self) -> None:
        tasks = list(self._operations.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _lifetime(self) -> None:
        try:
            async with asyncio.timeout(self._server.init_timeout_seconds):
                await self._initialised.wait()
        except TimeoutError:
            raise _Closed(4408, "Connection initialisation timeout") from None
        await self._acknowledged.wait()
        assert self._context is not None
        expires_at = self._server.expires_at(self._context)
        if expires_at is None:
            await asyncio.Event().wait()
        else:
            await asyncio.sleep(max(0.0, expires_at - time.time()))
            raise _Closed(4403, "Token expired")

    async def _ping(self) -> None:
        await self._acknowledged.wait()
        while True:
            await asyncio.sleep(self._server.ping_seconds)
            await self._say(b'{"type":"ping"}')

    async def _over(self) -> None:
        await self._server.openings.over()
        self._is_over = True
        # Clients ask again elsewhere what was not answered here, mutations included.
        if self._answering:
            await asyncio.wait(self._answering)
        raise _Closed(1012, "Service restart")

    async def _idle(self) -> None:
        """Ends a connection on which nothing ran for so long."""
        await self._acknowledged.wait()
        while True:
            self._used = False
            await asyncio.sleep(self._server.idle_seconds)
            if not self._operations and not self._used:
                raise _Closed(1000, "Idle")

    async def _read(self) -> None:
        while True:
            message = await self._receive()
            if message["type"] == "websocket.disconnect":
                raise _Closed(0)
            await self._handle(self._decode(message))

    def _decode(self, message: Mapping[str, Any]) -> dict[str, Any]:
        text = message.get("text")
        if text is None or len(text) > self._server.max_message_bytes:
            raise _Closed(4400 if text is None else 1009, "Invalid message received")
        try:
            payload = exact_json.loads(text)
        except exact_json.NotJSON:
            raise _Closed(4400, "Invalid message received") from None
        if not isinstance(payload, dict):
            raise _Closed(4400, "Invalid message received")
        return payload

    async def _handle(self, message: dict[str, Any]) -> None:
        match message.get("type"):
            case "connection_init":
                await self._init(_payload(message))
            case "ping":
                answer: dict[str, Any] = {"type": "pong"}
                if "payload" in message:
                    answer["payload"] = _payload(message)
                await self._say(exact_json.dumps(answer))
            case "pong":
                pass
            case "subscribe":
                self._subscribe(_id(message), message.get("payload"))
            case "complete":
                task = self._operations.pop(_id(message), None)
                if task is not None:
                    task.cancel()
            case _:
                raise _Closed(4400, "Invalid message received")

    async def _init(self, payload: Mapping[str, Any]) -> None:
        if self._initialised.is_set():
            raise _Closed(4429, "Too many initialisation requests")
        self._initialised.set()
        try:
            self._context = await self._server.make_context(self._connection, payload)
        except NexusError as error:
            raise _Closed(4403, str(error)[:120]) from error
        await self._say(b'{"type":"connection_ack"}')
        self._acknowledged.set()

    def _subscribe(self, operation_id: str, payload: object) -> None:
        if not self._acknowledged.is_set():
            raise _Closed(4401, "Unauthorized")
        if operation_id in self._operations:
            raise _Closed(4409, f"Subscriber for {operation_id[:40]} already exists")
        try:
            request = parse_operation(payload)
        except BadRequest as error:
            raise _Closed(4400, str(error)[:120]) from error
        if self._is_over:
            return
        full = len(self._operations) >= self._server.max_operations
        task = asyncio.create_task(
            self._refuse(operation_id) if full else self._run(operation_id, request)
        )
        self._operations[operation_id] = task
        self._answering.add(task)
        self._used = True
        task.add_done_callback(lambda done: self._forget(operation_id, done))

    def _forget(self, operation_id: str, task: asyncio.Task[None]) -> None:
        self._answering.discard(task)
        # The client may have completed this id and used it again.
        if self._operations.get(operation_id) is task:
            del self._operations[operation_id]

    async def _run(self, operation_id: str, request: GraphQLRequest) -> None:
        label = orjson.dumps(operation_id)
        self._count += 1
        # Its own, since a socket stays for hours.
        request_id.set(f"{self._name}.{self._count}")
        began = time.perf_counter()
        try:
            assert self._context is not None
            results = await self._server.service.subscribe(request, self._context)
            if isinstance(results, GraphQLResult):
                await self._result(label, results)
            else:
                self._answering -= {asyncio.current_task()}
                await self._stream(label, results)
        except _Closed:
            pass
        except Exception as error:  # noqa: BLE001 - the edge: logged, and told to the client
            await self._error(label, [internal_entry(error)])
        finally:
            logger.info(
                "websocket.operation",
                operation=(request.operation_name or "")[:_LONGEST_NAME] or None,
                duration_ms=round((time.perf_counter() - began) * 1000, 2),
            )

    async def _refuse(self, operation_id: str) -> None:
        limit = f"At most {self._server.max_operations} operations at a time."
        errors = [error_entry(limit, code="TOO_MANY_OPERATIONS")]
        await self._error(orjson.dumps(operation_id), errors)

    async def _result(self, label: bytes, result: GraphQLResult) -> None:
        if result.executed:
            await self._next(label, result)
            await self._complete(label)
        else:
            await self._error(label, result.errors)

    async def _stream(self, label: bytes, results: AsyncIterator[GraphQLResult]) -> None:
        try:
            async for result in results:
                if not result.executed:
                    await self._error(label, result.errors)
                    return
                await self._next(label, result)
        finally:
            await closing(results)
        await self._complete(label)

    async def _next(self, label: bytes, result: GraphQLResult) -> None:
        await self._say(b'{"id":' + label + b',"type":"next","payload":' + result.encode() + b"}")

    async def _error(self, label: bytes, errors: object) -> None:
        payload = exact_json.dumps(errors, default=list)
        await self._say(b'{"id":' + label + b',"type":"error","payload":' + payload + b"}")

    async def _complete(self, label: bytes) -> None:
        await self._say(b'{"id":' + label + b',"type":"complete"}')

    async def _say(self, message: bytes) -> None:
        try:
            await self._send({"type": "websocket.send", "text": message.decode()})
        except OSError as error:
            raise _Closed(0) from error  # The client is gone.


def _payload(message: Mapping[str, Any]) -> Mapping[str, Any]:
    payload = message.get("payload")
    if payload is None:
        return {}
    if not isinstance(payload, dict):
        raise _Closed(4400, "Invalid message received")
    return payload


def _id(message: Mapping[str, Any]) -> str:
    operation_id = message.get("id")
    if not isinstance(operation_id, str) or not operation_id:
        raise _Closed(4400, "Invalid message received")
    return operation_id
