"""What every subgraph owes a data subject: an export of what it holds, and its erasure.

Export: the gateway asks each subgraph for `privacyExport`, page by page, and
writes what it gets into one archive.  A subgraph names its sections and how to
read a bounded piece of each::

    async def invoices(resources: Resources, user_id: str, after: str | None) -> Piece:
        async with resources.database.read() as session:
            rows = await repository.invoices_of(session, user_id, after=after, limit=PIECE)
        return Piece([... plain values ...], after=str(rows[-1].id) if len(rows) == PIECE else None)

    class Query:
        privacy_export: PrivacyExportPage = export_field("billing", {"invoices": invoices})

Erasure: users announces `DeletionStarted`; each subgraph erases, or makes
anonymous what the law has it keep, and confirms with `<domain>.subject.erased`::

    async def erase(session: WriteSession, started: DeletionStarted) -> None: ...

    Worker(..., consumers=[erasing("billing", erase)])

The announcement comes again until all have confirmed, so erasing what is gone
already must be harmless.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, TypeAlias

import msgspec
import orjson
import strawberry

from shared.db import WriteSession
from shared.errors import BadUserInput, Forbidden
from shared.events import Consumer, Fact, publish
from shared.graphql import BigInt, Context, parse_id

__all__ = [
    "ERASED",
    "EXPORT_QUERY",
    "PIECE",
    "DeletionStarted",
    "Piece",
    "PrivacyDocument",
    "PrivacyExportPage",
    "PrivacyFile",
    "SubjectErased",
    "confirm_erased",
    "erasing",
    "export_field",
]

PIECE = 500
"""How many rows a piece holds at most; of files, whose addresses expire, take far fewer."""

EXPORT_QUERY = """
query PrivacyExport($userId: ID!, $after: String) {
  privacyExport(userId: $userId, after: $after) {
    documents { path json }
    files { path url sizeBytes }
    endCursor
  }
}
"""
"""What the gateway, in its own name, asks each subgraph; the field is `@inaccessible`."""


@strawberry.federation.type(
    shareable=True, inaccessible=True, description="A JSON document of an export."
)
class PrivacyDocument:
    path: str = strawberry.field(description="Where it goes in the archive.")
    json: str = strawberry.field(description="Its text.")


@strawberry.federation.type(
    shareable=True, inaccessible=True, description="A stored file of an export."
)
class PrivacyFile:
    path: str = strawberry.field(description="Where it goes in the archive.")
    url: str = strawberry.field(description="Where its bytes can be read for some minutes.")
    size_bytes: BigInt = strawberry.field(description="How many bytes it has.")


@strawberry.federation.type(
    shareable=True,
    inaccessible=True,
    description="A bounded part of what a subgraph holds about a person.",
)
class PrivacyExportPage:
    documents: list[PrivacyDocument] = strawberry.field(description="The documents of this part.")
    files: list[PrivacyFile] = strawberry.field(description="The files of this part.")
    end_cursor: str | None = strawberry.field(
        description="Pass it as `after` to get the next part; null when this is the last."
    )


@dataclass(frozen=True, slots=True)
class Piece:
    """A bounded piece of a section.

    ``rows`` are JSON objects (times, UUIDs and enums may stand in them as they
    are); ``after`` is what the reader gets to go on from here, None at the end.
    """

    rows: Sequence[Mapping[str, Any]]
    files: Sequence[PrivacyFile] = ()
    after: str | None = None


Reader: TypeAlias = Callable[[Any, str, str | None], Awaitable[Piece]]
"""Reads a piece of a section: (resources, user id, after)."""


def export_field(domain: str, sections: Mapping[str, Reader]) -> Any:
    """The root field `privacyExport`, one piece a page: ``domain/section.json``, ``-2.json``, …"""
    names = tuple(sections)

    async def privacy_export(
        info: strawberry.Info[Context[Any], None],
        user_id: Annotated[strawberry.ID, strawberry.argument(description="Whose data it is.")],
        after: Annotated[
            str | None, strawberry.argument(description="The `endCursor` of the part before.")
        ] = None,
    ) -> PrivacyExportPage:
        if info.context.identity.service != "gateway":
            raise Forbidden
        section, number, position = _parse_cursor(after, len(names))
        name = names[section]
        piece = await sections[name](info.context.resources, parse_id(user_id), position)
        suffix = "" if number == 1 else f"-{number}"
        document = PrivacyDocument(path=f"{domain}/{name}{suffix}.json", json=_json(piece.rows))
        return PrivacyExportPage(
            documents=[document],
            files=list(piece.files),
            end_cursor=_next_cursor(section, number, piece.after, len(names)),
        )

    return strawberry.federation.field(
        resolver=privacy_export,
        shareable=True,
        inaccessible=True,
        description="A part of what this subgraph holds about a person; for the gateway alone.",
    )


def _parse_cursor(cursor: str | None, sections: int) -> tuple[int, int, str | None]:
    if cursor is None:
        return 0, 1, None
    try:
        found = msgspec.json.decode(cursor, type=tuple[int, int, str | None])
    except ValueError:
        found = (-1, 1, None)
    if found[0] not in range(sections):
        raise BadUserInput("The cursor is not one this server gave out.", field="after")
    return found


def _next_cursor(section: int, number: int, position: str | None, sections: int) -> str | None:
    if position is not None:
        return orjson.dumps((section, number + 1, position)).decode()
    return orjson.dumps((section + 1, 1, None)).decode() if section + 1 < sections else None


def _json(rows: Sequence[Mapping[str, Any]]) -> str:
    options = orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z
    return orjson.dumps([dict(row) for row in rows], default=_plain, option=options).decode()


def _plain(value: object) -> str:
    if isinstance(value, uuid.UUID):  # asyncpg's own class, which orjson does not know
        return str(value)
    raise TypeError(f"{type(value).__name__} is no value of JSON")


@dataclass(frozen=True, slots=True)
class DeletionStarted(Fact):
    """A person's data is to be erased now; it cannot be cancelled any more."""

    topic: ClassVar[str] = "users.deletion.started"

    request_id: str
    user_id: str

    def key(self) -> str:
        return self.user_id


