"""A plan runs as a dependency graph, and a subscription as a stream of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from graphql import GraphQLSchema, build_schema

from gateway.federation.execution import FetchReport, Response, compile_plan
from gateway.federation.operation.prepare import parse_and_validate, prepare
from gateway.federation.plan import (
    AT,
    Entities,
    Fetch,
    KeyRenamer,
    QueryPlan,
    RequireField,
    RequireFragment,
)
from gateway.federation.transport import SubgraphError, SubgraphRequest, SubgraphResponse
from tests.federation.scripted import Scripted, answer, executable, run, supergraph

KEY = (RequireField("__typename", "__typename"), RequireField("id", "id", is_key=True))


def root(number: int, document: str, *after: int, **more: Any) -> Fetch:
    return Fetch(number, "catalog", "query", document, depends_on=after, **more)


def hop(number: int, document: str, path: tuple[Any, ...], *after: int) -> Fetch:
    call = Entities((path,), (RequireFragment("Book", KEY),))
    text = (
        f"query($representations:[_Any!]!){{_entities(representations:$representations){document}}}"
    )
    return Fetch(number, "inventory", "query", text, entities=(call,), depends_on=after)


async def test_a_fetch_starts_when_its_own_inputs_are_there() -> None:
    fetches = (
        root(0, "{me{id}}"),
        root(1, "{books{id}}"),
        root(2, "{a:me{id}}", 0),
        root(3, "{b:me{id}}", 2, 1),
    )
    transport = Scripted({fetch.id: answer({}) for fetch in fetches})
    transport.gates[1] = asyncio.Event()
    plan = executable("{ me { id } }", *fetches)
    running = asyncio.create_task(plan.run(transport, {}, None))
    await transport.reached("end 2")
    assert "start 3" not in transport.order
    assert "end 1" not in transport.order
    transport.gates[1].set()
    await running
    assert transport.order[-2:] == ["start 3", "end 3"]


async def test_fetches_in_a_row_run_one_after_another() -> None:
    fetches = (root(0, "{me{id}}"), root(1, "{a:me{id}}", 0), root(2, "{b:me{id}}", 0, 1))
    _, transport = await run("{ me { id } }", {fetch: answer({}) for fetch in fetches})
    assert transport.order == ["start 0", "end 0", "start 1", "end 1", "start 2", "end 2"]


async def test_a_fetch_that_fails_stops_nobody() -> None:
    response, transport = await run(
        "{ me { id } books { id } users { id } }",
        {
            root(0, "{me{id}}"): SubgraphError("down"),
            root(1, "{books{id}}"): answer({"books": [{"id": "1"}]}),
            root(2, "{users{id}}", 0): answer({"users": [{"id": "2"}]}),
        },
    )
    assert response.data == {"me": None, "books": [{"id": "1"}], "users": [{"id": "2"}]}
    assert len(transport.requests) == 3


async def test_who_stops_waiting_stops_the_fetches() -> None:
    fetches = (root(0, "{me{id}}"), root(1, "{books{id}}"))
    transport = Scripted({fetch.id: answer({}) for fetch in fetches})
    transport.gates = {0: asyncio.Event(), 1: asyncio.Event()}
    running = asyncio.create_task(executable("{ me { id } }", *fetches).run(transport, {}, None))
    await transport.reached("start 1")
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert transport.order == ["start 0", "start 1"]


async def test_variables_go_by_the_documents_names_and_only_if_given() -> None:
    fetch = root(0, "query($a:Int,$b:ID){items(first:$a){id}}", variables=(("a", "n"), ("b", "id")))
    _, transport = await run(
        "query ($n: Int, $id: ID!) { items(first: $n) { id } node(id: $id) { id } }",
        {fetch: answer({})},
        variables={"id": "5"},
    )
    assert transport.requests[0].variables == {"b": "5"}
    assert transport.requests[0].context is None


async def test_an_observer_hears_of_every_fetch() -> None:
    fetches = (
        root(0, "{books{__typename id}}"),
        hop(1, "{...on Book{inStock}}", ("books", AT), 0),
        hop(2, "{...on Book{inStock}}", ("nobody", AT), 0),
    )
    transport = Scripted(
        {
            0: answer({"books": [{"__typename": "Book", "id": "1"}]}),
            1: answer({"_entities": [None]}, {"message": "no", "path": ["_entities", 0]}),
        }
    )
    reports: list[FetchReport] = []
    plan = executable("{ books { id inStock } }", *fetches)
    await plan.run(transport, {}, None, observer=reports.append)
    reports.sort(key=lambda report: report.fetch.id)
    assert [report.representations for report in reports] == [0, 1, 0]
    assert [report.sent for report in reports] == [True, True, False]
    assert [len(report.errors) for report in reports] == [0, 1, 0]
    assert all(report.ended >= report.started for report in reports)


class TestPassingThrough:
    """A single fetch that asks for what the client asked is handed on as it is."""

    async def test_the_very_answer_is_handed_on(self) -> None:
        found = {"me": {"name": "n", "id": "1"}}
        fetch = root(0, "{me{name id}}")
        response, _ = await run("{ me { name id } }", {fetch: answer(found)})
        assert response.data is found

    async def test_an_answer_with_errors_is_projected(self) -> None:
        fetch = root(0, "{me{name id}}")
        response, _ = await run(
            "{ me { name id } }",
            {fetch: answer({"me": {"id": "1", "name": None, "x": 1}}, {"message": "no"})},
        )
        assert response.data == {"me": {"name": None, "id": "1"}}
        assert response.errors[0]["extensions"]["serviceName"] == "catalog"

    async def test_an_answer_with_other_keys_is_projected(self) -> None:
        source, fetch = "{ me { id } books { id } }", root(0, "{me{id} books{id}}")
        for amiss in ('{"books": []}', '{"books": [], "me": null}', '{"x": 1, "books": []}'):
            response, _ = await run(source, {fetch: answer(json.loads(amiss))})
            assert json.dumps(response.data) == '{"me": null, "books": []}'
            assert response.errors == []

    async def test_a_key_that_may_not_be_left_out_is_told(self) -> None:
        response, _ = await run("{ items { id } }", {root(0, "{items{id}}"): answer({})})
        assert response.data is None
        (error,) = response.errors
        assert (error["path"], error["extensions"]["code"]) == (
            ["items"],
            "INVALID_SUBGRAPH_RESPONSE",
        )

    async def test_a_fetch_that_fails_is_reported(self) -> None:
        fetch = root(0, "{me{name id}}")
        reports: list[FetchReport] = []
        plan = executable("{ me { name id } }", fetch)
        transport = Scripted({0: SubgraphError("down")})
        response = await plan.run(transport, {}, None, observer=reports.append)
        assert response.data == {"me": None}
        assert [len(report.errors) for report in reports] == [1]

    @pytest.mark.parametrize(
        ("source", "document"),
        [
            ("{ me { name id } }", "{me{id name}}"),
            ("{ me { name id } }", "{me{name}}"),
            ("{ me { name } }", "{me{__typename name}}"),
            ("{ me { name } }", "{me{handle}}"),
            ("{ me { name } }", "{me{name:handle}}"),
            ("{ me { name } }", "{me{...on User{name}}}"),
            ("{ me { name } }", "query{me{...A}} fragment A on User{name}"),
            ("{ items { ... on Book { id } } }", "{items{...on Film{id}}}"),
            ("{ items { ... on Book { id } } }", "{items{...{id}}}"),
            ("{ me { id @skip(if: true) } }", "{me}"),
            ("{ __schema { description } }", "{__schema{description}}"),
            ("{ me { name } }", "fragment A on User{name}"),
        ],
    )
    def test_whatever_differs_is_projected(self, source: str, document: str) -> None:
        assert not executable(source, root(0, document)).passthrough

    def test_entities_and_renames_are_projected(self) -> None:
        renames = (KeyRenamer(("me", "_k0"), "name"),)
        assert not executable(
            "{ me { name } }", root(0, "{me{name}}", output_rewrites=renames)
        ).passthrough
        assert not executable(
            "{ me { name } }", root(0, "{me{name}}"), root(1, "{me{id}}")
        ).passthrough

    def test_visible_types_and_values_pass(self) -> None:
        source = "{ items { __typename id ... on Book { author { role } } } }"
        document = "{items{__typename id ...on Book{author{role}}}}"
        assert executable(source, root(0, document)).passthrough

    @pytest.mark.parametrize(
        ("area", "source", "document"),
        [
            ("enum-intersection", "{ users { type } }", "{users{type}}"),
            ("requires-with-fragments", "{ a { data { foo } } }", "{a{data{foo}}}"),
        ],
    )
    def test_what_may_hold_hidden_things_is_projected(
        self, area: str, source: str, document: str
    ) -> None:
        assert not executable(source, root(0, document), area=area).passthrough


class TestSubscribing:
    """The first fetch is the stream; the others run for each of its events."""

    FETCHES = (
        Fetch(0, "a", "subscription", "subscription{changed{__typename id}}"),
        Fetch(
            1,
            "b",
            "query",
            "query($representations:[_Any!]!){_entities(representations:$representations)"
            "{...on Book{title}}}",
            entities=(Entities((("changed",),), (RequireFragment("Book", KEY),)),),
            depends_on=(0,),
        ),
    )

    def responses(self, transport: Any, *fetches: Fetch) -> AsyncGenerator[Response, None]:
        small = supergraph("small")
        document = parse_and_validate(small.api_schema, "subscription { changed { id title } }")
        operation = prepare(small.api_schema, document).fold({})
        plan = compile_plan(small, operation, QueryPlan(fetches, {}))
        return plan.subscribe(transport, {}, None)

    async def test_every_event_is_completed(self) -> None:
        events = [
            answer({"changed": {"__typename": "Book", "id": "1"}}),
            answer({"changed": None}, {"message": "no", "path": ["changed"]}),
        ]
        transport = Scripted({0: events, 1: answer({"_entities": [{"title": "t"}]})})  # type: ignore[dict-item]
        found = [one async for one in self.responses(transport, *self.FETCHES)]
        assert [one.data for one in found] == [
            {"changed": {"id": "1", "title": "t"}},
            {"changed": None},
        ]
        assert found[0].errors == []
        assert found[1].errors[0]["path"] == ["changed"]

    async def test_a_stream_may_need_nothing_more(self) -> None:
        transport = Scripted({0: [answer({"changed": {"id": "1"}})]})  # type: ignore[dict-item]
        found = [one async for one in self.responses(transport, self.FETCHES[0])]
        assert [one.data for one in found] == [{"changed": {"id": "1", "title": None}}]

    async def test_closing_it_closes_the_upstream(self) -> None:
        event = answer({"changed": {"__typename": "Book", "id": "1"}})
        transport = Scripted({0: [event, event], 1: answer({"_entities": [{"title": "t"}]})})  # type: ignore[dict-item]
        stream = self.responses(transport, *self.FETCHES)
        await anext(stream)
        await stream.aclose()
        assert transport.closed

    async def test_a_stream_that_breaks_ends_with_its_error(self) -> None:
        event = answer({"changed": None})
        transport = Scripted({0: [event, SubgraphError("gone", code="GONE")]})  # type: ignore[dict-item]
        found = [one async for one in self.responses(transport, *self.FETCHES)]
        assert [one.data for one in found] == [{"changed": None}, None]
        assert found[1].errors == [
            {
                "message": "gone",
                "path": ["changed"],
                "extensions": {"code": "GONE", "serviceName": "a"},
            }
        ]

    async def test_a_stream_without_a_way_to_close_it_is_read_to_its_end(self) -> None:
        class Endless:
            """An iterator that is no generator."""

            def __init__(self) -> None:
                self.left = 2

            def __aiter__(self) -> Endless:
                return self

            async def __anext__(self) -> SubgraphResponse:
                self.left -= 1
                if self.left < 0:
                    raise StopAsyncIteration
                return answer({"changed": None})

        class Transport:
            def subscribe(self, request: SubgraphRequest) -> Endless:
                assert request.fetch.kind == "subscription"
                return Endless()

        found = [one async for one in self.responses(Transport(), self.FETCHES[0])]
        assert len(found) == 2


def test_an_operation_names_its_root_type() -> None:
    schema: GraphQLSchema = build_schema("schema { query: Start } type Start { a: Int }")
    assert prepare(schema, parse_and_validate(schema, "{ a }")).fold({}).root_type == "Start"
