"""Root fields asked below the root of the response: whom they belong to, and what may go wrong."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.federation.execution import FetchReport
from gateway.federation.plan import AT, Entities, Fetch, RequireField, RequireFragment
from gateway.federation.transport import SubgraphError
from tests.federation.scripted import Scripted, answer, executable, run
from tests.federation.test_differential import check

LEAVE = Fetch(0, "accounts", "mutation", "mutation{leave{visits{__typename}}}")
BOOKS = Fetch(
    1, "catalog", "query", "{books{__typename id}}", at=(("leave", "visits", AT),), depends_on=(0,)
)
SOURCE = "mutation { leave { visits { books { id inStock } } } }"
VISITS = answer({"leave": {"visits": [{"__typename": "Query"}, None, {"__typename": "Query"}]}})


async def test_every_root_object_gets_the_answer_to_the_one_request() -> None:
    key = (RequireField("__typename", "__typename"), RequireField("id", "id", is_key=True))
    path = ("leave", "visits", AT, "books", AT)
    stock = Fetch(
        2,
        "inventory",
        "query",
        "query($representations:[_Any!]!)"
        "{_entities(representations:$representations){...on Book{inStock}}}",
        entities=(Entities((path,), (RequireFragment("Book", key),)),),
        depends_on=(1,),
    )
    response, transport = await run(
        SOURCE,
        {
            LEAVE: VISITS,
            BOOKS: answer({"books": [{"__typename": "Book", "id": "1"}]}),
            stock: answer({"_entities": [{"inStock": True}]}),
        },
    )
    books = [{"id": "1", "inStock": True}]
    assert response.data == {"leave": {"visits": [{"books": books}, None, {"books": books}]}}
    assert response.errors == []
    assert [request.fetch.id for request in transport.requests] == [0, 1, 2]


async def test_nothing_is_asked_for_no_root_object() -> None:
    reports: list[FetchReport] = []
    transport = Scripted({0: answer({"leave": {"visits": [None]}})})
    plan = executable(SOURCE, LEAVE, BOOKS)
    response = await plan.run(transport, {}, None, observer=reports.append)
    assert response.data == {"leave": {"visits": [None]}}
    assert [report.sent for report in reports] == [True, False]


async def test_an_error_belongs_to_every_root_object() -> None:
    failed = answer({"books": None}, {"message": "no", "path": ["books"]})
    response, _ = await run(SOURCE, {LEAVE: VISITS, BOOKS: failed})
    assert [error["path"] for error in response.errors] == [
        ["leave", "visits", 0, "books"],
        ["leave", "visits", 2, "books"],
    ]


@pytest.mark.parametrize(
    "failed", [SubgraphError("down"), answer(None), answer(None, {"message": "no"})]
)
async def test_an_error_without_a_place_is_told_once(failed: Any) -> None:
    response, _ = await run(SOURCE, {LEAVE: VISITS, BOOKS: failed})
    assert response.data == {"leave": {"visits": [{"books": None}, None, {"books": None}]}}
    assert [error["path"] for error in response.errors] == [["leave", "visits"]]


@pytest.mark.parametrize(
    "source",
    [
        "{ root { me { name } root { a: me { name } books { inStock } } } }",
        "{ root { books { id: title shipping } me { id email } } me { email: name } }",
        "query ($yes: Boolean = true) { root { me @skip(if: $yes) { id } users { name } } }",
        "{ grid { studio { name site { me { id } users { name } grid { id } } } } }",
        """mutation { a: leave { visits { books { id inStock } topReview { stars } } }
          b: leave { query { kind: __typename team { since rank } } } }""",
        "mutation { settle { credit } leave { query { node(id: 1) { id } team { karma } } } }",
    ],
)
async def test_the_root_below_the_root_answers_like_a_monolith(source: str) -> None:
    await check(source, {})
