"""Whether this process is alive, and whether it should be sent traffic."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse

from gateway.context import RequestContext
from gateway.federation.plan import Fetch
from gateway.federation.transport import SubgraphError, SubgraphRequest
from gateway.rest.operations import Answer, Operation
from gateway.transports.http import SubgraphUnreachable

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from gateway.pipeline import Pipeline
    from gateway.runtime import Runtime

__all__ = ["Check", "Ready", "all_of", "live", "operations", "subgraphs_of"]

Check = Callable[[], Awaitable[object]]

_FINE = "ok"
_KEPT_SECONDS = 1.0
_PARTS_KEPT_SECONDS = 10.0


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
            description=(
                "What this process cannot do without, what single parts of the graph need, and"
                " whether the newest supergraph is served. A part that fails does not make it"
                " unready: `status` is then `degraded`."
            ),
            answers={
                200: Answer("It can serve: `ok`, or `degraded`.", report),
                503: Answer("It cannot: `unavailable`, or `draining` before it stops.", report),
            },
            tag="health",
        ),
    )


class Ready:
    """Answers 200 while this process can serve, else 503.

    It can while it is not ``leaving`` and each of ``checks`` passes: those are what
    nothing works without.  ``parts`` are told and do not decide, since a part that
    fails costs its part of an answer, and a load balancer that takes every gateway
    out for it would cost all of it; only if ``needs_a_part`` and none works can
    nothing be served.  The same goes for a newer supergraph that was refused.
    (Hive's router does not let subgraphs decide either.)

    A check fails that takes longer than ``check_seconds``.  Findings are kept for a
    second, those about parts for ten: asking often costs nothing.
    """

    def __init__(
        self,
        checks: Mapping[str, Check],
        leaving: asyncio.Event,
        *,
        parts: Callable[[], Mapping[str, Check]] = dict,
        needs_a_part: bool = False,
        supergraph: Callable[[], str] = lambda: _FINE,
        check_seconds: float = 2.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._leaving = leaving
        self._needs_a_part = needs_a_part
        self._supergraph = supergraph
        self._checks = _Findings(lambda: checks, _KEPT_SECONDS, check_seconds, clock)
        self._parts = _Findings(parts, _PARTS_KEPT_SECONDS, check_seconds, clock)

    async def respond(self, _: Request) -> Response:
        """What was found, and what follows from it."""
        checks, parts = await asyncio.gather(self._checks.look(), self._parts.look())
        supergraph = self._supergraph()
        status = self._status(checks, parts, supergraph)
        report = {"status": status, "checks": checks, "supergraph": supergraph, "subgraphs": parts}
        return JSONResponse(report, 200 if status in (_FINE, "degraded") else 503)

    def _status(self, checks: Mapping[str, str], parts: Mapping[str, str], supergraph: str) -> str:
        if self._leaving.is_set():
            return "draining"
        nothing_works = self._needs_a_part and _FINE not in parts.values()
        if nothing_works or set(checks.values()) - {_FINE}:
            return "unavailable"
        return "degraded" if {supergraph, *parts.values()} - {_FINE} else _FINE


class _Findings:
    """What checks found, looked at again when it is old."""

    def __init__(
        self,
        checks: Callable[[], Mapping[str, Check]],
        kept_seconds: float,
        check_seconds: float,
        clock: Callable[[], float],
    ) -> None:
        self._checks = checks
        self._kept_seconds = kept_seconds
        self._check_seconds = check_seconds
        self._clock = clock
        self._found: dict[str, str] = {}
        self._found_at = float("-inf")
        self._lock = asyncio.Lock()

    async def look(self) -> Mapping[str, str]:
        async with self._lock:
            if self._clock() - self._found_at > self._kept_seconds:
                checks = self._checks()
                running = (_run(check, self._check_seconds) for check in checks.values())
                self._found = dict(zip(checks, await asyncio.gather(*running), strict=True))
                self._found_at = self._clock()
            return self._found


async def _run(check: Check, seconds: float) -> str:
    try:
        async with asyncio.timeout(seconds):
            await check()
    except Exception as error:  # noqa: BLE001 - whatever it is, that is the answer
        return str(getattr(error, "code", type(error).__name__))
    return _FINE


def all_of(checks: Mapping[str, Check]) -> Check:
    """A check that passes when all of them do."""

    async def check() -> None:
        await asyncio.gather(*(one() for one in checks.values()))

    return check


def subgraphs_of(pipeline: Pipeline) -> Mapping[str, Check]:
    """Whether each subgraph answers anything at all, a refusal included."""
    return {
        name: partial(_answers, pipeline.runtime, name)
        for name in pipeline.runtime.supergraph.subgraphs
    }


async def _answers(runtime: Runtime, subgraph: str) -> None:
    fetch = Fetch(id=0, subgraph=subgraph, kind="query", document="{ __typename }", variables=())
    with runtime.use():
        try:
            await runtime.transport.execute(SubgraphRequest(fetch, {}, RequestContext()))
        except SubgraphError as error:
            if isinstance(error, SubgraphUnreachable) or error.code == "DOWNSTREAM_UNAVAILABLE":
                raise
