"""Demand control: what an operation may cost, before anything is fetched, and what it did cost.

The weights are those of `@cost`, the lengths of lists those of `@listSize`, after
IBM's GraphQL Cost Directives specification as federation reads it.
"""

from gateway.federation.cost.formula import Number, evaluate
from gateway.federation.cost.plan import FetchCost, PlanCost, compile_cost
from gateway.federation.cost.weights import Weights

__all__ = ["FetchCost", "Number", "PlanCost", "Weights", "compile_cost", "evaluate"]
