"""Which applications ask how much, by what they call themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter

from shared.labels import Labels

if TYPE_CHECKING:
    from gateway.context import RequestContext

__all__ = ["Clients"]

_OPERATIONS = Counter(
    "graphql_client_operations_total", "Operations, by client.", ("client", "version")
)
_MOST = 100
_BETWEEN = "\0"


class Clients:
    """Counts operations; the clients that send most have a number of their own."""

    def __init__(self) -> None:
        self._labels = Labels(_MOST, self._forget)

    def count(self, context: RequestContext) -> None:
        """Count one operation of the client, if it says what it is."""
        if context.client_name is None:
            return
        client = f"{context.client_name}{_BETWEEN}{context.client_version or ''}"
        name, _, version = self._labels.of(client).partition(_BETWEEN)
        _OPERATIONS.labels(name, version).inc()

    @staticmethod
    def _forget(client: str) -> None:
        name, _, version = client.partition(_BETWEEN)
        _OPERATIONS.remove(name, version)
