"""Operations out of HTTP requests: bodies and query strings, bounded, and never forged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from shared import exact_json
from shared.errors import BadRequest, NexusError, PayloadTooLarge
from shared.headers import headers_of
from shared.protocols.lifetime import ClientGone
from shared.protocols.service import GraphQLRequest

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection
    from starlette.types import Receive, Scope

__all__ = [
    "BodyLimit",
    "RequestForgery",
    "UnsupportedMediaType",
    "parse_operation",
    "read_body",
    "read_operations",
    "refuse_forgery",
]

_MOST_PARAMETERS = 20
_PREFLIGHT_HEADERS = (
    "apollo-require-preflight",
    "graphql-require-preflight",
    "x-apollo-operation-name",
)
_LONGEST_NAME = 1_000


@dataclass(frozen=True, slots=True)
class BodyLimit:
    """How many bytes a body may have, and who is told of one that has more.

    A limit that is only ``measured`` lets ten times as many through.
    """

    most: int
    measured: bool = False
    exceeded: Callable[[], None] = lambda: None

    def check(self, size: int) -> None:
        """Raise `PayloadTooLarge` for a body of this size that is not read."""
        if size > (10 * self.most if self.measured else self.most):
            self.exceeded()
            raise PayloadTooLarge(f"The body is larger than {self.most} bytes.")


class RequestForgery(NexusError):
    """A page of another site could have made a browser send this."""

    code = "CSRF_PREVENTED"
    status = 400
    message = (
        "This request could have been forged by another site. Send POST with"
        f" content-type application/json, or one of the headers {', '.join(_PREFLIGHT_HEADERS)}."
    )


class UnsupportedMediaType(NexusError):
    """The body is not in a format that is read."""

    code = "UNSUPPORTED_MEDIA_TYPE"
    status = 415
    message = "Send content-type application/json, in UTF-8."


def refuse_forgery(scope: Scope) -> None:
    """Raise `RequestForgery` for a request that needs no CORS preflight from another site.

    A POST is safe because only application/json is read.  A GET is safe when it
    carries what only a preflighted request may carry, when the browser says that
    it comes from our own pages, or when nothing in it came from a browser.
    """
    headers = headers_of(scope)
    if scope["method"] == "POST" or any(name in headers for name in _PREFLIGHT_HEADERS):
        return
    # Browsers have let pages send odd content types unasked, but never this one.
    if _media_type(headers.get("content-type", "")) == "application/json":
        return
    site = headers.get("sec-fetch-site")
    if site in ("same-origin", "none"):
        return
    if site is not None or "origin" in headers or "cookie" in headers:
        raise RequestForgery


async def read_operations(
    connection: HTTPConnection, receive: Receive, *, max_bytes: int | BodyLimit
) -> GraphQLRequest | list[GraphQLRequest]:
    """The operation of this request, or the operations of a batch; raises `BadRequest`."""
    if connection.scope["method"] == "GET":
        return _parse_query_string(connection.scope["query_string"])
    headers = headers_of(connection.scope)
    content_type = headers.get("content-type", "")
    if _media_type(content_type) != "application/json" or not _is_utf8(content_type):
        raise UnsupportedMediaType
    if headers.get("content-encoding", "identity") != "identity":
        raise UnsupportedMediaType("Send the body as it is, without a content-encoding.")
    body = await read_body(headers, receive, max_bytes=max_bytes)
    payload = _json(body, "The body")
    if isinstance(payload, list):
        return [parse_operation(item) for item in payload]
    return parse_operation(payload)


async def read_body(
    headers: Mapping[str, str], receive: Receive, *, max_bytes: int | BodyLimit
) -> bytes:
    """The request's body; raises `PayloadTooLarge` as soon as it is known to be too long."""
    limit = BodyLimit(max_bytes) if isinstance(max_bytes, int) else max_bytes
    declared = headers.get("content-length", "")
    if declared.isdecimal():
        limit.check(int(declared))
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        chunk = message.get("body", b"")
        size += len(chunk)
        limit.check(size)
        chunks.append(chunk)
        if not message.get("more_body", False):
            if size > limit.most:
                limit.exceeded()
            return b"".join(chunks)


def parse_operation(payload: object, *, read_only: bool = False) -> GraphQLRequest:
    """The operation described by decoded JSON parameters; raises `BadRequest`."""
    if not isinstance(payload, dict):
        raise BadRequest("The body must be a JSON object with the operation in 'query'.")
    extensions = _mapping(payload, "extensions")
    # Relay's own example says `doc_id`.
    document_id = _text(payload, "documentId") or _text(payload, "doc_id")
    query = _text(payload, "query")
    if not query and document_id is None and not _names_a_document(extensions):
        raise BadRequest("'query' is missing.")
    operation_name = _text(payload, "operationName") or None
    if operation_name is not None and len(operation_name) > _LONGEST_NAME:
        raise BadRequest("'operationName' is too long.")
    return GraphQLRequest(
        query=query or "",
        operation_name=operation_name,
        variables=_mapping(payload, "variables"),
        extensions=extensions,
        document_id=document_id,
        read_only=read_only,
    )


def _parse_query_string(query_string: bytes) -> GraphQLRequest:
    try:
        pairs = parse_qsl(
            query_string.decode("ascii"),
            keep_blank_values=True,
            max_num_fields=_MOST_PARAMETERS,
            errors="strict",
        )
    except ValueError as error:
        raise BadRequest("The URL's parameters cannot be read.") from error
    payload: dict[str, Any] = dict(pairs)
    for name in ("variables", "extensions"):
        if payload.get(name):
            payload[name] = _json(payload[name], f"'{name}'")
        else:
            payload.pop(name, None)
    return parse_operation(payload, read_only=True)


def _names_a_document(extensions: Mapping[str, Any]) -> bool:
    persisted = extensions.get("persistedQuery")
    return isinstance(persisted, dict) and isinstance(persisted.get("sha256Hash"), str)


def _json(text: str | bytes, what: str) -> object:
    try:
        value: object = exact_json.loads(text)
    except exact_json.NotJSON as error:
        raise BadRequest(f"{what} is not JSON: {str(error).rstrip('.')}.") from error
    return value


def _mapping(payload: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = payload.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadRequest(f"'{name}' must be a JSON object.")
    return value


def _text(payload: Mapping[str, Any], name: str) -> str | None:
    value = payload.get(name)
    if value is not None and not isinstance(value, str):
        raise BadRequest(f"'{name}' must be a string.")
    return value


def _media_type(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


def _is_utf8(content_type: str) -> bool:
    _, separator, charset = content_type.lower().partition("charset=")
    return not separator or charset.strip().strip('"').startswith(("utf-8", "utf8"))
