"""From a plan to a response: representations, merging, errors, projection.

`compile_plan` makes a plan ready; `ExecutablePlan.run` and `.subscribe` answer
requests with it through a `SubgraphTransport`.  `compile_incremental` does so
for an operation with deferred fragments.
"""

from gateway.federation.execution.executable import ExecutablePlan, Response, compile_plan
from gateway.federation.execution.incremental import (
    Increment,
    IncrementalPlan,
    Patch,
    Pending,
    compile_incremental,
)
from gateway.federation.execution.run import FetchReport, Observer

__all__ = [
    "ExecutablePlan",
    "FetchReport",
    "Increment",
    "IncrementalPlan",
    "Observer",
    "Patch",
    "Pending",
    "Response",
    "compile_incremental",
    "compile_plan",
]
