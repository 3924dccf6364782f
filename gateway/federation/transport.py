"""The seam between the engine and the networks: how a fetch reaches a subgraph.

The engine calls a `SubgraphTransport` and knows nothing of HTTP, of processes
or of who the caller is; `context` is handed through untouched.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from gateway.federation.plan import Fetch

__all__ = ["SubgraphError", "SubgraphRequest", "SubgraphResponse", "SubgraphTransport"]


@dataclass(frozen=True, slots=True)
class SubgraphRequest:
    """One call of one fetch.

    ``fetch`` belongs to a cached plan and lives as long as that plan, so a
    transport may keep what it derives from ``fetch.document`` (its JSON
    encoding, a compiled executor) for later calls.  ``context`` is whatever the
    gateway gave the executor: the caller's identity, the deadline, headers.
    """

    fetch: Fetch
    variables: Mapping[str, Any]
    context: Any


@dataclass(frozen=True, slots=True)
class SubgraphResponse:
    """What a subgraph answered, as plain Python values.

    The executor only reads ``data``, which a transport may share between callers,
    unless the answer is ``exclusive``: then nobody else has any part of it.
    ``headers`` holds the response headers a gateway may want to merge
    (``cache-control`` and what says how long that is good); a local transport leaves
    it empty.
    """

    data: Mapping[str, Any] | None
    errors: tuple[Mapping[str, Any], ...] = ()
    extensions: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    exclusive: bool = False


class SubgraphError(Exception):
    """The subgraph gave no GraphQL answer: refused, timed out, broken, not JSON.

    ``code`` becomes ``extensions.code`` of the one error the client sees; the
    message must be safe to show.
    """

    def __init__(self, message: str, *, code: str = "DOWNSTREAM_SERVICE_ERROR") -> None:
        super().__init__(message)
        self.code = code


class SubgraphTransport(Protocol):
    """Carries fetches to subgraphs; implemented by `gateway.transports`."""

    async def execute(self, request: SubgraphRequest) -> SubgraphResponse:
        """Answer a query or mutation fetch, or raise `SubgraphError`."""
        ...

    def subscribe(self, request: SubgraphRequest) -> AsyncIterator[SubgraphResponse]:
        """Yield one response per event; end, or raise `SubgraphError`.

        The caller closes the iterator with ``aclose()`` when it has seen enough.
        """
        ...
