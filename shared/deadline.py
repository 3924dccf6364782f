"""The moment by which the current request must be answered, known to all that works on it.

The edge sets it once; every wait below is bounded by what remains.  It follows
the work as a context variable inside a process, and between processes as the
header `HEADER`, in milliseconds that remain.
"""

from __future__ import annotations

import time
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["HEADER", "deadline", "from_headers", "remaining"]

HEADER = "x-nexus-timeout-ms"

deadline: ContextVar[float | None] = ContextVar("deadline", default=None)
"""On the clock of `time.monotonic`; None when nobody waits."""


def remaining(most: float) -> float:
    """The seconds that are left, at most ``most``; 0 when the time is over."""
    end = deadline.get()
    return most if end is None else max(0.0, min(most, end - time.monotonic()))


def from_headers(headers: Mapping[str, str], most: float) -> float:
    """The deadline of a request with these headers that may take at most ``most`` seconds."""
    given = headers.get(HEADER, "")
    seconds = min(most, int(given) / 1000) if given.isdecimal() else most
    return time.monotonic() + seconds
