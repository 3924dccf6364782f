"""graphql-core's observable behaviour, area by area, with the same answers compiled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLError,
    GraphQLField,
    GraphQLInt,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLResolveInfo,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLString,
    Undefined,
    build_schema,
    parse,
    subscribe,
)

from shared.execution import batched_resolver
from tests.shared.execution.differential import (
    assert_same,
    compiled,
    compiled_operation,
    described,
    interpreted,
    same,
)

Info = GraphQLResolveInfo[Any]


def schema_of(sdl: str, **resolvers: Callable[..., Any]) -> GraphQLSchema:
    """A schema with resolvers by `Type_field`."""
    schema = build_schema(sdl)
    for name, resolve in resolvers.items():
        type_name, field = name.split("_", 1)
        type_: Any = schema.type_map[type_name]
        type_.fields[field].resolve = resolve
    return schema


async def later(value: Any) -> Any:
    """``value``, after a turn of the event loop; raised if it is an exception."""
    await asyncio.sleep(0)
    if isinstance(value, Exception):
        raise value
    return value


# --- values and arguments -------------------------------------------------------------------


ARGUMENTS = schema_of(
    """
    type Query {
      echo(text: String = "none", number: Int, list: [Int!], input: In, color: Color = RED,
        id: ID, float: Float, flag: Boolean): String
      required(number: Int!): String
    }
    input In { a: Int = 7  b: [String!]!  nested: In }
    enum Color { RED GREEN }
    """,
    Query_echo=lambda _source, _info, **arguments: repr(sorted(arguments.items())),
    Query_required=lambda _source, _info, **arguments: repr(arguments),
)


@pytest.mark.parametrize(
    ("text", "variables"),
    [
        ("{ echo }", None),
        ('{ echo(text: null, number: 3, list: 1, color: GREEN, id: 4, float: 1, flag: true) }', {}),
        ("{ echo(list: [1, 2], input: {b: [\"x\"], nested: {a: null, b: []}}) }", None),
        ("query($n: Int) { echo(number: $n) }", {}),
        ("query($n: Int) { echo(number: $n) }", {"n": None}),
        ("query($n: Int) { echo(number: $n) }", {"n": "three"}),
        ("query($n: Int!) { required(number: $n) }", {}),
        ("query($n: Int! = 5) { required(number: $n) }", {}),
        ("query($n: Int! = 5) { required(number: $n) }", {"n": None}),
        ("query($n: Int! = 5) { required(number: $n) }", {"n": 6}),
        ("query($n: Int = 5) { required(number: $n) }", {"n": None}),
        ("query($i: In) { echo(input: $i) }", {"i": {"b": ["x"], "nested": {"b": []}}}),
        ("query($i: In) { echo(input: $i) }", {"i": {"b": [None], "c": 1}}),
        ("query($i: In = {b: []}) { echo(input: $i) }", {}),
        ("query($l: [Int!]) { echo(list: $l) }", {"l": [1, 2]}),
        ("query($l: [Int!]) { echo(list: $l) }", {"l": 1}),
        ("query($l: [Int!]) { echo(list: $l) }", {"l": (1, 2)}),
        ("query($l: [Int!]) { echo(list: $l) }", {"l": [1, None]}),
        ("query($l: [Int!]) { echo(list: $l) }", {"l": [1, "x"]}),
        ("query($c: Color, $t: String) { echo(color: $c, text: $t) }", {"c": "GREEN"}),
        ("query($c: Color) { echo(color: $c) }", {"c": "PINK"}),
        (("query($a: Int, $b: Int, $c: Int!) { echo(number: $a) two: echo(number: $b)"
         " three: echo(number: $c) }"), {"a": "x", "b": "y"}),
    ],
)  # fmt: skip
async def test_arguments_and_variables_are_coerced(
    text: str, variables: dict[str, Any] | None
) -> None:
    await same(ARGUMENTS, text, variables=variables)


async def test_the_callers_variables_are_left_as_they_are() -> None:
    variables = {"i": {"b": ["x"], "nested": {"b": []}}}
    await compiled(ARGUMENTS, "query($i: In) { echo(input: $i) }", variables=variables)
    assert variables == {"i": {"b": ["x"], "nested": {"b": []}}}


async def test_a_resolver_may_change_its_arguments() -> None:
    def take(_source: Any, _info: Info, items: list[int]) -> str:
        items.append(0)
        return repr(items)

    schema = schema_of(
        "type Query { all: [Item!]! } type Item { take(items: [Int!]!): String }",
        Item_take=take,
    )
    root: dict[str, Any] = {"all": [{}, {}]}
    await same(schema, "{ all { take(items: [1]) } }", root=lambda: root)
    await same(
        schema,
        "query($i: [Int!]!) { all { take(items: $i) } }",
        variables={"i": [4]},
        root=lambda: root,
    )


LEAVES = GraphQLSchema(
    GraphQLObjectType(
        "Query",
        {
            "text": GraphQLField(GraphQLString),
            "number": GraphQLField(GraphQLInt),
            "must": GraphQLField(GraphQLNonNull(GraphQLString)),
            "odd": GraphQLField(
                GraphQLScalarType("Odd", coerce_output_value=lambda value: value or None)
            ),
            "none": GraphQLField(
                GraphQLScalarType("Never", coerce_output_value=lambda _value: Undefined)
            ),
            "color": GraphQLField(GraphQLEnumType("Color", {"RED": 0, "GREEN": [1]})),
        },
    )
)


@pytest.mark.parametrize(
    "root",
    [
        {},
        {"text": 1, "number": "2", "must": True, "odd": 3, "none": 4, "color": 0},
        {"text": b"x", "number": 2**31, "must": None, "odd": 0, "color": [1]},
        {"text": ["x"], "number": 1.5, "must": Undefined, "odd": [], "color": 5},
        {"text": ValueError("x"), "number": GraphQLError("y"), "must": "z"},
        {"text": lambda info: info.field_name, "number": lambda _info: 1 / 0, "must": ""},
        {"text": Undefined, "number": float("inf"), "must": ValueError("no"), "color": "RED"},
    ],
)
async def test_leaves_are_serialized_and_their_errors_located(root: dict[str, Any]) -> None:
    class Source:
        def __init__(self) -> None:
            self.__dict__.update(root)

    text = "{ text number must odd none color }"
    await same(LEAVES, text, root=lambda: root)
    await same(LEAVES, text, root=Source)
    await same(LEAVES, "{ text number odd color }", root=lambda: root)


async def test_awaitable_attributes_are_awaited() -> None:
    def root() -> dict[str, Any]:
        return {"text": later("x"), "number": later(ValueError("no")), "must": later("y")}

    await same(LEAVES, "{ text number must }", root=root)


# --- merging, fragments, conditions -----------------------------------------------------------


PETS = """
interface Pet { name: String  friend: Pet }
type Dog implements Pet { name: String  friend: Pet  barks: Boolean }
type Cat implements Pet { name: String  friend: Pet  meows: Boolean  lives: Int! }
union Any = Dog | Cat
type Query { pet: Pet  pets: [Pet]  any: [Any!]  dog: Dog }
"""
REX = {"__typename": "Dog", "name": "Rex", "barks": True}
TOM = {"__typename": "Cat", "name": "Tom", "meows": False, "lives": 9, "friend": REX}


@pytest.mark.parametrize(
    "text",
    [
        "{ pets { name } pets { __typename } again: pets { name friend { name } } }",
        (
            "{ pets { ...A ... on Cat { lives } } } fragment A on Pet { name ...B }"
            " fragment B on Dog { barks friend { name } }"
        ),
        "{ any { __typename ... on Pet { name } ... on Cat { meows lives } } }",
        "{ ... on Query { pet { name } } ...Q } fragment Q on Query { pet { friend { name } } }",
        "{ pets { ... @include(if: true) { name } ... @skip(if: true) { friend { name } } } }",
        "{ dog { name barks } pet { ... on Dog { barks } } }",
    ],
)
async def test_selections_are_merged_and_fragments_applied_by_type(text: str) -> None:
    await same(
        build_schema(PETS),
        text,
        root=lambda: {"pet": TOM, "pets": [REX, None, TOM], "any": [TOM, REX], "dog": REX},
    )


@pytest.mark.parametrize("skip", [True, False])
@pytest.mark.parametrize("include", [True, False])
async def test_conditions_follow_the_variables(skip: bool, include: bool) -> None:
    text = """
    query($skip: Boolean!, $include: Boolean = true) {
      pet { name @skip(if: $skip) friend @include(if: $include) { name } ...F @skip(if: $skip) }
      pets @include(if: $include) @skip(if: $skip) { name }
    }
    fragment F on Pet { __typename }
    """
    operation = compiled_operation(build_schema(PETS), text)
    root = {"pet": TOM, "pets": [REX]}
    for _ in range(2):
        variables = {"skip": skip, "include": include}
        expected = await interpreted(build_schema(PETS), text, variables=variables, root=root)
        assert_same(await operation.execute(root, None, variables), expected)


async def test_many_sets_of_conditions_are_still_answered() -> None:
    names = [f"v{number}" for number in range(6)]
    text = (
        f"query({' '.join(f'${name}: Boolean!' for name in names)}) {{"
        + " ".join(f"{name}: dog @skip(if: ${name}) {{ name }}" for name in names)
        + " }"
    )
    operation = compiled_operation(build_schema(PETS), text)
    for number in range(64):
        variables = {name: bool(number >> shift & 1) for shift, name in enumerate(names)}
        result = await operation.execute({"dog": REX}, None, variables)
        assert result.data == {name: {"name": "Rex"} for name in names if not variables[name]}


# --- types of values --------------------------------------------------------------------------


@pytest.mark.parametrize("wait", [False, True])
@pytest.mark.parametrize(
    "answer",
    ["Dog", "Cat", None, 3, "Nope", "Query", "String", "Pet", ValueError("no type")],
    ids=str,
)
async def test_the_type_of_a_value_is_resolved_or_its_error_located(
    answer: Any,
    wait: bool,
) -> None:
    schema = build_schema(PETS)
    pet: Any = schema.type_map["Pet"]

    def resolve_type(value: Any, _info: Info, _type: Any) -> Any:
        if value is REX:
            return "Dog"
        if wait:
            return later(answer)
        if isinstance(answer, Exception):
            raise answer
        return answer

    pet.resolve_type = resolve_type
    root = {"pet": TOM, "pets": [REX, TOM, REX]}
    await same(schema, "{ pets { name } pet { __typename name } }", root=lambda: root)


@pytest.mark.parametrize("wait", [False, True])
async def test_types_that_know_their_values_are_asked(wait: bool) -> None:
    schema = build_schema(PETS)

    def knows(name: str) -> Callable[[Any, Info], Any]:
        def is_type_of(value: Any, _info: Info) -> Any:
            answer = value["is"] == name
            if value["is"] == "error":
                raise ValueError("cannot say")
            return later(answer) if wait else answer

        return is_type_of

    for name in ("Dog", "Cat"):
        type_: Any = schema.type_map[name]
        type_.is_type_of = knows(name)
    values = [{"is": kind, "name": kind} for kind in ("Dog", "Cat", "Cow", "error", "Dog")]
    await same(schema, "{ pets { __typename name } }", root=lambda: {"pets": values})
    await same(schema, "{ any { ... on Dog { name } } }", root=lambda: {"any": values})
    await same(schema, "{ dog { name } }", root=lambda: {"dog": values[0]})
    await same(schema, "{ dog { name } }", root=lambda: {"dog": values[1]})
    await same(schema, "{ dog { name } }", root=lambda: {"dog": values[3]})


# --- lists ------------------------------------------------------------------------------------


@pytest.mark.parametrize("type_", ["[Int]", "[Int]!", "[Int!]", "[Int!]!", "[[Int!]]", "[Item!]"])
@pytest.mark.parametrize(
    "value",
    [
        [],
        [1, 2],
        [1, None, 2],
        (1, "x"),
        None,
        "text",
        {"a": 1},
        [ValueError("item"), 1],
        [[1], None, [None, 2], 3],
        3,
        ValueError("list"),
    ],
    ids=repr,
)
@pytest.mark.parametrize("how", ["plain", "generator", "async", "items", "stream"])
async def test_lists_are_completed_item_by_item(type_: str, value: Any, how: str) -> None:
    def generate() -> Iterator[Any]:
        yield from value

    async def stream() -> AsyncIterator[Any]:
        for item in value:
            yield item

    def resolve(_source: Any, _info: Info) -> Any:
        if how == "async":
            return later(value)
        if not isinstance(value, list | tuple):
            if isinstance(value, Exception):
                raise value
            return value
        if how == "generator":
            return generate()
        if how == "stream":
            return stream()
        return [later(item) for item in value] if how == "items" else value

    schema = schema_of(f"type Query {{ list: {type_} }} type Item {{ id: ID }}", Query_list=resolve)
    await same(schema, "{ list { id } }" if "Item" in type_ else "{ list }")


async def test_an_iterator_that_fails_fails_its_list() -> None:
    def generate(_source: Any, _info: Info) -> Iterator[int]:
        yield 1
        raise ValueError("broken")

    async def stream(_source: Any, _info: Info) -> AsyncIterator[int]:
        yield 1
        raise ValueError("broken")

    for resolve in (generate, stream):
        await same(schema_of("type Query { list: [Int] }", Query_list=resolve), "{ list }")
        await same(schema_of("type Query { list: [Int]! }", Query_list=resolve), "{ list }")


async def test_long_lists_are_completed_and_let_others_run() -> None:
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    schema = schema_of(
        "type Query { items: [Item!]! } type Item { id: ID!  sync: Int!  async: Int  bad: Int! }",
        Item_sync=lambda source, _info: source["id"],
        Item_async=lambda source, _info: later(source["id"]),
        Item_bad=lambda source, _info: source["id"] if source["id"] != 2900 else None,
    )
    root = {"items": [{"id": number} for number in range(3000)]}
    await same(schema, "{ items { id sync async } }", root=lambda: root)
    odd: dict[str, Any] = {
        "items": [{"id": number if number != 700 else {}} for number in range(1500)]
    }
    await same(schema, "{ items { id } }", root=lambda: odd)
    await same(schema, "{ items { id bad } }", root=lambda: root)
    big = {"items": [{"id": number} for number in range(100_000)]}
    counter = asyncio.create_task(count())
    await compiled(schema, "{ items { id } }", root=big)
    counter.cancel()
    assert turns > 1


# --- nulls and errors -------------------------------------------------------------------------


NULLS = """
type Query { nullable: Data  must: Data!  list: [Data]  mustList: [Data!] }
type Data { sync: String  mustSync: String!  async: String  mustAsync: String!
  nested: Data  mustNested: Data!  batched: String  mustBatched: String! }
