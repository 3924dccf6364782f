"""What can be done with files; each function runs inside its caller's transaction."""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.access import Permission, allows, authorize, require_user
from shared.errors import BadUserInput, Conflict, NotFound
from shared.events import publish
from shared.text import one_line
from shared.worker import enqueue
from subgraphs.storage import repository
from subgraphs.storage.events import FileDeleted, FileUploaded
from subgraphs.storage.models import File, FileStatus, OwnerKind

if TYPE_CHECKING:
    from shared.auth import Identity
    from shared.db import ReadSession, WriteSession
    from subgraphs.storage.objects import Stored

__all__ = [
    "DEFAULT_LIMITS",
    "DELETE_OBJECTS",
    "MOST_BYTES",
    "NewFile",
    "NotUploaded",
    "Owner",
    "QuotaExceeded",
    "check",
    "complete",
    "delete",
    "discard",
    "find",
    "find_to_complete",
    "may_store",
    "owners",
    "request",
    "sweep",
    "verify",
]

GIB = 2**30
MOST_BYTES = 5 * GIB
"""The most that S3 takes in one request."""

DEFAULT_LIMITS = {
    # The plan "free", which billing says nothing about as long as it is not left.
    OwnerKind.ORGANIZATION: GIB,
    OwnerKind.USER: GIB,
}

UPLOAD_TTL = dt.timedelta(minutes=15)
GRACE = dt.timedelta(hours=1)
"""How long after its time an upload is kept: it may have begun in the last moment."""

DELETE_OBJECTS = "delete_objects"

