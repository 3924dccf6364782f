"""What every protocol reads and writes, and the service it asks in between."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeVar

from shared import exact_json

__all__ = [
    "GraphQLRequest",
    "GraphQLResult",
    "GraphQLService",
    "IncrementalFormat",
    "IncrementalStream",
]

IncrementalFormat = Literal["deferspec=20220824", "incrementalspec=v0.2"]
"""What clients know of incremental delivery, as the parameter of the media type they accept."""

C_contra = TypeVar("C_contra", contravariant=True)


@dataclass(frozen=True, slots=True)
class GraphQLRequest:
    """One operation a client asks for.

    ``query`` is empty when the client names a stored document instead, by
    ``document_id`` or by ``extensions.persistedQuery``.  ``read_only`` is set by
    protocols that must not change anything: HTTP GET.  ``incremental`` names the
    format in which the client takes deferred fragments after the rest; without one, as
    over WebSocket and server-sent events, whose protocols have no parts, `@defer` is
    answered whole, as the specification allows.
    """

    query: str
    operation_name: str | None = None
    variables: Mapping[str, Any] = field(default_factory=dict)
    extensions: Mapping[str, Any] = field(default_factory=dict)
    document_id: str | None = None
    read_only: bool = False
    incremental: IncrementalFormat | None = None


@dataclass(frozen=True, slots=True)
class GraphQLResult:
    """One answer.

    ``data`` may hold `orjson.Fragment`s: JSON that is passed on undecoded.
    ``status`` is 200 for whatever was executed, even with errors; any other
    status means that execution never began, and that the answer has no ``data``.
    ``headers`` are response headers for protocols that have them.  ``part`` has
    what makes this one part of an `IncrementalStream`: entries beside ``data`` in
    the first one, in its place (``follows``) in the others.
    """

    data: Any = None
    errors: Sequence[Mapping[str, Any]] = ()
    extensions: Mapping[str, Any] = field(default_factory=dict)
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    part: Mapping[str, Any] = field(default_factory=dict)
    follows: bool = False

    @property
    def executed(self) -> bool:
        """Whether execution began, so that there is a ``data`` entry, if only null."""
        return self.status == 200

    def payload(self) -> dict[str, Any]:
        """The response map of the specification, with `orjson.Fragment` as it is."""
        answer: dict[str, Any] = dict(self.part)
        if self.follows:
            return answer
        if self.errors:
            answer["errors"] = self.errors
        if self.status == 200:
            answer["data"] = self.data
        if self.extensions:
            answer["extensions"] = self.extensions
        return answer

    def encode(self) -> bytes:
        """The response map as JSON, keys in the order in which they were put."""
        return exact_json.dumps(self.payload(), default=_plain)


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Sequence):
        return list(value)
    raise TypeError(f"{type(value).__name__} is not JSON")


class IncrementalStream:
    """One answer in parts: the first has the ``data``, the others what was deferred."""

    def __init__(
        self, parts: AsyncGenerator[GraphQLResult, None], written_in: IncrementalFormat
    ) -> None:
        self._parts = parts
        self.format = written_in

    def __aiter__(self) -> AsyncIterator[GraphQLResult]:
        return self

    async def __anext__(self) -> GraphQLResult:
        return await anext(self._parts)

    async def aclose(self) -> None:
        """Stop making parts."""
        await self._parts.aclose()


class GraphQLService(Protocol[C_contra]):
    """Answers operations: the gateway's pipeline, or a subgraph.

    Neither method raises for anything a client can do.
    """

    async def execute(self, request: GraphQLRequest, context: C_contra) -> GraphQLResult:
        """Answer a query or a mutation; a subscription is refused."""
        ...

    async def subscribe(
        self, request: GraphQLRequest, context: C_contra
    ) -> GraphQLResult | AsyncIterator[GraphQLResult]:
        """Open the stream of a subscription; answer anything else like `execute`.

        For a client that takes them, deferred fragments follow in an `IncrementalStream`.
        The caller closes the iterator with ``aclose()`` when it has seen enough.
        """
        ...
