"""Supergraphs of Federation 1, as its own tools composed them."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.federation.execution import compile_plan
from gateway.federation.operation.prepare import parse_and_validate, prepare
from gateway.federation.planner import plan
from gateway.federation.supergraph import Supergraph
from tests.federation.first_federation import SUBGRAPHS, SUPERGRAPH_FILE
from tests.federation.subgraphs import InMemory

SUPERGRAPH = Supergraph.from_sdl(SUPERGRAPH_FILE.read_text())


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (
            "{ me { name reviews { product { upc price } } score } }",
            {
                "me": {
                    "name": "Ada",
                    "reviews": [{"product": {"upc": "1", "price": 10}}],
                    "score": 7,
                }
            },
        ),
        (
            (
                "{ products { upc reviews { author { username role } }"
                " ... on Book { title shipping brand { name } } ... on Sofa { shipping seats } } }"
            ),
            {
                "products": [
                    {
                        "upc": "1",
                        "reviews": [{"author": {"username": "@ada", "role": "ADMIN"}}],
                        "title": "Emma",
                        "shipping": 8,
                        "brand": {"name": "brand b1"},
                    },
                    {
                        "upc": "2",
                        "reviews": [{"author": {"username": "@bob", "role": "ADMIN"}}],
                        "shipping": 50,
                        "seats": 3,
                    },
                ]
            },
        ),
        (
            "{ stuff { __typename ... on Product { sku reviews { id } } } }",
            {
                "stuff": [
                    {"__typename": "Book", "sku": "s1", "reviews": [{"id": "r1"}]},
                    {"__typename": "Sofa", "sku": "s2", "reviews": [{"id": "r2"}]},
                ]
            },
        ),
        (
            "{ byline { who { name score } } lastByline { who { name username } } }",
            {
                "byline": {"who": {"name": "Ada", "score": 7}},
                "lastByline": {"who": {"name": "Bob", "username": "@bob"}},
            },
        ),
        (
            (
                'mutation { price(upc: "1", price: 3) { price reviews { id } }'
                ' review(upc: "2", body: "x") { author { name } product { sku } }'
                ' login(id: "u2") { score } }'
            ),
            {
                "price": {"price": 3, "reviews": [{"id": "r1"}]},
                "review": {"author": {"name": "Ada"}, "product": {"sku": "s2"}},
                "login": {"score": 7},
            },
        ),
        (
            (
                '{ node(id: "u1") { id ... on User { reviews { id } } }'
                " reviews { product { upc: price price: upc reviews { id } } } }"
            ),
            {
                "node": {"id": "u1", "reviews": [{"id": "r1"}]},
                "reviews": [
                    {"product": {"upc": 10, "price": "1", "reviews": [{"id": "r1"}]}},
                    {"product": {"upc": 200, "price": "2", "reviews": [{"id": "r2"}]}},
                ],
            },
        ),
    ],
)
async def test_a_supergraph_of_the_first_federation_is_served(
    query: str, expected: dict[str, Any]
) -> None:
    schema = SUPERGRAPH.api_schema
    operation = prepare(schema, parse_and_validate(schema, query)).fold({})
    transport = InMemory(*SUBGRAPHS)
    executable = compile_plan(SUPERGRAPH, operation, plan(SUPERGRAPH, operation))
    response = await executable.run(transport, {}, None)
    assert (response.data, response.errors) == (expected, [])
    assert not transport.invalid
