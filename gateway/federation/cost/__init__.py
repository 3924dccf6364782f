"""Demand control: what an operation may cost, before anything is fetched, and what it did cost.

The weights are those of `@cost`, the lengths of lists those of `@listSize`, after
IBM's GraphQL Cost Directives specification as federation reads it.
"""

from gateway.federation.cost.plan import FetchCost, PlanCost, compile_cost
from gateway.federation.cost.weights import MUTATION, Weights

__all__ = ["MUTATION", "FetchCost", "PlanCost", "Weights", "compile_cost"]
