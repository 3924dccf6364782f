"""Complete values breadth first, as section 6.4.3 of the GraphQL specification says.

Everything works on columns: the values of one field for all parents of a
selection, or the items of all their lists.  A column is completed in place;
the function answers with an awaitable only if something in the column has to
be awaited, so that what is synchronous happens in the order in which
graphql-core does it.
"""

from __future__ import annotations

from asyncio import Future, gather
from collections.abc import Awaitable, Iterable, Sequence
from itertools import accumulate
from typing import Any, cast

from graphql import (
    GraphQLError,
    GraphQLObjectType,
    Undefined,
    default_type_resolver,
    is_object_type,
)
from graphql.pyutils import inspect, is_iterable
from graphql.pyutils.is_awaitable import is_async_iterable, is_awaitable

from shared.execution.odd import is_ordinary
from shared.execution.place import FieldPlace, ItemPlace, Place, RootPlace, SomePlace
from shared.execution.plan import LEAF, LIST, OBJECT, Block, Column, Field
from shared.execution.run import CHUNK, Failed, Run, patient
from shared.execution.runtime_types import is_cast

__all__ = ["execute", "execute_serially"]

# What is left to do: nothing, or to await the rest.
Later = Awaitable[None] | None


# --- the root -----------------------------------------------------------------------------


async def execute(run: Run, root: Block) -> dict[str, Any] | None:
    """The data of a query, or of a subscription's event."""
    place = RootPlace()
    rows = _block(run, root, [run.root_value], place)
    return _data(run, rows if isinstance(rows, list) else await rows, place)


async def execute_serially(run: Run, root: Block) -> dict[str, Any] | None:
    """The data of a mutation: its fields one after the other, until one fails for all."""
    place = RootPlace()
    rows: Column = [root.empty.copy()]
    for field in root.fields:
        at = FieldPlace(place, None, field)
        column = _field(run, field, [run.root_value], at)
        _put(run, rows, column if isinstance(column, list) else await column, at)
        if type(rows[0]) is Failed:
            break
    return _data(run, rows, place)


def _data(run: Run, rows: Column, place: RootPlace) -> dict[str, Any] | None:
    (row,) = rows
    if type(row) is not Failed:
        return cast("dict[str, Any]", row)
    run.note(row, place, 0)
    return None


# --- blocks of fields ---------------------------------------------------------------------


def _block(run: Run, block: Block, sources: Column, place: Place) -> Column | Awaitable[Column]:
    """Execute a selection set on many objects: a dictionary, or `Failed`, for each."""
    if len(sources) > CHUNK:
        return _long_block(run, block, sources, place)
    rows = block.rows(sources)
    if rows is None:
        return _fields(run, block.fields, _empty(block, sources), sources, place)
    if not block.rest:
        return rows
    return _fields(run, block.rest, rows, sources, place)


def _empty(block: Block, sources: Column) -> Column:
    return [block.empty.copy() for _ in sources]


async def _long_block(run: Run, block: Block, sources: Column, place: Place) -> Column:
    """The same for many objects, letting the event loop run from time to time."""
    rows: Column = []
    fields = block.rest
    async for start in patient(range(0, len(sources), CHUNK)):
        part = block.rows(sources[start : start + CHUNK])
        if part is None:
            rows, fields = _empty(block, sources), block.fields
            break
        rows += part
    run.turn += 1
    done = _fields(run, fields, rows, sources, place)
    return done if isinstance(done, list) else await done


def _fields(
    run: Run, fields: Sequence[Field], rows: Column, sources: Column, place: Place
) -> Column | Awaitable[Column]:
    """Execute fields on many objects, and put their values into the rows."""
    alive: Sequence[int] | None = None  # None while all are
    pending: list[tuple[FieldPlace, Awaitable[Column]]] = []
    for field in fields:
        at = FieldPlace(place, alive, field)
        column = _field(run, field, sources if alive is None else [sources[k] for k in alive], at)
        if not isinstance(column, list):
            pending.append((at, column))
            continue
        alive = _put(run, rows, column, at, others=bool(pending))
        if alive is not None and not alive:
            run.track([each for _, each in pending])
            return rows
    return _fields_later(run, rows, pending) if pending else rows


async def _fields_later(
    run: Run, rows: Column, pending: list[tuple[FieldPlace, Awaitable[Column]]]
) -> Column:
    if len(pending) == 1:
        ((at, later),) = pending
        _put(run, rows, await later, at)
        return rows
    columns = await _columns(
        run,
        [column for _, column in pending],
        [(at, range(len(rows) if at.parents is None else len(at.parents))) for at, _ in pending],
    )
    for (at, _), column in zip(pending, columns, strict=True):
        _put(run, rows, column, at)
    return rows


