"""The strictest of the subgraphs' `Cache-Control` headers, which is the answer's own.

An answer that was kept somewhere has less time left: by its `Age` (RFC 9111, 5.1).
`Vary` matters where it names what no two requests of the gateway share.  What else
differs between its requests is what rules let through of a client: that is in the
`Vary` of the gateway's own answer, and makes it private.  A name that the gateway
does not send, like the `Origin` of every server with CORS, tells nobody apart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared import deadline

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["KEPT", "NO_STORE", "CachePolicy"]

NO_STORE = "no-store"
KEPT = frozenset({"age", "cache-control", "vary"})
"""The headers of a subgraph's answer that are read here."""
_OF_ONE_REQUEST = frozenset({"*", "traceparent", "tracestate", "x-request-id", deadline.HEADER})


class CachePolicy:
    """Collects the headers of subgraph responses; one without any forbids keeping."""

    __slots__ = ("_max_age", "_private", "_public", "_seen", "_storable")

    def __init__(self) -> None:
        self._seen = False
        self._storable = True
        self._private = False
        self._public = True
        self._max_age: int | None = None

    def add(self, headers: Mapping[str, str]) -> None:
        """Take in what one response has of the headers `KEPT`."""
        self._seen = True
        self._storable = self._storable and self._keeps(headers)

    def _keeps(self, headers: Mapping[str, str]) -> bool:
        """Whether a response may be kept; by whom and for how long is remembered."""
        told = headers.get("cache-control")
        if told is None:
            return False
        directives = _listed(told)
        # Some name headers, like `no-cache="set-cookie"`; these are not told apart.
        names = {directive.partition("=")[0] for directive in directives}
        max_age = _max_age(directives)
        if max_age is None or NO_STORE in names or "no-cache" in names:
            return False
        if "vary" in headers and not _OF_ONE_REQUEST.isdisjoint(_listed(headers["vary"])):
            return False
        max_age = max(0, max_age - _age(headers.get("age", "")))
        self._private = self._private or "private" in names
        self._public = self._public and "public" in names
        self._max_age = max_age if self._max_age is None else min(max_age, self._max_age)
        return True

    def merged(self, *, private: bool = False) -> str:
        """The header of the whole answer; ``private`` when it was made for somebody known."""
        if not self._seen or not self._storable or not self._max_age:
            return NO_STORE
        if private or self._private:
            return f"private, max-age={self._max_age}"
        # A shared cache may keep what a caller with a token got only if all say `public`.
        return f"{'public, ' if self._public else ''}max-age={self._max_age}"


def _listed(header: str) -> list[str]:
    return [part.strip().lower() for part in header.split(",")]


def _age(header: str) -> int:
    """Seconds; of several the first, and one that is no number is none."""
    (first, *_) = _listed(header)
    return int(first) if _is_seconds(first) else 0


def _is_seconds(text: str) -> bool:
    return text.isdecimal() and len(text) < 12


def _max_age(directives: list[str]) -> int | None:
    """The shortest time that any directive gives, for whichever kind of cache."""
    told = [directive.partition("=") for directive in directives]
    times = [value for name, _, value in told if name in ("max-age", "s-maxage")]
    if not all(map(_is_seconds, times)):
        return None
    return min(map(int, times), default=None)
