"""What the subgraphs' schemas have in common: scalars, money, connections, errors."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NewType, TypeVar

import orjson
import strawberry
from graphql import GraphQLError
from strawberry.federation.schema import Schema
from strawberry.federation.schema_directives import ListSize
from strawberry.schema.config import StrawberryConfig
from strawberry.types.scalar import ScalarDefinition

from shared.auth import Identity
from shared.errors import BadUserInput, NexusError, NotFound
from shared.execution import serve_entities
from shared.logger import get_logger
from shared.protocols.problems import to_quote

__all__ = [
    "PAGED",
    "BigInt",
    "Connection",
    "Context",
    "Cursors",
    "Edge",
    "Money",
    "Node",
    "Page",
    "PageInfo",
    "build_schema",
    "connection",
    "format_error",
    "id_or_none",
    "page",
    "parse_id",
]

logger = get_logger(__name__)

R = TypeVar("R")
Row = TypeVar("Row")
NodeType = TypeVar("NodeType")

_LIMIT = 2**63


def _parse_big_int(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise GraphQLError(f"BigInt cannot represent {value!r}: it is not a whole number.")
    if not -_LIMIT <= value < _LIMIT:
        raise GraphQLError(f"BigInt cannot represent {value}: it needs more than 64 bits.")
    return value


BigInt = NewType("BigInt", int)
"""A whole number of 64 bits: amounts of money, sizes in bytes."""

_SCALARS: dict[object, ScalarDefinition] = {
    BigInt: strawberry.scalar(
        name="BigInt",
        description="A whole number of 64 bits, written as a JSON number.",
        serialize=_parse_big_int,
        parse_value=_parse_big_int,
    )
}


@strawberry.interface(description="Something with an id of its own.")
class Node:
    id: strawberry.ID = strawberry.field(description="Opaque and stable.")


@strawberry.federation.type(shareable=True, description="An amount of money.")
class Money:
    amount: BigInt = strawberry.field(
        description="In minor units of the currency: 1250 is EUR 12.50."
    )
    currency: str = strawberry.field(description="The ISO 4217 code, such as EUR.")


@strawberry.federation.type(
    shareable=True, description="Where a page of a list begins and ends, after Relay."
)
class PageInfo:
    has_next_page: bool = strawberry.field(description="Whether more items follow this page.")
    has_previous_page: bool = strawberry.field(
        description="Whether this page was asked `after` a cursor."
    )
    start_cursor: str | None = strawberry.field(description="The first item's cursor.")
    end_cursor: str | None = strawberry.field(
        description="The last item's cursor: pass it as `after` to get the next page."
    )


@strawberry.type(description="One item of a list, with its cursor.")
class Edge(Generic[NodeType]):
    node: NodeType = strawberry.field(description="The item.")
    cursor: str = strawberry.field(description="Where the item stands in the list.")


@strawberry.type(description="A page of a list, after Relay's connections.")
class Connection(Generic[NodeType]):
    edges: list[Edge[NodeType]] = strawberry.field(description="The items of this page.")
    page_info: PageInfo = strawberry.field(description="How to get the next page.")


PAGED = ListSize(assumed_size=strawberry.UNSET, slicing_arguments=["first"], sized_fields=["edges"])
"""Says of a field with a connection that its page is as long as `first`."""


class Cursors:
    """Makes and reads cursors: the keyset values of a row, signed.

    A cursor that this server did not make for ``listing`` is refused, so a
    reader can trust its values' number and types.
    """

    _SIGNATURE_BYTES = 9

    def __init__(self, secret: str, listing: str = "") -> None:
        self._key = hashlib.sha256(f"cursor:{listing}:{secret}".encode()).digest()

    def encode(self, *values: str | int) -> str:
        """An opaque cursor for these values."""
        body = orjson.dumps(values)
        return base64.urlsafe_b64encode(self._sign(body) + body).decode()

    def decode(self, cursor: str, *, field: str = "after") -> list[Any]:
        """The values; raises `BadUserInput` for a cursor that is not ours."""
        try:
            raw = base64.b64decode(cursor, altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raw = b""
        signature, body = raw[: self._SIGNATURE_BYTES], raw[self._SIGNATURE_BYTES :]
        if not body or not hmac.compare_digest(signature, self._sign(body)):
            raise BadUserInput("The cursor is not one this server gave out.", field=field)
        values: list[Any] = orjson.loads(body)
        return values

    def _sign(self, body: bytes) -> bytes:
        return hmac.digest(self._key, body, "sha256")[: self._SIGNATURE_BYTES]


@dataclass(frozen=True, slots=True)
class Page:
    """What part of a list is asked for: ``limit`` items after the keyset values ``after``."""

    limit: int
    after: list[Any] | None


def page(cursors: Cursors, first: int, after: str | None, *, most: int = 100) -> Page:
    """The checked arguments of a connection; raises `BadUserInput`."""
    if not 0 <= first <= most:
        raise BadUserInput(f"`first` must be between 0 and {most}.", field="first")
    return Page(first, cursors.decode(after) if after is not None else None)


def connection(
    rows: Sequence[Row],
    asked: Page,
    *,
    node: Callable[[Row], NodeType],
    cursor: Callable[[Row], str],
) -> Connection[NodeType]:
    """A connection of ``rows``, of which one more than ``asked.limit`` was read to see the end."""
    edges = [Edge(node=node(row), cursor=cursor(row)) for row in rows[: asked.limit]]
    return Connection(
        edges=edges,
        page_info=PageInfo(
            has_next_page=len(rows) > asked.limit,
            has_previous_page=asked.after is not None,
            start_cursor=edges[0].cursor if edges else None,
            end_cursor=edges[-1].cursor if edges else None,
        ),
    )


@dataclass(frozen=True, slots=True)
class Context(Generic[R]):
    """What every resolver gets as ``info.context``: the caller, and the subgraph's resources."""

    identity: Identity
    resources: R


