"""Operations through the pipeline, the same in both modes."""

from __future__ import annotations

import asyncio

import pytest

from shared.auth import Identity
from shared.protocols.service import GraphQLRequest
from tests.gateway.conftest import Gateway, as_json


async def test_an_answer_is_joined_from_two_subgraphs(gateway: Gateway) -> None:
    answer = await gateway.ask("{ authors { name books { title author { name } } } }")
    assert answer == {
        "data": {
            "authors": [
                {"name": "Ursula", "books": [{"title": "Always", "author": {"name": "Ursula"}}]},
                {
                    "name": "Stanisław",
                    "books": [{"title": "Solaris", "author": {"name": "Stanisław"}}],
                },
            ]
        }
    }


async def test_one_fetch_passes_through(gateway: Gateway) -> None:
    query = "query($id: ID!) { a: author(id: $id) { name __typename } }"
    answer = await gateway.ask(query, id="1")
    assert answer == {"data": {"a": {"name": "Ursula", "__typename": "Author"}}}


async def test_the_subgraph_is_told_who_is_calling(gateway: Gateway) -> None:
    assert await gateway.ask("{ whoami }") == {"data": {"whoami": None}}
    gateway.context.identity = Identity(user_id="u1")
    assert await gateway.ask("{ whoami }") == {"data": {"whoami": "u1"}}


async def test_a_failed_field_nulls_its_part_and_says_why(gateway: Gateway) -> None:
    answer = await gateway.ask('{ author(id: "9") { name } authors { id broken } }')
    assert answer["data"] == {
        "author": None,
        "authors": [{"id": "1", "broken": None}, {"id": "2", "broken": None}],
    }
    found = {(tuple(e["path"]), e["extensions"]["code"]) for e in answer["errors"]}
    assert found == {
        (("author",), "NOT_FOUND"),
        (("authors", 0, "broken"), "NOT_FOUND"),
        (("authors", 1, "broken"), "NOT_FOUND"),
    }


async def test_a_bug_says_no_more_than_internal(gateway: Gateway) -> None:
    answer = await gateway.ask("{ bug }")
    assert answer["data"] == {"bug": None}
    assert answer["errors"][0]["extensions"]["code"] == "INTERNAL"
    assert "secret" not in str(answer)


@pytest.mark.parametrize(
    ("code", "query"),
    [
        ("GRAPHQL_PARSE_FAILED", "{"),
        ("GRAPHQL_VALIDATION_FAILED", "{ nothing }"),
        ("BAD_USER_INPUT", "query($id: ID!) { author(id: $id) { name } }"),
        ("OPERATION_RESOLUTION_FAILURE", "query A { whoami } query B { whoami }"),
        ("INTROSPECTION_DISABLED", "{ __schema { types { name } } }"),
        ("SUBSCRIPTION_NEEDS_STREAM", "subscription { bookAdded { title } }"),
        ("MAX_TOKENS_LIMIT", "{" + " whoami" * 1_000 + "}"),
        ("MAX_DEPTH_LIMIT", "{ authors" + " { books { author" * 4 + "{ id }" + "}}" * 4 + "}"),
        ("MAX_DEPTH_LIMIT", "{a" * 150 + "}" * 150),
        ("MAX_ALIASES_LIMIT", "{" + " ".join(f"a{n}: whoami" for n in range(6)) + "}"),
        ("MAX_ROOT_FIELDS_LIMIT", "{" + " whoami" * 6 + "}"),
        ("MAX_FIELDS_LIMIT", "{ authors {" + " id" * 30 + "} }"),
        (
            "MAX_FIELDS_LIMIT",
            "{ authors { ...F0 } }"
            + "".join(
                f" fragment F{n} on Author {{ id ...F{n + 1} ...F{n + 1} }}" for n in range(9)
            )
            + " fragment F9 on Author { id }",
        ),
        ("MAX_DIRECTIVES_LIMIT", "{ whoami" + " @skip(if: false)" * 5 + "}"),
    ],
)
async def test_a_request_that_is_not_executed_has_a_code_and_no_data(
    gateway: Gateway, code: str, query: str
) -> None:
    for _ in range(2):
        result = await gateway.pipeline.execute(GraphQLRequest(query), gateway.context)
        assert result.status == 400
        answer = as_json(result)
        assert "data" not in answer
        assert {error["extensions"]["code"] for error in answer["errors"]} == {code}


async def test_suggestions_do_not_give_the_schema_away(gateway: Gateway) -> None:
    answer = await gateway.ask("{ whoam }")
    assert "whoami" not in str(answer)


async def test_conditions_choose_between_plans(gateway: Gateway) -> None:
    query = "query($deep: Boolean!) { authors { id books @include(if: $deep) { title } } }"
    without = await gateway.ask(query, deep=False)
    assert without["data"]["authors"][0] == {"id": "1"}
    deep = await gateway.ask(query, deep=True)
    assert deep["data"]["authors"][0] == {"id": "1", "books": [{"title": "Always"}]}


async def test_a_mutation_over_get_is_refused(gateway: Gateway) -> None:
    request = GraphQLRequest('mutation { rename(id: "1", name: "x") { id } }', read_only=True)
    result = await gateway.pipeline.execute(request, gateway.context)
    assert result.status == 405


async def test_a_mutation_ends_although_its_client_hung_up(gateway: Gateway) -> None:
    task = asyncio.create_task(gateway.ask('mutation { rename(id: "1", name: "Le Guin") { id } }'))
    await gateway.bookshop.started.wait()
    task.cancel()
    await asyncio.wait([task])
    gateway.bookshop.release.set()
    await gateway.pipeline.close()
    assert gateway.bookshop.names["1"] == "Le Guin"


async def test_a_query_is_cancelled_with_its_client(gateway: Gateway) -> None:
    task = asyncio.create_task(gateway.ask("{ slow }"))
    await gateway.bookshop.started.wait()
    task.cancel()
    await asyncio.wait([task])
    async with asyncio.timeout(5):
        await gateway.bookshop.cancelled.wait()


async def test_a_subgraph_that_does_not_answer_in_time_costs_only_its_part(
    gateway: Gateway,
) -> None:
    pipeline = gateway.pipeline
    pipeline._timeout_seconds = 0.2
    answer = await gateway.ask("{ slow authors { books { title } } }")
    assert answer["data"] == {"slow": None, "authors": None} or answer["data"] is None
    assert answer["errors"][0]["extensions"]["code"] == "DOWNSTREAM_TIMEOUT"


async def test_a_subscription_is_completed_from_the_other_subgraph(gateway: Gateway) -> None:
    stream = await gateway.stream("subscription { bookAdded { title author { name } } }")
    for isbn in ("a", "b", None):
        gateway.bookshop.events.put_nowait(isbn)
    found = [as_json(result)["data"]["bookAdded"] async for result in stream]
    assert found == [
        {"title": "Always", "author": {"name": "Ursula"}},
        {"title": "Solaris", "author": {"name": "Stanisław"}},
    ]


async def test_closing_a_subscription_closes_its_upstream(gateway: Gateway) -> None:
    stream = await gateway.stream("subscription { bookAdded { title } }")
    gateway.bookshop.events.put_nowait("a")
    await anext(stream)
    assert gateway.bookshop.subscribers == 1
    await stream.aclose()  # type: ignore[attr-defined]
    async with asyncio.timeout(5):
        await gateway.bookshop.closed.wait()
