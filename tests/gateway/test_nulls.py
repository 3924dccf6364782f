"""Why is it null? Each null that its subgraph did not mean is traced to where it began."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from gateway import standalone
from gateway.configuration import Configuration
from gateway.context import RequestContext
from gateway.federation.supergraph import Supergraph
from gateway.federation.transport import SubgraphError
from gateway.pipeline import Pipeline
from gateway.runtime import Runtime
from shared.protocols.service import GraphQLRequest
from tests.federation.areas import areas
from tests.federation.scripted import Answer, Scripted, answer
from tests.federation.subgraphs import InMemory
from tests.federation.world import WORLD
from tests.gateway.bookshop import SDL
from tests.gateway.conftest import as_json
from tests.serving import serving

SHOP = """
schema
  @link(url: "https://specs.apollo.dev/link/v1.0")
  @link(url: "https://specs.apollo.dev/join/v0.3", for: EXECUTION)
  @link(url: "https://specs.apollo.dev/authenticated/v0.1", for: SECURITY)
{ query: Query }
directive @link(url: String, as: String, for: link__Purpose, import: [link__Import])
  repeatable on SCHEMA
directive @join__graph(name: String!, url: String!) on ENUM_VALUE
directive @join__type(graph: join__Graph!, key: join__FieldSet) repeatable on OBJECT | INTERFACE
directive @join__implements(graph: join__Graph!, interface: String!) repeatable on OBJECT
directive @join__field(graph: join__Graph) repeatable on FIELD_DEFINITION
directive @authenticated on FIELD_DEFINITION
scalar link__Import
scalar join__FieldSet
enum link__Purpose { SECURITY EXECUTION }
enum join__Graph {
  A @join__graph(name: "a", url: "") B @join__graph(name: "b", url: "")
  C @join__graph(name: "c", url: "")
}
type Query @join__type(graph: A) { parcels: [Parcel] }
type Parcel
  @join__type(graph: A, key: "id")
  @join__type(graph: B, key: "id")
  @join__type(graph: C, key: "sku")
{
  id: ID!
  note: String @join__field(graph: A)
  secret: String @join__field(graph: A) @authenticated
  sender: Person! @join__field(graph: B)
  weight: Int @join__field(graph: B)
  owner: Owner @join__field(graph: B)
  sku: ID @join__field(graph: B) @join__field(graph: C)
  price: Int @join__field(graph: C)
}
interface Owner @join__type(graph: B) { nick: String }
type Person implements Owner @join__implements(graph: B, interface: "Owner") @join__type(graph: B)
{ name: String! nick: String }
type Firm implements Owner @join__implements(graph: B, interface: "Owner") @join__type(graph: B)
{ title: String! nick: String }
"""
PARCELS = answer(
    {"parcels": [{"__typename": "Parcel", "id": "1"}, {"__typename": "Parcel", "id": "2"}]}
)


def broken() -> SubgraphError:
    error = SubgraphError("b cannot be reached.")
    error.__cause__ = ConnectionRefusedError("port 1")
    return error


async def nulls(
    query: str, answers: Mapping[int, Answer], *, sdl: str = SHOP
) -> list[dict[str, Any]]:
    """What an explained answer says of its nulls."""
    pipeline = Pipeline(Runtime(Supergraph.from_sdl(sdl), Closing(answers)))
    result = await pipeline.execute(GraphQLRequest(query), RequestContext(explain=True))
    await pipeline.close()
    found: list[dict[str, Any]] = as_json(result)["extensions"]["explain"]["nulls"]
    return found


class InProcess(InMemory):
    async def close(self) -> None:
        return


class Closing(Scripted):
    async def close(self) -> None:
        return


async def test_a_fetch_that_failed_is_told_at_every_null_it_left() -> None:
    parcels = answer(
        {"parcels": [{"__typename": "Parcel", "id": id_, "note": None} for id_ in ("1", "2")]}
    )
    found = await nulls("{ parcels { id weight note } }", {0: parcels, 1: broken()})
    assert [each["path"] for each in found] == [["parcels", 0, "weight"], ["parcels", 1, "weight"]]
    assert found[0] == {
        "path": ["parcels", 0, "weight"],
        "reason": {
            "path": ["parcels", 0, "weight"],
            "fetch": 1,
            "subgraph": "b",
            "code": "DOWNSTREAM_SERVICE_ERROR",
            "message": "b cannot be reached.",
            "original": [
                "SubgraphError: b cannot be reached.",
                "ConnectionRefusedError: port 1",
            ],
        },
        "bubbledThrough": [],
    }


async def test_a_fetch_of_several_places_that_failed_is_told_at_each() -> None:
    query = "{ a: parcels { weight } b: parcels { weight id } }"
    once = [{"__typename": "Parcel", "id": "1"}]
    found = await nulls(query, {0: answer({"a": once, "b": once}), 1: broken()})
    assert [each["path"] for each in found] == [["a", 0, "weight"], ["b", 0, "weight"]]
    assert {each["reason"]["message"] for each in found} == {"b cannot be reached."}


async def test_root_fields_of_a_fetch_that_failed_are_told_why() -> None:
    found = await nulls("{ a: parcels { id } b: parcels { note } }", {0: broken()})
    assert [each["path"] for each in found] == [["a"], ["b"]]
    assert {each["reason"]["message"] for each in found} == {"b cannot be reached."}
    assert {each["reason"]["fetch"] for each in found} == {0}


async def test_a_null_that_may_not_be_is_followed_down_to_where_it_began() -> None:
    sender = {"sender": {"name": None, "nick": None}}
    said = {"message": "No name.", "path": ["_entities", 1, "sender", "name"]}
    fine = {"sender": {"name": "Ada", "nick": None}}
    found = await nulls(
        "{ parcels { sender { name nick } } }",
        {0: PARCELS, 1: answer({"_entities": [fine, sender]}, said)},
    )
    (null,) = found
    assert null["path"] == ["parcels", 1]
    assert null["reason"]["path"] == ["parcels", 1, "sender", "name"]
    assert null["reason"]["original"] == [said]
    assert (null["reason"]["fetch"], null["reason"]["subgraph"]) == (1, "b")
    assert null["bubbledThrough"] == ["Person.name", "Parcel.sender"]


async def test_a_failed_fetch_is_followed_down_to_what_it_should_have_brought() -> None:
    found = await nulls("{ parcels { sender { nick } } }", {0: PARCELS, 1: broken()})
    assert [each["path"] for each in found] == [["parcels", 0], ["parcels", 1]]
    for null in found:
        assert null["reason"]["path"] == [*null["path"], "sender"]
        assert null["bubbledThrough"] == ["Parcel.sender"]


async def test_what_leaves_no_data_at_all_is_followed_down_too() -> None:
    strict = SHOP.replace("parcels: [Parcel]", "parcels: [Parcel!]!")
    (null,) = await nulls("{ parcels { sender { nick } } }", {0: PARCELS, 1: broken()}, sdl=strict)
    assert null["path"] == []
    assert null["reason"]["path"] == ["parcels", "sender"]
    assert null["bubbledThrough"] == ["Parcel.sender", "Query.parcels"]


async def test_fields_of_one_of_several_types_are_named_by_that_type() -> None:
    firm = {"owner": {"__typename": "Firm", "title": None}}
    said = {"message": "No title.", "path": ["_entities", 0, "owner", "title"]}
    (null,) = await nulls(
        "{ parcels { owner { ... on Person { name } ... on Firm { title } } } }",
        {0: PARCELS, 1: answer({"_entities": [firm, {"owner": None}]}, said)},
    )
    assert null["path"] == ["parcels", 0, "owner"]
    assert (null["reason"]["fetch"], null["bubbledThrough"]) == (1, ["Firm.title"])


async def test_a_null_without_an_error_where_none_may_be_is_told_with_its_fetch() -> None:
    unfit = answer({"_entities": [{"sender": {"name": None}}, {"sender": None}]})
    first, second = await nulls("{ parcels { sender { name } } }", {0: PARCELS, 1: unfit})
    assert first["reason"]["path"] == ["parcels", 0, "sender", "name"]
    assert second["reason"]["path"] == ["parcels", 1, "sender"]
    for null in (first, second):
        assert null["reason"]["code"] == "INVALID_SUBGRAPH_RESPONSE"
        assert (null["reason"]["fetch"], null["reason"]["subgraph"]) == (1, "b")


async def test_what_was_not_asked_because_another_fetch_failed_has_its_reason() -> None:
    found = await nulls("{ parcels { price } }", {0: PARCELS, 1: broken()})
    assert [each["path"] for each in found] == [["parcels", 0, "price"], ["parcels", 1, "price"]]
    assert {each["reason"]["message"] for each in found} == {"b cannot be reached."}


async def test_what_the_caller_may_not_have_comes_from_no_fetch() -> None:
    parcel = answer({"parcels": [{"__typename": "Parcel", "id": "1"}]})
    (null,) = await nulls("{ parcels { id secret } }", {0: parcel})
    assert null["path"] == ["parcels", 0, "secret"]
    assert null["reason"]["code"] == "UNAUTHORIZED_FIELD_OR_TYPE"
    assert (null["reason"]["fetch"], null["reason"]["original"]) == (None, [])


async def test_a_null_that_is_the_subgraphs_own_answer_needs_no_reason() -> None:
    parcels = answer({"parcels": [{"__typename": "Parcel", "id": "1", "note": None}, None]})
    found = await nulls(
        "{ parcels { note weight } }", {0: parcels, 1: answer({"_entities": [{"weight": None}]})}
    )
    assert found == []


HIDING = (
    SHOP.replace("INTERFACE\ndirective", "INTERFACE | ENUM\ndirective")
    .replace("directive @auth", "directive @inaccessible on ENUM_VALUE | OBJECT\ndirective @auth")
    .replace("{ query", '@link(url: "https://specs.apollo.dev/inaccessible/v0.2") { query')
    .replace("owner: Owner", "mood: Mood @join__field(graph: B)\n  owner: Owner")
    .replace("interface O", "enum Mood @join__type(graph: B) { OK BAD @inaccessible }\ninterface O")
    .replace("@join__type(graph: B)\n{ title", "@inaccessible @join__type(graph: B)\n{ title")
)


@pytest.mark.parametrize(
    ("query", "answers", "expected"),
    [
        (
            "{ parcels { weight } }",
            {1: [None, {"weight": None}]},
            ("weight", ["weight"], 1, "ENTITY_NOT_FOUND", "b knows no such entity."),
        ),
        (
            "{ parcels { weight } }",
            {1: [{}, {"weight": 1}]},
            ("weight", ["weight"], 1, "NOT_ANSWERED", "b left it out of its answer."),
        ),
        (
            "{ parcels { price } }",
            {1: [{"sku": None}, {"sku": "2"}], 2: [{"price": 2}]},
            ("price", ["sku"], 2, "KEY_IS_NULL", "c was not asked: part of"),
        ),
        (
            "{ parcels { sku: note price } }",
            {1: [{"_k0": None}, {"_k0": "2"}], 2: [{"price": 2}]},
            ("price", ["sku"], 2, "KEY_IS_NULL", "c was not asked: part of"),
        ),
        (
            "{ parcels { mood } }",
            {1: [{"mood": "BAD"}, {"mood": "OK"}]},
            ("mood", ["mood"], 1, "INACCESSIBLE", "Clients may not see"),
        ),
        (
            "{ parcels { owner { nick } } }",
            {1: [{"owner": {"__typename": "Firm", "nick": "F"}}, {"owner": None}]},
            ("owner", ["owner"], 1, "INACCESSIBLE", "Clients may not see"),
        ),
    ],
)
async def test_a_null_that_stands_for_no_answer_says_so(
    query: str, answers: Mapping[int, list[Any]], expected: tuple[str, list[str], int, str, str]
) -> None:
    parcels = [{"__typename": "Parcel", "id": id_, "sku": None} for id_ in ("1", "2")]
    given = {id_: answer({"_entities": one}) for id_, one in answers.items()}
    found = await nulls(query, {0: answer({"parcels": parcels}), **given}, sdl=HIDING)
    null = found[-1]
    field, began, fetch, code, message = expected
    assert null["path"] == ["parcels", 0, field]
    reason = null["reason"]
    assert reason["path"] == ["parcels", 0, *began]
    assert (reason["fetch"], reason["code"]) == (fetch, code)
    assert reason["message"].startswith(message)


async def test_what_a_root_fetch_leaves_out_is_told() -> None:
    (null,) = await nulls("{ parcels { weight } }", {0: answer({})})
    assert (null["reason"]["code"], null["reason"]["subgraph"]) == ("NOT_ANSWERED", "a")


async def test_a_member_that_not_every_subgraph_knows_is_not_asked_for() -> None:
    area = next(one for one in areas() if one.name == "partial-union-complex")
    queries = [case for case in area.cases if case.data and not case.errors]
    found = []
    for case in queries:
        runtime = Runtime(
            Supergraph.from_sdl(area.supergraph_file.read_text()), InProcess(*area.subgraphs)
        )
        pipeline = Pipeline(runtime)
        request = GraphQLRequest(case.query, variables=case.variables)
        result = await pipeline.execute(request, RequestContext(explain=True))
        await pipeline.close()
        assert result.data == case.data
        found += as_json(result)["extensions"]["explain"]["nulls"]
    assert {null["reason"]["code"] for null in found} == {"NOT_ASKED"}


async def test_nulls_in_the_schema_are_its_own() -> None:
    runtime = Runtime(
        Supergraph.from_sdl(WORLD.supergraph_file.read_text()), InProcess(*WORLD.subgraphs)
    )
    pipeline = Pipeline(runtime, introspection=True)
    source = """{ __schema { description }
      root { me { id } s: __schema { queryType { ofType { name } } } } }"""
    result = await pipeline.execute(GraphQLRequest(source), RequestContext(explain=True))
    await pipeline.close()
    answer = as_json(result)
    assert answer["data"]["root"]["s"] == {"queryType": {"ofType": None}}
    assert answer["extensions"]["explain"]["nulls"] == []


@pytest.mark.parametrize(
    ("reached", "code", "original"),
    [
        (False, "DOWNSTREAM_SERVICE_ERROR", "ConnectionRefusedError"),
        (True, "DOWNSTREAM_TIMEOUT", "TimeoutError"),
    ],
)
async def test_a_gateway_of_any_supergraph_explains_a_subgraph_that_does_not_answer(
    tmp_path: Any, reached: bool, code: str, original: str
) -> None:
    told = Configuration.model_validate(
        {"explain": {"freely": True}, "traffic": {"timeout_seconds": 0.1}}
    )

    async def silent(scope: Any, receive: Any, send: Any) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    async with serving(silent, lifespan="off") as nobody:
        address = nobody if reached else "http://127.0.0.1:1"
        path = tmp_path / "supergraph.graphql"
        path.write_text(SDL.replace("http://authors.test", address))
        app = await standalone.create(str(path), told, draining=asyncio.Event())
        async with serving(app) as url, httpx.AsyncClient(base_url=url) as client:
            body = {"query": "{ whoami }"}
            plain = (await client.post("/graphql", json=body)).json()
            headers = {"x-nexus-explain": "1"}
            response = await client.post("/graphql", json=body, headers=headers)
    assert "explain" not in plain.get("extensions", {})
    assert original not in str(plain)
    assert plain["errors"][0]["extensions"]["code"] == code
    assert response.headers["x-request-id"]
    (null,) = response.json()["extensions"]["explain"]["nulls"]
    assert (null["path"], null["reason"]["fetch"]) == (["whoami"], 0)
    assert (null["reason"]["code"], null["reason"]["subgraph"]) == (code, "authors")
    assert original in null["reason"]["original"][-1]
