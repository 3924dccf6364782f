"""What the gateway knows of one request while it answers it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from shared.auth import ANONYMOUS, Identity

__all__ = ["RequestContext"]


@dataclass(slots=True)
class RequestContext:
    """Handed through the pipeline and the engine to the transports.

    ``expires_at`` (seconds since the epoch) is when the caller's token ends.
    ``forwarded`` holds the client's headers that the propagation rules let
    through to subgraphs.  ``explain`` says that this client may see how its
    answer came about.
    """

    identity: Identity = ANONYMOUS
    expires_at: float | None = None
    forwarded: Mapping[str, str] = field(default_factory=dict)
    client_name: str | None = None
    client_version: str | None = None
    operation_name: str | None = None
    explain: bool = False
