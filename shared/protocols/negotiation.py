"""Which response formats a client accepts, by its ``Accept`` header."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

__all__ = ["GRAPHQL_RESPONSE", "JSON", "Accepted", "negotiate"]

JSON = "application/json; charset=utf-8"
GRAPHQL_RESPONSE = "application/graphql-response+json; charset=utf-8"

_LONGEST = 1024
# At equal preference the first of these wins: the media type that has status codes.
_SINGLE = {
    "application/graphql-response+json": (GRAPHQL_RESPONSE, 1),
    "application/json": (JSON, 0),
    "application/*": (JSON, 0),
    "*/*": (JSON, 0),
}
_STREAMS: dict[str, Literal["sse", "multipart"]] = {
    "text/event-stream": "sse",
    "multipart/mixed": "multipart",
}


@dataclass(frozen=True, slots=True)
class Accepted:
    """The best format for one answer, and for a stream of them; None where none is accepted.

    ``incremental`` says whether one answer may come in parts.
    """

    single: str | None
    stream: Literal["sse", "multipart"] | None
    incremental: bool = False


@lru_cache(maxsize=256)
def negotiate(accept: str) -> Accepted:
    """What to send to a client with this ``Accept`` header (empty: none was sent)."""
    single: tuple[float, int, str] | None = None
    stream: tuple[float, Literal["sse", "multipart"]] | None = None
    incremental = False
    for item in (accept or "*/*")[:_LONGEST].split(","):
        media, *parameters = (part.strip().lower() for part in item.split(";"))
        quality = _quality(parameters)
        if quality <= 0:
            continue
        if media in _SINGLE:
            content_type, rank = _SINGLE[media]
            single = max(single or (0.0, 0, ""), (quality, rank, content_type))
        elif media in _STREAMS:
            if stream is None or quality > stream[0]:
                stream = (quality, _STREAMS[media])
            incremental = incremental or _takes_parts(media, parameters)
    return Accepted(single and single[2], stream and stream[1], incremental)


def _takes_parts(media: str, parameters: list[str]) -> bool:
    specs = [value for value in parameters if "spec=" in value]
    return media == "multipart/mixed" and (not specs or "deferspec=20220824" in specs)


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return float(parameter[2:])
            except ValueError:
                return 0.0
    return 1.0
