"""Client aliases that shadow keys and required fields: the client's key is the client's."""

from __future__ import annotations

from typing import Any

import pytest

from tests.federation.areas import areas
from tests.federation.subgraphs import InMemory
from tests.federation.suites import Case
from tests.federation.test_differential import check
from tests.federation.test_suites import answer

SHOP = next(one for one in areas() if one.name == "simple-requires-provides")


@pytest.mark.parametrize(
    ("source", "data"),
    [
        (
            "{ products { upc: name inStock } }",
            {
                "products": [
                    {"upc": "p-name-1", "inStock": True},
                    {"upc": "p-name-2", "inStock": False},
                ]
            },
        ),
        (
            "{ products { price: name shippingEstimate } }",
            {
                "products": [
                    {"price": "p-name-1", "shippingEstimate": 110},
                    {"price": "p-name-2", "shippingEstimate": 440},
                ]
            },
        ),
        (
            "{ me { reviews { product { price: upc shippingEstimate } } } }",
            {
                "me": {
                    "reviews": [
                        {"product": {"price": "p1", "shippingEstimate": 110}},
                        {"product": {"price": "p2", "shippingEstimate": 440}},
                    ]
                }
            },
        ),
        (
            "{ products { weight: upc upc: weight price: price shippingEstimateTag } }",
            {
                "products": [
                    {"weight": "p1", "upc": 1, "price": 11, "shippingEstimateTag": "#p1#110#"},
                    {"weight": "p2", "upc": 2, "price": 22, "shippingEstimateTag": "#p2#440#"},
                ]
            },
        ),
        (
            "{ me { id: name reviews: id _entities: reviews { id: body } } }",
            {
                "me": {
                    "id": "u-name-1",
                    "reviews": "u1",
                    "_entities": [{"id": "r-body-1"}, {"id": "r-body-2"}],
                }
            },
        ),
        (
            "{ me { _k0: name _k1: id id: username reviews { product { upc: inStock } } } }",
            {
                "me": {
                    "_k0": "u-name-1",
                    "_k1": "u1",
                    "id": "u-username-1",
                    "reviews": [{"product": {"upc": True}}, {"product": {"upc": False}}],
                }
            },
        ),
    ],
)
async def test_an_alias_may_shadow_what_a_fetch_needs(source: str, data: Any) -> None:
    transport = InMemory(*SHOP.subgraphs)
    response = await answer(SHOP, Case(source, data), transport)
    assert response.data == data
    assert not response.errors
    assert not transport.invalid


async def test_an_alias_may_shadow_what_another_type_behind_an_interface_object_needs() -> None:
    source = (
        "{ reviews(first: 4) { by { ... on Bot { rank } ... on Person { since: user { id } } } } }"
    )
    response, _ = await check(source, {})
    assert response.data is not None
    assert {"by": {"since": {"id": "2"}}} in response.data["reviews"]
