"""The state of one execution: its inputs, its errors, and its pending work.

A position that failed and may not be null holds a `Failed` in its column; it
travels up, from column to column, to the position that may be null.  What
then stands below that position is dead: pending work there is cancelled, and
errors found there later are dropped.
"""

from __future__ import annotations

from asyncio import Future, ensure_future, gather, get_running_loop, sleep
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Any, Final, NamedTuple, cast

from graphql import GraphQLError, GraphQLResolveInfo, located_error
from graphql.execution.values import VariableValues
from graphql.pyutils import Path, gather_with_cancel
from graphql.pyutils.is_awaitable import is_awaitable
from graphql.type.definition import GraphQLResolveInfoHelpers

from shared.execution.place import Order, Place
from shared.execution.plan import Field

__all__ = ["CHUNK", "Failed", "Run", "Scope", "patient"]

# Rows completed before the event loop may get a turn, and how long they may take.
CHUNK: Final = 256
PATIENCE: Final = 0.005


class Failed:
    """The error of a position that may not be null, on its way up.

    ``error`` is None where work was cancelled because the position is dead
    already: the error that killed it travels too.
    """

    __slots__ = ("error", "order", "turn")

    def __init__(self, error: GraphQLError | None, order: Order = (), turn: int = 0) -> None:
        self.error = error
        self.order = order
        self.turn = turn

    def is_before(self, other: Failed) -> bool:
        """Whether this one, of two that are to fail the same position, does."""
        if self.error is None or other.error is None:
            return other.error is None
        return (self.turn, self.order) < (other.turn, other.order)


class _Noted(NamedTuple):
    """An error of the response."""

    error: GraphQLError
    order: Order  # where it happened
    nulled: Order  # what became null for it
    turn: int  # which stretch of synchronous work it happened in


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    """Pending work, and the positions it is for."""

    future: Future[Any]
    place: Place
    positions: Sequence[int]


class Scope(NamedTuple):
    """What is the same for all runs of one plan."""

    schema: Any
    operation: Any
    fragments: dict[str, Any]
    classes: set[type]  # of values that are nothing to await, raise or call
    info_values: Callable[[VariableValues], Any]  # the variables as infos show them


class ResolveInfo(GraphQLResolveInfo[Any]):
    """graphql-core's info; its path is worked out when a resolver asks for it."""

    @property
    def path(self) -> Path:
        place, k = cast("Any", self[4])
        return cast("Path", place.path(k))

    @property
    def operation_extensions(self) -> dict[str, Any] | None:
        """Strawberry's ``info.input_extensions``: we are not given any."""
        return None


