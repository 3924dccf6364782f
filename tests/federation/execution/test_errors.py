"""Errors reach the client with real paths, a code, and the name of the subgraph."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.federation.plan import AT, Entities, Fetch, Gate, RequireField, RequireFragment
from gateway.federation.transport import SubgraphError
from tests.federation.scripted import answer, run

KEY = (RequireField("__typename", "__typename"), RequireField("id", "id", is_key=True))
ROOT = Fetch(0, "catalog", "query", "{books{__typename id} b:books{__typename id}}")
BOOK = {"__typename": "Book", "id": "1"}
OTHER = {"__typename": "Book", "id": "2"}
FOUND = answer({"books": [BOOK, None, OTHER], "b": [BOOK]})
WITHOUT_KEY = answer({"books": [{"__typename": "Book", "id": None}, OTHER], "b": []})
SOURCE = "{ books { id inStock shipping } b: books { id inStock } }"


def hop(*paths: tuple[Any, ...], alias: str = "_entities") -> Fetch:
    call = Entities(paths or (("books", AT), ("b", AT)), (RequireFragment("Book", KEY),), alias)
    document = (
        f"query($representations:[_Any!]!){{{alias}:_entities(representations:$representations)"
        "{...on Book{inStock _k0:shipping}}}"
    )
    return Fetch(1, "inventory", "query", document, entities=(call,), depends_on=(0,))


def error(path: Any = None, message: Any = "broken", **extensions: Any) -> dict[str, Any]:
    return {
        "message": message,
        "locations": [{"line": 1, "column": 1}],
        **({"path": path} if path is not None else {}),
        **({"extensions": extensions} if extensions else {}),
    }


async def errors_of(*errors: dict[str, Any], alias: str = "_entities") -> list[dict[str, Any]]:
    """What the client sees of an entity fetch's errors."""
    response, _ = await run(
        SOURCE,
        {ROOT: FOUND, hop(alias=alias): answer({alias: [None, {"inStock": True}]}, *errors)},
        aliases={"_k0": "shipping"},
    )
    return response.errors


async def test_an_entitys_error_is_told_once_for_each_of_its_places() -> None:
    found = await errors_of(error(["_entities", 0, "inStock"], code="SOLD_OUT", retry=3))
    assert found == [
        {
            "message": "broken",
            "path": path,
            "extensions": {"code": "SOLD_OUT", "retry": 3, "serviceName": "inventory"},
        }
        for path in (["books", 0, "inStock"], ["b", 0, "inStock"])
    ]


async def test_the_indexes_of_a_path_are_the_clients() -> None:
    (found,) = await errors_of(error(("_entities", 1)))
    assert found["path"] == ["books", 2]
    assert found["extensions"] == {
        "code": "DOWNSTREAM_SERVICE_ERROR",
        "serviceName": "inventory",
    }


async def test_invented_response_keys_are_undone() -> None:
    (found,) = await errors_of(error(["_e0", 1, "_k0"]), alias="_e0")
    assert found["path"] == ["books", 2, "shipping"]


@pytest.mark.parametrize(
    "path", [None, [], ["_entities"], ["_entities", 99], ["other", 0], "odd", [3]]
)
async def test_an_error_without_a_usable_path_belongs_to_every_position(path: Any) -> None:
    found = await errors_of(error(path))
    assert [one["path"] for one in found] == [["books"], ["b"]]


async def test_an_error_may_be_all_there_is() -> None:
    response, _ = await run(SOURCE, {ROOT: FOUND, hop(): answer(None, error())})
    assert response.data == {
        "books": [
            {"id": "1", "inStock": None, "shipping": None},
            None,
            {"id": "2", "inStock": None, "shipping": None},
        ],
        "b": [{"id": "1", "inStock": None}],
    }
    assert [one["path"] for one in response.errors] == [["books"], ["b"]]


async def test_malformed_errors_are_made_proper() -> None:
    (found,) = await errors_of(
        {"message": None, "extensions": "nonsense", "path": ["_entities", 1]}
    )
    assert found["message"] == "The subgraph reported an error."
    (found,) = await errors_of({**error(["_entities", 1]), "extensions": {"code": 5}})
    assert found["extensions"]["code"] == "DOWNSTREAM_SERVICE_ERROR"


