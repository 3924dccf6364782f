"""The client's keys, order and nulls, whatever the subgraphs answered."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.federation.execution import Response
from gateway.federation.plan import Fetch
from tests.federation.scripted import answer, run

# A second fetch, so that nothing is passed through.
OTHER = Fetch(1, "accounts", "query", "{unused:me{id}}")


async def project(
    source: str, data: Any, *errors: dict[str, Any], area: str = "world", **variables: Any
) -> Response:
    """The response when the only fetch of interest answers so."""
    response, _ = await run(
        source,
        {Fetch(0, "catalog", "query", "{unused:me{id}}"): answer(data, *errors), OTHER: answer({})},
        area=area,
        variables=variables,
    )
    return response


def explained(response: Response) -> list[tuple[str, Any]]:
    return [(error["message"], error.get("path")) for error in response.errors]


async def test_keys_come_in_the_clients_order_and_nothing_else_comes() -> None:
    response = await project(
        "{ me { name id: handle email } a: __typename }",
        {"me": {"email": "e", "id": "h", "extra": 1, "name": "n"}, "extra": 2},
    )
    assert response.data is not None
    assert list(response.data) == ["me", "a"]
    assert list(response.data["me"].items()) == [("name", "n"), ("id", "h"), ("email", "e")]


async def test_many_keys_come_in_the_clients_order_too() -> None:
    keys = [f"a{number}" for number in range(250)]
    source = f"{{ me {{ {' '.join(f'{key}: id' for key in keys)} name }} }}"
    whole = {"name": "n", **dict.fromkeys(reversed(keys), "1")}
    response = await project(source, {"me": whole})
    assert response.data is not None
    assert list(response.data["me"].items()) == [*((key, "1") for key in keys), ("name", "n")]
    for wrong in ({**whole, "a180": None}, "nothing"):
        response = await project(source, {"me": wrong})
        assert response.data == {"me": None}
        assert len(response.errors) == 1


@pytest.mark.parametrize(
    ("known", "reasons"),
    [
        # What else the same answer lacks has the same reason.
        (["me", "name"], 0),
        (["me"], 0),
        (["you", "name"], 1),
    ],
)
async def test_what_an_answer_lacks_is_accounted_for_by_its_errors(
    known: list[str], reasons: int
) -> None:
    error = {"message": "broken", "path": known}
    response = await project("{ me { name id } }", {"me": {}}, error)
    assert response.data == {"me": None}
    assert len(response.errors) == 1 + reasons


async def test_a_null_beside_an_error_is_told_of_its_own() -> None:
    error = {"message": "broken", "path": ["me", "name"]}
    response = await project("{ me { name id } }", {"me": {"name": None, "id": None}}, error)
    assert response.data == {"me": None}
    assert len(response.errors) == 2


async def test_what_is_absent_is_null() -> None:
    assert (await project("{ me { name } node(id: 1) { id } }", {"me": {}})).data == {
        "me": {"name": None},
        "node": None,
    }


async def test_a_type_condition_that_fails_leaves_the_keys_out() -> None:
    response = await project(
        "{ node(id: 1) { ... on Film { code } } product(id: 2) { ... on Book { isbn } } }",
        {"node": {"__typename": "Book"}, "product": {"__typename": "Book", "isbn": "i"}},
    )
    assert response.data == {"node": {}, "product": {"isbn": "i"}}
    assert not response.errors


async def test_a_field_left_without_selections_is_still_an_object() -> None:
    response = await project("{ me { id @skip(if: true) } }", {"me": {"__typename": "User"}})
    assert response.data == {"me": {}}


async def test_selections_of_one_key_are_merged_for_each_type() -> None:
    response = await project(
        """{ items { title ... on Book { related { id } } related { ... on Film { code } } } }""",
        {
            "items": [
                {
                    "__typename": "Book",
                    "title": "b",
                    "related": [{"__typename": "Film", "id": "1", "code": "c"}],
                },
                {
                    "__typename": "Film",
                    "title": "f",
                    "related": [{"__typename": "Film", "id": "1", "code": "c"}],
                },
            ]
        },
    )
    assert response.data == {
        "items": [
            {"title": "b", "related": [{"id": "1", "code": "c"}]},
            {"title": "f", "related": [{"code": "c"}]},
        ]
    }


async def test_an_object_of_unknown_type_will_do_where_the_type_does_not_matter() -> None:
    response = await project(
        "{ members { id since } team { id } }",
        {"members": [{"id": "1", "since": 2}], "team": [{"__typename": "Member", "id": "3"}]},
    )
    assert response.data == {"members": [{"id": "1", "since": 2}], "team": [{"id": "3"}]}


async def test_a_null_in_a_non_null_place_takes_its_parent_along() -> None:
    response = await project("{ books { id isbn } me { id } }", {"books": [{"id": "1"}], "me": {}})
    assert response.data == {"books": [None], "me": None}
    assert explained(response) == [
        ("Cannot return null for non-nullable field Book.isbn.", ["books", 0, "isbn"]),
        ("Cannot return null for non-nullable field User.id.", ["me", "id"]),
    ]


async def test_nulls_bubble_through_lists_up_to_the_data() -> None:
    response = await project(
        "{ members { id ... on Person { user { id } } } }",
        {"members": [{"__typename": "Person", "id": "1", "user": {"id": None}}]},
    )
    assert response.data is None
    assert explained(response) == [
        ("Cannot return null for non-nullable field User.id.", ["members", 0, "user", "id"])
    ]


async def test_a_null_the_subgraph_explained_is_not_explained_again() -> None:
    response = await project(
        "{ books { id isbn } }",
        {"books": [{"id": "1", "isbn": None}]},
        {"message": "no", "path": ["books", 0, "isbn"]},
    )
    assert response.data == {"books": [None]}
    assert explained(response) == [("no", ["books", 0, "isbn"])]


async def test_an_error_without_a_path_explains_every_null() -> None:
    response = await project("{ members { id } }", None, {"message": "no"})
    assert response.data is None
    assert explained(response) == [("no", None)]


@pytest.mark.parametrize(
    ("data", "path", "told"),
    [
        ({"items": 5}, ["items"], "Expected a list for field Query.items."),
        ({"items": [5]}, ["items", 0], "Expected an object of type Item."),
        ({"items": [{"__typename": "User", "id": "1"}]}, ["items", 0], "possible type of Item"),
        ({"items": [{"__typename": "Nothing", "id": "1"}]}, ["items", 0], "possible type of Item"),
        ({"items": [{"__typename": ["Book"], "id": "1"}]}, ["items", 0], "possible type of Item"),
        ({"items": [{"__typename": "Item", "id": "1"}]}, ["items", 0], "possible type of Item"),
        ({"items": [{"id": "1"}]}, ["items", 0], "possible type of Item"),
    ],
)
async def test_what_does_not_fit_the_schema_is_null_and_explained(
    data: dict[str, Any], path: list[str | int], told: str
) -> None:
    response = await project("{ items { id ... on Book { isbn } } }", data)
    assert response.data is None
    assert response.errors[0]["path"] == path
    assert told in response.errors[0]["message"]
    assert response.errors[0]["extensions"] == {"code": "INVALID_SUBGRAPH_RESPONSE"}
    assert len(response.errors) == 1


@pytest.mark.parametrize("me", ["nonsense", 5, ["nonsense"]])
async def test_what_is_no_object_is_null_and_explained(me: Any) -> None:
    response = await project("{ me { id } }", {"me": me})
    assert response.data == {"me": None}
    assert explained(response) == [("Expected an object of type User.", ["me"])]


async def test_a_union_of_nothing_known_is_explained() -> None:
    response = await project("{ product(id: 1) { __typename } }", {"product": "nonsense"})
    assert response.data == {"product": None}
    assert explained(response) == [("Expected an object of type Product.", ["product"])]


async def test_an_unknown_enum_value_is_null_and_explained() -> None:
    response = await project(
        "{ me { role } users { role id @skip(if: true) x: role } }",
        {"me": {"role": "KING"}, "users": [{"role": "ADMIN"}, {"role": None}, {"role": ["ADMIN"]}]},
    )
    assert response.data == {
        "me": {"role": None},
        "users": [
            {"role": "ADMIN", "x": None},
            {"role": None, "x": None},
            {"role": None, "x": None},
        ],
    }
    assert explained(response) == [
        ('Enum "Role" has no such value.', ["me", "role"]),
        ('Enum "Role" has no such value.', ["users", 2, "role"]),
    ]


async def test_a_hidden_enum_value_is_null_without_a_word() -> None:
    response = await project(
        "{ users { id type } }",
        {"users": [{"id": "1", "type": "ANONYMOUS"}]},
        area="enum-intersection",
    )
    assert response.data == {"users": [{"id": "1", "type": None}]}
    assert not response.errors


async def test_hidden_things_beside_a_real_fault_stay_unmentioned() -> None:
    response = await project(
        "{ users { id type } usersB { id type } }",
        {"users": [{"id": "1", "type": "ANONYMOUS"}], "usersB": [{"type": "NONSENSE"}]},
        area="enum-intersection",
    )
    assert explained(response) == [('Enum "UserType" has no such value.', ["usersB", 0, "type"])]
    response = await project(
        "{ a { data { foo } } b { id data { __typename } } }",
        {"a": {"data": {"__typename": "Baz", "foo": "f"}}, "b": {}},
        area="requires-with-fragments",
    )
    assert response.data == {"a": {"data": None}, "b": None}
    assert explained(response) == [
        ("Cannot return null for non-nullable field Entity.id.", ["b", "id"])
    ]


async def test_a_hidden_type_behind_a_non_null_place_is_still_an_error() -> None:
    response = await project(
        "{ me { id } members { id since } books { id } }",
        {"me": {"id": "1"}, "members": [{"__typename": "Member", "id": None}], "books": []},
    )
    assert response.data is None
    assert explained(response) == [
        ("Cannot return null for non-nullable field Member.id.", ["members", 0, "id"])
    ]


async def test_explanations_are_bounded() -> None:
    books = [{"id": str(number)} for number in range(500)]
    response = await project("{ books { isbn } }", {"books": books})
    assert response.data == {"books": [None] * 500}
    assert len(response.errors) == 100


async def test_a_list_in_a_list_is_checked_at_each_level() -> None:
    response = await project(
        "{ grid { id } }", {"grid": [[{"id": "1"}, {}], "nonsense", None, [None]]}
    )
    assert response.data == {"grid": [[{"id": "1"}, None], None, None, [None]]}
    assert [path for _, path in explained(response)] == [["grid", 0, 1, "id"], ["grid", 1]]


async def test_an_introspection_beside_data_keeps_its_place() -> None:
    response = await project(
        '{ me { id } t: __type(name: "Role") { kind } books { id isbn } }',
        {"me": {"id": "1"}, "books": [{"id": "1"}]},
    )
    assert response.data == {"me": {"id": "1"}, "t": {"kind": "ENUM"}, "books": [None]}
    assert list(response.data) == ["me", "t", "books"]


async def test_lists_of_leaves_are_checked_for_nulls() -> None:
    response = await project(
        "{ one { id tags scores } }",
        {"one": {"id": "1", "tags": ["a", None], "scores": [1, None]}},
        area="small",
    )
    assert response.data == {"one": {"id": "1", "tags": None, "scores": [1, None]}}
    assert explained(response) == [
        ("Cannot return null for non-nullable field Book.tags.", ["one", "tags", 1])
    ]
    response = await project("{ one { tags } }", {"one": {"tags": ["a"]}}, area="small")
    assert response.data == {"one": {"tags": ["a"]}}


async def test_types_share_what_is_selected_on_both() -> None:
    related = [{"__typename": "Film", "id": "3"}]
    items = [{"__typename": name, "related": related} for name in ("Book", "Film", "Book")]
    response = await project("{ items { related { id } } }", {"items": items})
    assert response.data == {"items": [{"related": [{"id": "3"}]}] * 3}
