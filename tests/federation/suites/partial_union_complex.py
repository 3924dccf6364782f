"""A partial union below shareable fields: what all graphs on the path know can be selected."""

from __future__ import annotations

from typing import Any

from tests.federation.subgraphs import FED2, Subgraph
from tests.federation.suites import Area, Case

COMMON = {"__typename": "Common", "label": "common label"}
ONLY_A = {"__typename": "OnlyA", "a": "only a"}
ONLY_B = {"__typename": "OnlyB", "b": "only b"}


def graph(name: Any, own: Any, more: Any = "") -> Any:
    only = f"Only{name.upper()}"
    actions = [COMMON, own]

    def container(actions: Any) -> Any:
        return {"id": "container-1", "wrapper": {"actions": actions}}

    return Subgraph(
        name,
        f"""{FED2}
        type Query {{ root{name.upper()}: Container shared: Container @shareable }}
        type Container @key(fields: "id") {{ id: ID! wrapper: Wrapper @shareable {more} }}
        type Wrapper @shareable {{ actions: [Action!]! @shareable }}
        union Action = Common | {only}
        type Common @shareable {{ label: String }}
        type {only} {{ {name}: String }}
        """,
        {
            "Query": {f"root{name.upper()}": container(actions), "shared": container([COMMON])},
            "Container": {
                "__resolveReference": lambda key: (
                    container(actions) if key["id"] == "container-1" else None
                ),
                **({"bWrapper": {"actions": actions}} if more else {}),
            },
        },
    )


ALL = "{ actions { __typename ... on Common { label } ... on OnlyA { a } ... on OnlyB { b } } }"

AREA = Area(
    "partial-union-complex",
    [graph("a", ONLY_A), graph("b", ONLY_B, "bWrapper: Wrapper")],
    [
        Case(
            f"{{ rootA {{ wrapper {ALL} }} }}",
            {"rootA": {"wrapper": {"actions": [COMMON, {"__typename": "OnlyA", "a": None}]}}},
        ),
        Case(
            f"{{ rootB {{ wrapper {ALL} }} }}",
            {"rootB": {"wrapper": {"actions": [COMMON, {"__typename": "OnlyB", "b": None}]}}},
        ),
        Case(
            "{ rootA { wrapper { actions { __typename ... on OnlyB { b } } } } }",
            {
                "rootA": {
                    "wrapper": {"actions": [{"__typename": "Common"}, {"__typename": "OnlyA"}]}
                }
            },
        ),
        Case(f"{{ shared {{ wrapper {ALL} }} }}", {"shared": {"wrapper": {"actions": [COMMON]}}}),
        Case(
            f"{{ rootA {{ bWrapper {ALL} }} }}",
            {"rootA": {"bWrapper": {"actions": [COMMON, ONLY_B]}}},
        ),
    ],
)