def parse_id(value: str) -> str:
    """The id in its one spelling; raises `NotFound` for what cannot be an id of ours."""
    compact = value.replace("-", "").lower()
    if len(compact) != 32 or not set(compact) <= set("0123456789abcdef"):
        raise NotFound
    groups = (compact[:8], compact[8:12], compact[12:16], compact[16:20], compact[20:])
    return "-".join(groups)


def id_or_none(value: str) -> str | None:
    """The id in its one spelling; None for what cannot be an id of ours."""
    try:
        return parse_id(value)
    except NotFound:
        return None


def build_schema(
    query: type,
    mutation: type | None = None,
    subscription: type | None = None,
    *,
    types: Sequence[Any] = (),
) -> Schema:
    """A subgraph's federation schema, with our scalars, whose `_entities` reads in batches."""
    schema = Schema(
        query=query,
        mutation=mutation,
        subscription=subscription,
        types=list(types),
        federation_version="2.9",
        config=StrawberryConfig(scalar_map=_SCALARS),
    )
    serve_entities(schema)
    return schema


def format_error(error: GraphQLError) -> dict[str, Any]:
    """The error as a response shows it: an expected one as it is, a bug as `INTERNAL`.

    A bug is logged here, once, with its traceback.
    """
    original = error.original_error
    formatted: dict[str, Any] = {**error.formatted}
    if isinstance(original, NexusError):
        formatted["extensions"] = original.extensions
    elif original is None or isinstance(original, GraphQLError):
        formatted.setdefault("extensions", {}).setdefault("code", "BAD_USER_INPUT")
    else:
        logger.error("resolver.failed", path=error.path, exc_info=original)
        formatted["message"] = "Something went wrong on our side."
        formatted["extensions"] = {"code": "INTERNAL", **to_quote()}
    return formatted
