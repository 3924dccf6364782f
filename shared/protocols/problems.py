"""Answers that say what went wrong: one entry of ``errors`` with a stable code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opentelemetry import trace

from shared.errors import NexusError
from shared.logger import get_logger, request_id
from shared.protocols.service import GraphQLResult

__all__ = ["error_entry", "internal_entry", "refusal", "request_error", "to_quote"]

logger = get_logger(__name__)

_NOTHING: Mapping[str, Any] = {}


def error_entry(
    message: str, *, code: str, extensions: Mapping[str, Any] = _NOTHING
) -> dict[str, Any]:
    """One entry of ``errors`` that belongs to no field."""
    return {"message": message, "extensions": {"code": code, **extensions}}


def request_error(
    message: str,
    *,
    code: str,
    status: int = 400,
    headers: Mapping[str, str] = _NOTHING,
    extensions: Mapping[str, Any] = _NOTHING,
) -> GraphQLResult:
    """The answer to a request that was not executed."""
    entry = error_entry(message, code=code, extensions=extensions)
    return GraphQLResult(errors=(entry,), status=status, headers=headers)


def refusal(error: Exception) -> GraphQLResult:
    """The answer to a request that ended in this exception.

    An expected failure is shown as it is; a bug is logged here, once, and shown
    as ``INTERNAL`` with the ids of the trace and the request.
    """
    if isinstance(error, NexusError):
        # What the client can do nothing about, it can tell us of.
        told = to_quote() if error.status >= 500 else {}
        return request_error(
            str(error),
            code=error.code,
            status=error.status,
            headers={"www-authenticate": "Bearer"} if error.status == 401 else {},
            extensions={**error.details, **told},
        )
    return GraphQLResult(errors=(internal_entry(error),), status=500)


def internal_entry(error: BaseException) -> dict[str, Any]:
    """The entry for a bug, which is logged here with its traceback."""
    logger.error("graphql.internal_error", exc_info=error)
    return error_entry(NexusError.message, code=NexusError.code, extensions=to_quote())


def to_quote() -> dict[str, str]:
    """The ids by which what happened is found in traces and logs."""
    trace_id = format(trace.get_current_span().get_span_context().trace_id, "032x")
    name = request_id.get()
    return {"traceId": trace_id, **({"requestId": name} if name is not None else {})}
