"""Two small subgraphs, authors and books, that the gateway's tests are about."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import strawberry

from gateway.federation.supergraph import Supergraph
from shared.auth import Identity
from shared.errors import NotFound
from shared.execution import batched_reference
from shared.graphql import build_schema
from shared.subgraph import SubgraphService

__all__ = ["SDL", "SUPERGRAPH", "Bookshop", "make_bookshop"]

SDL = (Path(__file__).parent / "bookshop.graphql").read_text()
SUPERGRAPH = Supergraph.from_sdl(SDL)


@dataclass
class Bookshop:
    """What the subgraphs hold, and what a test may do to them.

    ``events`` feeds the subscription ``bookAdded``, each to one subscriber, and
    ``opened`` gets an item for each that is there; ``calls`` counts what was
    asked of ``Query.slow``, which waits for ``release``.
    """

    names: dict[str, str] = field(default_factory=lambda: {"1": "Ursula", "2": "Stanisław"})
    events: asyncio.Queue[str | None] = field(default_factory=asyncio.Queue)
    subscribers: int = 0
    opened: asyncio.Queue[None] = field(default_factory=asyncio.Queue)
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    calls: int = 0
    started: asyncio.Event = field(default_factory=asyncio.Event)
    release: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True)
class Context:
    identity: Identity
    bookshop: Bookshop


Info = strawberry.Info[Context, None]


@strawberry.federation.type(keys=["id"], description="Who writes books.")
class Author:
    id: strawberry.ID
    name: str | None = None

    @batched_reference
    @classmethod
    async def authors(cls, keys: Sequence[strawberry.ID], info: Info) -> list[Author | None]:
        names = info.context.bookshop.names
        return [Author(id=key, name=names[key]) if key in names else None for key in keys]


@strawberry.type
class AuthorsQuery:
    @strawberry.field
    def authors(self, info: Info) -> list[Author]:
        return [
            Author(id=strawberry.ID(id_), name=name)
            for id_, name in info.context.bookshop.names.items()
        ]

    @strawberry.field
    def author(self, info: Info, id: strawberry.ID) -> Author | None:  # noqa: A002
        names = info.context.bookshop.names
        if id not in names:
            raise NotFound("No such author.")
        return Author(id=id, name=names[id])

    @strawberry.field
    def whoami(self, info: Info) -> str | None:
        return info.context.identity.user_id

    @strawberry.field
    def bug(self) -> int | None:
        raise RuntimeError("secret detail")

    @strawberry.field
    async def slow(self, info: Info) -> int | None:
        bookshop = info.context.bookshop
        bookshop.calls += 1
        bookshop.started.set()
        try:
            await bookshop.release.wait()
        except asyncio.CancelledError:
            bookshop.cancelled.set()
            raise
        return bookshop.calls


@strawberry.type
class AuthorsMutation:
    @strawberry.mutation
    async def rename(self, info: Info, id: strawberry.ID, name: str) -> Author:  # noqa: A002
        bookshop = info.context.bookshop
        bookshop.started.set()
        await bookshop.release.wait()
        bookshop.names[id] = name
        return Author(id=id, name=name)


@strawberry.federation.type(keys=["isbn"], description="A book.")
class Book:
    isbn: strawberry.ID
    title: str
    author: BookAuthor


@strawberry.federation.type(name="Author", keys=["id"])
class BookAuthor:
    id: strawberry.ID

    @strawberry.field
    def books(self) -> list[Book]:
        return [book for book in BOOKS if book.author.id == self.id]

    @strawberry.field
    def broken(self) -> int | None:
        raise NotFound("There is none.")


BOOKS = [
    Book(isbn=strawberry.ID("a"), title="Always", author=BookAuthor(id=strawberry.ID("1"))),
    Book(isbn=strawberry.ID("b"), title="Solaris", author=BookAuthor(id=strawberry.ID("2"))),
]


@strawberry.type
class BooksQuery:
    @strawberry.field
    def books(self) -> list[Book]:
        return BOOKS


@strawberry.type
class BooksSubscription:
    @strawberry.subscription
    async def book_added(
        self, info: Info, author: strawberry.ID | None = None
    ) -> AsyncIterator[Book]:
        bookshop = info.context.bookshop
        bookshop.subscribers += 1
        bookshop.opened.put_nowait(None)
        try:
            while (isbn := await bookshop.events.get()) is not None:
                yield next(book for book in BOOKS if book.isbn == isbn)
                bookshop.events.task_done()
        finally:
            bookshop.subscribers -= 1
            bookshop.closed.set()


AUTHORS = build_schema(AuthorsQuery, AuthorsMutation, types=[Author])
BOOKS_SCHEMA = build_schema(BooksQuery, None, BooksSubscription, types=[Book, BookAuthor])


def make_bookshop(bookshop: Bookshop) -> dict[str, SubgraphService]:
    """The two subgraphs over one bookshop."""

    def context(identity: Identity) -> Context:
        return Context(identity, bookshop)

    return {
        "authors": SubgraphService("authors", AUTHORS, context),
        "books": SubgraphService("books", BOOKS_SCHEMA, context),
    }
