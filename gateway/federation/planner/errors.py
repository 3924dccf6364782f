"""Why an operation has no plan."""

from __future__ import annotations

__all__ = ["PlanningBudgetExceeded", "PlanningError"]


class PlanningError(Exception):
    """No combination of subgraphs can answer a selection; the message is safe to show."""

    code = "QUERY_PLAN_FAILED"


class PlanningBudgetExceeded(PlanningError):
    """Planning was cut off: the operation is too complex for the schema."""

    code = "QUERY_PLAN_TOO_COMPLEX"
