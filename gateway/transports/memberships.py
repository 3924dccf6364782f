"""What a mutation has changed about the caller's memberships holds for the rest of its operation.

    mutation { createOrganization(input: …) { id plan { name } } }

The plan comes from another subgraph, which would not show it to someone who was
no member when the request came in.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gateway.identity import audience_of
from shared.errors import Unavailable
from shared.logger import get_logger

if TYPE_CHECKING:
    from gateway.context import RequestContext
    from gateway.federation.transport import SubgraphRequest, SubgraphResponse
    from gateway.runtime import Transport
    from gateway.transports.forwarding import ForwardedRequest, ForwardedResponse
    from shared.access import Role

__all__ = ["FreshMemberships"]

logger = get_logger(__name__)


class FreshMemberships:
    """A transport that reads the caller's memberships again after each mutation of orgs.

    ``inner`` also has ``forward``; its ``execute_undecoded``, where it has one,
    is handed out as it is: nothing follows a fetch whose answer is not read.
    """

    def __init__(
        self, inner: Transport, read: Callable[[str], Awaitable[Mapping[str, Role]]]
    ) -> None:
        self._inner: Any = inner
        self._read = read
        self.execute_undecoded = getattr(inner, "execute_undecoded", None)

    async def execute(self, request: SubgraphRequest) -> SubgraphResponse:
        """The answer; what comes after it is asked for with the memberships of then."""
        response: SubgraphResponse = await self._inner.execute(request)
        if request.fetch.kind == "mutation" and request.fetch.subgraph == "orgs":
            await self._refresh(request.context)
        return response

    def subscribe(self, request: SubgraphRequest) -> AsyncIterator[SubgraphResponse]:
        """One response per event."""
        stream: AsyncIterator[SubgraphResponse] = self._inner.subscribe(request)
        return stream

    async def forward(
        self, subgraph: str, request: ForwardedRequest, context: RequestContext
    ) -> ForwardedResponse:
        """Hand on a REST request."""
        response: ForwardedResponse = await self._inner.forward(subgraph, request, context)
        return response

    async def close(self) -> None:
        """Close every connection."""
        await self._inner.close()

    async def _refresh(self, context: RequestContext) -> None:
        identity = context.identity
        if identity.user_id is None:
            return
        try:
            memberships = await self._read(identity.user_id)
        except Unavailable:
            # The change is made: what can be read with the memberships of before is better
            # than to take it for failed.
            logger.warning("memberships.not_refreshed")
            return
        context.identity = replace(identity, memberships=memberships)
        context.audience = audience_of(context.identity)
