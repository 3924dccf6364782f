"""`@defer`: each deferred fragment is answered as soon as its own fetches are there.

The whole operation has one plan, and every fetch starts when its own inputs are
there.  What is decided here is only who waits for which fetch; which fields have
fetches of their own has been decided before, and what has none comes with the rest.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from itertools import count
from typing import TYPE_CHECKING, Any

from graphql import get_named_type, is_composite_type, is_object_type, parse

from gateway.federation.execution.executable import ExecutablePlan, Response
from gateway.federation.execution.merge import Shape, shape_of
from gateway.federation.execution.nulls import explain_nulls, explain_nulls_below
from gateway.federation.execution.positions import keys_of, steps_of, type_name_of
from gateway.federation.execution.projection import (
    Projection,
    collect_fields,
    compile_projection,
    compile_selection,
)
from gateway.federation.execution.schedule import Schedule, schedule_fetches
from gateway.federation.operation.selection import Field
from gateway.federation.plan import AT, Gate, RequireFragment

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence

    from graphql import GraphQLCompositeType

    from gateway.federation.execution.errors import Error
    from gateway.federation.execution.positions import PossibleTypes, ResponsePath
    from gateway.federation.execution.projection import Sets
    from gateway.federation.execution.run import Observer, Run
    from gateway.federation.operation.selection import Deferred, Operation, Selection
    from gateway.federation.plan import Path
    from gateway.federation.supergraph import Supergraph
    from gateway.federation.transport import SubgraphTransport

__all__ = ["Increment", "IncrementalPlan", "Patch", "Pending", "compile_incremental"]

Place = tuple[str | int, ...]

_FIRST = -1
"""Stands for the first response where parts are told apart by their index."""


@dataclass(frozen=True, slots=True)
class Pending:
    """A deferred fragment on the object at ``path``, of which a patch will follow."""

    id: str
    path: ResponsePath
    label: str | None


@dataclass(frozen=True, slots=True)
class Patch:
    """What a deferred fragment adds to its object; null if a null bubbled this far."""

    of: Pending
    data: Mapping[str, Any] | None
    errors: list[Error] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Increment:
    """One part of an incremental answer: the first has a ``response``, the others ``patches``.

    ``pending`` is what this part lets the client expect for the first time; its
    patch may be in the same part.
    """

    response: Response | None
    pending: Sequence[Pending]
    patches: Sequence[Patch]
    has_next: bool


@dataclass(frozen=True, slots=True)
class _Need:
    """What one answer reads: ``shape`` below ``keys``, and the fetches that bring it."""

    keys: tuple[str, ...]
    shape: Shape
    fetches: frozenset[int]

    def reads(self, keys: tuple[str, ...]) -> bool:
        """Return whether what is under these keys of the response is of this answer."""
        if keys[: len(self.keys)] != self.keys:
            return False
        shape = self.shape
        for key in keys[len(self.keys) :]:
            if key not in shape:
                return False
            shape = shape[key]
        return True


class _Position:
    """Where a deferred fragment applies.

    An object need not say its type where the one above it leaves no choice: the plan
    did not ask for it then.  So this goes down the operation as well as the data.
    """

    __slots__ = ("_below", "_schema", "_start", "_steps")

    def __init__(self, path: Path, operation: Operation, supergraph: Supergraph) -> None:
        self._schema = supergraph.api_schema
        root = self._schema.get_root_type(operation.kind)
        assert root is not None
        self._start = root.name, (operation.selections,)
        self._steps = steps_of(path, supergraph.possible_types)
        self._below: dict[tuple[int, str, str], tuple[str, Sets] | None] = {}

    def located(self, data: dict[str, Any]) -> Iterator[tuple[ResponsePath, dict[str, Any]]]:
        """Yield the objects, each with its response path."""
        return self._located(data, *self._start, 0, [])

    def _located(
        self, value: Any, type_: str, sets: Sets, index: int, path: ResponsePath
    ) -> Iterator[tuple[ResponsePath, dict[str, Any]]]:
        if type(value) is list:
            for position, inner in enumerate(value):
                yield from self._located(inner, type_, sets, index, [*path, position])
        elif type(value) is dict:
            if index == len(self._steps):
                yield path, value
                return
            step, name = self._steps[index], type_name_of(value) or type_
            if not isinstance(step, str):
                if name in step:
                    yield from self._located(value, type_, sets, index + 1, path)
            elif below := self._field(sets, name, step):
                yield from self._located(value.get(step), *below, index + 1, [*path, step])

    def _field(self, sets: Sets, type_: str, key: str) -> tuple[str, Sets] | None:
        """Return the type that a key leads to and what is selected there; kept for good."""
        identity = id(sets), type_, key
        if identity not in self._below:
            self._below[identity] = self._found(sets, type_, key)
        return self._below[identity]

    def _found(self, sets: Sets, type_: str, key: str) -> tuple[str, Sets] | None:
        parent = self._schema.type_map.get(type_)
        if not is_composite_type(parent):
            return None
        same = collect_fields(self._schema, sets, type_).get(key)
        definition = self._schema.get_field(parent, same[0].name) if same else None
        if not same or definition is None:
            return None
        return get_named_type(definition.type).name, tuple(one.selections for one in same)


@dataclass(frozen=True, slots=True)
class _Part:
    deferred: Deferred
    type: GraphQLCompositeType
    position: _Position
    projection: Projection
    need: _Need


@dataclass(frozen=True, slots=True)
class IncrementalPlan:
    """A plan whose answer comes in parts, and what each of them waits for."""

    executable: ExecutablePlan
    operation: Operation
    schedule: Schedule
    projection: Projection
    need: _Need
    parts: tuple[_Part, ...]

    def take_apart(self) -> None:
        """Free the compiled functions, which know one another, when nobody will run them again."""
        self.projection.scope.clear()
        for part in self.parts:
            part.projection.scope.clear()

    async def run(
        self,
        transport: SubgraphTransport,
        variables: Mapping[str, Any],
        context: Any,
        *,
        observer: Observer | None = None,
    ) -> AsyncGenerator[Increment, None]:
        """Yield the first response, then patches as they get ready.

        Closing this stops the fetches, and so does its end: what no object is
        left for is not waited for.
        """
        run = self.executable.start(transport, variables, context, observer)
        delivery = _Delivery(self, run)
        progress = asyncio.Event()

        async def perform(index: int) -> None:
            own = replace(run, errors=[])
            await own.perform(self.executable.steps[index])
            delivery.take(index, own.errors)
            progress.set()

        work = asyncio.create_task(self.schedule.run(perform))
        work.add_done_callback(lambda _: progress.set())
        try:
            while not delivery.can_begin:
                await _next(progress, work)
            yield delivery.begin()
            while delivery.announced:
                while not delivery.can_go_on:
                    await _next(progress, work)
                yield delivery.go_on()
        finally:
            work.cancel()
            await asyncio.wait({work})


async def _next(progress: asyncio.Event, work: asyncio.Task[None]) -> None:
    """Return when another fetch has ended; raise what went wrong with the work itself."""
    if work.done():
        work.result()
    await progress.wait()
    progress.clear()


class _Delivery:
    """What one client has been given of its answer, and what it has been promised."""

    def __init__(self, plan: IncrementalPlan, run: Run) -> None:
        self.plan = plan
        self.run = run
        self.announced: dict[int, list[Pending]] = {}
        self._done: set[int] = set()
        self._untold: list[tuple[int, Error]] = []
        self._told: dict[Place, list[Error]] = {}
        self._told_inside: dict[Place, list[Error]] = {}
        self._owners: dict[tuple[int | None, tuple[str, ...]], int] = {}
        self._refused: set[Place] = set()
        self._given: dict[Place, dict[int, Any]] = {}
        self._ids = count()

    def take(self, index: int, errors: Sequence[Error]) -> None:
        """Note that a fetch has ended, and with which errors."""
        self._done.add(index)
        self._untold += [(self._owner(index, error), error) for error in errors]

    @property
    def can_begin(self) -> bool:
        """Whether all is there that the first response reads."""
        return self.plan.need.fetches <= self._done

    @property
    def can_go_on(self) -> bool:
        """Whether a part that was announced is ready."""
        return any(self.plan.parts[index].need.fetches <= self._done for index in self.announced)

    def begin(self) -> Increment:
        """Return the first response."""
        merged = self._merged()
        data, has_notes = self.plan.projection.project(merged)
        errors = self._tell(_FIRST, {(): data})[()]
        if has_notes:
            supergraph = self.plan.executable.supergraph
            schemas = supergraph.api_schema, supergraph.schema
            errors += explain_nulls(*schemas, self.plan.operation, merged, errors)
        self._note(errors)
        self._given[()] = {_FIRST: data}
        pending = self._announce(_FIRST, merged)
        if not self.announced:
            errors += self._rest()
        return Increment(Response(data, errors), pending, (), has_next=bool(self.announced))

    def go_on(self) -> Increment:
        """Return a patch for every object of every part that is ready."""
        merged = self._merged()
        pending: list[Pending] = []
        patches: list[Patch] = []
        # A part inside another comes after it, and may be ready at once.
        for index, part in enumerate(self.plan.parts):
            if index in self.announced and part.need.fetches <= self._done:
                patches += self._patches(index, part, merged)
                pending += self._announce(index, merged)
        if not self.announced:
            patches[-1].errors.extend(self._rest())
        return Increment(None, pending, patches, has_next=bool(self.announced))

    def _merged(self) -> dict[str, Any]:
        """Return the data as far as it has come, without what is refused."""
        merged = self.run.data
        refusals = self.plan.executable.refusals
        if refusals is not None:
            merged, errors = refusals.apply(merged)
            for error in errors:
                place = tuple(error["path"])
                if place not in self._refused:
                    self._refused.add(place)
                    self._untold.append((self._owner(None, error), error))
        introspection = self.plan.executable.introspection
        return introspection.fill(merged, self.run.variables) if introspection else merged

    def _announce(self, parent: int, merged: dict[str, Any]) -> list[Pending]:
        """Promise a patch for each object that was just shown and has fragments to come."""
        made: list[Pending] = []
        for index, part in enumerate(self.plan.parts):
            if part.deferred.parent == parent:
                found = [
                    Pending(str(next(self._ids)), path, part.deferred.label)
                    for path, _ in part.position.located(merged)
                    if any(True for _ in self._shown(path, by=parent))
                ]
                if found:
                    self.announced[index] = found
                made += found
        return made

    def _patches(self, index: int, part: _Part, merged: dict[str, Any]) -> list[Patch]:
        values = {tuple(path): value for path, value in part.position.located(merged)}
        projected = {
            tuple(one.path): (one, *part.projection.project(values[tuple(one.path)]))
            for one in self.announced.pop(index)
        }
        told = self._tell(index, {place: data for place, (_, data, _) in projected.items()})
        for errors in told.values():
            self._note(errors)
        made = []
        for place, (of, data, has_notes) in projected.items():
            if has_notes:
                told[place] += self._explained(part, of, values[place])
            agrees = data is not None and all(_agrees(data, one) for one in self._shown(of.path))
            shown = data if agrees else None
            self._given.setdefault(place, {})[index] = shown
            made.append(Patch(of, shown, told[place]))
        return made

    def _explained(self, part: _Part, of: Pending, value: Any) -> list[Error]:
        """Return an error for each null that nothing told so far accounts for."""
        place = tuple(of.path)
        known = list(self._told_inside.get(place, ()))
        for length in range(len(place)):
            known += self._told.get(place[:length], ())
        supergraph = self.plan.executable.supergraph
        schemas = supergraph.api_schema, supergraph.schema
        sets = (part.deferred.selections,)
        errors = explain_nulls_below(schemas, part.type, sets, value, of.path, known)
        self._note(errors)
        return errors

    def _shown(self, path: ResponsePath, by: int | None = None) -> Iterator[dict[str, Any]]:
        """Yield the object at a path as answers have shown it, those of one part or of all."""
        for length in range(len(path) + 1):
            for index, answer in self._given.get(tuple(path[:length]), {}).items():
                if by is None or by == index:
                    found = _at(answer, path[length:])
                    if found is not None:
                        yield found

    def _tell(self, index: int, shown: Mapping[Place, Any]) -> dict[Place, list[Error]]:
        """Take the errors that go with the objects of a part: its own, and reasons for its nulls.

        One of no object in particular, like that of a whole fetch, goes with the first.
        """
        told: dict[Place, list[Error]] = {place: [] for place in shown}
        first = next(iter(shown))
        left = []
        for owner, error in self._untold:
            path = tuple(error.get("path", ()))
            prefixes = (path[:length] for length in range(len(path) + 1))
            place = next((one for one in prefixes if one in shown), None)
            if place is not None and _ends_in_null(shown[place], path[len(place) :]):
                told[place].append(error)
            elif owner == index:
                told[first if place is None else place].append(error)
            else:
                left.append((owner, error))
        self._untold = left
        return told

    def _note(self, errors: Sequence[Error]) -> None:
        """Remember what has been told, and where."""
        for error in errors:
            path = tuple(error.get("path", ()))
            self._told.setdefault(path, []).append(error)
            for length in range(len(path) + 1):
                self._told_inside.setdefault(path[:length], []).append(error)

    def _owner(self, source: int | None, error: Error) -> int:
        """Return the part that an error of a fetch, or of a refusal, belongs to."""
        keys = tuple(step for step in error.get("path", ()) if isinstance(step, str))
        known = self._owners.get((source, keys))
        if known is None:
            needs = [(_FIRST, self.plan.need)]
            needs += [(index, part.need) for index, part in enumerate(self.plan.parts)]
            having = [one for one in needs if source is None or source in one[1].fetches]
            reading = [one for one in having if keys and one[1].reads(keys)]
            known = self._owners[source, keys] = (reading or having)[0][0]
        return known

    def _rest(self) -> list[Error]:
        """Take the errors of what was never shown: they are not to be lost."""
        left, self._untold = self._untold, []
        return [error for _, error in left]


def _at(answer: Any, path: ResponsePath) -> dict[str, Any] | None:
    for step in path:
        if answer is None or (isinstance(step, str) and step not in answer):
            return None
        answer = answer[step]
    found: dict[str, Any] | None = answer
    return found


def _ends_in_null(data: Any, path: Place) -> bool:
    """Return whether the way to a place leads into a null below `data`."""
    for step in path:
        try:
            data = data[step]
        except (KeyError, IndexError, TypeError):
            return False
        if data is None:
            return True
    return False


def _agrees(new: Any, shown: Any) -> bool:
    """Return False if `new` has a null for something that a client has seen.

    What the client has seen as null is made null in `new`: an object that became
    null because of a field that is required stays so.
    """
    if type(new) is not type(shown) or type(new) not in (dict, list):
        return True
    for key, inner in new.items() if type(new) is dict else enumerate(new):
        if type(shown) is dict and key not in shown:
            continue
        seen = shown[key]
        if seen is None:
            new[key] = None
        elif inner is None or not _agrees(inner, seen):
            return False
    return True


def compile_incremental(
    executable: ExecutablePlan, primary: Operation, deferred: Sequence[Deferred]
) -> IncrementalPlan | None:
    """Return how to answer incrementally, or None if waiting would gain nothing.

    `executable` is the plan of the whole operation; `primary` and `deferred` are
    what `PreparedOperation.split` made of it.
    """
    if not deferred:
        return None
    supergraph, fetches = executable.supergraph, executable.plan.fetches
    shapes = [shape_of(parse(fetch.document, no_location=True)) for fetch in fetches]
    first = _need(executable, shapes, _FIRST, (), primary.selections, deferred)
    parts: list[_Part] = []
    for index, one in enumerate(deferred):
        need = _need(executable, shapes, index, one.path, one.selections, deferred)
        above = first if one.parent == _FIRST else parts[one.parent].need
        need = replace(need, fetches=need.fetches | above.fetches)
        parts.append(_compile_part(executable, one, need))
    claimed = first.fetches.union(*(part.need.fetches for part in parts))
    # Nobody is known to read the others, so everybody waits for them.
    others = frozenset(range(len(fetches))) - claimed
    first = replace(first, fetches=first.fetches | others)
    if claimed <= first.fetches:
        return None
    return IncrementalPlan(
        executable=executable,
        operation=primary,
        schedule=schedule_fetches(fetches),
        projection=compile_projection(supergraph.api_schema, supergraph.schema, primary),
        need=first,
        parts=tuple(parts),
    )


def _compile_part(executable: ExecutablePlan, deferred: Deferred, need: _Need) -> _Part:
    supergraph = executable.supergraph
    type_ = supergraph.api_schema.type_map[deferred.on]
    assert is_composite_type(type_)
    sets = (deferred.selections,)
    projection = compile_selection(supergraph.api_schema, supergraph.schema, type_, sets)
    position = _Position(deferred.path, executable.operation, supergraph)
    return _Part(deferred, type_, position, projection, need)


def _need(
    executable: ExecutablePlan,
    shapes: Sequence[Shape],
    part: int,
    path: Path,
    selections: Sequence[Selection],
    deferred: Sequence[Deferred],
) -> _Need:
    """Return what a part reads; to announce the fragments inside it, types have to be known."""
    wanted: Shape = {}
    for one in deferred:
        if one.parent == part:
            _place(wanted, one.path)
    here = _place(wanted, path)
    _add_wanted(selections, here)
    # What the planner made for a later part is not for this one.
    candidates = [index for index, one in enumerate(executable.plan.fetches) if one.part[0] <= part]
    fetches = _bringing(executable, shapes, candidates, wanted, path) if here else frozenset()
    return _Need(keys_of(path), here, fetches)


def _place(wanted: Shape, path: Path) -> Shape:
    """Return what is wanted at a path, and add what tells whether its gates are open."""
    for step in path:
        if isinstance(step, Gate):
            wanted.setdefault("__typename", {})
        else:
            wanted = wanted.setdefault(step, {})
    return wanted


def _add_wanted(selections: Sequence[Selection], wanted: Shape) -> None:
    """Add the keys in the data that selections read, whatever the types."""
    for one in selections:
        if not isinstance(one, Field):
            # To know whether it applies, the type has to be there.
            wanted.setdefault("__typename", {})
            _add_wanted(one.selections, wanted)
        elif one.name == "__typename":
            wanted.setdefault("__typename", {})
        else:
            _add_wanted(one.selections, wanted.setdefault(one.key, {}))


def _bringing(
    executable: ExecutablePlan,
    shapes: Sequence[Shape],
    candidates: Sequence[int],
    wanted: Shape,
    path: Path,
) -> frozenset[int]:
    """Return the fetches that bring anything of what is wanted, and those they depend on."""
    fetches = executable.plan.fetches
    index_of = {fetch.id: index for index, fetch in enumerate(fetches)}
    found: set[int] = set()
    for index in reversed(candidates):
        if index in found or _delivers(executable, index, shapes[index], wanted, path):
            found.add(index)
            found.update(index_of[one] for one in fetches[index].depends_on)
    return frozenset(found)


def _delivers(
    executable: ExecutablePlan, index: int, shape: Shape, wanted: Shape, path: Path
) -> bool:
    """Return whether a fetch brings anything that is wanted of the objects a path leads to."""
    step = executable.steps[index]
    if any(_overlaps(shape, _below(wanted, position.keys)) for position, _ in step.targets):
        return True
    types, possible = executable.supergraph.schema.type_map, executable.supergraph.possible_types
    for call in step.calls:
        entities = call.builder.entities
        brought = shape.get(entities.alias, {})
        on = [one.on for one in entities.requires if isinstance(one, RequireFragment)]
        if all(is_object_type(types[name]) for name in on):
            # The type of such an entity was known when it was asked for.
            brought = {key: below for key, below in brought.items() if key != "__typename"}
        for one in call.builder.positions:
            if _overlaps(brought, _below(wanted, one.keys)) and _may_meet(one.path, path, possible):
                return True
    return False


def _may_meet(one: Path, other: Path, possible_types: PossibleTypes) -> bool:
    """Return whether no gates of two paths that are one behind the other exclude each other."""
    gates = _gates(one, possible_types)
    return all(
        gates[depth] & types
        for depth, types in _gates(other, possible_types).items()
        if depth in gates
    )


def _gates(path: Path, possible_types: PossibleTypes) -> dict[int, frozenset[str]]:
    """Return which types are let through, by how many keys come before."""
    found: dict[int, frozenset[str]] = {}
    depth = 0
    for step in path:
        if isinstance(step, Gate):
            types = step.types.union(*map(possible_types, step.types))
            found[depth] = found.get(depth, types) & types
        elif step != AT:
            depth += 1
    return found


def _below(wanted: Shape, keys: Sequence[str]) -> Shape:
    for key in keys:
        wanted = wanted.get(key, {})
    return wanted


def _overlaps(shape: Shape, wanted: Shape) -> bool:
    return any(
        key in wanted and (not wanted[key] or _overlaps(below, wanted[key]))
        for key, below in shape.items()
    )
