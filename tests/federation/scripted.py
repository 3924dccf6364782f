"""Hand-written plans against answers that are written down: what real subgraphs rarely do."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping
from functools import cache
from typing import Any

from gateway.federation.execution import ExecutablePlan, Response, compile_plan
from gateway.federation.operation.prepare import parse_and_validate, prepare
from gateway.federation.operation.selection import Operation
from gateway.federation.plan import Fetch, QueryPlan
from gateway.federation.supergraph import Supergraph
from gateway.federation.transport import SubgraphRequest, SubgraphResponse
from tests.federation.areas import areas
from tests.federation.world import WORLD

__all__ = ["Scripted", "answer", "executable", "operation_of", "run", "supergraph"]

SMALL = """
schema
  @link(url: "https://specs.apollo.dev/link/v1.0")
  @link(url: "https://specs.apollo.dev/join/v0.3", for: EXECUTION)
{ query: Query subscription: Subscription }
directive @link(url: String, as: String, for: link__Purpose, import: [link__Import])
  repeatable on SCHEMA
directive @join__graph(name: String!, url: String!) on ENUM_VALUE
directive @join__type(graph: join__Graph!, key: join__FieldSet) repeatable on OBJECT
directive @join__field(graph: join__Graph) repeatable on FIELD_DEFINITION
scalar link__Import
scalar join__FieldSet
enum link__Purpose { SECURITY EXECUTION }
enum join__Graph { A @join__graph(name: "a", url: "") B @join__graph(name: "b", url: "") }
type Query @join__type(graph: A) { one: Book }
type Subscription @join__type(graph: A) { changed: Book }
type Book @join__type(graph: A, key: "id") @join__type(graph: B, key: "id") {
  id: ID!
  title: String @join__field(graph: B)
  tags: [String!] @join__field(graph: A)
  scores: [Int] @join__field(graph: A)
}
"""
"""A supergraph with what the world lacks: a subscription, and lists of leaves."""

Answer = SubgraphResponse | Exception | Callable[[SubgraphRequest], SubgraphResponse]


@cache
def supergraph(area: str = "world") -> Supergraph:
    """The supergraph of the world, a small one, or that of a conformance area."""
    if area == "small":
        return Supergraph.from_sdl(SMALL)
    if area == "world":
        return Supergraph.from_sdl(WORLD.supergraph_file.read_text())
    found = next(one for one in areas() if one.name == area)
    return Supergraph.from_sdl(found.supergraph_file.read_text())


class Scripted:
    """A transport that gives each fetch, by its id, the answer that was written for it.

    ``gates`` hold a fetch up until its event is set; ``order`` has what started
    and what ended, in the order it happened.
    """

    def __init__(self, answers: Mapping[int, Answer]) -> None:
        self.answers = answers
        self.requests: list[SubgraphRequest] = []
        self.order: list[str] = []
        self._happened: dict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self.gates: dict[int, asyncio.Event] = {}
        self.closed = False

    async def execute(self, request: SubgraphRequest) -> SubgraphResponse:
        number = request.fetch.id
        self.requests.append(request)
        self._note(f"start {number}")
        if number in self.gates:
            await self.gates[number].wait()
        self._note(f"end {number}")
        return self._answer(self.answers[number], request)

    async def reached(self, event: str) -> None:
        """Return when this has happened."""
        await self._happened[event].wait()

    def _note(self, event: str) -> None:
        self.order.append(event)
        self._happened[event].set()

    async def subscribe(self, request: SubgraphRequest) -> AsyncIterator[SubgraphResponse]:
        self.requests.append(request)
        events: Any = self.answers[request.fetch.id]
        try:
            for event in events:
                yield self._answer(event, request)
        finally:
            self.closed = True

    @staticmethod
    def _answer(answer: Answer, request: SubgraphRequest) -> SubgraphResponse:
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, SubgraphResponse) else answer(request)


def answer(data: Any, *errors: Mapping[str, Any]) -> SubgraphResponse:
    """A subgraph's answer."""
    return SubgraphResponse(data, errors)


def operation_of(
    source: str, variables: Mapping[str, Any] | None = None, *, area: str = "world"
) -> tuple[Operation, dict[str, Any]]:
    """The folded operation of a text and its coerced variables."""
    schema = supergraph(area).api_schema
    prepared = prepare(schema, parse_and_validate(schema, source))
    coerced = prepared.coerce(variables)
    return prepared.fold(coerced), coerced


def executable(
    source: str,
    *fetches: Fetch,
    area: str = "world",
    variables: Mapping[str, Any] | None = None,
    aliases: Mapping[str, str] | None = None,
) -> ExecutablePlan:
    """A hand-written plan for an operation, compiled."""
    operation, _ = operation_of(source, variables, area=area)
    return compile_plan(supergraph(area), operation, QueryPlan(fetches, dict(aliases or {})))


async def run(
    source: str,
    fetches: Mapping[Fetch, Answer],
    *,
    area: str = "world",
    variables: Mapping[str, Any] | None = None,
    aliases: Mapping[str, str] | None = None,
) -> tuple[Response, Scripted]:
    """Run a hand-written plan; each fetch comes with its answer."""
    plan = executable(source, *fetches, area=area, variables=variables, aliases=aliases)
    _, coerced = operation_of(source, variables, area=area)
    transport = Scripted({fetch.id: one for fetch, one in fetches.items()})
    return await plan.run(transport, coerced, None), transport
