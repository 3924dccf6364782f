"""Errors of the REST edges, as RFC 9457 problem details with the codes of GraphQL's errors."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse

if TYPE_CHECKING:
    from shared.errors import NexusError

__all__ = ["MEDIA_TYPE", "problem"]

MEDIA_TYPE = "application/problem+json"


def problem(error: NexusError) -> JSONResponse:
    """The response that shows an expected failure."""
    content = {
        "type": "about:blank",
        "title": HTTPStatus(error.status).phrase,
        "status": error.status,
        "detail": str(error),
        "code": error.code,
        **error.details,
    }
    return JSONResponse(content, status_code=error.status, media_type=MEDIA_TYPE)
