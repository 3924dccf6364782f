"""Compiled, breadth-first execution of GraphQL operations.

Takes any graphql-core or Strawberry schema; knows nothing of our domains or of
the gateway.

- `batched`, `batched_resolver`, `batched_reference`: resolvers written for many
  parents, or many keys, at once (`shared.execution.batch`, `.entities`)
- `serve_entities`: a federation schema's `_entities`, grouped by type
- `Executor`: runs operations, each compiled once (`shared.execution.executor`)

From an operation to its answer: `operation` finds what is the same for all
requests; `planner` makes blocks of fields of it (`plan`), each with a resolver
(`resolvers`) and with Python source for its plain fields (`rows`); `complete`
executes the blocks in a `run`, column by column, and knows where in the
response each value stands (`place`).  What is not compiled, introspection
above all, runs on graphql-core (`interpret`).

Answers are those of graphql-core, with the freedoms the specification leaves:

- A field is resolved for all parents of a selection before the next field is.
- Errors come in document order.  Where several failures can make one position
  null, the first is reported; what else failed below it may be missing.
- A plain attribute may be read a second time when some value of its selection
  is not of the type that its field promises.
"""

from __future__ import annotations

from shared.execution.batch import batched, batched_resolver
from shared.execution.entities import batched_reference, serve_entities
from shared.execution.executor import Executor, PreparedOperation
from shared.execution.operation import CompiledOperation, Fallback, compile_operation

__all__ = [
    "CompiledOperation",
    "Executor",
    "Fallback",
    "PreparedOperation",
    "batched",
    "batched_reference",
    "batched_resolver",
    "compile_operation",
    "serve_entities",
]