"""


def data(**failing: Any) -> dict[str, Any]:
    """A source whose fields have values, but for those that fail."""
    return {"failing": failing}


def nulls_schema() -> GraphQLSchema:
    def sync(source: Any, info: Info) -> Any:
        value = source["failing"].get(info.field_name, "text")
        if isinstance(value, Exception):
            raise value
        return value

    def nested(source: Any, info: Info) -> Any:
        return source["failing"].get(info.field_name, source)

    async def many(parents: Sequence[Any], info: Info) -> list[Any]:
        await asyncio.sleep(0)
        return [parent["failing"].get(info.field_name, "text") for parent in parents]

    return schema_of(
        NULLS,
        Data_sync=sync,
        Data_mustSync=sync,
        Data_async=lambda source, info: later(source["failing"].get(info.field_name, "text")),
        Data_mustAsync=lambda source, info: later(source["failing"].get(info.field_name, "text")),
        Data_nested=nested,
        Data_mustNested=nested,
        Data_batched=batched_resolver(many),
        Data_mustBatched=batched_resolver(many),
    )


FIELDS = ["sync", "mustSync", "async", "mustAsync", "batched", "mustBatched"]


@pytest.mark.parametrize("outcome", [None, ValueError("no")], ids=["null", "error"])
@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("parent", ["nullable", "must", "list", "mustList"])
async def test_a_null_goes_up_to_the_first_position_that_may_be_null(
    parent: str, field: str, outcome: Any
) -> None:
    source = data(**{field: outcome})
    good = data()
    value = [good, source, good] if "ist" in parent else source
    text = f"{{ {parent} {{ {' '.join(FIELDS)} }} other: nullable {{ {field} }} }}"
    result = await same(
        nulls_schema(), text, root=lambda: {parent: value, "nullable": source} | {parent: value}
    )
    assert bool(result.errors) == (outcome is not None or field.startswith("must"))
    text = f"{{ {parent} {{ nested {{ mustNested {{ {field} sync }} }} }} }}"
    await same(nulls_schema(), text, root=lambda: {parent: value})


@pytest.mark.parametrize("first", FIELDS)
@pytest.mark.parametrize("second", FIELDS)
async def test_two_failing_siblings_give_no_duplicate_errors(first: str, second: str) -> None:
    source = data(**{first: ValueError("first"), second: ValueError("second")})
    text = f"{{ nullable {{ nested {{ {first} {second} }} }} }}"
    await same(nulls_schema(), text, root=lambda: {"nullable": source})
    text = f"{{ mustList {{ {second} mustNested {{ {first} }} }} }}"
    await same(nulls_schema(), text, root=lambda: {"mustList": [data(), source, source]})


async def test_an_error_keeps_its_extensions_and_its_original() -> None:
    failure = GraphQLError("no", extensions={"code": "NO"})
    schema = schema_of("type Query { a: Int  b: Int }", Query_a=lambda *_: failure)
    result = await same(schema, "{ a b }", root=lambda: {"b": KeyError("key")})
    assert result.errors is not None
    assert result.errors[0].extensions == {"code": "NO"}
    assert isinstance(result.errors[1].original_error, KeyError)


async def never() -> Any:
    await asyncio.Event().wait()


async def test_a_failure_does_not_wait_for_siblings_that_are_needed_no_more() -> None:
    cancelled = []

    async def wait(*_: Any) -> Any:
        try:
            await never()
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    schema = schema_of(
        "type Query { hangs: Int  fails: Int!  deep: Deep! } type Deep { hangs: Int  fails: Int! }",
        Query_hangs=wait,
        Query_fails=lambda *_: later(ValueError("no")),
        Deep_hangs=wait,
        Deep_fails=lambda *_: later(None),
    )
    for text in (
        "{ hangs fails }",
        "{ fails hangs }",
        "{ hangs deep { fails } }",
        "{ deep { hangs fails } hangs }",
    ):
        await same(schema, text, root=lambda: {"deep": {}})
        await asyncio.sleep(0)
    assert len(cancelled) >= 8


async def test_a_failed_item_stops_the_other_items() -> None:
    schema = schema_of(
        "type Query { items: [Int!]  objects: [Item!] } type Item { value: Int! }",
        Query_items=lambda *_: [never(), later(ValueError("no")), never()],
        Query_objects=lambda *_: [{"of": never}, {"of": lambda: later(None)}],
        Item_value=lambda source, _info: source["of"](),
    )
    await same(schema, "{ items }")
    await same(schema, "{ objects { value } }")


async def test_a_synchronous_failure_does_not_wait_for_pending_items() -> None:
    release = asyncio.Event()

    async def wait(*_: Any) -> None:
        await release.wait()

    schema = schema_of(
        "type Query { items: [Int!]  object: Item } type Item { a: Int  b: Int! }",
        Query_items=lambda *_: [wait(), None],
        Item_a=wait,
        Item_b=lambda *_: None,
    )
    await same(schema, "{ object { a b } items }", root=lambda: {"object": {}})
    left = asyncio.all_tasks() - {asyncio.current_task()}
    assert left  # they settle in the background
    release.set()
    await asyncio.wait(left)


async def test_a_cancelled_request_stops_its_resolvers() -> None:
    stopped = []
    started = asyncio.Event()

    async def wait(_source: Any, info: Info) -> Any:
        started.set()
        try:
            await never()
        finally:
            stopped.append(info.path.as_list())

    schema = schema_of(
        "type Query { a: Int  items: [Item!]! } type Item { b: Int }", Query_a=wait, Item_b=wait
    )
    task = asyncio.create_task(compiled(schema, "{ a items { b } }", root={"items": [{}, {}]}))
    await started.wait()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sorted(map(str, stopped)) == sorted(
        map(str, [["a"], ["items", 0, "b"], ["items", 1, "b"]])
    )


# --- infos ------------------------------------------------------------------------------------


async def test_resolvers_get_the_same_info() -> None:
    seen: list[Any] = []

    def record(source: Any, info: Info) -> str:
        seen.append(
            (
                info.field_name,
                [node.name.value for node in info.field_nodes],
                str(info.return_type),
                info.parent_type.name,
                info.path.as_list(),
                info.path.typename,
                sorted(info.fragments),
                info.root_value is not None,
                info.operation.name,
                info.variable_values.coerced,
                info.context,
            )
        )
        return str(source)

    schema = schema_of(
        "type Query { items: [[Item]]  name: String } type Item { name: String }",
        Query_name=record,
        Item_name=record,
    )
    text = """
    query Q($x: Boolean!) { name alias: name items { ...I name @include(if: $x) } }
    fragment I on Item { name }
    """
    await same(
        schema,
        text,
        variables={"x": True},
        context=lambda: "context",
        root=lambda: {"items": [[1, None], [], [2, 3]]},
    )
    theirs, ours = seen[: len(seen) // 2], seen[len(seen) // 2 :]
    assert ours == theirs


async def test_resolvers_may_gather_and_track_work() -> None:
    tracked = []

    async def work() -> int:
        tracked.append(True)
        return 1

    async def resolve(_source: Any, info: Info) -> int:
        info.async_helpers.track([work(), 3])
        return sum(await info.async_helpers.gather([work(), work()]))

    schema = schema_of("type Query { sum: Int }", Query_sum=resolve)
    await same(schema, "{ sum }")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(tracked) == 6


# --- mutations and subscriptions --------------------------------------------------------------


async def test_mutations_run_one_after_the_other_until_one_fails_for_all() -> None:
    def resolvers(log: list[str]) -> dict[str, Callable[..., Any]]:
        async def change(_source: Any, info: Info, fail: bool = False) -> Any:
            log.append(f"start {info.path.key}")
            await asyncio.sleep(0)
            log.append(f"end {info.path.key}")
            if fail:
                raise ValueError("no")
            return {"value": 1}

        return {"Mutation_change": change, "Mutation_must": change}

    sdl = """
    type Query { a: Int }
    type Mutation { change(fail: Boolean): Done  must(fail: Boolean): Done! }
    type Done { value: Int  later: Int }
    """
    for text in (
        "mutation { a: change { value } b: change(fail: true) { value } c: must { value } }",
        "mutation { a: change { value } b: must(fail: true) { value } c: change { value } }",
    ):
        logs: list[list[str]] = []
        for run in (interpreted, compiled):
            logs.append([])
            schema = schema_of(sdl, **resolvers(logs[-1]))
            result = await run(schema, text)
            assert result.errors is not None
        assert logs[0] == logs[1]
        await same(schema_of(sdl, **resolvers([])), text)


SUBSCRIPTIONS = """
type Query { a: Int }
type Subscription { ticks(fail: Boolean): Tick  numbers: Int! }
type Tick { number: Int!  double: Int }
"""


def subscription_schema() -> GraphQLSchema:
    schema = schema_of(SUBSCRIPTIONS, Tick_double=lambda source, _info: later(source["number"] * 2))
    fields = schema.subscription_type.fields  # type: ignore[union-attr]

    async def ticks(_source: Any, _info: Info, fail: bool = False) -> AsyncIterator[Any]:
        if fail:
            raise ValueError("at the first tick")
        for number in (1, 2, None, 4):
            yield {"ticks": {"number": number}}

    async def numbers(_source: Any, _info: Info) -> Any:
        raise ValueError("no numbers")

    fields["ticks"].subscribe = ticks
    fields["numbers"].subscribe = numbers
    return schema


async def answers(stream: Any) -> list[Any]:
    """What a stream yields, or why there is none."""
    if not hasattr(stream, "__aiter__"):
        return [(stream.data, [described(error) for error in stream.errors])]
    results: list[Any] = []
    try:
        async for result in stream:
            errors = [described(error) for error in result.errors or ()]
            results.append((result.data, errors))
    except ValueError as error:
        results.append(repr(error))
    return results


@pytest.mark.parametrize(
    ("text", "variables"),
    [
        ("subscription { ticks { number double } }", {}),
        ("subscription($f: Boolean) { ticks(fail: $f) { number } }", {"f": True}),
        ("subscription($f: Boolean) { ticks(fail: $f) { number } }", {"f": "x"}),
        ("subscription { numbers }", {}),
    ],
)
async def test_each_event_of_a_subscription_is_executed(
    text: str, variables: dict[str, Any]
) -> None:
    schema = subscription_schema()
    theirs: Any = subscribe(schema, parse(text), variable_values=variables)
    if asyncio.iscoroutine(theirs):
        theirs = await theirs
    ours = await compiled_operation(schema, text).subscribe(None, None, variables)
    assert await answers(ours) == await answers(theirs)


async def test_closing_a_subscription_closes_its_source() -> None:
    closed = []

    async def ticks(_source: Any, _info: Info) -> AsyncIterator[Any]:
        try:
            while True:
                yield {"ticks": {"number": 1}}
        finally:
            closed.append(True)

    schema = build_schema(SUBSCRIPTIONS)
    schema.subscription_type.fields["ticks"].subscribe = ticks  # type: ignore[union-attr]
    stream: Any = await compiled_operation(schema, "subscription { ticks { number } }").subscribe(
        None, None, None
    )
    assert (await anext(stream)).data == {"ticks": {"number": 1}}
    await stream.aclose()
    assert closed == [True]


async def test_only_subscriptions_are_subscribed_to() -> None:
    with pytest.raises(GraphQLError, match="Expected subscription operation"):
        await compiled_operation(ARGUMENTS, "{ echo }").subscribe(None, None, None)


async def test_the_source_code_can_be_read() -> None:
    schema = GraphQLSchema(
        GraphQLObjectType(
            "Query",
            lambda: {
                "items": GraphQLField(
                    GraphQLList(
                        GraphQLObjectType("Item", {"id": GraphQLField(GraphQLNonNull(GraphQLInt))})
                    )
                )
            },
        )
    )
    operation = compiled_operation(schema, "{ items { id __typename } }")
    await operation.execute({"items": [{"id": 1}]}, None, None)
    assert operation.source_code == (
        "def rows(sources):  # Query\n"
        "    return [\n"
        "        {\n"
        "            'items': None if (o3 := s.get('items')) is None else [\n"
        "                None if (i3) is None else {\n"
        "                    'id': v if type(v := i3.get('id')) is int"
        " and -2147483648 <= v <= 2147483647 else int_1(v),\n"
        "                    '__typename': 'Item',\n"
        "                } if type(i3) in ordinary or admit(i3) else None\n"
        "                for i3 in listed(o3)\n"
        "            ],\n"
        "        }\n"
        "        for s in sources\n"
        "    ]\n"
    )