def _field(run: Run, field: Field, sources: Column, at: FieldPlace) -> Column | Awaitable[Column]:
    """The completed values of one field."""
    values = field.resolver(run, field, sources, at)
    if not isinstance(values, list):
        return _resolved(run, values, at)
    later = _settle(run, values, at)
    return values if later is None else _completed(values, later)


async def _resolved(run: Run, column: Awaitable[Column], at: FieldPlace) -> Column:
    values = await column
    run.turn += 1
    later = _settle(run, values, at)
    if later is not None:
        await later
    return values


async def _completed(values: Column, later: Awaitable[None]) -> Column:
    await later
    return values


def _put(
    run: Run, rows: Column, column: Column, at: FieldPlace, *, others: bool = False
) -> Sequence[int] | None:
    """Put the values of a field into the rows; answers which rows are alive, None for all.

    With ``others`` pending, what they do for a row that just failed is stopped.
    """
    key = at.field.key
    positions = range(len(rows)) if at.parents is None else at.parents
    if Failed not in set(map(type, column)):
        for k, value in zip(positions, column, strict=True):
            row = rows[k]
            if type(row) is dict:
                row[key] = value
        return at.parents
    alive = []
    for number, (k, value) in enumerate(zip(positions, column, strict=True)):
        row = rows[k]
        if type(value) is not Failed:
            if type(row) is dict:
                row[key] = value
                alive.append(k)
            continue
        if type(row) is dict or value.is_before(row):
            rows[k] = value
        if others and value.error is not None:
            run.kill(at, number)
    return alive


async def _columns(
    run: Run,
    awaitables: Sequence[Awaitable[Column]],
    places: Sequence[tuple[Place, Sequence[int]]],
) -> list[Column]:
    """Several columns at once; a failure in one stops those that are needed no more."""
    if len(awaitables) == 1:
        return [await awaitables[0]]

    def check(number: int, future: Future[Any]) -> None:
        if future.cancelled() or future.exception() is not None:
            return
        place, positions = places[number]
        for k, value in zip(positions, future.result(), strict=True):
            if type(value) is Failed and value.error is not None:
                run.kill(place, k)

    futures = await run.wait(awaitables, places, check)
    return [
        [Failed(None)] * len(positions) if run.is_killed(future) else future.result()
        for future, (_, positions) in zip(futures, places, strict=True)
    ]


# --- awaiting values ----------------------------------------------------------------------


def _settle(run: Run, values: Column, place: Place) -> Later:
    """Complete values of which some may have to be awaited first."""
    waiting = _waiting(run, values)
    if not waiting:
        return _complete(run, values, place)
    assert place.output is not None
    if place.output.non_null and len(waiting) < len(values):
        _fail_early(run, values, place)
    return _settle_later(run, values, waiting, place)


def _fail_early(run: Run, values: Column, place: Place) -> None:
    """Fail what can only fail: nothing more may have to be awaited then."""
    for k, value in enumerate(values):
        if value is None or value is Undefined:
            values[k] = _null(run, place, k)
        elif isinstance(value, Exception):
            values[k] = run.fail(value, place, k)


async def _settle_later(run: Run, values: Column, waiting: list[int], place: Place) -> None:
    if len(waiting) == 1:
        (k,) = waiting
        try:
            values[k] = await values[k]
        except Exception as error:  # noqa: BLE001 - the error of this position
            values[k] = error
        run.turn += 1
    else:
        await _await(run, values, waiting, place)
    later = _complete(run, values, place)
    if later is not None:
        await later


def _waiting(run: Run, values: Column) -> list[int]:
    """The positions of the values that have to be awaited."""
    if run.scope.classes.issuperset(map(type, values)):
        return []
    return [k for k, value in enumerate(values) if _is_awaitable(run, value)]


def _is_awaitable(run: Run, value: Any) -> bool:
    cls = type(value)
    if value is None or cls in run.scope.classes:
        return False
    if is_ordinary(cls):
        run.scope.classes.add(cls)
        return False
    return is_awaitable(value)


async def _await(run: Run, values: Column, waiting: list[int], place: Place) -> None:
    """Await values in place; what they raise becomes the value."""
    output = place.output

    def check(number: int, future: Future[Any]) -> None:
        if output is None or not output.non_null or future.cancelled():
            return
        if future.exception() is not None or future.result() is None:
            run.kill(place, waiting[number])

    places = [(place, (k,)) for k in waiting]
    futures = await run.wait([values[k] for k in waiting], places, check)
    for k, future in zip(waiting, futures, strict=True):
        values[k] = Failed(None) if run.is_killed(future) else _outcome(future)