class Run:
    """The state of one execution: its inputs, its errors, its pending work."""

    __slots__ = (
        "__weakref__",
        "_after_path",
        "_background",
        "_before_schema",
        "_dead",
        "_jobs",
        "_killed",
        "_noted",
        "context",
        "root_value",
        "scope",
        "turn",
        "variables",
    )

    def __init__(
        self, scope: Scope, root_value: Any, context: Any, variables: VariableValues
    ) -> None:
        self.scope = scope
        self.root_value = root_value
        self.context = context
        self.variables = variables
        self._noted: list[_Noted] = []
        self._dead: list[tuple[Place, int]] = []
        self._jobs: set[_Job] = set()
        self._killed: set[Future[Any]] = set()
        self.turn = 0
        self._background: set[Future[Any]] = set()
        self._after_path: tuple[Any, ...] | None = None

    # --- infos ----------------------------------------------------------------------------

    def info(self, field: Field, place: Place, k: int) -> ResolveInfo:
        """graphql-core's info of one field of one parent."""
        after = self._after_path
        if after is None:
            scope = self.scope
            after = self._after_path = (
                scope.schema,
                scope.fragments,
                self.root_value,
                scope.operation,
                scope.info_values(self.variables),
                self.context,
                is_awaitable,
                None,
                GraphQLResolveInfoHelpers(gather=self.gather, track=self.track),
            )
        return tuple.__new__(
            ResolveInfo,
            (
                field.nodes[0].name.value,
                field.nodes,
                field.definition.type,
                field.parent_type,
                (place, k),
                *after,
            ),
        )

    def gather(self, values: Sequence[Awaitable[Any]]) -> Awaitable[list[Any]]:
        """``info.async_helpers.gather``."""
        return gather_with_cancel(*values)

    def track(self, values: Sequence[Any]) -> None:
        """``info.async_helpers.track``: settle in the background what nobody awaits."""
        self._settle([value for value in values if is_awaitable(value)])

    def _settle(self, awaitables: Sequence[Awaitable[Any]]) -> None:
        if awaitables:
            future = gather(*awaitables, return_exceptions=True)
            self._background.add(future)
            future.add_done_callback(self._background.discard)

    # --- errors ---------------------------------------------------------------------------

    def fail(self, error: Exception, place: Place, k: int) -> Failed | None:
        """The result of a position with an error: null, or `Failed` where null may not be."""
        path = place.path(k)
        assert path is not None
        located = located_error(error, place.field.nodes, path.as_list())
        return self.pass_on(Failed(located, place.order(k), self.turn), place, k)

    def pass_on(self, failed: Failed, place: Place, k: int) -> Failed | None:
        """What a failure below becomes at a position: null with a note, or still a failure."""
        assert place.output is not None
        if place.output.non_null:
            return failed
        self.note(failed, place, k)
        return None

    def note(self, failed: Failed, place: Place, k: int) -> None:
        """Add an error to the response, unless its position is dead."""
        if failed.error is None or (self._dead and self._is_below_dead(place, k)):
            return
        nulled = place.order(k)
        self._noted.append(_Noted(failed.error, failed.order, nulled, failed.turn))

    def _is_below_dead(self, place: Place, k: int) -> bool:
        above = place.up(k)
        return above is not None and any(each in self._dead for each in _chain(*above))

    # --- what is dead ---------------------------------------------------------------------

    def kill(self, place: Place, k: int) -> None:
        """Cancel what is pending below the position that becomes null for a failed one."""
        culprit = tuple(_chain(place, k))
        dead = next(position for position in culprit if _may_be_null(position))
        if any(position in self._dead for position in _chain(*dead)):
            return  # another failure is on its way there, and must not be cancelled
        self._dead.append(dead)
        for job in tuple(self._jobs):
            if any(at is job.place and each in job.positions for at, each in culprit):
                continue  # it is what brings the failure up
            if all(dead in _chain(job.place, each) for each in job.positions):
                self._killed.add(job.future)
                _cancel_soon(job.future)

    def is_killed(self, future: Future[Any]) -> bool:
        """Whether the outcome of a future is that it was cancelled by `kill`."""
        return future.cancelled() and future in self._killed

    async def wait(
        self,
        awaitables: Sequence[Awaitable[Any]],
        places: Sequence[tuple[Place, Sequence[int]]],
        check: Callable[[int, Future[Any]], None],
    ) -> list[Future[Any]]:
        """Run awaitables at once; ``check`` sees each as it ends, and may `kill` others."""
        futures: list[Future[Any]] = [ensure_future(each) for each in awaitables]
        jobs = {
            _Job(future, place, positions)
            for future, (place, positions) in zip(futures, places, strict=True)
        }
        self._jobs |= jobs
        left = len(futures)
        ended = get_running_loop().create_future()

        def end(number: int, future: Future[Any]) -> None:
            nonlocal left
            left -= 1
            if left:
                check(number, future)
            elif not ended.done():
                ended.set_result(None)

        for number, future in enumerate(futures):
            future.add_done_callback(partial(end, number))
        try:
            await ended
        except BaseException:
            for future in futures:
                _cancel_soon(future)
            await gather(*futures, return_exceptions=True)
            raise
        finally:
            self._jobs -= jobs
        self.turn += 1
        return futures

    # --- the response ---------------------------------------------------------------------

    def errors(self) -> list[GraphQLError] | None:
        """All errors of the response, in document order.

        When a list or object became null for one error, what came after that
        error in it would not have been executed by graphql-core.
        """
        noted = self._noted
        if not noted:
            return None
        if len(noted) > 1:
            noted.sort(key=lambda each: each.order)
            bubbled = [each for each in noted if each.order != each.nulled]
            noted = [each for each in noted if not any(_skips(by, each) for by in bubbled)]
        return [each.error for each in noted]


def _cancel_soon(future: Future[Any]) -> None:
    # Not at once: a task that has not begun would leave what it holds never awaited.
    get_running_loop().call_soon(future.cancel)


def _chain(place: Place, k: int) -> Iterator[tuple[Place, int]]:
    """A position, and all positions that hold it."""
    position: tuple[Place, int] | None = (place, k)
    while position is not None:
        yield position
        position = position[0].up(position[1])


def _may_be_null(position: tuple[Place, int]) -> bool:
    place, k = position
    return place.up(k) is None or (place.output is not None and not place.output.non_null)


def _skips(by: _Noted, other: _Noted) -> bool:
    """Whether an error that made a list or object null came before another one in it."""
    return (
        other is not by
        and other.turn == by.turn
        and other.order > by.order
        and other.order[: len(by.nulled)] == by.nulled
    )


async def patient(chunks: Sequence[int]) -> AsyncIterator[int]:
    """Yield ``chunks``, giving the event loop a turn when they take long."""
    since = perf_counter()
    for chunk in chunks:
        yield chunk
        if perf_counter() - since > PATIENCE:
            await sleep(0)
            since = perf_counter()
