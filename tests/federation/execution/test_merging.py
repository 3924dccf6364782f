"""Answers are merged into one response, and never written into."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from gateway.federation.plan import (
    AT,
    Entities,
    Fetch,
    Gate,
    KeyRenamer,
    RequireField,
    RequireFragment,
)
from tests.federation.scripted import answer, run

KEY = (RequireField("__typename", "__typename"), RequireField("id", "id", is_key=True))


def root(number: int, document: str, *after: int, renames: tuple[KeyRenamer, ...] = ()) -> Fetch:
    return Fetch(
        number, "catalog", "query", document, output_rewrites=renames, depends_on=tuple(after)
    )


def hop(
    number: int,
    document: str,
    path: tuple[Any, ...],
    *,
    on: str = "Book",
    after: tuple[int, ...] = (0,),
    renames: tuple[KeyRenamer, ...] = (),
    graph: str = "reviews",
) -> Fetch:
    call = Entities((path,), (RequireFragment(on, KEY),), output_rewrites=renames)
    text = (
        f"query($representations:[_Any!]!){{_entities(representations:$representations){document}}}"
    )
    return Fetch(number, graph, "query", text, entities=(call,), depends_on=after)


async def test_objects_of_two_fetches_become_one() -> None:
    response, _ = await run(
        "{ settings { version language theme nested { left right } } }",
        {
            root(0, "{settings{version language nested{left}}}"): answer(
                {"settings": {"version": 1, "language": "en", "nested": {"left": "l"}}}
            ),
            root(1, "{settings{version theme nested{right}}}"): answer(
                {"settings": {"version": 2, "theme": "dark", "nested": {"right": "r"}}}
            ),
        },
    )
    assert response.data == {
        "settings": {
            "version": 2,
            "language": "en",
            "theme": "dark",
            "nested": {"left": "l", "right": "r"},
        }
    }


@pytest.mark.parametrize("first", [{"version": 1}, None])
async def test_a_null_takes_nothing_away(first: dict[str, Any] | None) -> None:
    answers = [{"settings": first}, {"settings": None, "me": None}]
    for one, other in (answers, answers[::-1]):
        response, _ = await run(
            "{ settings { version } }",
            {
                root(0, "{settings{version}}"): answer(one),
                root(1, "{settings{version} me{id}}"): answer(other),
            },
        )
        assert response.data == {"settings": first}


async def test_a_null_leaf_takes_nothing_away() -> None:
    response, _ = await run(
        "{ settings { version language } }",
        {
            root(0, "{settings{version language}}"): answer(
                {"settings": {"version": 1, "language": "en"}}
            ),
            root(1, "{settings{version language}}"): answer(
                {"settings": {"version": None, "language": None}}
            ),
        },
    )
    assert response.data == {"settings": {"version": 1, "language": "en"}}


async def test_lists_are_merged_by_index() -> None:
    response, _ = await run(
        "{ grid { id title code } books { id title } }",
        {
            root(0, "{grid{id title} books{id}}"): answer(
                {"grid": [[{"id": "1", "title": "a"}, None], None], "books": [None, {"id": "9"}]}
            ),
            root(1, "{grid{id code} books{id title}}"): answer(
                {
                    "grid": [[{"code": "c"}, {"id": "2", "title": "b"}], []],
                    "books": [{"id": "8", "title": "x"}, {"title": "y"}],
                }
            ),
        },
    )
    assert response.data == {
        "grid": [
            [{"id": "1", "title": "a", "code": "c"}, {"id": "2", "title": "b", "code": None}],
            [],
        ],
        "books": [{"id": "8", "title": "x"}, {"id": "9", "title": "y"}],
    }
    assert not response.errors


@pytest.mark.parametrize(
    "other",
    [
        {"books": [{"id": "1"}]},
        {"books": {"id": "1"}},
        {"books": ["nonsense", {"id": "2"}]},
        {"settings": "nonsense"},
        {"grid": [[[]]]},
    ],
)
async def test_where_answers_do_not_fit_the_first_stays(other: dict[str, Any]) -> None:
    response, _ = await run(
        "{ books { id } settings { version } grid { id } }",
        {
            root(0, "{books{id} settings{version} grid{id}}"): answer(
                {
                    "books": [{"id": "1"}, {"id": "2"}],
                    "settings": {"version": 1},
                    "grid": [[{"id": "3"}]],
                }
            ),
            root(1, "{books{id} settings{version} grid{id}}"): answer(other),
        },
    )
    assert response.data == {
        "books": [{"id": "1"}, {"id": "2"}],
        "settings": {"version": 1},
        "grid": [[{"id": "3"}]],
    }
    assert [error["extensions"]["code"] for error in response.errors] == [
        "DOWNSTREAM_SERVICE_ERROR"
    ]


async def test_lists_of_leaves_are_merged_too() -> None:
    response, _ = await run(
        "{ books { isbn } }",
        {
            root(0, "{books{isbn}}"): answer({"books": [{"isbn": ["a", None]}]}),
            root(1, "{books{isbn}}"): answer({"books": [{"isbn": ["b", "c"]}]}),
        },
    )
    assert response.data == {"books": [{"isbn": ["b", "c"]}]}
    response, _ = await run(
        "{ books { isbn } }",
        {
            root(0, "{books{isbn}}"): answer({"books": [{"isbn": ["a"]}]}),
            root(1, "{books{isbn}}"): answer({"books": [{"isbn": [None]}]}),
        },
    )
    assert response.data == {"books": [{"isbn": ["a"]}]}


async def test_an_interfaces_name_gives_way_to_the_real_type_and_never_the_reverse() -> None:
    for names in (("Member", "Person"), ("Person", "Member"), ("Person", "Bot")):
        response, _ = await run(
            "{ team { __typename } }",
            {
                root(0, "{team{__typename}}"): answer({"team": [{"__typename": names[0]}]}),
                root(1, "{team{__typename}}"): answer({"team": [{"__typename": names[1]}]}),
            },
        )
        assert response.data == {"team": [{"__typename": "Person"}]}


async def test_answers_are_never_written_into() -> None:
    first = answer({"books": [{"__typename": "Book", "id": "1", "author": {"id": "7"}}]})
    shared = {"reviewCount": 1, "author": {"name": "n"}, "reviews": []}
    second = answer({"_entities": [shared]})
    kept = copy.deepcopy((first.data, shared))
    response, _ = await run(
        "{ books { id reviewCount author { id name } reviews { id } } }",
        {
            root(0, "{books{__typename id author{id}}}"): first,
            hop(1, "{...on Book{reviewCount author{name} reviews{id}}}", ("books", AT)): second,
        },
    )
    assert response.data == {
        "books": [{"id": "1", "reviewCount": 1, "author": {"id": "7", "name": "n"}, "reviews": []}]
    }
    assert (first.data, shared) == kept


async def test_one_entity_at_two_places_goes_its_own_way_at_each() -> None:
    book = {"__typename": "Book", "id": "1"}
    author = {"__typename": "User", "id": "7"}
    response, _ = await run(
        "{ a: books { id author { id friends(first: 1) { id } } }"
        " b: books { id author { id friends(first: 2) { id } } } }",
        {
            root(0, "{a:books{__typename id} b:books{__typename id}}"): answer(
                {"a": [book], "b": [book]}
            ),
            Fetch(
                1,
                "catalog",
                "query",
                "query($representations:[_Any!]!){_entities(representations:$representations)"
                "{...on Book{author{__typename id}}}}",
                entities=(Entities((("a", AT), ("b", AT)), (RequireFragment("Book", KEY),)),),
                depends_on=(0,),
            ): answer({"_entities": [{"author": author}]}),
            hop(
                2, "{...on User{friends(first:1){id}}}", ("a", AT, "author"), on="User", after=(1,)
            ): answer({"_entities": [{"friends": [{"id": "8"}]}]}),
            hop(
                3, "{...on User{friends(first:2){id}}}", ("b", AT, "author"), on="User", after=(1,)
            ): answer({"_entities": [{"friends": [{"id": "8"}, {"id": "9"}]}]}),
        },
    )
    assert response.data == {
        "a": [{"id": "1", "author": {"id": "7", "friends": [{"id": "8"}]}}],
        "b": [{"id": "1", "author": {"id": "7", "friends": [{"id": "8"}, {"id": "9"}]}}],
    }


async def test_aliases_that_a_subgraph_made_necessary_are_undone() -> None:
    film = Gate(frozenset({"Film"}))
    renames = (
        KeyRenamer(("items", AT, film, "_k0"), "code"),
        KeyRenamer(("items", AT, Gate(frozenset({"Book"})), "missing"), "never"),
        KeyRenamer(("nothing", "_k0"), "never"),
    )
    found = answer(
        {
            "items": [
                {"__typename": "Film", "_k0": "f", "below": [["copied"]]},
                {"__typename": "Book", "isbn": "b"},
            ]
        }
    )
    kept = copy.deepcopy(found.data)
    response, _ = await run(
        "{ items { ... on Film { code } ... on Book { isbn } } }",
        {
            root(
                0,
                "{items{__typename ...on Film{_k0:code} ...on Book{isbn}}}",
                renames=renames,
            ): found
        },
        aliases={"_k0": "code"},
    )
    assert response.data == {"items": [{"code": "f"}, {"isbn": "b"}]}
    assert found.data == kept
    response, _ = await run(
        "{ books { id code } }",
        {
            root(0, "{books{__typename id}}"): answer(
                {"books": [{"__typename": "Book", "id": "1"}]}
            ),
            hop(
                1,
                "{...on Book{_k0:code}}",
                ("books", AT),
                renames=(KeyRenamer((AT, "_k0"), "code"),),
            ): answer({"_entities": [{"_k0": "c"}]}),
        },
    )
    assert response.data == {"books": [{"id": "1", "code": "c"}]}


async def test_a_foreign_plans_fragments_are_understood() -> None:
    document = "query{settings{...A} books{id}} fragment A on Settings{version nested{left}}"
    response, _ = await run(
        "{ settings { version nested { left right } } }",
        {
            root(0, document): answer({"settings": {"version": 1, "nested": {"left": "l"}}}),
            root(1, "{settings{nested{right}}}"): answer({"settings": {"nested": {"right": "r"}}}),
        },
    )
    assert response.data == {"settings": {"version": 1, "nested": {"left": "l", "right": "r"}}}
