"""`@defer`: what comes with the first fetches is answered at once, the rest when it is there.

The whole operation has one plan, so a deferred fragment costs no fetch more
than it would without `@defer`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from graphql import is_composite_type, parse

from gateway.federation.execution.executable import ExecutablePlan, Response
from gateway.federation.execution.merge import Shape, shape_of
from gateway.federation.execution.nulls import explain_nulls, explain_nulls_below
from gateway.federation.execution.positions import Position
from gateway.federation.execution.projection import (
    Projection,
    compile_projection,
    compile_selection,
)
from gateway.federation.execution.schedule import Schedule, schedule_fetches
from gateway.federation.operation.selection import Field

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence

    from graphql import GraphQLCompositeType

    from gateway.federation.execution.errors import Error
    from gateway.federation.execution.positions import ResponsePath
    from gateway.federation.execution.run import Observer, Run
    from gateway.federation.operation.selection import Deferred, Operation, Selection
    from gateway.federation.transport import SubgraphTransport

__all__ = ["Increment", "IncrementalPlan", "Patch", "compile_incremental"]


@dataclass(frozen=True, slots=True)
class Patch:
    """What a deferred fragment adds to the object at `path`; null if a null bubbled this far."""

    path: ResponsePath
    label: str | None
    data: Mapping[str, Any] | None
    errors: list[Error] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Increment:
    """One part of an incremental response: the first has a `response`, the last `patches`."""

    response: Response | None
    patches: Sequence[Patch]
    has_next: bool


@dataclass(frozen=True, slots=True)
class _Part:
    deferred: Deferred
    type: GraphQLCompositeType
    position: Position
    projection: Projection


@dataclass(frozen=True, slots=True)
class IncrementalPlan:
    """A plan in two halves: the fetches of what is wanted at once, and the others."""

    executable: ExecutablePlan
    operation: Operation
    _first: tuple[tuple[int, ...], Schedule]
    _rest: tuple[tuple[int, ...], Schedule]
    _projection: Projection
    _parts: tuple[_Part, ...]

    async def run(
        self,
        transport: SubgraphTransport,
        variables: Mapping[str, Any],
        context: Any,
        *,
        observer: Observer | None = None,
    ) -> AsyncGenerator[Increment, None]:
        """Yield the first response, then the deferred fragments; closing this stops the fetches."""
        run = self.executable.start(transport, variables, context, observer)
        await self._perform(run, *self._first)
        response = self._respond(run)
        told = len(run.errors)
        yield Increment(response, (), has_next=True)
        await self._perform(run, *self._rest)
        patches = list(self._patches(run, response.data, run.errors[told:]))
        yield Increment(None, patches, has_next=False)

    async def _perform(self, run: Run, indexes: Sequence[int], schedule: Schedule) -> None:
        async def perform(index: int) -> None:
            await run.perform(self.executable.steps[indexes[index]])

        if indexes:
            await schedule.run(perform)

    def _respond(self, run: Run) -> Response:
        data, has_notes = self._projection.project(run.data)
        if has_notes:
            supergraph = self.executable.supergraph
            schemas = supergraph.api_schema, supergraph.schema
            run.errors += explain_nulls(*schemas, self.operation, run.data, run.errors)
        return Response(data, list(run.errors))

    def _patches(
        self, run: Run, shown: Mapping[str, Any] | None, errors: Sequence[Error]
    ) -> Iterator[Patch]:
        """Yield a patch for every object the client has been shown, by the response or a patch."""
        supergraph = self.executable.supergraph
        left = list(errors)
        given: dict[tuple[str | int, ...], list[Any]] = {(): [shown]}
        for part in self._parts:
            for path, value in part.position.located(run.data):
                if not _is_shown(given, path):
                    continue
                data, has_notes = part.projection.project(value)
                mine = [error for error in left if error.get("path", [])[: len(path)] == path]
                left = [error for error in left if error not in mine]
                if has_notes:
                    sets = (part.deferred.selections,)
                    schemas = supergraph.api_schema, supergraph.schema
                    mine += explain_nulls_below(schemas, part.type, sets, value, path, run.errors)
                given.setdefault(tuple(path), []).append(data)
                yield Patch(path, part.deferred.label, data, mine)
        if left:
            # Nothing was shown that they belong to, but they are not to be lost.
            yield Patch([], None, {}, left)


def compile_incremental(
    executable: ExecutablePlan, primary: Operation, deferred: Sequence[Deferred]
) -> IncrementalPlan | None:
    """Return how to answer incrementally, or None if waiting would gain nothing.

    `executable` is the plan of the whole operation; `primary` and `deferred` are
    what `PreparedOperation.split` made of it.
    """
    supergraph, fetches = executable.supergraph, executable.plan.fetches
    wanted = _wanted(primary.selections)
    first: set[int] = set()
    index_of = {fetch.id: index for index, fetch in enumerate(fetches)}
    for index in reversed(range(len(fetches))):
        fetch = fetches[index]
        if index in first or _delivers(executable, index, wanted):
            first.add(index)
            first.update(index_of[one] for one in fetch.depends_on)
    rest = tuple(index for index in range(len(fetches)) if index not in first)
    if not deferred or not rest:
        return None
    ordered = tuple(sorted(first))
    schema = supergraph.api_schema
    return IncrementalPlan(
        executable=executable,
        operation=primary,
        _first=(ordered, schedule_fetches([fetches[index] for index in ordered])),
        _rest=(rest, schedule_fetches([fetches[index] for index in rest])),
        _projection=compile_projection(schema, supergraph.schema, primary),
        _parts=tuple(_compile_part(executable, one) for one in deferred),
    )


def _compile_part(executable: ExecutablePlan, deferred: Deferred) -> _Part:
    supergraph = executable.supergraph
    type_ = supergraph.api_schema.type_map[deferred.on]
    assert is_composite_type(type_)
    sets = (deferred.selections,)
    projection = compile_selection(supergraph.api_schema, supergraph.schema, type_, sets)
    position = Position(deferred.path, supergraph.possible_types)
    return _Part(deferred, type_, position, projection)


def _wanted(selections: Sequence[Selection]) -> Shape:
    """Return the keys in the data that the selections read, whatever the types."""
    wanted: Shape = {}
    _add_wanted(selections, wanted)
    return wanted


def _add_wanted(selections: Sequence[Selection], wanted: Shape) -> None:
    for one in selections:
        if not isinstance(one, Field):
            # To know whether it applies, the type has to be there.
            wanted.setdefault("__typename", {})
            _add_wanted(one.selections, wanted)
        elif one.name == "__typename":
            wanted.setdefault("__typename", {})
        else:
            _add_wanted(one.selections, wanted.setdefault(one.key, {}))


def _delivers(executable: ExecutablePlan, index: int, wanted: Shape) -> bool:
    """Return whether a fetch brings anything that is wanted."""
    fetch = executable.plan.fetches[index]
    shape = shape_of(parse(fetch.document, no_location=True))
    calls = executable.steps[index].calls
    if not calls:
        return _overlaps(shape, wanted)
    return any(
        _overlaps(shape.get(call.builder.entities.alias, {}), _below(wanted, position.keys))
        for call in calls
        for position in call.builder.positions
    )


def _below(wanted: Shape, keys: Sequence[str]) -> Shape:
    for key in keys:
        wanted = wanted.get(key, {})
    return wanted


def _overlaps(shape: Shape, wanted: Shape) -> bool:
    return any(
        key in wanted and (not wanted[key] or _overlaps(below, wanted[key]))
        for key, below in shape.items()
    )


def _is_shown(given: Mapping[tuple[str | int, ...], Sequence[Any]], path: ResponsePath) -> bool:
    """Return whether one of the answers, by where it was put, has an object at this path."""
    return any(
        _has_object(answer, path[length:])
        for length in range(len(path) + 1)
        for answer in given.get(tuple(path[:length]), ())
    )


def _has_object(answer: Any, path: ResponsePath) -> bool:
    for step in path:
        if answer is None or (isinstance(step, str) and step not in answer):
            return False
        answer = answer[step]
    return answer is not None
