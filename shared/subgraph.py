"""A subgraph as the gateway, the server and the worker see it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from starlette.routing import BaseRoute
    from strawberry.federation.schema import Schema

    from shared.auth import Identity
    from shared.worker import Worker

__all__ = ["Subgraph"]


@dataclass(frozen=True, slots=True)
class Subgraph:
    """One domain, ready to serve.

    ``make_context`` gives the resolvers' ``info.context`` for a caller.
    ``routes`` are its REST edges (webhooks), ``worker`` its background work,
    ``checks`` what must answer for it to be ready, ``close`` gives up what it
    holds.
    """

    name: str
    schema: Schema
    make_context: Callable[[Identity], Any]
    worker: Worker
    checks: Mapping[str, Callable[[], Awaitable[None]]]
    close: Callable[[], Awaitable[None]]
    routes: Sequence[BaseRoute] = ()
