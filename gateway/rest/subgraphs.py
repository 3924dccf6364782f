"""How a REST endpoint asks one subgraph."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from gateway.context import RequestContext
from gateway.federation.plan import Fetch
from gateway.federation.transport import SubgraphError, SubgraphRequest
from shared.errors import (
    BadUserInput,
    Conflict,
    Forbidden,
    NexusError,
    NotFound,
    RateLimited,
    Unauthenticated,
    Unavailable,
)

if TYPE_CHECKING:
    from gateway.federation.transport import SubgraphTransport

__all__ = ["Ask", "asking", "question"]

_KINDS: Mapping[str, type[NexusError]] = {
    kind.code: kind
    for kind in (
        Unauthenticated,
        Forbidden,
        NotFound,
        Conflict,
        BadUserInput,
        RateLimited,
        Unavailable,
    )
}

Ask = Callable[[Fetch, Mapping[str, Any], RequestContext], Awaitable[Mapping[str, Any]]]
"""The data of an operation, for a caller.

Raises the error of the subgraph as what it was there, and `Unavailable` when the
subgraph gave no answer.
"""


def question(subgraph: str, document: str, *variables: str, mutates: bool = False) -> Fetch:
    """An operation to ask a subgraph, with the names of its variables."""
    return Fetch(
        id=0,
        subgraph=subgraph,
        kind="mutation" if mutates else "query",
        document=document,
        variables=tuple((name, name) for name in variables),
    )


def asking(transport: Callable[[], SubgraphTransport]) -> Ask:
    """Asks over whatever transport is current."""

    async def ask(
        fetch: Fetch, variables: Mapping[str, Any], context: RequestContext
    ) -> Mapping[str, Any]:
        try:
            response = await transport().execute(SubgraphRequest(fetch, variables, context))
        except SubgraphError as error:
            raise Unavailable from error
        if response.errors:
            raise _error(response.errors[0])
        return response.data or {}

    return ask


def _error(entry: Mapping[str, Any]) -> NexusError:
    extensions = dict(entry.get("extensions") or {})
    code = extensions.pop("code", None)
    if code not in _KINDS:
        # Logged where it happened.
        return NexusError()
    error = _KINDS[code](str(entry.get("message", "")))
    error.details = extensions
    return error
