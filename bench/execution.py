"""Compiled execution against Strawberry and graphql-core, in the same run.

    python -m bench.execution

Every shape is executed by the three on the same schema and data; documents are
parsed and validated before, on all sides.  Rounds are interleaved and the
median of the rounds is compared, so that a busy machine slows all alike.
Exits with 1 when a bar is missed.
"""

from __future__ import annotations

import asyncio
import gc
import statistics
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from time import perf_counter, process_time
from typing import Any, cast

import strawberry
from graphql import DocumentNode, GraphQLSchema, execute, parse, validate
from strawberry.execution import optimized_is_awaitable

from shared.execution import (
    CompiledOperation,
    batched,
    batched_reference,
    compile_operation,
    serve_entities,
)

ROUNDS = 15
SECONDS_A_ROUND = 0.05


# --- the schema: users with organizations, as subgraphs have them ---------------------------


@strawberry.federation.type(keys=["id"])
class Organization:
    id: strawberry.ID
    name: str
    slug: str


@strawberry.federation.type(keys=["id"])
class User:
    id: strawberry.ID
    name: str
    email: str | None
    age: int
    active: bool
    rank: int | None = None

    @strawberry.field
    def fails(self) -> str | None:
        raise ValueError(self.name)

    @batched
    @staticmethod
    async def organizations(parents: Sequence[User]) -> list[list[Organization]]:
        await asyncio.sleep(0)
        return [ORGANIZATIONS for _ in parents]

    @strawberry.field
    async def teams(self) -> list[Organization]:
        return ORGANIZATIONS

    @strawberry.field
    def label(self) -> str:
        return self.name

    @batched_reference
    @classmethod
    async def users(cls, keys: Sequence[strawberry.ID]) -> list[User | None]:
        await asyncio.sleep(0)
        return [BY_ID.get(key) for key in keys]


ORGANIZATIONS = [
    Organization(id=strawberry.ID(f"o{number}"), name=f"Org {number}", slug=f"org-{number}")
    for number in range(3)
]
USERS = [
    User(
        id=strawberry.ID(f"u{number}"),
        name=f"User {number}",
        email=f"user{number}@example.com" if number % 5 else None,
        age=20 + number,
        active=number % 2 == 0,
        # One value that is none of an Int, which makes the whole list leave the short way.
        rank=number if number != 25 else cast("Any", "none"),
    )
    for number in range(50)
]
BY_ID = {str(user.id): user for user in USERS}


@strawberry.type
class Query:
    @strawberry.field
    async def users(self, first: int = 50) -> list[User]:
        return USERS[:first]

    @strawberry.field
    async def user(self, key: strawberry.ID) -> User | None:
        return BY_ID.get(key)


FIELDS = "id name email age active"
REFERENCES = [{"__typename": "User", "id": user.id} for user in USERS]


@dataclass(frozen=True, slots=True)
class Shape:
    """A document, and how many times faster than Strawberry it must be."""

    name: str
    text: str
    variables: dict[str, Any]
    bar: float


SHAPES = (
    Shape("single object", f"query($id: ID!) {{ user(key: $id) {{ {FIELDS} }} }}", {"id": "u7"}, 3),
    Shape("flat list of 50", f"{{ users {{ {FIELDS} }} }}", {}, 10),
    Shape("nested list", f"{{ users {{ {FIELDS} organizations {{ id name }} }} }}", {}, 10),
    Shape(
        "_entities of 50",
        "query($representations: [_Any!]!) { _entities(representations: $representations)"
        f" {{ ... on User {{ {FIELDS} }} }} }}",
        {"representations": REFERENCES},
        10,
    ),
    Shape(
        "large document",
        f"{{ a: users(first: 3) {{ {FIELDS} label organizations {{ id name slug }} }}"
        f" b: users(first: 3) {{ {FIELDS} teams {{ id name slug }} ...Parts }}"
        f' c: user(key: "u1") {{ {FIELDS} label ...Parts organizations {{ id }} }} }}'
        f" fragment Parts on User {{ {FIELDS} teams {{ ... on Organization {{ id slug }} }} }}",
        {},
        1,
    ),
    Shape("async field a user", "{ users { id teams { id name } } }", {}, 1),
    Shape("sync field a user", "{ users { id label } }", {}, 1),
    Shape("one wrong value", f"{{ users {{ {FIELDS} rank }} }}", {}, 1),
    Shape("an error a user", "{ users { id fails } }", {}, 1),
    Shape("two aliased lists", "{ a: users(first: 5) { id } b: users(first: 5) { name } }", {}, 1),
)


