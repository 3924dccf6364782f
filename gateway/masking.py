"""Errors whose cause clients are not told: they carry the id under which the logs tell it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from shared.logger import get_logger, request_id

__all__ = ["quotable"]

logger = get_logger(__name__)

_MASKED = frozenset({"INTERNAL", "INTERNAL_SERVER_ERROR", "INVALID_SUBGRAPH_RESPONSE"})
_MOST_LOGGED = 5


def quotable(errors: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """The errors of an answer; those that hide their cause say the request's id, and are logged."""
    name = request_id.get()
    if not errors or name is None:
        return errors
    masked = [error for error in errors if _is_masked(error)]
    if not masked:
        return errors
    logger.warning(
        "graphql.masked_errors",
        count=len(masked),
        first=[_place(error) for error in masked[:_MOST_LOGGED]],
    )
    return [_with_id(error, name) if _is_masked(error) else error for error in errors]


def _is_masked(error: Mapping[str, Any]) -> bool:
    code = error.get("extensions", {}).get("code")
    return isinstance(code, str) and (code in _MASKED or code.startswith("DOWNSTREAM_"))


def _with_id(error: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {**error, "extensions": {**error["extensions"], "requestId": name}}


def _place(error: Mapping[str, Any]) -> dict[str, Any]:
    extensions = error["extensions"]
    path = ".".join(map(str, error.get("path", ())))
    return {"code": extensions["code"], "subgraph": extensions.get("serviceName"), "path": path}