def _outcome(future: Future[Any]) -> Any:
    try:
        return future.result()
    except Exception as error:  # noqa: BLE001 - the error of this position
        return error


# --- completing values --------------------------------------------------------------------


def _complete(run: Run, values: Column, place: Place) -> Later:
    """Complete a column of values, none of them to be awaited."""
    output = place.output
    assert output is not None
    if output.kind == LEAF:
        _leaves(run, values, place)
        return None
    picks = _present(run, values, place)
    if not picks:
        return None
    if output.kind == OBJECT:
        assert output.block is not None
        return _objects(run, values, picks, place, output.block)
    if output.kind == LIST:
        return _lists(run, values, picks, place)
    return _abstract(run, values, picks, place)


def _present(run: Run, values: Column, place: Place) -> Sequence[int]:
    """The positions that have a value; the others are completed."""
    classes = run.scope.classes
    if classes.issuperset(map(type, values)):
        return range(len(values))
    picks = []
    for k, value in enumerate(values):
        if type(value) in classes:
            picks.append(k)
        elif value is None or value is Undefined:
            values[k] = _null(run, place, k)
        elif isinstance(value, Exception):
            values[k] = run.fail(value, place, k)
        elif type(value) is Failed:
            values[k] = run.pass_on(value, place, k)
        else:
            picks.append(k)
            if is_ordinary(type(value)):
                classes.add(type(value))
    return picks


def _null(run: Run, place: Place, k: int) -> Failed | None:
    assert place.output is not None
    if not place.output.non_null:
        return None
    error = TypeError(f"Cannot return null for non-nullable field {_name(place.field)}.")
    return run.fail(error, place, k)


def _name(field: Field) -> str:
    return f"{field.parent_type}.{field.nodes[0].name.value}"


def _leaves(run: Run, values: Column, place: Place) -> None:
    output = place.output
    assert output is not None
    if output.exact is not None and set(map(type, values)) == {output.exact}:
        return
    coerce = output.graphql_type.coerce_output_value
    for k in _present(run, values, place):
        value = values[k]
        try:
            coerced = coerce(value)
            if coerced is None or coerced is Undefined:
                called = f"{inspect(output.graphql_type)}.coerce_output_value({inspect(value)})"
                raise TypeError(
                    f"Expected `{called}` to return non-nullable value, returned:"
                    f" {inspect(coerced)}"
                )
            values[k] = coerced
        except Exception as error:  # noqa: BLE001 - the error of this position
            values[k] = run.fail(error, place, k)


def _merge(run: Run, values: Column, picks: Sequence[int], done: Column, place: Place) -> None:
    """Put completed values where they belong; failures in them end here if null may be."""
    if Failed in set(map(type, done)):
        for k, value in zip(picks, done, strict=True):
            values[k] = run.pass_on(value, place, k) if type(value) is Failed else value
    elif len(picks) == len(values):
        values[:] = done
    else:
        for k, value in zip(picks, done, strict=True):
            values[k] = value


# --- lists --------------------------------------------------------------------------------


def _lists(run: Run, values: Column, picks: Sequence[int], place: Place) -> Later:
    streams = [k for k in picks if type(values[k]) is not list and is_async_iterable(values[k])]
    if streams:
        return _drained(run, values, streams, place)
    lists: list[list[Any]] = []
    kept: list[int] = []
    for k in picks:
        try:
            lists.append(list(_iterable(values[k], place.field)))
            kept.append(k)
        except Exception as error:  # noqa: BLE001 - the error of this position
            values[k] = run.fail(error, place, k)
    assert place.output is not None
    assert place.output.item is not None
    items = [item for items in lists for item in items]
    at = ItemPlace(place, kept, lists, place.output.item)
    later = _settle(run, items, at)
    if later is not None and _have_all_failed(lists, items):
        run.track([later])
        for k, item in enumerate(items):
            if type(item) is Failed:
                run.kill(at, k)
        later = None
    if later is None:
        _regroup(run, values, kept, lists, items, place)
        return None
    return _lists_later(run, later, values, kept, lists, items, place)


async def _lists_later(
    run: Run,
    later: Awaitable[None],
    values: Column,
    picks: Sequence[int],
    lists: list[list[Any]],
    items: Column,
    place: Place,
) -> None:
    await later
    _regroup(run, values, picks, lists, items, place)


