"""Representations: who is asked about, as what, and how often."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.federation.plan import (
    AT,
    Entities,
    Fetch,
    Gate,
    Path,
    RequireField,
    RequireFragment,
    RequireSelection,
    ValueSetter,
)
from tests.federation.scripted import answer, run

TYPENAME = RequireField("__typename", "__typename")
ID = RequireField("id", "id", is_key=True)


def root(document: str) -> Fetch:
    return Fetch(0, "catalog", "query", document)


def entities(
    document: str,
    *paths: Path,
    requires: tuple[RequireSelection, ...],
    on: str = "Book",
    setters: tuple[ValueSetter, ...] = (),
) -> Fetch:
    call = Entities(paths, (RequireFragment(on, (TYPENAME, *requires)),), input_rewrites=setters)
    text = (
        f"query($representations:[_Any!]!){{_entities(representations:$representations){document}}}"
    )
    return Fetch(1, "inventory", "query", text, entities=(call,), depends_on=(0,))


async def asked(
    found: Any,
    *,
    requires: tuple[RequireSelection, ...] = (ID,),
    path: Path = ("books", AT),
    on: str = "Book",
    setters: tuple[ValueSetter, ...] = (),
    source: str = "{ books { id inStock } }",
) -> list[dict[str, Any]]:
    """The representations sent for what the root fetch found."""
    fetch = entities("{...on Book{inStock}}", path, requires=requires, on=on, setters=setters)
    _, transport = await run(
        source,
        {
            root("{books{__typename id isbn price code dimensions{size}}}"): answer(found),
            fetch: lambda request: answer(
                {"_entities": [None] * len(request.variables["representations"])}
            ),
        },
    )
    if len(transport.requests) == 1:
        return []
    sent: list[dict[str, Any]] = transport.requests[1].variables["representations"]
    return sent


async def test_equal_entities_are_asked_about_once() -> None:
    books = [{"__typename": "Book", "id": one} for one in ("1", "2", "1")]
    assert await asked({"books": books}) == [
        {"__typename": "Book", "id": "1"},
        {"__typename": "Book", "id": "2"},
    ]


async def test_every_place_of_an_entity_gets_its_answer() -> None:
    response, _ = await run(
        "{ books { id inStock } other: books { id inStock } }",
        {
            root("{books{__typename id} other:books{__typename id}}"): answer(
                {
                    "books": [{"__typename": "Book", "id": "1"}, None],
                    "other": [{"__typename": "Book", "id": "1"}],
                }
            ),
            entities("{...on Book{inStock}}", ("books", AT), ("other", AT), requires=(ID,)): answer(
                {"_entities": [{"inStock": True}]}
            ),
        },
    )
    assert response.data == {
        "books": [{"id": "1", "inStock": True}, None],
        "other": [{"id": "1", "inStock": True}],
    }


@pytest.mark.parametrize("book", [{"__typename": "Book"}, {"__typename": "Book", "id": None}, None])
async def test_without_its_key_nothing_is_asked_about_an_entity(
    book: dict[str, Any] | None,
) -> None:
    assert await asked({"books": [book]}) == []


@pytest.mark.parametrize("found", [{}, {"books": None}, {"books": []}, {"books": "nonsense"}])
async def test_without_entities_no_fetch_is_sent(found: dict[str, Any]) -> None:
    assert await asked(found) == []


async def test_a_required_null_is_sent_and_what_is_missing_is_not() -> None:
    price = RequireField("price", "price")
    books = [
        {"__typename": "Book", "id": "1", "price": None},
        {"__typename": "Book", "id": "2"},
        {"__typename": "Book", "id": "3", "price": 3},
    ]
    assert await asked({"books": books}, requires=(ID, price)) == [
        {"__typename": "Book", "id": "1", "price": None},
        {"__typename": "Book", "id": "2"},
        {"__typename": "Book", "id": "3", "price": 3},
    ]


async def test_a_key_of_nullable_parts_needs_one_that_is_there() -> None:
    parts = (RequireField("code", "code"), RequireField("isbn", "isbn"))
    books = [
        {"__typename": "Book", "code": None, "isbn": None},
        {"__typename": "Book"},
        {"__typename": "Book", "code": None, "isbn": "x"},
    ]
    assert await asked({"books": books}, requires=parts) == [
        {"__typename": "Book", "code": None, "isbn": "x"}
    ]


async def test_a_part_of_a_key_may_be_null_where_its_subgraph_allows_that() -> None:
    code = RequireField("code", "code", is_key=True, may_be_null=True)
    books = [
        {"__typename": "Book", "id": "1", "code": "x"},
        {"__typename": "Book", "id": "2", "code": None},
        {"__typename": "Book", "id": "3"},
        {"__typename": "Book", "id": None, "code": "x"},
    ]
    assert await asked({"books": books}, requires=(ID, code)) == books[:2]


async def test_a_key_of_which_all_is_null_is_none() -> None:
    size = RequireField("size", "size", is_key=True, may_be_null=True)
    key = (
        RequireField("code", "code", is_key=True, may_be_null=True),
        RequireField("dimensions", "dimensions", (TYPENAME, size), is_key=True, may_be_null=True),
        RequireField("price", "price"),
    )

    def book(code: Any, dimensions: Any) -> dict[str, Any]:
        return {"__typename": "Book", "code": code, "dimensions": dimensions, "price": 1}

    nothing = {"__typename": "Dimensions", "size": None}
    something = {"__typename": "Dimensions", "size": 2}
    books = [book(None, nothing), book(None, None), book(None, something), book(1, nothing)]
    assert await asked({"books": books}, requires=key) == books[2:]


async def test_a_typename_alone_can_be_a_representation() -> None:
    assert await asked({"books": [{"__typename": "Book"}]}, requires=()) == [{"__typename": "Book"}]


async def test_an_aliased_field_is_sent_under_its_name() -> None:
    price = RequireField("_k0", "price")
    books = [{"__typename": "Book", "id": "1", "_k0": 5, "price": "the client's"}]
    assert await asked({"books": books}, requires=(ID, price)) == [
        {"__typename": "Book", "id": "1", "price": 5}
    ]


async def test_the_only_possible_type_need_not_be_said() -> None:
    assert await asked({"books": [{"id": "1"}]}) == [{"__typename": "Book", "id": "1"}]


async def test_behind_a_gate_the_type_must_be_said() -> None:
    path = ("books", AT, Gate(frozenset({"Book"})))
    books = [{"id": "1"}, {"__typename": "Film", "id": "2"}, {"__typename": "Book", "id": "3"}]
    assert await asked({"books": books}, path=path) == [{"__typename": "Book", "id": "3"}]


async def test_a_typename_that_is_no_name_asks_nothing_behind_a_gate() -> None:
    path = ("books", AT, Gate(frozenset({"Item"})))
    books = [{"__typename": "Book", "id": "1"}, {"__typename": "Item", "id": "2"}]
    assert await asked({"books": books}, path=path, on="Item") == [
        {"__typename": "Book", "id": "1"},
        {"__typename": "Item", "id": "2"},
    ]
    assert await asked({"books": [{"__typename": 5, "id": "1"}]}, on="Item") == []


async def test_an_interface_object_is_asked_about_by_the_interfaces_name() -> None:
    setter = ValueSetter((Gate(frozenset({"Item"})), "__typename"), "Item")
    books = [{"__typename": "Book", "id": "1"}, {"__typename": "Film", "id": "1"}]
    assert await asked({"books": books}, on="Item", setters=(setter,)) == [
        {"__typename": "Item", "id": "1"}
    ]


async def test_a_rewrite_behind_another_types_gate_leaves_the_name() -> None:
    setter = ValueSetter((Gate(frozenset({"User"})), "__typename"), "Item")
    books = [{"__typename": "Book", "id": "1"}]
    assert await asked({"books": books}, setters=(setter,)) == [{"__typename": "Book", "id": "1"}]


async def test_nested_rewrites_reach_into_the_copy_only() -> None:
    below = RequireField(
        "dimensions", "dimensions", (TYPENAME, RequireField("size", "size")), is_key=True
    )
    setters = (
        ValueSetter(("dimensions", AT, Gate(frozenset({"Dimensions"})), "size"), "rewritten"),
        ValueSetter(("dimensions", Gate(frozenset({"Other"})), "size"), "never"),
        ValueSetter(("nothing", "size"), "never"),
    )
    dimensions = [{"__typename": "Dimensions", "size": 1}, {"__typename": "Dimensions", "size": 2}]
    books = [{"__typename": "Book", "id": "1", "dimensions": dimensions}]
    (sent,) = await asked({"books": books}, requires=(ID, below), setters=setters)
    assert [one["size"] for one in sent["dimensions"]] == ["rewritten", "rewritten"]
    assert [one["size"] for one in dimensions] == [1, 2]


def nested(*selections: RequireSelection, is_key: bool = False) -> RequireField:
    return RequireField("dimensions", "dimensions", selections, is_key=is_key)


async def test_a_key_of_lists_is_copied_element_by_element() -> None:
    key = nested(RequireField("size", "size", is_key=True), is_key=True)
    books = [
        {"__typename": "Book", "id": "1", "dimensions": [{"size": 1, "unit": "x"}, {"size": 2}]},
        {"__typename": "Book", "id": "1", "dimensions": [{"size": 1}, {"size": 2}]},
        {"__typename": "Book", "id": "1", "dimensions": [{"size": 1}, {}]},
        {"__typename": "Book", "id": "1", "dimensions": {"size": None}},
    ]
    assert await asked({"books": books}, requires=(ID, key)) == [
        {"__typename": "Book", "id": "1", "dimensions": [{"size": 1}, {"size": 2}]}
    ]


async def test_what_is_missing_below_a_key_leaves_the_entity_out() -> None:
    size = RequireField("size", "size", is_key=True, may_be_null=True)
    key = nested(size, is_key=True)
    books = [
        {"__typename": "Book", "id": "1", "dimensions": {}},
        {"__typename": "Book", "id": "2", "dimensions": {"size": None}},
    ]
    assert await asked({"books": books}, requires=(ID, key)) == [
        {"__typename": "Book", "id": "2", "dimensions": {"size": None}}
    ]


async def test_a_nested_requirement_goes_by_the_runtime_type() -> None:
    requirement = nested(
        TYPENAME,
        RequireFragment("Dimensions", (RequireField("size", "size"),)),
        RequireFragment("Other", (RequireField("unit", "unit"),)),
        RequireField("weight", "weight"),
    )
    found = {"__typename": "Dimensions", "size": 1, "unit": "x"}
    books = [
        {"__typename": "Book", "id": "1", "dimensions": found},
        {"__typename": "Book", "id": "2", "dimensions": None},
        {"__typename": "Book", "id": "3"},
        {"__typename": "Book", "id": "4", "dimensions": {"size": 1}},
    ]
    assert await asked({"books": books}, requires=(ID, requirement)) == [
        {
            "__typename": "Book",
            "id": "1",
            "dimensions": {"__typename": "Dimensions", "size": 1},
        },
        {"__typename": "Book", "id": "2", "dimensions": None},
        {"__typename": "Book", "id": "3"},
        {"__typename": "Book", "id": "4", "dimensions": {}},
    ]


async def test_keys_that_are_objects_or_lists_are_compared_by_value() -> None:
    books = [
        {"__typename": "Book", "id": {"a": [1, 2], "b": 1}},
        {"__typename": "Book", "id": {"b": 1, "a": [1, 2]}},
        {"__typename": "Book", "id": [1]},
    ]
    assert await asked({"books": books}) == [
        {"__typename": "Book", "id": {"a": [1, 2], "b": 1}},
        {"__typename": "Book", "id": [1]},
    ]


async def test_keys_that_are_equal_in_python_only_are_told_apart() -> None:
    ids: list[Any] = [1, True, 1.0, "1", 0, False, {"a": [1]}, {"a": [True]}, 1]
    books = [{"__typename": "Book", "id": id_} for id_ in ids]
    assert json.dumps(await asked({"books": books})) == json.dumps(books[:-1])


async def test_lists_of_lists_are_entered_wherever_the_data_has_them() -> None:
    response, transport = await run(
        "{ grid { id reviewCount } }",
        {
            root("{grid{__typename id}}"): answer(
                {
                    "grid": [
                        [{"__typename": "Film", "id": "1"}, None],
                        None,
                        [{"__typename": "Film", "id": "2"}, "nonsense"],
                    ]
                }
            ),
            entities("{...on Film{reviewCount}}", ("grid", AT), requires=(ID,), on="Film"): answer(
                {"_entities": [{"reviewCount": 1}, {"reviewCount": 2}]}
            ),
        },
    )
    assert len(transport.requests[1].variables["representations"]) == 2
    assert response.data == {
        "grid": [
            [{"id": "1", "reviewCount": 1}, None],
            None,
            [{"id": "2", "reviewCount": 2}, None],
        ]
    }