# --- measuring ------------------------------------------------------------------------------


Call = Callable[[], Awaitable[Any]]


async def measured(calls: dict[str, Call]) -> dict[str, float]:
    """Seconds a call, by name: medians of interleaved rounds."""
    rounds: dict[str, list[float]] = {name: [] for name in calls}
    counts: dict[str, int] = {}
    for name, call in calls.items():
        for _ in range(3):
            await call()
        since = perf_counter()
        await call()
        counts[name] = max(1, int(SECONDS_A_ROUND / (perf_counter() - since)))
    for _ in range(ROUNDS):
        for name, call in calls.items():
            gc.collect()
            since = perf_counter()
            for _ in range(counts[name]):
                await call()
            rounds[name].append((perf_counter() - since) / counts[name])
    return {name: statistics.median(times) for name, times in rounds.items()}


def plain(schema: strawberry.Schema) -> GraphQLSchema:
    """The graphql-core schema below a Strawberry one."""
    return schema._schema  # noqa: SLF001 - there is no public way


def calls_of(
    ours: strawberry.Schema, theirs: strawberry.Schema, shape: Shape
) -> tuple[dict[str, Call], CompiledOperation]:
    """The same operation on the three executors."""
    document = parse(shape.text)
    assert not validate(plain(ours), document)
    compiled = compile_operation(ours, document)
    assert isinstance(compiled, CompiledOperation), compiled

    async def run_compiled() -> Any:
        return await compiled.execute(None, None, shape.variables)

    def interpreted(schema: GraphQLSchema, **options: Any) -> Call:
        async def run() -> Any:
            # Strawberry's own `_entities` takes the representations apart.
            variables = {
                name: [dict(each) for each in value] if isinstance(value, list) else value
                for name, value in shape.variables.items()
            }
            result: Any = execute(
                schema, document, variable_values=variables, context_value=None, **options
            )
            return await result

        return run

    calls = {
        "compiled": run_compiled,
        "strawberry": interpreted(
            plain(theirs),
            executor_class=theirs.execution_context_class,
            is_awaitable=optimized_is_awaitable,
        ),
        "graphql-core": interpreted(plain(ours)),
    }
    return calls, compiled


def compile_seconds(schema: strawberry.Schema, document: DocumentNode) -> float:
    """Seconds of this process to compile a document."""
    times = []
    for _ in range(50):
        since = process_time()
        compile_operation(schema, document)
        times.append(process_time() - since)
    return statistics.median(times)


async def main() -> int:
    """Measure all shapes; the exit status."""
    ours = strawberry.federation.Schema(Query)
    serve_entities(ours)
    theirs = strawberry.federation.Schema(Query)
    missed = []
    print(f"{'':22}{'compiled':>12}{'strawberry':>12}{'graphql-core':>14}{'ratio':>8}{'bar':>6}")
    for shape in SHAPES:
        calls, _ = calls_of(ours, theirs, shape)
        results = {name: await call() for name, call in calls.items()}
        assert results["compiled"].data == results["strawberry"].data, shape.name
        errors = [len(result.errors or ()) for result in results.values()]
        assert len(set(errors)) == 1, shape.name
        seconds = await measured(calls)
        fastest = min(seconds["strawberry"], seconds["graphql-core"])
        ratio = fastest / seconds["compiled"]
        if ratio < shape.bar:
            missed.append(shape.name)
        print(
            f"{shape.name:22}{seconds['compiled'] * 1e6:10.1f}µs"
            f"{seconds['strawberry'] * 1e6:10.1f}µs{seconds['graphql-core'] * 1e6:12.1f}µs"
            f"{ratio:7.1f}x{shape.bar:5.0f}x"
        )
    for shape in SHAPES:
        seconds_to_compile = compile_seconds(ours, parse(shape.text))
        print(f"compile {shape.name:22}{seconds_to_compile * 1e3:8.2f}ms")
        if seconds_to_compile > 0.002:
            missed.append(f"compiling {shape.name}")
    print("missed: " + ", ".join(missed) if missed else "all bars met")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
