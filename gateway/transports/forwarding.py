"""REST requests that the gateway passes on to the subgraph that owns them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

__all__ = ["ForwardedRequest", "ForwardedResponse"]


@dataclass(frozen=True, slots=True)
class ForwardedRequest:
    """One request; ``path`` is the subgraph's own, with its query string."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class ForwardedResponse:
    """What the subgraph answered; read ``body`` to its end, or close it."""

    status: int
    headers: Mapping[str, str]
    body: AsyncIterator[bytes]
