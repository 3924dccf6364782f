"""Whether this process is alive, and whether it should be sent traffic."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse

from gateway.rest.operations import Answer, Operation

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

__all__ = ["Check", "Ready", "live", "operations"]

Check = Callable[[], Awaitable[object]]

_KEPT_SECONDS = 1.0
_CHECK_SECONDS = 2.0


async def live(_: Request) -> Response:
    """The process answers."""
    return JSONResponse({"status": "ok"})


def operations(ready: Ready) -> Sequence[Operation]:
    """The endpoints under ``/health``."""
    report = {"application/json": {"type": "object", "required": ["status"]}}
    return (
        Operation(
            name="live",
            method="GET",
            paths=("/health/live",),
            handler=live,
            summary="Whether the process answers",
            description="For whoever restarts processes that hang.",
            answers={200: Answer("It does.", report)},
            tag="health",
        ),
        Operation(
            name="ready",
            method="GET",
            paths=("/health/ready",),
            handler=ready.respond,
            summary="Whether to send traffic here",
            description="What this process depends on, and whether each of them answers.",
            answers={
                200: Answer("Everything it needs answers.", report),
                503: Answer("Something does not answer, or the process is about to stop.", report),
            },
            tag="health",
        ),
    )


class Ready:
    """Answers 200 while every check passes and nothing is being drained, else 503.

    Findings are kept for a second: asking often costs nothing.
    """

    def __init__(self, checks: Mapping[str, Check], draining: asyncio.Event) -> None:
        self._checks = checks
        self._draining = draining
        self._found: dict[str, str] = {}
        self._found_at = float("-inf")
        self._lock = asyncio.Lock()

    async def respond(self, _: Request) -> Response:
        """What each check found."""
        found = await self._look()
        fine = not self._draining.is_set() and set(found.values()) <= {"ok"}
        status = "draining" if self._draining.is_set() else "ok" if fine else "unavailable"
        return JSONResponse({"status": status, "checks": found}, 200 if fine else 503)

    async def _look(self) -> Mapping[str, str]:
        async with self._lock:
            if time.monotonic() - self._found_at > _KEPT_SECONDS:
                results = await asyncio.gather(*(_run(check) for check in self._checks.values()))
                self._found = dict(zip(self._checks, results, strict=True))
                self._found_at = time.monotonic()
            return self._found


async def _run(check: Check) -> str:
    try:
        async with asyncio.timeout(_CHECK_SECONDS):
            await check()
    except Exception as error:  # noqa: BLE001 - whatever it is, that is the answer
        return type(error).__name__
    return "ok"
