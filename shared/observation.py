"""Every HTTP request seen from outside: a span, a log line, a duration, a deadline, an id."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from opentelemetry import context as otel
from opentelemetry.trace import StatusCode
from starlette.responses import JSONResponse

from shared import deadline
from shared.errors import NexusError
from shared.headers import headers_of
from shared.labels import Labels
from shared.logger import get_logger, request_id, service_name
from shared.telemetry import REQUEST_DURATION, remote_context, request_span

if TYPE_CHECKING:
    from opentelemetry.trace import Span
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["REQUEST_ID", "Observed"]

logger = get_logger(__name__)

REQUEST_ID = "x-request-id"
_ACCEPTED_ID = re.compile(r"[\w.-]{1,64}")
_MOST_OPERATIONS = 200
_METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
# As long as their clients stay: they would say nothing about speed.
_STREAMS = (b"text/event-stream", b"multipart/mixed", b"application/zip")


def _nothing(_: Scope) -> str | None:
    return None


class Observed:
    """ASGI middleware around everything a server does.

    ``operation`` names the GraphQL operation of a finished request; those that
    are used most become labels of the metric, the rest count as ``other``.
    ``client`` says what its client calls itself.
    With ``inherits_deadline`` a caller may say how long it waits, as one of our
    own processes does; a client of the public edge may not.  Every response gets
    ``headers`` that it does not have, and the request's id.
    What the application raises is a bug: logged once here, and answered as
    ``INTERNAL`` with the trace id.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        service: str,
        timeout_seconds: float,
        operation: Callable[[Scope], str | None] = _nothing,
        client: Callable[[Scope], str | None] = _nothing,
        inherits_deadline: bool = False,
        headers: Sequence[tuple[bytes, bytes]] = (),
    ) -> None:
        self._inherits_deadline = inherits_deadline
        self._headers = headers
        self._app = app
        self._service = service
        self._timeout_seconds = timeout_seconds
        self._operation = operation
        self._client = client
        self._labels = Labels(_MOST_OPERATIONS, self._forget)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = headers_of(scope)
        service_name.set(self._service)
        name = _request_id(headers)
        request_id.set(name)
        scope.setdefault("state", {})["request_id"] = name
        if scope["type"] == "http":
            await self._http(scope, receive, send, headers, name)
        else:
            # A socket outlives every trace: each of its operations has its own spans.
            token = otel.attach(remote_context(headers))
            try:
                await self._app(scope, receive, send)
            finally:
                otel.detach(token)

    async def _http(
        self, scope: Scope, receive: Receive, send: Send, headers: Mapping[str, str], name: str
    ) -> None:
        status = 0
        streams = False

        async def observed_send(message: Message) -> None:
            nonlocal status, streams
            if message["type"] == "http.response.start":
                status = message["status"]
                own = dict(message["headers"])
                streams = own.get(b"content-type", b"").startswith(_STREAMS)
                added = [header for header in self._headers if header[0] not in own]
                answered = [*message["headers"], *added, (b"x-request-id", name.encode())]
                message = {**message, "headers": answered}
            await send(message)

        started = time.perf_counter()
        told = headers if self._inherits_deadline else {}
        expiry = deadline.deadline.set(deadline.from_headers(told, self._timeout_seconds))
        with request_span(scope["method"], headers) as span:
            try:
                await self._app(scope, receive, observed_send)
            except Exception:
                logger.exception("http.failed")
                if not status:
                    await _internal(span)(scope, receive, observed_send)
            finally:
                deadline.deadline.reset(expiry)
                seconds = time.perf_counter() - started
                self._finish(scope, span, status or 499, seconds, streams=streams)

    def _finish(
        self, scope: Scope, span: Span, status: int, seconds: float, *, streams: bool
    ) -> None:
        route = getattr(scope.get("route"), "path", "unmatched")
        method = scope["method"] if scope["method"] in _METHODS else "other"
        operation, client = self._operation(scope), self._client(scope)
        if not streams:
            REQUEST_DURATION.labels(
                self._service, method, route, self._label(operation), str(status)
            ).observe(seconds)
        if span.is_recording():
            span.update_name(f"{method} {route}")
            span.set_attribute("http.request.method", method)
            span.set_attribute("http.route", route)
            span.set_attribute("http.response.status_code", status)
            if operation:
                span.set_attribute("graphql.operation.name", operation)
            if client:
                span.set_attribute("graphql.client", client)
            if status >= 500:
                span.set_status(StatusCode.ERROR)
        logger.info(
            "http.request",
            method=method,
            route=route,
            status=status,
            duration_ms=round(seconds * 1000, 2),
            operation=operation,
            client=client,
        )

    def _label(self, operation: str | None) -> str:
        return self._labels.of(operation) if operation else ""

    def _forget(self, operation: str) -> None:
        REQUEST_DURATION.remove_by_labels({"service": self._service, "operation": operation})


def _request_id(headers: Mapping[str, str]) -> str:
    given = headers.get(REQUEST_ID, "")
    return given if _ACCEPTED_ID.fullmatch(given) else secrets.token_hex(16)


def _internal(span: Span) -> JSONResponse:
    problem = {
        "type": "about:blank",
        "title": NexusError.message,
        "status": 500,
        "code": NexusError.code,
        "traceId": format(span.get_span_context().trace_id, "032x"),
    }
    return JSONResponse(problem, status_code=500, media_type="application/problem+json")
