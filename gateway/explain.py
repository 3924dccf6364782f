"""How an answer came about: its plan, its fetches, and why each of its nulls is null."""

from __future__ import annotations

import hmac
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gateway.federation.plan_text import print_plan

if TYPE_CHECKING:
    from gateway.cost import Bill
    from gateway.federation.execution import ExecutablePlan, FetchReport

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

    def observe(self, report: FetchReport) -> None:
        """Take in one fetch; called by the engine."""
        self._reports.append(report)

    def extension(
        self, executable: ExecutablePlan, data: Any, errors: Sequence[Mapping[str, Any]]
    ) -> dict[str, Any]:
        """What ``extensions.explain`` says."""
        return {
            "queryPlan": print_plan(executable.plan),
            "fetches": [self._fetch(report) for report in self._reports],
            "nulls": [_null(error, data) for error in errors if error.get("path")],
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


def _null(error: Mapping[str, Any], data: Any) -> dict[str, Any]:
    """One error and where its null ended up: at its own path, or at an ancestor it bubbled to."""
    path = list(error["path"])
    landed: list[str | int] = []
    at = data
    for step in path:
        if at is None:
            break
        at = _child(at, step)
        landed.append(step)
    extensions = error.get("extensions", {})
    return {
        "path": path,
        "nullAt": landed if at is None else None,
        "bubbled": len(path) - len(landed) if at is None else 0,
        "subgraph": extensions.get("serviceName"),
        "code": extensions.get("code"),
        "message": error.get("message"),
    }


def _child(value: Any, step: str | int) -> Any:
    if isinstance(step, str):
        return value.get(step) if isinstance(value, dict) else None
    return value[step] if isinstance(value, list) and step < len(value) else None
