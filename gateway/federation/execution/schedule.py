"""When each fetch of a plan starts: as soon as the fetches it depends on have finished."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from gateway.federation.plan import Fetch

__all__ = ["Schedule", "schedule_fetches"]


@dataclass(frozen=True, slots=True)
class Schedule:
    """The dependency graph of a plan's fetches, by their index in the plan."""

    starts: tuple[int, ...]
    dependents: tuple[tuple[int, ...], ...]
    waits: tuple[int, ...]
    is_chain: bool

    async def run(self, fetch: Callable[[int], Awaitable[None]]) -> None:
        """Run every fetch once; `fetch` must not raise, since that would cancel its siblings.

        A fetch that has nothing beside it runs in the caller's task.
        """
        if self.is_chain:
            for index in range(len(self.waits)):
                await fetch(index)
            return
        waits = list(self.waits)
        async with asyncio.TaskGroup() as group:

            async def follow(index: int) -> None:
                while True:
                    await fetch(index)
                    ready = []
                    for dependent in self.dependents[index]:
                        waits[dependent] -= 1
                        if not waits[dependent]:
                            ready.append(dependent)
                    if not ready:
                        return
                    index = ready.pop()
                    for other in ready:
                        group.create_task(follow(other))

            for start in self.starts[1:]:
                group.create_task(follow(start))
            await follow(self.starts[0])


def schedule_fetches(fetches: Sequence[Fetch]) -> Schedule:
    """Return the schedule of fetches that are in a topological order.

    A dependency on a fetch that is not among them is met already.
    """
    index_of = {fetch.id: index for index, fetch in enumerate(fetches)}
    needs = [
        {index_of[other] for other in fetch.depends_on if other in index_of} for fetch in fetches
    ]
    behind: list[set[int]] = []
    for direct in needs:
        behind.append(direct.union(*(behind[one] for one in direct)))
    dependents: list[list[int]] = [[] for _ in fetches]
    for index, direct in enumerate(needs):
        for one in direct:
            dependents[one].append(index)
    return Schedule(
        starts=tuple(index for index, direct in enumerate(needs) if not direct),
        dependents=tuple(map(tuple, dependents)),
        waits=tuple(map(len, needs)),
        is_chain=all(index == 0 or index - 1 in behind[index] for index in range(len(fetches))),
    )
