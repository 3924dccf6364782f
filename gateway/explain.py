"""How an answer came about: its plan, its fetches, and why each of its nulls is null."""

from __future__ import annotations

import hmac
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gateway.federation.plan_text import print_plan
from gateway.nulls import explain_nulls

if TYPE_CHECKING:
    from gateway.cost import Bill
    from gateway.federation.execution import ExecutablePlan, FetchReport
    from gateway.federation.transport import SubgraphRequest, SubgraphResponse, SubgraphTransport

__all__ = ["HEADER", "Explanation", "may_explain", "sign"]

HEADER = "x-nexus-explain"
_LIFE_SECONDS = 3_600


def sign(secret: str, *, now: float | None = None) -> str:
    """A value of the header that is good for an hour, for those who hold the secret."""
    expires = int((time.time() if now is None else now) + _LIFE_SECONDS)
    return f"{expires}.{_signature(secret, expires)}"


def may_explain(value: str | None, *, secret: str | None, freely: bool) -> bool:
    """Whether a request with this header value is explained; ``freely`` needs no signature."""
    if not value:
        return False
    if freely:
        return True
    if secret is None:
        return False
    expires, _, signature = value.partition(".")
    if not expires.isdecimal() or len(expires) > 12 or int(expires) < time.time():
        return False
    return hmac.compare_digest(signature.encode(), _signature(secret, int(expires)).encode())


def _signature(secret: str, expires: int) -> str:
    return hmac.digest(f"explain:{secret}".encode(), str(expires).encode(), "sha256").hex()


class Explanation:
    """Collects what the fetches of one request did."""

    def __init__(self, bill: Bill | None = None) -> None:
        self._bill = bill
        self._started = time.perf_counter()
        self._reports: list[FetchReport] = []
        self._originals: dict[int, list[Any]] = {}
        self._answers: dict[int, Mapping[str, Any] | None] = {}

    def observe(self, report: FetchReport) -> None:
        """Take in one fetch; called by the engine."""
        self._reports.append(report)

    def over(self, transport: SubgraphTransport) -> SubgraphTransport:
        """The transport, which now also tells here what subgraphs said before it was translated."""
        return _Told(transport, self._originals, self._answers)

    def extension(
        self, executable: ExecutablePlan, data: Any, errors: Sequence[Mapping[str, Any]]
    ) -> dict[str, Any]:
        """What ``extensions.explain`` says."""
        return {
            "queryPlan": print_plan(executable.plan),
            "fetches": [self._fetch(report) for report in self._reports],
            "nulls": explain_nulls(
                executable, data, errors, self._reports, self._originals, self._answers
            ),
        }

    def _fetch(self, report: FetchReport) -> dict[str, Any]:
        return {
            "id": report.fetch.id,
            "subgraph": report.fetch.subgraph,
            "document": report.fetch.document,
            "startMs": round((report.started - self._started) * 1000, 3),
            "durationMs": round((report.ended - report.started) * 1000, 3),
            "representations": report.representations,
            "sent": report.sent,
            **({} if self._bill is None else {"cost": self._bill.of(report.fetch)}),
            "errors": list(report.errors),
        }


class _Told:
    """A transport that notes the answer and the original errors of each fetch, by its id."""

    def __init__(
        self,
        inner: SubgraphTransport,
        originals: dict[int, list[Any]],
        answers: dict[int, Mapping[str, Any] | None],
    ) -> None:
        self._inner = inner
        self._originals = originals
        self._answers = answers

    async def execute(self, request: SubgraphRequest) -> SubgraphResponse:
        try:
            response = await self._inner.execute(request)
        except Exception as error:
            self._originals[request.fetch.id] = list(_chain(error))
            raise
        self._originals[request.fetch.id] = list(response.errors)
        self._answers[request.fetch.id] = response.data
        return response

    def subscribe(self, request: SubgraphRequest) -> AsyncIterator[SubgraphResponse]:
        return self._inner.subscribe(request)


def _chain(error: BaseException | None) -> Iterator[str]:
    """An exception and what caused it, the first cause last."""
    while error is not None:
        yield f"{type(error).__name__}: {error}"
        error = error.__cause__
