"""How much planning one operation may take."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.federation.planner.errors import PlanningBudgetExceeded

__all__ = ["Budget"]


@dataclass(slots=True)
class Budget:
    """The steps that are left: each looks at one candidate, wherever it does."""

    left: int

    def spend(self, steps: int) -> None:
        """Take steps; raises `PlanningBudgetExceeded` when there are no more."""
        self.left -= steps
        if self.left < 0:
            raise PlanningBudgetExceeded("The operation is too complex to plan.")