def _iterable(value: Any, field: Field) -> Iterable[Any]:
    if type(value) is list or is_iterable(value):
        return value
    raise GraphQLError(f"Expected Iterable, but did not find one for field '{_name(field)}'.")


async def _drained(run: Run, values: Column, streams: list[int], place: Place) -> None:
    """Complete lists of which some are asynchronous iterables: read these to their ends."""

    async def drain(k: int) -> None:
        try:
            values[k] = [item async for item in values[k]]
        except Exception as error:  # noqa: BLE001 - the error of this position
            values[k] = error

    await gather(*map(drain, streams))
    run.turn += 1
    later = _complete(run, values, place)
    if later is not None:
        await later


def _regroup(
    run: Run,
    values: Column,
    picks: Sequence[int],
    lists: list[list[Any]],
    items: Column,
    place: Place,
) -> None:
    """Put completed items back into lists; a failed item fails its list."""
    failing = Failed in set(map(type, items))
    start = 0
    for k, each in zip(picks, lists, strict=True):
        part = items[start : start + len(each)]
        start += len(each)
        failed = _first_failure(part) if failing else None
        values[k] = part if failed is None else run.pass_on(failed, place, k)


def _have_all_failed(lists: list[list[Any]], items: Column) -> bool:
    """Whether an item of each list has failed already: nothing more is to be awaited."""
    if Failed not in set(map(type, items)):
        return False
    ends = accumulate(map(len, lists))
    return all(
        Failed in set(map(type, items[end - len(each) : end]))
        for each, end in zip(lists, ends, strict=True)
    )


def _first_failure(part: Column) -> Failed | None:
    first: Failed | None = None
    for value in part:
        if type(value) is Failed and (first is None or value.is_before(first)):
            first = value
    return first


# --- objects ------------------------------------------------------------------------------


def _objects(run: Run, values: Column, picks: Sequence[int], place: Place, block: Block) -> Later:
    """Complete objects of one type."""
    if block.object_type.is_type_of is not None:
        return _claimed(run, values, picks, place, block)
    return _selected(run, values, picks, place, block)


def _selected(run: Run, values: Column, picks: Sequence[int], place: Place, block: Block) -> Later:
    whole = len(picks) == len(values)
    sources = values[:] if whole else [values[k] for k in picks]
    rows = _block(run, block, sources, place if whole else SomePlace(place, picks))
    if isinstance(rows, list):
        _merge(run, values, picks, rows, place)
        return None
    return _selected_later(run, values, picks, rows, place)


async def _selected_later(
    run: Run, values: Column, picks: Sequence[int], rows: Awaitable[Column], place: Place
) -> None:
    _merge(run, values, picks, await rows, place)


def _claimed(run: Run, values: Column, picks: Sequence[int], place: Place, block: Block) -> Later:
    """Complete objects of a type that says itself whether a value is of it."""
    origin = block.origin
    if origin is not None and all(
        type(values[k]) is origin and not is_cast(values[k]) for k in picks
    ):
        return _selected(run, values, picks, place, block)
    is_type_of = block.object_type.is_type_of
    assert is_type_of is not None
    answers: Column = []
    for k in picks:
        try:
            answers.append(is_type_of(values[k], run.info(place.field, place, k)))
        except Exception as error:  # noqa: BLE001 - the error of this position
            answers.append(error)
    waiting = _waiting(run, answers)
    if waiting:
        return _claimed_later(run, values, picks, answers, waiting, place, block)
    return _claimed_now(run, values, picks, answers, place, block)


async def _claimed_later(
    run: Run,
    values: Column,
    picks: Sequence[int],
    answers: Column,
    waiting: list[int],
    place: Place,
    block: Block,
) -> None:
    await _await(run, answers, waiting, SomePlace(place, picks))
    later = _claimed_now(run, values, picks, answers, place, block)
    if later is not None:
        await later


def _claimed_now(
    run: Run,
    values: Column,
    picks: Sequence[int],
    answers: Column,
    place: Place,
    block: Block,
) -> Later:
    kept: list[int] = []
    for k, answer in zip(picks, answers, strict=True):
        if isinstance(answer, Exception):
            values[k] = run.fail(answer, place, k)
        elif type(answer) is Failed:
            values[k] = run.pass_on(answer, place, k)
        elif answer:
            kept.append(k)
        else:
            message = f"Expected value of type '{block.object_type}' but got: {inspect(values[k])}."
            values[k] = run.fail(GraphQLError(message, place.field.nodes), place, k)
    return _selected(run, values, kept, place, block) if kept else None


