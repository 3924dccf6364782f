"""Subgraphs over HTTP, of any make: GraphQL over HTTP, and streams for subscriptions."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import aiohttp
import msgspec
import orjson

from gateway.cache_control import KEPT
from gateway.federation.transport import SubgraphError, SubgraphRequest, SubgraphResponse
from gateway.transports import streams
from gateway.transports.connections import Answer, Connections, NotAnswered, TooLarge
from gateway.transports.forwarding import ForwardedRequest, ForwardedResponse
from shared import deadline, exact_json
from shared.logger import get_logger, request_id
from shared.telemetry import current_headers, span

if TYPE_CHECKING:
    from gateway.context import RequestContext
    from gateway.federation.plan import Fetch

__all__ = ["HttpTransport", "StreamLost", "SubgraphEndpoint", "SubgraphUnreachable", "timed_out"]

logger = get_logger(__name__)

_ACCEPT = "application/graphql-response+json, application/json;q=0.9"
_HEADERS = {"content-type": "application/json", "accept": _ACCEPT}
_CHUNK = 65_536
# Statuses that proxies and crashing servers give.
_GONE = frozenset({500, 502, 503, 504})
# Of one connection only, or no longer true once the body has been decoded.
_HOP_BY_HOP = frozenset(
    {"connection", "content-encoding", "content-length", "keep-alive", "transfer-encoding"}
)


class SubgraphEndpoint(msgspec.Struct, frozen=True):
    """Where a subgraph is served, over what it streams subscriptions, and its own bounds."""

    url: str
    subscriptions: streams.Protocol = "websocket"
    subscriptions_url: str | None = None
    timeout_seconds: float | None = None
    max_connections: int | None = None


class SubgraphUnreachable(SubgraphError):
    """The subgraph did not answer at all, or something before it answered in its place."""


class StreamLost(SubgraphError):
    """A stream was open, and ended without completing."""


class HttpTransport:
    """Sends fetches over pooled connections, one pool a subgraph; streams and REST over aiohttp.

    ``headers`` gives the headers of a call: who is calling, and what the client
    sent that the subgraph may see.  ``received`` is told those of each answer.
    ``tls`` says whose certificates are believed, in place of what the machine says.
    """

    def __init__(
        self,
        endpoints: Mapping[str, SubgraphEndpoint],
        headers: Callable[[RequestContext, str], Mapping[str, str]],
        *,
        timeout_seconds: float = 30.0,
        max_connections: int = 100,
        max_response_bytes: int = 50_000_000,
        received: Callable[[RequestContext, str, Sequence[tuple[str, str]]], None] | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._received = received
        self._tls = tls
        self._unreachable: dict[str, str] = {}
        self._endpoints = endpoints
        self._headers = headers
        self._timeout_seconds = timeout_seconds
        self._max_connections = max_connections
        self._max_response_bytes = max_response_bytes
        self._connections: dict[str, Connections] = {}
        self._sessions: dict[str, aiohttp.ClientSession] = {}

    async def execute(
        self, request: SubgraphRequest, body: bytes | None = None
    ) -> SubgraphResponse:
        """The decoded answer, within what remains of the request's time.

        ``body`` is what `encode` gave, if it was asked already.
        """
        answer = await self._post(request, body or self.encode(request))
        return _decode(request.fetch.subgraph, answer)

    async def execute_undecoded(
        self, request: SubgraphRequest, body: bytes | None = None
    ) -> SubgraphResponse:
        """Like `execute`, with what is in ``data`` left as the JSON that came: `orjson.Fragment`s.

        That is not so for an answer that is unusual in any way.
        """
        answer = await self._post(request, body or self.encode(request))
        try:
            envelope = _ENVELOPE.decode(answer.body)
            # The syntax of what is left has been checked, and not that it is UTF-8.
            answer.body.decode()
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return _decode(request.fetch.subgraph, answer)
        if answer.status != 200 or envelope.errors or envelope.data is None:
            return _decode(request.fetch.subgraph, answer)
        data = {key: orjson.Fragment(bytes(value)) for key, value in envelope.data.items()}
        return SubgraphResponse(data, (), envelope.extensions or {}, _kept_headers(answer))

    @staticmethod
    def encode(request: SubgraphRequest) -> bytes:
        """The body of a fetch's request: equal bodies ask for the same."""
        return _body(request.fetch, request.variables)

    async def subscribe(self, request: SubgraphRequest) -> AsyncIterator[SubgraphResponse]:
        """One response per event; raises `StreamLost` when opening it again may help."""
        name = request.fetch.subgraph
        endpoint = self._endpoint(name)
        headers = {**_id(), **self._headers(request.context, name), **current_headers()}
        body = _body(request.fetch, request.variables)
        stream = streams.open_stream(
            self._session(name),
            endpoint.subscriptions,
            endpoint.subscriptions_url or endpoint.url,
            headers,
            body,
            seconds=endpoint.timeout_seconds or self._timeout_seconds,
        )
        try:
            async for payload in stream:
                yield _response(name, 200, payload, {})
        except streams.StreamEnded as error:
            raise StreamLost(f"The stream from {name} was lost.") from error
        except streams.StreamRefused as error:
            raise SubgraphError(f"{name} refused the stream.") from error
        except streams.FAILURES as error:
            self._tell(name, error)
            raise SubgraphUnreachable(f"{name} opened no stream.") from error
        finally:
            await stream.aclose()

    async def forward(
        self, subgraph: str, request: ForwardedRequest, context: RequestContext
    ) -> ForwardedResponse:
        """Hand a REST request to the server of that subgraph.

        The gateway's signature travels as ``x-nexus-service``, beside whatever
        ``authorization`` the client sent.
        """
        parts = urlsplit(self._endpoint(subgraph).url)
        signature = self._headers(context, subgraph).get("authorization", "")
        async with self._translated(subgraph):
            response = await self._request(
                subgraph,
                request.method,
                f"{parts.scheme}://{parts.netloc}{request.path}",
                {**request.headers, "x-nexus-service": signature, **current_headers()},
                request.body,
            )
        headers = {
            name.lower(): value
            for name, value in response.headers.items()
            if name.lower() not in _HOP_BY_HOP
        }
        return ForwardedResponse(response.status, headers, _chunks(response))

    async def close(self) -> None:
        """Close every connection."""
        for connections in self._connections.values():
            connections.close()
        self._connections.clear()
        sessions = list(self._sessions.values())
        self._sessions.clear()
        for session in sessions:
            await session.close()

    async def _post(self, request: SubgraphRequest, body: bytes) -> Answer:
        name = request.fetch.subgraph
        seconds = self._remaining(name)
        if seconds <= 0:
            raise timed_out(name)
        with span(f"fetch {name}"):
            headers = {
                **_id(),
                **self._headers(request.context, name),
                **current_headers(),
                deadline.HEADER: str(int(seconds * 1000)),
            }
            try:
                answer = await self._connections_to(name).post(
                    headers, body, seconds=seconds, repeatable=request.fetch.kind == "query"
                )
            except TimeoutError as error:
                raise timed_out(name) from error
            except NotAnswered as error:
                self._tell(name, error)
                raise SubgraphUnreachable(f"{name} cannot be reached.") from error
            except TooLarge as error:
                raise SubgraphError(f"{name} sent a response that is too large.") from error
            except ValueError as error:
                raise SubgraphError(f"{name} cannot be sent these headers.") from error
        if self._unreachable:
            self._unreachable.pop(name, None)
        if self._received is not None:
            self._received(request.context, name, answer.headers)
        return answer

    async def _request(
        self, subgraph: str, method: str, url: str, headers: Mapping[str, str], body: bytes
    ) -> aiohttp.ClientResponse:
        seconds = self._remaining(subgraph)
        if seconds <= 0:
            raise TimeoutError
        return await self._session(subgraph).request(
            method,
            url,
            data=body,
            headers=headers,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=seconds),
        )

    def _tell(self, subgraph: str, error: Exception) -> None:
        """Log why there is no answer, once for as long as the reason is the same."""
        reason = str(error) or type(error).__name__
        if self._unreachable.get(subgraph) != reason:
            self._unreachable[subgraph] = reason
            logger.warning("subgraph.unreachable", subgraph=subgraph, reason=reason)

    def _remaining(self, subgraph: str) -> float:
        own = self._endpoint(subgraph).timeout_seconds or self._timeout_seconds
        return deadline.remaining(own)

    @asynccontextmanager
    async def _translated(self, subgraph: str) -> AsyncIterator[None]:
        try:
            yield
        except TimeoutError as error:
            raise timed_out(subgraph) from error
        except aiohttp.ClientError as error:
            raise SubgraphUnreachable(f"{subgraph} cannot be reached.") from error

    def _endpoint(self, subgraph: str) -> SubgraphEndpoint:
        endpoint = self._endpoints.get(subgraph)
        if endpoint is None:
            raise SubgraphError(f"There is no subgraph {subgraph}.")
        return endpoint

    def _connections_to(self, subgraph: str) -> Connections:
        connections = self._connections.get(subgraph)
        if connections is None:
            endpoint = self._endpoint(subgraph)
            connections = self._connections[subgraph] = Connections(
                endpoint.url,
                _HEADERS,
                max_connections=endpoint.max_connections or self._max_connections,
                max_response_bytes=self._max_response_bytes,
                tls=self._tls,
            )
        return connections

    def _session(self, subgraph: str) -> aiohttp.ClientSession:
        session = self._sessions.get(subgraph)
        if session is None:
            session = self._sessions[subgraph] = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=self._endpoint(subgraph).max_connections or self._max_connections,
                    ssl=self._tls or True,
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                # The longest line of an event stream is twice this.
                read_bufsize=2**20,
                auto_decompress=True,
            )
        return session


