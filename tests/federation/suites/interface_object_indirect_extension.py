"""A concrete fragment below an @interfaceObject reached through another entity."""

from __future__ import annotations

from typing import Any

from tests.federation.subgraphs import FED2, Subgraph
from tests.federation.suites import Area, Case


def video(key: Any) -> Any:
    number = int(key["id"])
    return {
        "__typename": "Video",
        "id": key["id"],
        "title": f"title for {number}",
        "duration": 100 * number,
    }


def article(key: Any) -> Any:
    number = int(key["id"])
    return {"id": key["id"], "title": f"title for {number}", "wordCount": 900 * number}


def named(key: Any) -> Any:
    return {"id": key["id"], "name": f"name for {key['id']}"}


A = Subgraph(
    "a",
    FED2
    + """
    type Query { media: Media }
    interface Media @key(fields: "id") { id: ID! title: String }
    type Video implements Media @key(fields: "id") { id: ID! title: String duration: Int }
    type Article implements Media @key(fields: "id") { id: ID! title: String wordCount: Int }
    """,
    {
        "Query": {"media": video({"id": "1"})},
        "Media": {"__resolveReference": lambda key: {"__typename": "Video", "id": key["id"]}},
        "Video": {
            "__resolveReference": video,
            "title": lambda parent: video(parent)["title"],
            "duration": lambda parent: video(parent)["duration"],
        },
        "Article": {"__resolveReference": article},
    },
)
B = Subgraph(
    "b",
    FED2
    + """
    type Query { author: Author }
    type Author @key(fields: "id") { id: ID! name: String }
    extend type Video @key(fields: "id") { id: ID! authorName: String }
    """,
    {
        "Query": {"author": named({"id": "1"})},
        "Author": {"__resolveReference": named},
        "Video": {"authorName": "John Doe"},
    },
)
C = Subgraph(
    "c",
    FED2
    + """
    type Query { playlist: Playlist }
    type Playlist @key(fields: "id") { id: ID! name: String media: Media }
    type Media @key(fields: "id") @interfaceObject { id: ID! }
    """,
    {
        "Query": {"playlist": {**named({"id": "1"}), "media": {"id": "1"}}},
        "Playlist": {"__resolveReference": lambda key: {**named(key), "media": {"id": key["id"]}}},
    },
)

AREA = Area(
    "interface-object-indirect-extension",
    [A, B, C],
    [
        Case(
            """{
              media { id title ... on Video { duration authorName } ... on Article { wordCount } }
              author { id name }
              playlist { id name media { id ... on Video { duration } } }
            }""",
            {
                "media": {
                    "id": "1",
                    "title": "title for 1",
                    "duration": 100,
                    "authorName": "John Doe",
                },
                "author": named({"id": "1"}),
                "playlist": {**named({"id": "1"}), "media": {"id": "1", "duration": 100}},
            },
        )
    ],
)
