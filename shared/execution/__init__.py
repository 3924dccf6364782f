"""Compiled, breadth-first execution of GraphQL operations.

Takes any graphql-core or Strawberry schema; knows nothing of our domains or of
the gateway.

- `batched`, `batched_resolver`, `batched_reference`: resolvers written for many
  parents, or many keys, at once (`shared.execution.batch`, `.entities`)
- `serve_entities`: a federation schema's `_entities`, grouped by type
- `Executor`: runs operations, each compiled once (`shared.execution.executor`)
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
