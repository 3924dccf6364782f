"""Demand control through the pipeline, in both modes of subgraphs, and over HTTP."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import REGISTRY

from gateway import standalone
from gateway.configuration import read
from gateway.context import RequestContext
from gateway.cost import CostLimits
from gateway.federation.supergraph import Supergraph
from gateway.federation.transport import SubgraphRequest, SubgraphResponse
from gateway.pipeline import Pipeline
from gateway.runtime import Runtime, Transport
from shared.auth import ANONYMOUS, Identity
from shared.config import ConfigurationError, load
from shared.protocols.http import GraphQLHTTP
from shared.protocols.service import GraphQLRequest, GraphQLResult, IncrementalStream
from tests.gateway.bookshop import SDL, Bookshop, make_bookshop
from tests.gateway.conftest import as_json
from tests.serving import serving

COSTS = """
directive @cost(weight: Int!) on ARGUMENT_DEFINITION | FIELD_DEFINITION | OBJECT
directive @listSize(
  assumedSize: Int, slicingArguments: [String!], sizedFields: [String!],
  requireOneSlicingArgument: Boolean = true
) on FIELD_DEFINITION
"""
COSTLY = (
    SDL.replace(
        "for: EXECUTION) {",
        'for: EXECUTION) @link(url: "https://specs.apollo.dev/cost/v0.1",'
        ' import: ["@cost", "@listSize"]) {',
    )
    .replace("authors: [Author!]!", "authors: [Author!]! @listSize(assumedSize: 5)")
    .replace("whoami: String", "whoami: String @cost(weight: 7)")
    .replace("author(id: ID!)", "author(id: ID! @cost(weight: 4))")
    .replace(
        "  books: [Book!]! @join__field(graph: BOOKS)\n}",
        "  books(first: Int): [Book!]! @join__field(graph: BOOKS)\n"
        '    @listSize(slicingArguments: ["first"])\n}',
    )
    + COSTS
)
SUPERGRAPH = Supergraph.from_sdl(COSTLY)
QUERY = "{ authors { name books { title } } }"
# Five authors; as entities they are objects again, with ten books each.
ESTIMATED = 5 + 5 * (1 + 10)
# There are two authors with a book each.
ACTUAL = 2 + 2 * (1 + 1)


class Recorded:
    """The transport, and what was asked of it."""

    def __init__(self, inner: Transport) -> None:
        self.inner: Any = inner
        self.asked: list[str] = []
        self.undecoded: list[str] = []
        if hasattr(inner, "execute_undecoded"):
            self.execute_undecoded = self._execute_undecoded

    async def execute(self, request: SubgraphRequest) -> SubgraphResponse:
        self.asked.append(request.fetch.subgraph)
        response: SubgraphResponse = await self.inner.execute(request)
        return response

    async def _execute_undecoded(self, request: SubgraphRequest) -> SubgraphResponse:
        self.undecoded.append(request.fetch.subgraph)
        response: SubgraphResponse = await self.inner.execute_undecoded(request)
        return response

    def subscribe(self, request: SubgraphRequest) -> AsyncIterator[SubgraphResponse]:
        self.asked.append(request.fetch.subgraph)
        stream: AsyncIterator[SubgraphResponse] = self.inner.subscribe(request)
        return stream

    async def close(self) -> None:
        """The fixture closes it."""


class Shop:
    """A gateway with limits on costs."""

    def __init__(self, transport: Transport, limits: CostLimits) -> None:
        self.transport = Recorded(transport)
        self.context = RequestContext()
        self.pipeline = Pipeline(Runtime(SUPERGRAPH, self.transport, costs=limits))

    async def ask(self, query: str, **more: Any) -> dict[str, Any]:
        """The response map of one operation."""
        return as_json(await self.pipeline.execute(GraphQLRequest(query, **more), self.context))


Open = Callable[..., Shop]


@pytest.fixture
async def opened(transport: Transport) -> AsyncIterator[Open]:
    shops: list[Shop] = []

    def make(**limits: Any) -> Shop:
        shops.append(Shop(transport, CostLimits(**limits)))
        return shops[-1]

    yield make
    for shop in shops:
        await shop.pipeline.close()


def sample(name: str, **labels: str) -> float:
    """The value of a metric now."""
    return REGISTRY.get_sample_value(name, labels) or 0.0


def exceeded(limit: str, *, enforced: bool) -> float:
    return sample("graphql_limit_exceeded_total", limit=limit, enforced=str(enforced).lower())


async def test_an_operation_that_may_cost_too_much_is_refused_before_any_fetch(
    opened: Open,
) -> None:
    shop = opened(mode="enforce", most=ESTIMATED - 1)
    labels = {"kind": "query", "result": "COST_ESTIMATED_TOO_EXPENSIVE"}
    before = exceeded("cost", enforced=True), sample("graphql_cost_estimated_count", **labels)
    for _ in range(2):
        request = GraphQLRequest(QUERY)
        result = await shop.pipeline.execute(request, shop.context)
        assert result.status == 400
        answer = as_json(result)
        assert "data" not in answer
        (error,) = answer["errors"]
        assert error["extensions"] == {
            "code": "COST_ESTIMATED_TOO_EXPENSIVE",
            "cost": {"estimated": ESTIMATED, "max": ESTIMATED - 1},
        }
    assert not shop.transport.asked
    assert exceeded("cost", enforced=True) == before[0] + 2
    assert sample("graphql_cost_estimated_count", **labels) == before[1] + 2


async def test_one_that_costs_no_more_than_the_maximum_is_answered(opened: Open) -> None:
    shop = opened(mode="enforce", most=ESTIMATED)
    answer = await shop.ask(QUERY)
    assert answer["data"]["authors"][0]["books"] == [{"title": "Always"}]
    assert "extensions" not in answer


async def test_measuring_refuses_nothing(opened: Open) -> None:
    shop = opened(mode="measure", most=1)
    labels = {"kind": "query", "result": "COST_ESTIMATED_TOO_EXPENSIVE"}
    before = exceeded("cost", enforced=False), sample("graphql_cost_estimated_sum", **labels)
    assert "errors" not in await shop.ask(QUERY)
    assert exceeded("cost", enforced=False) == before[0] + 1
    assert sample("graphql_cost_estimated_sum", **labels) == before[1] + ESTIMATED


async def test_nothing_is_counted_where_costs_are_off(opened: Open) -> None:
    shop = opened()
    names = ("graphql_cost_estimated_count", "graphql_cost_actual_count")
    labels = {"kind": "query", "result": "COST_OK"}
    before = [sample(name, **labels) for name in names]
    answer = await shop.ask(QUERY, extensions={"cost": True})
    assert "extensions" not in answer
    assert [sample(name, **labels) for name in names] == before


@pytest.mark.parametrize(
    ("limits", "extensions", "passes"),
    [
        ({}, {}, True),
        ({"mode": "enforce"}, {}, True),
        ({"mode": "measure", "exposed": True}, {}, True),
        ({"mode": "measure", "exposed": True}, {"cost": True}, False),
        ({"actual": "measure"}, {}, False),
    ],
)
async def test_an_answer_is_only_decoded_to_count_what_it_cost(
    opened: Open, limits: dict[str, Any], extensions: dict[str, Any], passes: bool
) -> None:
    shop = opened(**limits)
    answer = await shop.ask("{ whoami }", extensions=extensions)
    assert answer["data"] == {"whoami": None}
    if hasattr(shop.transport, "execute_undecoded"):
        assert bool(shop.transport.undecoded) is passes


COST = {
    "estimated": ESTIMATED,
    "actual": ACTUAL,
    "max": 10_000,
    "result": "COST_OK",
    "subgraphs": {
        "authors": {"estimated": 5, "actual": 2},
        "books": {"estimated": ESTIMATED - 5, "actual": ACTUAL - 2},
    },
}


@pytest.mark.parametrize("mode", ["off", "measure", "enforce"])
async def test_a_client_is_told_the_cost_if_it_asks_and_may_know(opened: Open, mode: str) -> None:
    shop = opened(mode=mode, exposed=True)
    assert "extensions" not in await shop.ask(QUERY)
    assert "extensions" not in await shop.ask(QUERY, extensions={"cost": 1})
    assert (await shop.ask(QUERY, extensions={"cost": True}))["extensions"] == {"cost": COST}
    hidden = opened(mode=mode)
    assert "extensions" not in await hidden.ask(QUERY, extensions={"cost": True})


async def test_an_explanation_has_the_cost_of_the_whole_and_of_each_fetch(opened: Open) -> None:
    shop = opened()
    shop.context.explain = True
    extensions = (await shop.ask(QUERY))["extensions"]
    assert extensions["cost"] == COST
    assert [fetch["cost"] for fetch in extensions["explain"]["fetches"]] == [
        COST["subgraphs"]["authors"],  # type: ignore[index]
        COST["subgraphs"]["books"],  # type: ignore[index]
    ]


async def test_what_answers_cost_is_measured_against_the_estimate(opened: Open) -> None:
    shop = opened(mode="measure", actual="measure", most=ACTUAL - 1)
    labels = {"kind": "query", "result": "COST_ACTUAL_TOO_EXPENSIVE"}
    names = ("graphql_cost_actual_sum", "graphql_cost_delta_sum")
    before = [sample(name, **labels) for name in names]
    over = exceeded("actual_cost", enforced=False)
    assert "errors" not in await shop.ask(QUERY)
    after = [sample(name, **labels) for name in names]
    assert [new - old for new, old in zip(after, before, strict=True)] == [
        ACTUAL,
        ESTIMATED - ACTUAL,
    ]
    assert exceeded("actual_cost", enforced=False) == over + 1


async def test_a_query_that_has_cost_the_maximum_is_cut_short(opened: Open) -> None:
    shop = opened(actual="enforce", most=1, exposed=True)
    over = exceeded("actual_cost", enforced=True)
    answer = await shop.ask("{ authors { name books { title } } }", extensions={"cost": True})
    assert answer["data"] is None
    assert {error["extensions"]["code"] for error in answer["errors"]} == {
        "COST_ACTUAL_TOO_EXPENSIVE"
    }
    assert shop.transport.asked == ["authors"]
    assert answer["extensions"]["cost"]["actual"] == 2
    assert exceeded("actual_cost", enforced=True) == over + 1


async def test_a_mutation_is_never_cut_short(opened: Open, bookshop: Bookshop) -> None:
    bookshop.release.set()
    shop = opened(actual="enforce", most=1)
    query = 'mutation { a: rename(id: "1", name: "A") { id } b: rename(id: "2", name: "B") { id } }'
    assert "errors" not in await shop.ask(query)
    assert bookshop.names == {"1": "A", "2": "B"}


async def test_a_subgraph_is_not_asked_for_more_than_its_maximum(opened: Open) -> None:
    over = exceeded("subgraph_cost", enforced=True)
    shop = opened(mode="enforce", subgraphs={"books": 54, "authors": 12, "unused": 1})
    answer = await shop.ask("{ authors { id broken books { title } } whoami }")
    assert shop.transport.asked == ["authors"]
    codes = {error["extensions"]["code"] for error in answer["errors"]}
    assert codes == {"SUBGRAPH_COST_ESTIMATED_TOO_EXPENSIVE"}
    assert exceeded("subgraph_cost", enforced=True) == over + 1


async def test_the_rest_of_the_answer_stands(opened: Open) -> None:
    shop = opened(mode="enforce", subgraphs={"books": 4})
    answer = await shop.ask("{ authors { name broken } }")
    assert answer["data"]["authors"][0] == {"name": "Ursula", "broken": None}
    assert answer["errors"][0]["extensions"]["serviceName"] == "books"
    measured = opened(mode="measure", subgraphs={"books": 4})
    await measured.ask("{ authors { name broken } }")
    assert measured.transport.asked == ["authors", "books"]


MUTATION = 'mutation { rename(id: "1", name: "x") { books { title } } }'


async def test_half_a_mutation_is_refused_as_a_whole(opened: Open, bookshop: Bookshop) -> None:
    bookshop.release.set()
    shop = opened(mode="enforce", subgraphs={"books": 5})
    answer = await shop.ask(MUTATION)
    (error,) = answer["errors"]
    assert error["extensions"]["code"] == "SUBGRAPH_COST_ESTIMATED_TOO_EXPENSIVE"
    assert bookshop.names["1"] == "Ursula"


async def test_a_mutation_costs_ten_more(opened: Open, bookshop: Bookshop) -> None:
    bookshop.release.set()
    total = 10 + 1 + 1 + 10
    assert "errors" in await opened(mode="enforce", most=total - 1).ask(MUTATION)
    assert bookshop.names["1"] == "Ursula"
    assert "errors" not in await opened(mode="enforce", most=total).ask(MUTATION)


async def test_a_subscription_is_estimated_when_it_is_opened(
    opened: Open, bookshop: Bookshop
) -> None:
    query = GraphQLRequest("subscription { bookAdded { title author { name } } }")
    # The book, its author, and the author as an entity.
    for limits in ({"most": 2}, {"most": 3, "subgraphs": {"books": 1}}):
        shop = opened(mode="enforce", **limits)
        refused = await shop.pipeline.subscribe(query, shop.context)
        assert isinstance(refused, GraphQLResult)
        assert refused.status == 400
    shop = opened(mode="enforce", most=3, actual="measure")
    stream = await shop.pipeline.subscribe(query, shop.context)
    assert not isinstance(stream, GraphQLResult)
    bookshop.events.put_nowait("a")
    first = await anext(stream)
    assert first.data["bookAdded"]["author"] == {"name": "Ursula"}
    await stream.aclose()  # type: ignore[attr-defined]


async def test_each_event_of_a_subscription_costs_its_own(opened: Open, bookshop: Bookshop) -> None:
    query = "subscription { bookAdded { title author { name } } }"
    shop = opened(actual="enforce", most=2, exposed=True)
    shop.context.audience = "everybody"
    told = await shop.pipeline.subscribe(
        GraphQLRequest(query, extensions={"cost": True}), shop.context
    )
    quiet = await shop.pipeline.subscribe(GraphQLRequest(query), shop.context)
    assert not isinstance(quiet, GraphQLResult)
    assert not isinstance(told, GraphQLResult)
    counted = REGISTRY.get_sample_value
    labels = {"kind": "subscription", "result": "COST_ACTUAL_TOO_EXPENSIVE"}
    before = counted("graphql_cost_actual_count", labels) or 0
    for _ in range(2):
        bookshop.events.put_nowait("a")
        event = as_json(await anext(told))
        # A book and its author, as of the event; and the author as an entity.
        assert event["data"]["bookAdded"]["author"] == {"name": "Ursula"}
        cost = event["extensions"]["cost"]
        assert (cost["estimated"], cost["actual"]) == (3, 3)
        assert cost["subgraphs"]["books"]["actual"] == 2
    assert counted("graphql_cost_actual_count", labels) == before + 2
    await told.aclose()  # type: ignore[attr-defined]
    await bookshop.closed.wait()
    bookshop.events.put_nowait("a")
    assert "extensions" not in as_json(await anext(quiet))
    await quiet.aclose()  # type: ignore[attr-defined]


async def test_a_deferred_operation_is_estimated_as_a_whole_and_counted_at_its_end(
    opened: Open,
) -> None:
    query = "{ authors { name ... @defer { books { title } } } }"
    request = GraphQLRequest(query, extensions={"cost": True}, incremental="incrementalspec=v0.2")
    refusing = opened(mode="enforce", most=ESTIMATED - 1)
    refused = await refusing.pipeline.subscribe(request, refusing.context)
    assert isinstance(refused, GraphQLResult)
    assert refused.status == 400
    for mode in ("off", "enforce"):
        shop = opened(mode=mode, most=ESTIMATED, exposed=True)
        parts = await shop.pipeline.subscribe(request, shop.context)
        assert isinstance(parts, IncrementalStream)
        told = [as_json(part) async for part in parts]
        assert "extensions" not in told[0]
        assert told[-1]["hasNext"] is False
        assert told[-1]["extensions"]["cost"] == {**COST, "max": ESTIMATED}
    quiet = opened(mode="enforce", most=ESTIMATED)
    parts = await quiet.pipeline.subscribe(request, quiet.context)
    assert isinstance(parts, IncrementalStream)
    assert all(["extensions" not in as_json(part) async for part in parts])


async def test_a_persisted_document_is_estimated_like_any_other(opened: Open) -> None:
    digest = hashlib.sha256(QUERY.encode()).hexdigest()
    named = {"persistedQuery": {"version": 1, "sha256Hash": digest}}
    shop = opened(mode="enforce", most=ESTIMATED - 1)
    for query in (QUERY, ""):
        answer = await shop.ask(query, extensions=named)
        assert answer["errors"][0]["extensions"]["code"] == "COST_ESTIMATED_TOO_EXPENSIVE"
    assert not shop.transport.asked


async def test_a_known_operation_is_estimated_anew_for_other_variables(opened: Open) -> None:
    shop = opened(mode="enforce", most=6)
    query = "query($n: Int) { books(first: $n) { title } }"
    for number, code in ((7, "COST_ESTIMATED_TOO_EXPENSIVE"), (None, "COST_INVALID_SLICING")):
        if number is None:
            shop = opened(mode="enforce")
        answer = await shop.ask(query, variables={"n": number})
        assert answer["errors"][0]["extensions"]["code"].startswith(code)
    assert not shop.transport.asked


async def test_a_list_without_its_slicing_argument_is_refused_only_by_enforcing(
    opened: Open,
) -> None:
    shop = opened(mode="enforce")
    (error,) = (await shop.ask("{ books { title } }"))["errors"]
    assert error["extensions"]["code"] == "COST_INVALID_SLICING_ARGUMENTS"
    assert "Query.books" in error["message"]
    assert "errors" not in await opened(mode="measure").ask("{ books { title } }")


@asynccontextmanager
async def served(folder: Path, settings: str) -> AsyncIterator[str]:
    """The address of `nexus gateway` with a settings file, over the bookshop as services."""

    async def identity(*_: object) -> Identity:
        return ANONYMOUS

    bookshop = Bookshop()
    sdl = COSTLY
    async with AsyncExitStack() as stack:
        for name, service in make_bookshop(bookshop).items():
            http = GraphQLHTTP(service, identity)
            address = await stack.enter_async_context(serving(http, lifespan="off"))
            sdl = sdl.replace(f"http://{name}.test", address)
        (folder / "supergraph.graphql").write_text(sdl)
        (folder / "gateway.yaml").write_text(settings)
        told = read(folder / "gateway.yaml")
        draining = asyncio.Event()
        gateway = await standalone.create(
            str(folder / "supergraph.graphql"), told, draining=draining
        )
        yield await stack.enter_async_context(serving(gateway)) + "/graphql"
        draining.set()


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    accept = {"accept": "application/graphql-response+json"}
    async with httpx.AsyncClient(timeout=5, headers=accept) as client:
        yield client


@pytest.mark.parametrize(
    ("mode", "status", "told"),
    [
        ("off", 200, "COST_ESTIMATED_TOO_EXPENSIVE"),
        ("measure", 200, "COST_ESTIMATED_TOO_EXPENSIVE"),
        ("enforce", 400, None),
    ],
)
async def test_the_settings_file_limits_what_operations_cost(
    tmp_path: Path, client: httpx.AsyncClient, mode: str, status: int, told: str | None
) -> None:
    settings = f"cost: {{mode: {mode}, max: {ESTIMATED - 1}, expose: true}}"
    async with served(tmp_path, settings) as url:
        payload = {"query": QUERY, "extensions": {"cost": True}}
        response = await client.post(url, json=payload)
        assert response.status_code == status
        answer = response.json()
        if told is None:
            assert answer["errors"][0]["extensions"]["code"] == "COST_ESTIMATED_TOO_EXPENSIVE"
        else:
            assert answer["extensions"]["cost"]["result"] == told
        small = await client.post(url, json={"query": "{ whoami }"})
        assert small.json() == {"data": {"whoami": None}}


@pytest.mark.parametrize("header", [None, "1"])
async def test_who_may_have_an_explanation_is_told_the_cost(
    tmp_path: Path, client: httpx.AsyncClient, header: str | None
) -> None:
    async with served(tmp_path, "explain: {freely: true}") as url:
        headers = {"x-nexus-explain": header} if header else {}
        payload = {"query": QUERY, **({} if header else {"extensions": {"cost": True}})}
        answer = (await client.post(url, json=payload, headers=headers)).json()
    assert answer["extensions"]["cost"] == COST
    assert ("explain" in answer["extensions"]) is bool(header)


async def test_a_maximum_for_a_subgraph_that_there_is_not_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"^cost\.subgraphs\.nope: the supergraph has no"):
        async with served(tmp_path, "cost: {subgraphs: {nope: 1, books: 1}}"):
            pass


def test_the_products_settings_name_its_subgraphs_and_its_limits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NEXUS_SECRET_KEY", "x" * 32)
    monkeypatch.setenv("NEXUS_ENV", "test")
    monkeypatch.setenv("NEXUS_GRAPHQL__COST__SUBGRAPHS", '{"billing": 3}')
    monkeypatch.setenv("NEXUS_GRAPHQL__MEASURED_LIMITS", '["depth", "body"]')
    graphql = load().graphql
    assert graphql.cost.subgraphs == {"billing": 3}
    assert graphql.measured_limits == {"depth", "body"}
    monkeypatch.setenv("NEXUS_GRAPHQL__COST__SUBGRAPHS", '{"nope": 3}')
    with pytest.raises(ConfigurationError, match="there is no subgraph 'nope'"):
        load()
