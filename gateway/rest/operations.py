"""Endpoints as data: what they do, what they answer, under which paths."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from starlette.requests import Request
from starlette.routing import Route

from shared.errors import NexusError, RateLimited, Unauthenticated, Unavailable
from shared.protocols.problem_details import problem

if TYPE_CHECKING:
    from starlette.responses import Response
    from starlette.types import Receive, Scope, Send

__all__ = ["Answer", "Body", "Handler", "MethodNotAllowed", "Operation", "Parameter", "routes"]

Handler = Callable[[Request], "Awaitable[Response]"]
Schema = Mapping[str, Any]
Method = Literal["GET", "POST", "DELETE"]

_RETRY_AFTER = {Unavailable.code: "5", RateLimited.code: "60"}


class MethodNotAllowed(NexusError):
    """The path exists, and this method does not."""

    code = "METHOD_NOT_ALLOWED"
    status = 405
    message = "This method is not allowed here."


@dataclass(frozen=True, slots=True)
class Parameter:
    """A part of the path, of the query string, or a header."""

    name: str
    where: Literal["path", "query", "header"]
    description: str
    schema: Schema = field(default_factory=lambda: {"type": "string"})
    required: bool = True


@dataclass(frozen=True, slots=True)
class Body:
    """What a client sends."""

    description: str
    content: Mapping[str, Schema]
    required: bool = True


@dataclass(frozen=True, slots=True)
class Answer:
    """A response: its media types with their schemas, and its headers with what they say."""

    description: str
    content: Mapping[str, Schema] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Operation:
    """One method on one resource.

    ``paths`` are equal names of the resource, the documented one first.
    ``failures`` are answered as problem details by whoever raises them.
    ``caller`` says whether an access token is needed.
    """

    name: str
    method: Method
    paths: Sequence[str]
    handler: Handler
    summary: str
    description: str
    answers: Mapping[int, Answer]
    failures: Sequence[type[NexusError]] = ()
    parameters: Sequence[Parameter] = ()
    body: Body | None = None
    caller: Literal["required", "optional", "nobody"] = "nobody"
    tag: str = ""


def routes(operations: Iterable[Operation]) -> list[Route]:
    """One route for every path, with all its methods."""
    handlers: dict[str, dict[str, Handler]] = {}
    for operation in operations:
        for path in operation.paths:
            handlers.setdefault(path, {})[operation.method] = operation.handler
    return [Route(path, _Resource(found)) for path, found in handlers.items()]


class _Resource:
    """An ASGI application: the handler of the method, and problem details for what it raises."""

    def __init__(self, handlers: Mapping[str, Handler]) -> None:
        self._handlers = handlers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        handler = self._handlers.get(scope["method"])
        try:
            if handler is None:
                raise MethodNotAllowed
            response = await handler(Request(scope, receive, send))
        except NexusError as error:
            response = self._refusal(error)
        await response(scope, receive, send)

    def _refusal(self, error: NexusError) -> Response:
        response = problem(error)
        response.headers["cache-control"] = "no-store"
        if isinstance(error, MethodNotAllowed):
            response.headers["allow"] = ", ".join(self._handlers)
        if isinstance(error, Unauthenticated):
            response.headers["www-authenticate"] = "Bearer"
        if error.code in _RETRY_AFTER:
            response.headers["retry-after"] = _RETRY_AFTER[error.code]
        return response
