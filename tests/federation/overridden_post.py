"""What the two areas on overrides of a shareable field have in common."""

from __future__ import annotations

from typing import Any

from tests.federation.subgraphs import FED2, Subgraph
from tests.federation.suites import Area, Case, find

POSTS = [{"id": f"p{n}", "createdAt": f"p{n}-createdAt"} for n in (1, 2)]


def overridden_post(name: str, *, overridden: str, old: dict[str, Any]) -> Area:
    """An area where graph `b` overrides the field of another; `old` has the resolvers of `a`."""

    def graph(graph_name: str, override: str, own: dict[str, Any], feed: int) -> Subgraph:
        return Subgraph(
            graph_name,
            f"""{FED2}
            type Post @key(fields: "id") {{ id: ID! createdAt: String! {override} @shareable }}
            type Query {{ feed: [Post] @shareable {graph_name}Feed: [Post] }}
            """,
            {
                "Query": {"feed": POSTS, f"{graph_name}Feed": [POSTS[feed]]},
                "Post": {"__resolveReference": lambda key: find(POSTS, id=key["id"]), **own},
            },
        )

    dates = [{"createdAt": one["createdAt"]} for one in POSTS]
    return Area(
        name,
        [graph("a", "", old, 1), graph("b", f'@override(from: "{overridden}")', {}, 0)],
        [
            Case("{ feed { createdAt } }", {"feed": dates}),
            Case(
                "{ aFeed { createdAt } bFeed { createdAt } }",
                {"aFeed": [dates[1]], "bFeed": [dates[0]]},
            ),
        ],
    )
