"""The strictest of the subgraphs' `Cache-Control` headers, which is the answer's own."""

from __future__ import annotations

__all__ = ["NO_STORE", "CachePolicy"]

NO_STORE = "no-store"


class CachePolicy:
    """Collects one header per subgraph response; one that has none forbids keeping."""

    __slots__ = ("_max_age", "_private", "_public", "_seen", "_storable")

    def __init__(self) -> None:
        self._seen = False
        self._storable = True
        self._private = False
        self._public = True
        self._max_age: int | None = None

    def add(self, header: str | None) -> None:
        """Take in the header of one response."""
        self._seen = True
        directives = [part.strip().lower() for part in (header or "").split(",")]
        # Some name headers, like `no-cache="set-cookie"`; these are not told apart.
        names = {directive.partition("=")[0] for directive in directives}
        max_age = _max_age(directives)
        if max_age is None or NO_STORE in names or "no-cache" in names:
            self._storable = False
            return
        self._private = self._private or "private" in names
        self._public = self._public and "public" in names
        self._max_age = max_age if self._max_age is None else min(max_age, self._max_age)

    def merged(self, *, private: bool = False) -> str:
        """The header of the whole answer; ``private`` when it was made for somebody known."""
        if not self._seen or not self._storable or not self._max_age:
            return NO_STORE
        if private or self._private:
            return f"private, max-age={self._max_age}"
        # A shared cache may keep what a caller with a token got only if all say `public`.
        return f"{'public, ' if self._public else ''}max-age={self._max_age}"


def _max_age(directives: list[str]) -> int | None:
    """The shortest time that any directive gives, for whichever kind of cache."""
    told = [directive.partition("=") for directive in directives]
    times = [value for name, _, value in told if name in ("max-age", "s-maxage")]
    if not all(value.isdecimal() and len(value) < 12 for value in times):
        return None
    return min(map(int, times), default=None)
