"""From a plan to a response: representations, merging, errors, projection.

`compile_plan` makes a plan ready; `ExecutablePlan.run` and `.subscribe` answer
requests with it through a `SubgraphTransport`.
"""

from gateway.federation.execution.executable import ExecutablePlan, Response, compile_plan
from gateway.federation.execution.run import FetchReport, Observer

__all__ = ["ExecutablePlan", "FetchReport", "Observer", "Response", "compile_plan"]