@dataclass(frozen=True, slots=True)
class SubjectErased(Fact):
    """The users subgraph holds nothing about the person any more."""

    topic: ClassVar[str] = "users.subject.erased"

    request_id: str
    user_id: str

    def key(self) -> str:
        return self.user_id


@dataclass(frozen=True, slots=True)
class _OrgsErased(SubjectErased):
    topic: ClassVar[str] = "orgs.subject.erased"


@dataclass(frozen=True, slots=True)
class _BillingErased(SubjectErased):
    topic: ClassVar[str] = "billing.subject.erased"


@dataclass(frozen=True, slots=True)
class _StorageErased(SubjectErased):
    topic: ClassVar[str] = "storage.subject.erased"


ERASED: Mapping[str, type[SubjectErased]] = {
    "users": SubjectErased,
    "orgs": _OrgsErased,
    "billing": _BillingErased,
    "storage": _StorageErased,
}
"""The confirming fact of each domain; a deletion is complete when all have come."""


async def confirm_erased(session: WriteSession, domain: str, started: DeletionStarted) -> None:
    """Confirm that this domain holds nothing about the person any more."""
    await publish(session, ERASED[domain](started.request_id, started.user_id))


def erasing(
    domain: str, erase: Callable[[WriteSession, DeletionStarted], Awaitable[None]]
) -> Consumer[DeletionStarted]:
    """A consumer that erases and confirms in one transaction.

    A domain that has to delete outside its database too (objects in S3) makes a
    `Consumer` of its own, enqueues a job, and calls `confirm_erased` at its end.
    """

    async def handle(session: WriteSession, started: DeletionStarted) -> None:
        await erase(session, started)
        await confirm_erased(session, domain, started)

    return Consumer(domain, topic=DeletionStarted.topic, payload=DeletionStarted, handle=handle)