class _Envelope(msgspec.Struct):
    data: dict[str, msgspec.Raw] | None = None
    errors: list[Any] | None = None
    extensions: dict[str, Any] | None = None


_ENVELOPE = msgspec.json.Decoder(_Envelope)


def _id() -> dict[str, str]:
    """The request's id, so that the subgraph's logs and errors say the same one as ours."""
    name = request_id.get()
    return {"x-request-id": name} if name is not None else {}


def _body(fetch: Fetch, variables: Mapping[str, Any]) -> bytes:
    start = _body_start(fetch.document, fetch.operation_name)
    if not variables:
        return start + b"{}}"
    return start + exact_json.dumps(variables, default=dict) + b"}"


@lru_cache(maxsize=4096)
def _body_start(document: str, operation_name: str | None) -> bytes:
    """The request up to its variables, which is the same for every call of a fetch."""
    start: dict[str, str] = {"query": document}
    if operation_name:
        start["operationName"] = operation_name
    return orjson.dumps(start)[:-1] + b',"variables":'


def _decode(subgraph: str, answer: Answer) -> SubgraphResponse:
    try:
        payload = exact_json.loads(answer.body)
    except exact_json.NotJSON as error:
        raise _no_graphql(subgraph, answer.status) from error
    return _response(subgraph, answer.status, payload, _kept_headers(answer))