@pytest.mark.parametrize(
    ("data", "paths"),
    [
        (None, [["books"], ["b"]]),
        ({}, [["books"], ["b"]]),
        ({"_entities": None}, [["books"], ["b"]]),
        ("nonsense", [["books"], ["b"]]),
        # The one that is there is that of both places.
        ({"_entities": [None]}, [["books"]]),
    ],
)
async def test_an_answer_that_is_too_short_is_an_error_where_something_is_missing(
    data: Any, paths: list[Any]
) -> None:
    response, _ = await run(SOURCE, {ROOT: FOUND, hop(): answer(data)})
    assert [(one["message"], one["path"]) for one in response.errors] == [
        ("The subgraph's answer is incomplete.", path) for path in paths
    ]


@pytest.mark.parametrize(
    ("path", "is_reason"),
    [
        (["_entities", 0, "inStock"], False),
        (["other", 1], False),
        (["_entities", 1], True),
        (["_entities"], True),
        (None, True),
    ],
)
async def test_what_is_missing_is_told_unless_an_error_says_why(path: Any, is_reason: bool) -> None:
    response, _ = await run(
        SOURCE, {ROOT: FOUND, hop(): answer({"_entities": [None]}, error(path))}
    )
    invented = [one for one in response.errors if one["message"] != "broken"]
    assert [one["path"] for one in invented] == ([] if is_reason else [["books"]])


async def test_a_root_error_keeps_its_path() -> None:
    response, _ = await run(
        "{ books { id } }",
        {
            Fetch(0, "catalog", "query", "{_k0:books{id}}"): answer(
                {"books": [None]}, error(["_k0", 0, "id"]), error()
            )
        },
        aliases={"_k0": "books"},
    )
    assert [one.get("path") for one in response.errors] == [["books", 0, "id"], None]


@pytest.mark.parametrize(
    ("document", "path"), [("{books{id}}", ["books"]), ("{books{id} me{id}}", None)]
)
async def test_a_subgraph_that_gives_no_answer_is_one_error(
    document: str, path: list[str] | None
) -> None:
    response, _ = await run(
        "{ books { id } __typename }",
        {Fetch(0, "catalog", "query", document): SubgraphError("It is closed.", code="CLOSED")},
    )
    assert response.data == {"books": None, "__typename": "Query"}
    expected: dict[str, Any] = {
        "message": "It is closed.",
        "extensions": {"code": "CLOSED", "serviceName": "catalog"},
    }
    assert response.errors == [{**expected, "path": path} if path else expected]


async def test_a_fault_of_a_transport_says_nothing_of_itself(
    caplog: pytest.LogCaptureFixture,
) -> None:
    response, _ = await run(SOURCE, {ROOT: FOUND, hop(): RuntimeError("a secret")})
    assert [one["path"] for one in response.errors] == [["books"], ["b"]]
    for found in response.errors:
        assert found["extensions"] == {"code": "INTERNAL_SERVER_ERROR", "serviceName": "inventory"}
        assert "a secret" not in str(found)
    assert "a secret" in caplog.text
    assert response.data is not None
    assert response.data["books"][0]["id"] == "1"


async def test_places_behind_a_gate_are_found_again() -> None:
    path = ("items", AT, Gate(frozenset({"Book"})))
    items = [{"__typename": "Film", "id": "1"}, {"__typename": "Book", "id": "1"}, "nonsense"]
    response, _ = await run(
        "{ items { id ... on Book { inStock } } }",
        {
            Fetch(0, "catalog", "query", "{items{__typename id}}"): answer({"items": items[:2]}),
            hop(path): answer({"_entities": [None]}, error(["_entities", 0, "inStock"])),
        },
    )
    assert [one["path"] for one in response.errors] == [["items", 1, "inStock"]]


async def test_who_was_not_asked_about_has_no_part_in_the_errors() -> None:
    response, _ = await run(
        "{ books { inStock } b: books { inStock } }",
        {
            ROOT: WITHOUT_KEY,
            hop(): answer({"_entities": [None]}, error(["_entities", 0]), error(["_entities", 0])),
        },
    )
    assert [one["path"] for one in response.errors] == [["books", 1], ["books", 1]]
