"""Which response formats a client accepts, by its ``Accept`` header."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from shared.protocols.service import IncrementalFormat

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

    ``incremental`` is the format in which one answer may come in parts.
    """

    single: str | None
    stream: Literal["sse", "multipart"] | None
    incremental: IncrementalFormat | None = None


@lru_cache(maxsize=256)
def negotiate(accept: str) -> Accepted:
    """What to send to a client with this ``Accept`` header (empty: none was sent)."""
    single: tuple[float, int, str] | None = None
    stream: tuple[float, Literal["sse", "multipart"]] | None = None
    incremental: tuple[float, IncrementalFormat] | None = None
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
            parts = _parts_format(media, parameters)
            if parts and (incremental is None or quality > incremental[0]):
                incremental = (quality, parts)
    return Accepted(single and single[2], stream and stream[1], incremental and incremental[1])


def _parts_format(media: str, parameters: list[str]) -> IncrementalFormat | None:
    """The format of an answer in parts that a media type stands for.

    Clients that name none (urql) read the older one.
    """
    if media != "multipart/mixed":
        return None
    specs = [value for value in parameters if "spec=" in value]
    if "incrementalspec=v0.2" in specs:
        return "incrementalspec=v0.2"
    return "deferspec=20220824" if not specs or "deferspec=20220824" in specs else None


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return float(parameter[2:])
            except ValueError:
                return 0.0
    return 1.0