def _response(
    subgraph: str, status: int, payload: Any, headers: Mapping[str, str]
) -> SubgraphResponse:
    if not isinstance(payload, dict) or not ("data" in payload or "errors" in payload):
        raise _no_graphql(subgraph, status)
    data = payload.get("data")
    errors = payload.get("errors") or ()
    if not (data is None or isinstance(data, dict)) or (errors and not _is_errors(errors)):
        raise _no_graphql(subgraph, status)
    extensions = payload.get("extensions")
    if not isinstance(extensions, dict):
        extensions = {}
    return SubgraphResponse(data, tuple(errors), extensions, headers, exclusive=True)


def _is_errors(errors: object) -> bool:
    return isinstance(errors, list) and all(isinstance(error, dict) for error in errors)


def _no_graphql(subgraph: str, status: int) -> SubgraphError:
    kind = SubgraphUnreachable if status in _GONE else SubgraphError
    return kind(f"{subgraph} gave no GraphQL answer (HTTP status {status}).")


def timed_out(subgraph: str) -> SubgraphUnreachable:
    """The error of a subgraph for which there is no time left."""
    message = f"{subgraph} did not answer in time."
    return SubgraphUnreachable(message, code="DOWNSTREAM_TIMEOUT")


def _kept_headers(answer: Answer) -> dict[str, str]:
    kept: dict[str, str] = {}
    for name, value in answer.headers:
        if name in KEPT:
            kept[name] = f"{kept[name]}, {value}" if name in kept else value
    return kept


async def _chunks(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    async with response:
        async for chunk in response.content.iter_chunked(_CHUNK):
            yield chunk
