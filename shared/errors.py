"""Expected failures: safe to show, one stable code and one HTTP status each.

NexusError
├── BadRequest          400 BAD_REQUEST
├── Unauthenticated     401 UNAUTHENTICATED
├── Forbidden           403 FORBIDDEN
├── NotFound            404 NOT_FOUND
├── Conflict            409 CONFLICT
├── PayloadTooLarge     413 PAYLOAD_TOO_LARGE
├── BadUserInput        422 BAD_USER_INPUT
├── RateLimited         429 RATE_LIMITED
├── Unavailable         503 UNAVAILABLE
└── TimedOut            504 DOWNSTREAM_TIMEOUT

Anything else that is raised is a bug: logged once at the edge with its
traceback, and shown as ``INTERNAL`` with the trace id and nothing more.
"""

from __future__ import annotations

from typing import Any, ClassVar

__all__ = [
    "BadRequest",
    "BadUserInput",
    "Conflict",
    "Forbidden",
    "NexusError",
    "NotFound",
    "PayloadTooLarge",
    "RateLimited",
    "TimedOut",
    "Unauthenticated",
    "Unavailable",
]


class NexusError(Exception):
    """An expected failure; ``str(error)`` is the message its caller reads.

    ``details`` are further members of the GraphQL error's ``extensions`` and of
    the REST problem document.
    """

    code: ClassVar[str] = "INTERNAL"
    status: ClassVar[int] = 500
    message: str = "Something went wrong."

    def __init__(
        self, message: str | None = None, *, details: dict[str, Any] | None = None
    ) -> None:
        # graphql-core shows an exception's `message`, where it has one, not its text.
        self.message = message or type(self).message
        super().__init__(self.message)
        self.details = details or {}

    @property
    def extensions(self) -> dict[str, Any]:
        """Read by graphql-core when it wraps this error for a response."""
        return {"code": self.code, **self.details}


class BadRequest(NexusError):
    """The message itself is at fault: malformed, or not signed by who should have sent it."""

    code = "BAD_REQUEST"
    status = 400
    message = "The request is malformed."


class Unauthenticated(NexusError):
    """Nobody is known to be calling."""

    code = "UNAUTHENTICATED"
    status = 401
    message = "Log in first."


class Forbidden(NexusError):
    """The caller is known, may know that the thing exists, and may not do this."""

    code = "FORBIDDEN"
    status = 403
    message = "You are not allowed to do this."


class NotFound(NexusError):
    """No such thing, or none that the caller may know of."""

    code = "NOT_FOUND"
    status = 404
    message = "Not found."


class Conflict(NexusError):
    """The thing is not in a state that allows this; read it again."""

    code = "CONFLICT"
    status = 409
    message = "This changed in the meantime. Reload it and try again."


class PayloadTooLarge(NexusError):
    """The request is bigger than is accepted."""

    code = "PAYLOAD_TOO_LARGE"
    status = 413
    message = "The request is too large."


class BadUserInput(NexusError):
    """The input is wrong; ``details['field']`` names the input field where one is at fault."""

    code = "BAD_USER_INPUT"
    status = 422
    message = "The input is not valid."

    def __init__(self, message: str | None = None, *, field: str | None = None) -> None:
        super().__init__(message, details={"field": field} if field else None)


class RateLimited(NexusError):
    """Too many calls; try later."""

    code = "RATE_LIMITED"
    status = 429
    message = "Too many requests. Try again later."


class Unavailable(NexusError):
    """Something this depends on does not answer; the same call may work later."""

    code = "UNAVAILABLE"
    status = 503
    message = "Temporarily unavailable. Try again."


class TimedOut(NexusError):
    """The request's time was over before there was an answer."""

    code = "DOWNSTREAM_TIMEOUT"
    status = 504
    message = "This took too long."
