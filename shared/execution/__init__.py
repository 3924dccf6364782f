"""Compiled, breadth-first execution of GraphQL operations.

Takes any graphql-core or Strawberry schema; knows nothing of our domains or of
the gateway.

- `batched`, `batched_resolver`, `batched_reference`: resolvers written for many
  parents, or many keys, at once (`shared.execution.batch`, `.entities`)
- `serve_entities`: a federation schema's `_entities`, grouped by type
"""

from __future__ import annotations

from shared.execution.batch import batched, batched_resolver
from shared.execution.entities import batched_reference, serve_entities

__all__ = ["batched", "batched_reference", "batched_resolver", "serve_entities"]
