"""What the gateway knows of one request while it answers it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gateway.cache_control import CachePolicy
from gateway.federation.operation.authorization import Authorization
from shared.auth import ANONYMOUS, Identity

if TYPE_CHECKING:
    from starlette.types import Scope

__all__ = ["RequestContext", "client_of", "operation_of", "remember", "remembered"]

_KEY = "nexus.context"
_LONGEST_NAME = 100


@dataclass(slots=True)
class RequestContext:
    """Handed through the pipeline and the engine to the transports.

    ``expires_at`` (seconds since the epoch) is when the caller's token ends.
    Callers with an equal ``audience`` may see the same, so what one of them
    waits for may be shared with another; None is shared with nobody.
    ``headers`` are the client's, where propagation rules may want them for
    subgraphs.  ``explain`` says that this client may see how its answer came
    about.  ``claims`` are those of a verified token.  ``scopes`` and ``policies`` are
    what the supergraph's `@requiresScopes` and `@policy` ask for: what is not there is
    denied.  ``returned_headers`` are those of subgraphs that the client gets.
    ``personal`` says that what subgraphs answer may be meant for this client alone,
    ``varies_on`` by which of its headers that is decided.
    ``interrupted`` is called when a stream of theirs was lost and events may be missing.
    """

    identity: Identity = ANONYMOUS
    audience: Hashable = None
    expires_at: float | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    client_name: str | None = None
    client_version: str | None = None
    operation_name: str | None = None
    explain: bool = False
    claims: Mapping[str, Any] = field(default_factory=dict)
    scopes: frozenset[str] = frozenset()
    policies: frozenset[str] = frozenset()
    cache_policy: CachePolicy = field(default_factory=CachePolicy)
    returned_headers: dict[str, list[str]] = field(default_factory=dict)
    personal: bool = False
    varies_on: str = "Authorization"
    interrupted: Callable[[], None] | None = None

    def authorization(self) -> Authorization:
        """What the caller has when the supergraph asks for something."""
        known = self.identity.user_id is not None
        return Authorization(known, self.scopes, self.policies)


def remember(context: RequestContext, scope: Scope) -> None:
    """Let what surrounds the application see the request's context."""
    scope[_KEY] = context


def remembered(scope: Scope) -> RequestContext | None:
    """The context of a request, once there is one."""
    context: RequestContext | None = scope.get(_KEY)
    return context


def client_of(scope: Scope) -> str | None:
    """What the client of a request calls itself, with its version."""
    context = remembered(scope)
    if context is None or context.client_name is None:
        return None
    return f"{context.client_name}/{context.client_version or ''}"


def operation_of(scope: Scope) -> str | None:
    """The name of the GraphQL operation that a request ran, if it had one."""
    context = remembered(scope)
    if context is None or context.operation_name is None:
        return None
    return context.operation_name[:_LONGEST_NAME]