# --- interfaces and unions ----------------------------------------------------------------


def _abstract(run: Run, values: Column, picks: Sequence[int], place: Place) -> Later:
    assert place.output is not None
    type_ = place.output.graphql_type
    by_class = place.output.by_class
    if by_class:
        present = values if len(picks) == len(values) else [values[k] for k in picks]
        classes = set(map(type, present))
        if len(classes) == 1 and not any(map(is_cast, present)):
            name = by_class.get(classes.pop())
            if name is not None:
                block = _block_of(run, place.field, name)
                return _objects(run, values, picks, place, block)
    resolve = type_.resolve_type or default_type_resolver
    names: Column = []
    for k in picks:
        value = values[k]
        name = by_class.get(type(value))
        if name is not None and not is_cast(value):
            names.append(name)
            continue
        try:
            names.append(resolve(value, run.info(place.field, place, k), type_))
        except Exception as error:  # noqa: BLE001 - the error of this position
            names.append(error)
    waiting = _waiting(run, names)
    if waiting:
        return _abstract_later(run, values, picks, names, waiting, place)
    return _by_type(run, values, picks, names, place)


async def _abstract_later(
    run: Run,
    values: Column,
    picks: Sequence[int],
    names: Column,
    waiting: list[int],
    place: Place,
) -> None:
    await _await(run, names, waiting, SomePlace(place, picks))
    later = _by_type(run, values, picks, names, place)
    if later is not None:
        await later


def _by_type(run: Run, values: Column, picks: Sequence[int], names: Column, place: Place) -> Later:
    """Complete values whose types are known: those of one type at once."""
    groups: dict[str, list[int]] = {}
    for k, name in zip(picks, names, strict=True):
        if type(name) is Failed:
            values[k] = run.pass_on(name, place, k)
            continue
        try:
            if type(name) is not str or name not in groups:
                groups.setdefault(_checked_name(run, name, values[k], place), []).append(k)
            else:
                groups[name].append(k)
        except Exception as error:  # noqa: BLE001 - the error of this position
            values[k] = run.fail(error, place, k)
    pending: list[tuple[list[int], Awaitable[None]]] = []
    for name, group in groups.items():
        later = _objects(run, values, group, place, _block_of(run, place.field, name))
        if later is not None:
            pending.append((group, later))
    return _by_type_later(run, values, pending, place) if pending else None


async def _by_type_later(
    run: Run, values: Column, pending: list[tuple[list[int], Awaitable[None]]], place: Place
) -> None:
    async def column(group: list[int], later: Awaitable[None]) -> Column:
        await later
        return [values[k] for k in group]

    columns = await _columns(
        run,
        [column(group, later) for group, later in pending],
        [(place, group) for group, _ in pending],
    )
    for (group, _), done in zip(pending, columns, strict=True):
        for k, value in zip(group, done, strict=True):
            values[k] = value


def _block_of(run: Run, field: Field, name: str) -> Block:
    block = field.blocks.get(name)
    if block is None:
        type_ = cast("GraphQLObjectType", run.scope.schema.get_type(name))
        block = field.blocks[name] = field.make_block(type_)
    return block


def _checked_name(run: Run, name: Any, value: Any, place: Place) -> str:
    """The name of the object type of a value; raises what graphql-core does if it is none."""
    if isinstance(name, Exception):
        raise name
    assert place.output is not None
    type_ = place.output.graphql_type
    nodes = place.field.nodes
    where = f"Abstract type '{type_}' must resolve to an Object type at runtime for field '"
    where += f"{_name(place.field)}'"
    resolved = f"Abstract type '{type_}' was resolved to a"
    if name is None:
        raise GraphQLError(
            f"{where}. Either the '{type_}' type should provide a 'resolve_type' function"
            " or each possible type should provide an 'is_type_of' function.",
            nodes,
        )
    if not isinstance(name, str):
        raise GraphQLError(
            f"{where} with value {inspect(value)}, received '{inspect(name)}',"
            " which is not a valid Object type name.",
            nodes,
        )
    runtime_type = run.scope.schema.get_type(name)
    if runtime_type is None:
        raise GraphQLError(
            f"{resolved} type '{name}' that does not exist inside the schema.", nodes
        )
    if not is_object_type(runtime_type):
        raise GraphQLError(f"{resolved} non-object type '{name}'.", nodes)
    if not run.scope.schema.is_sub_type(type_, runtime_type):
        raise GraphQLError(
            f"Runtime Object type '{runtime_type}' is not a possible type for '{type_}'.", nodes
        )
    return name
