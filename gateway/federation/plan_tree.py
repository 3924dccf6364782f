"""A plan as the tree that Apollo's tooling shows: sequences of parallel fetches.

For people and for interoperation only; the runtime follows ``depends_on``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.federation.plan import AT, Gate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.federation.plan import Fetch, Path

__all__ = ["path_strings", "waves"]


def waves(fetches: Sequence[Fetch]) -> list[list[Fetch]]:
    """Return the fetches by how many others must have finished one after another before them."""
    level: dict[int, int] = {}
    found: list[list[Fetch]] = []
    for fetch in fetches:
        depth = max((level[one] + 1 for one in fetch.depends_on if one in level), default=0)
        level[fetch.id] = depth
        if depth == len(found):
            found.append([])
        found[depth].append(fetch)
    return found


def path_strings(path: Path) -> list[str]:
    """Return a path as Apollo writes it: a gate hangs on the step before it."""
    written: list[str] = []
    for step in path:
        if isinstance(step, Gate):
            gate = f"|[{','.join(sorted(step.types))}]"
            if written and "|" not in written[-1]:
                written[-1] += gate
            else:
                written.append(gate)
        else:
            written.append(AT if step == AT else step)
    return written
