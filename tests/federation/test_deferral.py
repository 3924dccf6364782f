"""What is deferred at the root is planned by itself, so that nothing waits for it."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any

import orjson
import pytest
from graphql import OperationDefinitionNode, parse, print_ast
from inline_snapshot import snapshot

from gateway.context import RequestContext
from gateway.federation.deferral import in_parts, plan_in_parts
from gateway.federation.operation.prepare import parse_and_validate, prepare
from gateway.federation.plan import AT_ONCE, QueryPlan
from gateway.federation.plan_text import print_plan
from gateway.federation.planner import PlanningError
from gateway.federation.supergraph import Supergraph
from gateway.federation.transport import SubgraphRequest, SubgraphResponse
from gateway.pipeline import Pipeline
from gateway.runtime import Runtime
from shared.protocols.service import GraphQLRequest, GraphQLResult
from tests.federation.deferring import deferring, put
from tests.federation.operations import random_operation
from tests.federation.scripted import supergraph
from tests.federation.subgraphs import InMemory
from tests.federation.world import WORLD


class Held(InMemory):
    """Subgraphs; what asks for some field waits for the gate."""

    def __init__(self, held: str) -> None:
        super().__init__(*WORLD.subgraphs)
        self.held = held
        self.gate = asyncio.Event()

    async def execute(self, request: SubgraphRequest) -> SubgraphResponse:
        if self.held in request.fetch.document:
            await self.gate.wait()
        return await super().execute(request)

    async def close(self) -> None:
        """There is nothing to close."""


def planned(source: str, of: Supergraph | None = None) -> QueryPlan:
    """The plan of an operation; every fetch comes after those it waits for."""
    of = of or supergraph()
    prepared = prepare(of.api_schema, parse_and_validate(of.api_schema, source))
    operation, *_ = in_parts(of, prepared, prepared.coerce({}))
    made = plan_in_parts(of, operation, labels={})
    ids = [fetch.id for fetch in made.fetches]
    assert ids == sorted(set(ids))
    for index, fetch in enumerate(made.fetches):
        assert set(fetch.depends_on) <= set(ids[:index])
    return made


def brought(source: str) -> list[tuple[str, str]]:
    """For which part each fetch is, and what it asks."""
    made = planned(source)
    documents = [fetch.document.partition("_entities(representations:") for fetch in made.fetches]
    asked = [after.partition(")")[2][:-1] or before for before, _, after in documents]
    return list(zip([fetch.part[1] for fetch in made.fetches], asked, strict=True))


def test_the_plan_of_a_part_on_an_entity() -> None:
    made = planned('{ me { name ... @defer(label: "slow") { role ... @defer { handle } } } }')
    assert print_plan(made) == snapshot("""\
QueryPlan {
  Sequence {
    Fetch(service: "accounts") {
      {
        me {
          __typename
          name
          id
        }
      }
    },
    Parallel {
      Flatten(path: "me") {
        Fetch(service: "accounts", deferred: "slow") {
          {
            ... on User {
              __typename
              id
            }
          } =>
          {
            ... on User {
              role
            }
          }
        },
      },
      Flatten(path: "me") {
        Fetch(service: "accounts", deferred: "#1") {
          {
            ... on User {
              __typename
              id
            }
          } =>
          {
            ... on User {
              handle
            }
          }
        },
      },
    },
  }
}\
""")


ME = ("", "{me{__typename id}}")


@pytest.mark.parametrize(
    ("source", "fetches"),
    [
        ("{ me { id } ... @defer { users { id } } }", [("", "{me{id}}"), ("#0", "{users{id}}")]),
        (
            "{ me { id } ... @defer { users { id } me { name } } }",
            [ME, ("#0", "{users{id}}"), ("#0", "{...on User{name}}")],
        ),
        (
            "{ ... @defer { me { id } } ... @defer { users { id } } }",
            [("#0", "{me{id}}"), ("#1", "{users{id}}")],
        ),
        # What two ask for comes with the first of them.
        (
            "{ ... @defer { a: me { name } } ... @defer { a: me { name role } } }",
            [("#0", "{a:me{__typename name id}}"), ("#1", "{...on User{role}}")],
        ),
        (
            "{ me { id name ... @defer { name role } } }",
            [("", "{me{__typename id name}}"), ("#0", "{...on User{role}}")],
        ),
        # A fragment in several places is several parts.
        (
            """{ me { ...F } other: me { ...F } }
            fragment F on User { id ... @defer(label: "f") { role } }""",
            [
                ("", "{me{__typename id} other:me{__typename id}}"),
                ("#0", "{...on User{role}}"),
                ("#1", "{...on User{role}}"),
            ],
        ),
        # Keys come with the rest, and what is only there by them.
        ("{ me { name ... @defer { id } } }", [("", "{me{name id}}")]),
        ("{ me { name ... @defer { __typename } } }", [("", "{me{__typename name}}")]),
        # What is no entity cannot be asked for again, but what is inside it can.
        ("{ settings { theme ... @defer { version } } }", [("", "{settings{theme version}}")]),
    ],
)
def test_what_is_deferred_has_fetches_of_its_own(
    source: str, fetches: list[tuple[str, str]]
) -> None:
    assert brought(source) == fetches


PROVIDED = """
schema
  @link(url: "https://specs.apollo.dev/link/v1.0")
  @link(url: "https://specs.apollo.dev/join/v0.3", for: EXECUTION)
{ query: Query }
directive @link(url: String, as: String, for: link__Purpose, import: [link__Import])
  repeatable on SCHEMA
