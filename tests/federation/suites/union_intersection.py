"""One union with other members in each graph, and a graph that narrows it to an object."""

from __future__ import annotations

from tests.federation.subgraphs import FED2, Subgraph
from tests.federation.suites import Area, Case

BOOK = {"__typename": "Book", "title": "The Lord of the Rings"}
SONG = {"__typename": "Song", "title": "Song Title"}

A = Subgraph(
    "a",
    FED2
    + """
    union Media = Book | Song
    union ViewerMedia = Book | Song
    type Book { title: String! @shareable }
    type Song { title: String! @shareable }
    type Query {
      media: Media @shareable book: Book @shareable song: Media @shareable viewer: Viewer @shareable
    }
    type Viewer {
      media: ViewerMedia @shareable book: Book @shareable song: ViewerMedia @shareable
    }
    """,
    {
        "Query": {
            "media": BOOK,
            "book": BOOK,
            "song": SONG,
            "viewer": {"media": BOOK, "book": BOOK, "song": SONG},
        }
    },
)
B = Subgraph(
    "b",
    FED2
    + """
    type Query { media: Media @shareable book: Media @shareable viewer: Viewer @shareable }
    union Media = Book | Movie
    union ViewerMedia = Book | Movie
    type Movie { title: String! @shareable }
    type Book { title: String! @shareable }
    type Viewer { media: ViewerMedia @shareable book: ViewerMedia @shareable }
    """,
    {"Query": {"media": BOOK, "book": BOOK, "viewer": {"media": BOOK, "book": BOOK}}},
)

TITLE = {"title": BOOK["title"]}
EACH = "{ __typename ... on Song { title } ... on Movie { title } ... on Book { title } }"

AREA = Area(
    "union-intersection",
    [A, B],
    [
        Case("{ media { ... on Movie { title } } }", {"media": {}}),
        Case("{ media { ... on Book { title } } }", {"media": TITLE}),
        Case("{ media { ... on Book { title } ... on Movie { title } } }", {"media": TITLE}),
        Case(
            f"{{ viewer {{ media {EACH} book {EACH} song {EACH} }} }}",
            {"viewer": {"media": BOOK, "book": BOOK, "song": SONG}},
        ),
        Case("{ viewer { media { ... on Movie { title } } } }", {"viewer": {"media": {}}}),
        Case("{ viewer { media { ... on Book { title } } } }", {"viewer": {"media": TITLE}}),
        Case(
            "{ viewer { media { ... on Book { title } ... on Movie { title } } } }",
            {"viewer": {"media": TITLE}},
        ),
    ],
    is_kept=True,
)
