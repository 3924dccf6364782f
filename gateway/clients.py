"""Which applications ask how much, by what they call themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter

if TYPE_CHECKING:
    from gateway.context import RequestContext

__all__ = ["Clients"]

_OPERATIONS = Counter(
    "graphql_client_operations_total", "Operations, by client.", ("client", "version")
)
_MOST = 100


class Clients:
    """Counts operations; only so many different clients have a number of their own."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], Counter] = {}

    def count(self, context: RequestContext) -> None:
        """Count one operation of the client, if it says what it is."""
        if context.client_name is None:
            return
        client = context.client_name, context.client_version or ""
        counter = self._known.get(client)
        if counter is None:
            counter = self._label(client)
        counter.inc()

    def _label(self, client: tuple[str, str]) -> Counter:
        if len(self._known) >= _MOST:
            return _OPERATIONS.labels("other", "")
        counter = self._known[client] = _OPERATIONS.labels(*client)
        return counter