directive @join__graph(name: String!, url: String!) on ENUM_VALUE
directive @join__type(graph: join__Graph!, key: join__FieldSet) repeatable on OBJECT
directive @join__field(graph: join__Graph, provides: join__FieldSet, external: Boolean)
  repeatable on FIELD_DEFINITION
scalar link__Import
scalar join__FieldSet
enum link__Purpose { SECURITY EXECUTION }
enum join__Graph { A @join__graph(name: "a", url: "") B @join__graph(name: "b", url: "") }
type Query @join__type(graph: A) {
  me: User @join__field(graph: A, provides: "profile { text }")
  other: User @join__field(graph: A)
}
type User @join__type(graph: A, key: "id") { id: ID! profile: Profile }
type Profile @join__type(graph: A) @join__type(graph: B) {
  text: String @join__field(graph: A, external: true) @join__field(graph: B)
}
"""
"""A supergraph where an object that is asked for again has less than where it was found."""


def test_what_has_no_plan_in_parts_is_planned_as_a_whole() -> None:
    made = planned("{ me { id ... @defer { profile { text } } } }", Supergraph.from_sdl(PROVIDED))
    assert [fetch.document for fetch in made.fetches] == ["{me{id profile{text}}}"]


def test_what_has_no_plan_at_all_is_refused() -> None:
    with pytest.raises(PlanningError, match="text cannot be reached"):
        planned("{ other { profile { text } } }", Supergraph.from_sdl(PROVIDED))


def test_an_operation_with_too_many_fields_to_compare_is_planned_as_a_whole() -> None:
    many = "... on Book { title } ... on Film { title } " * 300
    source = f"{{ items {{ {many} ... @defer {{ id }} ... on Book @defer {{ price }} }} }}"
    assert {fetch.part for fetch in planned(source).fetches} == {AT_ONCE}
    few = source.replace(many, many[:44])
    assert {name for _, name in (fetch.part for fetch in planned(few).fetches)} == {"", "#1"}


@pytest.mark.parametrize(("count", "fetches"), [(50, 51), (51, 1)])
def test_there_are_only_so_many_requests_for_one_operation(count: int, fetches: int) -> None:
    parts = " ".join(f"... @defer {{ r{number}: role }}" for number in range(count))
    assert len(planned(f"{{ me {{ id {parts} }} }}").fetches) == fetches


@pytest.mark.parametrize(
    ("selected", "path"),
    [
        ("me { id } ... @defer { later: users(ids: [1]) { id } }", []),
        ("topReview { stars ... @defer { later: body } }", ["topReview"]),
        (
            "users(ids: [1]) { friends { id ... @defer { later: name } } }",
            ["users", 0, "friends", 0],
        ),
        ("items(first: 1) { id ... on Item @defer { later: title } }", ["items", 0]),
    ],
)
async def test_what_is_deferred_in_the_same_subgraph_is_not_waited_for(
    selected: str, path: list[Any]
) -> None:
    transport = Held("later")
    pipeline = Pipeline(Runtime(supergraph(), transport))
    query = f"{{ {selected} }}"
    request = GraphQLRequest(query, incremental="deferspec=20220824")
    stream = await pipeline.subscribe(request, RequestContext())
    assert not isinstance(stream, GraphQLResult)
    first = orjson.loads((await anext(stream)).encode())
    assert first["hasNext"] is True
    transport.gate.set()
    last = orjson.loads((await anext(stream)).encode())
    assert last["hasNext"] is False
    (patch,) = last["incremental"]
    assert (patch["path"], list(patch["data"])) == (path, ["later"])
    assert [part async for part in stream] == []
    # Who takes no parts is given the same.
    whole = await pipeline.execute(GraphQLRequest(query), RequestContext())
    assert whole.data == put(first["data"], path, patch["data"])
    await pipeline.close()


def half_deferred(source: str) -> str | None:
    """The operation with half of its root fields deferred, if it has as many."""
    document = parse(source)
    operation, *fragments = document.definitions
    assert isinstance(operation, OperationDefinitionNode)
    written = [print_ast(one) for one in operation.selection_set.selections]
    if len(written) < 2:
        return None
    middle = len(written) // 2
    head = source[: source.index("{ ")] if source.startswith("query") else "query "
    now, later = " ".join(written[:middle]), " ".join(written[middle:])
    return " ".join([f"{head} {{ {now} ... @defer {{ {later} }} }}", *map(print_ast, fragments)])


async def test_random_operations_planned_apart_have_the_same_answer() -> None:
    transport = Held("nothing of the kind")
    pipeline = Pipeline(Runtime(supergraph(), transport), introspection=True)
    seen = 0
    for seed in range(200):
        random = Random(seed)  # noqa: S311
        whole = random_operation(supergraph().api_schema, random)
        parts = half_deferred(whole)
        if parts is None:
            continue
        request = GraphQLRequest(deferring(parts, random), incremental="deferspec=20220824")
        stream = await pipeline.subscribe(request, RequestContext())
        if isinstance(stream, GraphQLResult):
            continue
        first, *rest = [orjson.loads(part.encode()) async for part in stream]
        together: Any = first["data"]
        patches = [patch for part in rest for patch in part["incremental"]]
        if together is None or any(patch["data"] is None for patch in patches):
            continue
        for patch in patches:
            together = put(together, patch["path"], patch["data"])
        seen += 1
        plain = await pipeline.execute(GraphQLRequest(whole), RequestContext())
        assert together == orjson.loads(plain.encode())["data"], request.query
    assert not transport.invalid
    assert seen > 20
    await pipeline.close()