_CONTENT_TYPE = re.compile(r"[a-z]+/[a-z0-9][a-z0-9!#$&^_.+-]{0,99}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class QuotaExceeded(Conflict):
    """The owner's space does not suffice."""

    message = "There is not enough space left. Delete files or choose a larger plan."


class NotUploaded(Conflict):
    """The bytes are not there, or not those that were announced."""

    message = "The file was not uploaded yet."


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose file it is to be."""

    id: str
    kind: OwnerKind


@dataclass(frozen=True, slots=True)
class NewFile:
    """A file to come, checked; ``sha256`` is hexadecimal."""

    name: str
    content_type: str
    size_bytes: int
    sha256: str


def check(*, name: str, content_type: str, size_bytes: int, sha256: str) -> NewFile:
    """The file to come; raises `BadUserInput`."""
    kind = content_type.strip().lower()
    if not _CONTENT_TYPE.fullmatch(kind):
        raise BadUserInput("This is not a content type such as image/png.", field="contentType")
    if not 1 <= size_bytes <= MOST_BYTES:
        raise BadUserInput(f"A file has 1 to {MOST_BYTES} bytes.", field="sizeBytes")
    digest = sha256.strip().lower()
    if not _SHA256.fullmatch(digest):
        raise BadUserInput("A SHA-256 has 64 hexadecimal digits.", field="sha256")
    return NewFile(_check_name(name), kind, size_bytes, digest)


def _check_name(value: str) -> str:
    name = one_line(value, field="name", most=200)
    if {"/", "\\"} & set(unicodedata.normalize("NFKC", name)) or not name.strip("."):
        raise BadUserInput("A file's name has no slashes and is not only dots.", field="name")
    return name


def may_store(identity: Identity, organization_id: str | None) -> Owner:
    """Whose file the caller may add; raises `Unauthenticated`, `NotFound`, `Forbidden`."""
    user_id = require_user(identity)
    if organization_id is None:
        return Owner(user_id, OwnerKind.USER)
    authorize(identity, Permission.FILE_WRITE, organization_id)
    return Owner(organization_id, OwnerKind.ORGANIZATION)


def owners(identity: Identity) -> Collection[str]:
    """Whose files the caller may see: the caller's own and those of the caller's organizations."""
    readable = {
        each for each in identity.memberships if allows(identity, Permission.FILE_READ, each)
    }
    return readable | {require_user(identity)}


async def find(session: ReadSession, identity: Identity, file_id: str) -> File:
    """A file the caller may see; raises `NotFound`."""
    found = await repository.files_by_id(session, [file_id], owners=owners(identity))
    if file_id not in found:
        raise NotFound
    return found[file_id]


async def find_to_complete(session: ReadSession, identity: Identity, file_id: str) -> File:
    """A file the caller may complete; raises `NotFound`, `Forbidden`."""
    file = await find(session, identity, file_id)
    _require_write(identity, file)
    return file


async def request(
    session: WriteSession, identity: Identity, owner: Owner, new: NewFile, *, now: dt.datetime
) -> File:
    """The pending file, its space reserved; raises `QuotaExceeded`."""
    limit = DEFAULT_LIMITS[owner.kind]
    if not await repository.reserve(
        session, owner.id, owner.kind, size_bytes=new.size_bytes, default_limit=limit
    ):
        raise QuotaExceeded
    return await repository.add_file(
        session,
        File(
            owner_id=owner.id,
            owner_kind=owner.kind,
            name=new.name,
            content_type=new.content_type,
            size_bytes=new.size_bytes,
            sha256=new.sha256,
            status=FileStatus.PENDING,
            uploaded_by=require_user(identity),
            upload_expires_at=now + UPLOAD_TTL,
        ),
    )


def verify(file: File, stored: Stored | None) -> None:
    """Return when what is stored is what was announced; raise `NotUploaded` when not.

    A server that keeps no checksum has compared the signed one while it stored.
    """
    if stored is None:
        raise NotUploaded
    same = (
        stored.size_bytes == file.size_bytes
        and stored.content_type == file.content_type
        and stored.sha256 in (None, file.sha256)
    )
    if not same:
        raise NotUploaded("What was uploaded is not what was announced.")


async def complete(
    session: WriteSession, identity: Identity, file_id: str, *, now: dt.datetime
) -> File:
    """The file, complete from now on; doing it again changes nothing.  Raises `NotFound`."""
    file = await _locked(session, identity, file_id)
    _require_write(identity, file)
    if file.status is FileStatus.COMPLETE:
        return file
    file.status = FileStatus.COMPLETE
    file.completed_at = now
    await session.flush()
    await repository.settle(session, file)
    await publish(
        session,
        FileUploaded(
            file_id=file_id,
            owner_kind=file.owner_kind,
            owner_id=str(file.owner_id),
            size_bytes=file.size_bytes,
        ),
    )
    return file


async def delete(
    session: WriteSession, identity: Identity, file_id: str, *, now: dt.datetime
) -> File:
    """The file that is no more; its bytes go after the commit.  Raises `NotFound`, `Forbidden`.

    Who began an upload may give it up without the permission to delete.
    """
    file = await _locked(session, identity, file_id)
    began_it = file.status is FileStatus.PENDING and str(file.uploaded_by) == identity.user_id
    if not (_owns(identity, file) or began_it):
        authorize(identity, Permission.FILE_DELETE, str(file.owner_id))
    await discard(session, [file], now=now)
    return file


async def sweep(session: WriteSession, *, now: dt.datetime, limit: int) -> int:
    """Give up uploads whose time is over; returns how many, at most ``limit``."""
    files = await repository.expired_uploads(session, before=now - GRACE, limit=limit)
    await discard(session, files, now=now)
    return len(files)


async def discard(session: WriteSession, files: Sequence[File], *, now: dt.datetime) -> None:
    """Delete these files, which are locked, and give their space back."""
    if not files:
        return
    await repository.release(session, files)
    await repository.delete_files(session, files)
    for file in files:
        await publish(
            session,
            FileDeleted(
                file_id=str(file.id),
                owner_kind=file.owner_kind,
                owner_id=str(file.owner_id),
                size_bytes=file.size_bytes,
            ),
        )
    await enqueue(session, DELETE_OBJECTS, {"keys": [each.object_key for each in files]})
    # An address for uploading goes on working: what comes after the deletion goes, too.
    late = [each.object_key for each in files if each.upload_expires_at > now]
    if late:
        await enqueue(session, DELETE_OBJECTS, {"keys": late}, delay=UPLOAD_TTL + GRACE)


async def _locked(session: WriteSession, identity: Identity, file_id: str) -> File:
    file = await repository.lock_file(session, file_id, owners=owners(identity))
    if file is None:
        raise NotFound
    return file


def _require_write(identity: Identity, file: File) -> None:
    if not _owns(identity, file):
        authorize(identity, Permission.FILE_WRITE, str(file.owner_id))


def _owns(identity: Identity, file: File) -> bool:
    return file.owner_kind is OwnerKind.USER and str(file.owner_id) == identity.user_id
