"""The GraphQL schema of the storage subgraph; its mutations open the transactions."""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, TypeAlias

import strawberry
from strawberry.federation.schema_directives import Key
from strawberry.federation.types import FieldSet

from shared.access import Permission, allows
from shared.db import Database
from shared.execution import batched, batched_reference
from shared.graphql import (
    PAGED,
    BigInt,
    Connection,
    Context,
    Cursors,
    Node,
    build_schema,
    connection,
    id_or_none,
    page,
    parse_id,
)
from shared.privacy import PIECE, Piece, PrivacyExportPage, PrivacyFile, export_field
from subgraphs.storage import models, repository, service
from subgraphs.storage.models import OwnerKind
from subgraphs.storage.objects import Objects

__all__ = ["Resources", "schema"]


@dataclass(frozen=True, slots=True)
class Resources:
    """What the resolvers work with."""

    database: Database
    objects: Objects
    files: Cursors
    clock: Callable[[], dt.datetime]


Info: TypeAlias = strawberry.Info[Context[Resources], None]

First: TypeAlias = Annotated[
    int, strawberry.argument(description="How many at most; between 0 and 100.")
]
After: TypeAlias = Annotated[
    str | None, strawberry.argument(description="The cursor of the last item you have.")
]


@strawberry.enum(description="Whether a file's bytes are there.")
class FileStatus(enum.Enum):
    PENDING = strawberry.enum_value(
        models.FileStatus.PENDING, description="Announced; the bytes are still to come."
    )
    COMPLETE = strawberry.enum_value(
        models.FileStatus.COMPLETE, description="It can be downloaded."
    )


@strawberry.federation.type(
    keys=[Key(fields=FieldSet("code"), resolvable=False)],
    description="What an organization pays for.",
)
class Plan:
    code: str = strawberry.field(description="Its stable name, such as team.")
    storage_limit_bytes: BigInt = strawberry.federation.field(
        external=True, default=BigInt(0), description="How much can be stored with it."
    )


@strawberry.type(description="How much space files take.")
class StorageUsage:
    used_bytes: BigInt = strawberry.field(description="The size of all files together.")
    reserved_bytes: BigInt = strawberry.field(description="Set aside for uploads under way.")
    limit_bytes: BigInt = strawberry.field(description="What used and reserved may come to.")
    file_count: int = strawberry.field(description="How many files there are.")

    @classmethod
    def of(cls, row: models.Account | None, limit: int) -> StorageUsage:
        return cls(
            used_bytes=BigInt(row.used_bytes if row else 0),
            reserved_bytes=BigInt(row.reserved_bytes if row else 0),
            limit_bytes=BigInt(limit),
            file_count=row.file_count if row else 0,
        )


@dataclass(frozen=True, slots=True)
class PlanPart:
    """What `@requires` brings along of a plan."""

    storage_limit_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class OrganizationKey:
    """A representation of `Organization`."""

    id: str
    plan: PlanPart | None = None


@strawberry.federation.type(
    keys=["id"], description="A company or team whose members share plans and files."
)
class Organization:
    id: strawberry.ID = strawberry.field(description="Opaque and stable.")
    plan: Plan | None = strawberry.federation.field(
        external=True, default=None, description="What it pays for."
    )
    plan_limit: strawberry.Private[int | None] = None

    @batched(requires=["plan { storageLimitBytes }"], description="How much of its space is taken.")
    @staticmethod
    async def storage_usage(
        parents: Sequence[Organization], info: Info
    ) -> list[StorageUsage | None]:
        ids = [each.id for each in parents]
        async with info.context.resources.database.read() as session:
            found = await repository.accounts(session, ids)
        return [
            StorageUsage.of(
                found.get(each.id),
                each.plan_limit or _limit(found.get(each.id), OwnerKind.ORGANIZATION),
            )
            for each in parents
        ]

    @batched(description="Its files, the newest first.", directives=[PAGED])
    @staticmethod
    async def files(
        parents: Sequence[Organization], info: Info, first: First = 20, after: After = None
    ) -> list[Connection[File] | None]:
        return await _files(info, [each.id for each in parents], first, after)

    @batched_reference
    @classmethod
    async def references(
        cls, keys: Sequence[OrganizationKey], info: Info
    ) -> list[Organization | None]:
        return [cls.seen(key, info) for key in keys]

    @classmethod
    def seen(cls, key: OrganizationKey, info: Info) -> Organization | None:
        """The organization if the caller may see its files."""
        organization_id = id_or_none(key.id)
        if organization_id is None or not allows(
            info.context.identity, Permission.FILE_READ, organization_id
        ):
            return None
        limit = key.plan.storage_limit_bytes if key.plan else None
        return cls(id=strawberry.ID(organization_id), plan_limit=limit)


@strawberry.federation.type(keys=["id"], description="A person with an account.")
class User:
    id: strawberry.ID = strawberry.field(description="Opaque and stable.")

    @batched(
        description="The person's own files, the newest first; only the person sees them, for "
        "others they are null.",
        directives=[PAGED],
    )
    @staticmethod
    async def files(
        parents: Sequence[User], info: Info, first: First = 20, after: After = None
    ) -> list[Connection[File] | None]:
        me = info.context.identity.user_id
        return await _files(
            info, [each.id if each.id == me else None for each in parents], first, after
        )

    @batched(
        description="How much of the person's own space is taken; only the person sees it, for "
        "others it is null."
    )
    @staticmethod
    async def storage_usage(parents: Sequence[User], info: Info) -> list[StorageUsage | None]:
        me = info.context.identity.user_id
        mine = [each.id for each in parents if each.id == me]
        async with info.context.resources.database.read() as session:
            found = await repository.accounts(session, mine)
        return [
            StorageUsage.of(found.get(each.id), _limit(found.get(each.id), OwnerKind.USER))
            if each.id == me
            else None
            for each in parents
        ]


FileOwner = Annotated[
    User | Organization,
    strawberry.union("FileOwner", description="Whose file it is: a person's or an organization's."),
]


@strawberry.federation.type(
    keys=[Key(fields=FieldSet("organization { id } user { id }"), resolvable=False)],
    description="Someone's place in an organization.",
)
class Membership:
    organization: Organization = strawberry.field(description="The organization.")
    user: User | None = strawberry.field(description="The member.")


@strawberry.federation.type(keys=["id"], description="A stored file.")
class File(Node):
    id: strawberry.ID = strawberry.field(description="Opaque and stable.")
    name: str = strawberry.field(description="What it is called, without folders.")
    size_bytes: BigInt = strawberry.field(description="How many bytes it has.")
    content_type: str = strawberry.field(description="Its media type, such as image/png.")
    status: FileStatus = strawberry.field(description="Whether its bytes are there.")
    created_at: dt.datetime = strawberry.field(description="When the upload was begun.")
    owner: FileOwner | None = strawberry.field(
        description="Whose file it is; null when the owner cannot be read at the moment."
    )
    uploaded_by: User | None = strawberry.field(
        description="Who uploaded it; null when the account is gone."
    )
    uploader_membership: Membership | None = strawberry.field(
        description="The place of who uploaded it in the organization that owns it; null for a "
        "person's own file, and when they have left."
    )
    object_key: strawberry.Private[str]

    @strawberry.field(
        description="Where its bytes can be read for the next five minutes, without further "
        "proof; null until it is complete."
    )
    def download_url(self, info: Info) -> str | None:
        if self.status is not FileStatus.COMPLETE:
            return None
        return info.context.resources.objects.download_url(self.object_key, name=self.name)

    @batched_reference
    @classmethod
    async def references(cls, keys: Sequence[strawberry.ID], info: Info) -> list[File | None]:
        ids = [id_or_none(key) for key in keys]
        async with info.context.resources.database.read() as session:
            found = await repository.files_by_id(
                session, list(filter(None, ids)), owners=service.owners(info.context.identity)
            )
        return [cls.of(found[each]) if each in found else None for each in ids]

    @classmethod
    def of(cls, row: models.File) -> File:
        owner_id = strawberry.ID(str(row.owner_id))
        uploader = User(id=strawberry.ID(str(row.uploaded_by))) if row.uploaded_by else None
        shared = row.owner_kind is OwnerKind.ORGANIZATION
        return cls(
            id=strawberry.ID(str(row.id)),
            name=row.name,
            size_bytes=BigInt(row.size_bytes),
            content_type=row.content_type,
            status=FileStatus[row.status.name],
            created_at=row.created_at,
            owner=Organization(id=owner_id) if shared else User(id=owner_id),
            uploaded_by=uploader,
            uploader_membership=Membership(organization=Organization(id=owner_id), user=uploader)
            if shared and uploader
            else None,
            object_key=row.object_key,
        )


# --- inputs and payloads ------------------------------------------------------------------


@strawberry.input(description="A file that you are going to upload.")
class RequestUploadInput:
    organization_id: strawberry.ID | None = strawberry.field(
        default=None, description="The organization that is to own it; yourself if left out."
    )
    name: str = strawberry.field(description="1 to 200 characters, without slashes.")
    content_type: str = strawberry.field(description="Its media type, such as image/png.")
    size_bytes: BigInt = strawberry.field(description="Exactly how many bytes it has.")
    sha256: str = strawberry.field(description="The SHA-256 of its bytes, hexadecimal.")


@strawberry.type(description="A header of an HTTP request.")
class HttpHeader:
    name: str = strawberry.field(description="Its name.")
    value: str = strawberry.field(description="Its value.")


@strawberry.type(description="The HTTP request that uploads a file's bytes.")
class UploadTarget:
    method: str = strawberry.field(description="The method.")
    url: str = strawberry.field(description="Where to.")
    headers: list[HttpHeader] = strawberry.field(
        description="Headers to send with it, besides the Content-Length that it has anyway."
    )
    expires_at: dt.datetime = strawberry.field(description="Until when it can be sent.")


@strawberry.type(description="An upload to carry out; then call `completeUpload`.")
class RequestUploadPayload:
    file: File = strawberry.field(description="The file, still pending.")
    upload: UploadTarget = strawberry.field(description="How to upload its bytes.")


@strawberry.input(description="An upload that is done.")
class CompleteUploadInput:
    file_id: strawberry.ID = strawberry.field(description="The file.")


@strawberry.input(description="A file to delete, or an upload to give up.")
class DeleteFileInput:
    file_id: strawberry.ID = strawberry.field(description="Which one.")


@strawberry.type(description="The file is gone.")
class DeleteFilePayload:
    file_id: strawberry.ID = strawberry.field(description="The file that was deleted.")
    owner: FileOwner | None = strawberry.field(
        description="Whose it was; null when the owner cannot be read at the moment."
    )


# --- the root types -----------------------------------------------------------------------

_EXPORTED = 25
"""Addresses of files expire: what is asked for at once must be read within that time."""


async def _export_files(resources: Resources, user_id: str, after: str | None) -> Piece:
    async with resources.database.read() as session:
        rows = await repository.files_of(session, user_id, limit=_EXPORTED, after=after)
    bytes_of = [
        PrivacyFile(
            path=f"storage/files/{row.id}/{row.name}",
            url=resources.objects.inside_url(row.object_key),
            size_bytes=BigInt(row.size_bytes),
        )
        for row in rows
        if row.status is models.FileStatus.COMPLETE
    ]
    return Piece([_exported(row) for row in rows], bytes_of, after=_last(rows, _EXPORTED))


async def _export_uploads(resources: Resources, user_id: str, after: str | None) -> Piece:
    async with resources.database.read() as session:
        rows = await repository.uploads_elsewhere(session, user_id, limit=PIECE, after=after)
    exported = [{**_exported(row), "organizationId": row.owner_id} for row in rows]
    return Piece(exported, after=_last(rows, PIECE))


def _exported(row: models.File) -> dict[str, object]:
    return {
        "id": row.id,
        "name": row.name,
        "contentType": row.content_type,
        "sizeBytes": row.size_bytes,
        "sha256": row.sha256,
        "status": row.status,
        "createdAt": row.created_at,
    }


def _last(rows: Sequence[models.File], limit: int) -> str | None:
    return str(rows[-1].id) if len(rows) == limit else None


@strawberry.type
class Query:
    privacy_export: PrivacyExportPage = export_field(
        "storage", {"files": _export_files, "uploads": _export_uploads}
    )

    @strawberry.field(description="A file of yours or of an organization you are in.")
    async def file(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="Its id.")],  # noqa: A002
    ) -> File | None:
        async with info.context.resources.database.read() as session:
            return File.of(await service.find(session, info.context.identity, parse_id(id)))


@strawberry.type
class Mutation:
    @strawberry.mutation(
        description="Announce a file; its space is reserved, and you get an address to upload to."
    )
    async def request_upload(
        self,
        info: Info,
        input: RequestUploadInput,  # noqa: A002
    ) -> RequestUploadPayload:
        resources, identity = info.context.resources, info.context.identity
        chosen = input.organization_id
        owner = service.may_store(identity, parse_id(chosen) if chosen is not None else None)
        new = service.check(
            name=input.name,
            content_type=input.content_type,
            size_bytes=input.size_bytes,
            sha256=input.sha256,
        )
        await resources.objects.ready()
        async with resources.database.write() as session:
            row = await service.request(session, identity, owner, new, now=resources.clock())
        return RequestUploadPayload(file=File.of(row), upload=_target(resources.objects, row))

    @strawberry.mutation(
        description="Say that the bytes were uploaded; they are compared with what was announced."
    )
    async def complete_upload(
        self,
        info: Info,
        input: CompleteUploadInput,  # noqa: A002
    ) -> File:
        resources, identity = info.context.resources, info.context.identity
        file_id = parse_id(input.file_id)
        async with resources.database.read() as session:
            row = await service.find_to_complete(session, identity, file_id)
        if row.status is models.FileStatus.PENDING:
            service.verify(row, await resources.objects.stat(row.object_key))
            async with resources.database.write() as session:
                row = await service.complete(session, identity, file_id, now=resources.clock())
        return File.of(row)

    @strawberry.mutation(description="Delete a file for good, or give up an upload.")
    async def delete_file(
        self,
        info: Info,
        input: DeleteFileInput,  # noqa: A002
    ) -> DeleteFilePayload:
        resources, identity = info.context.resources, info.context.identity
        async with resources.database.write() as session:
            row = await service.delete(
                session, identity, parse_id(input.file_id), now=resources.clock()
            )
        shown = File.of(row)
        return DeleteFilePayload(file_id=shown.id, owner=shown.owner)


def _target(objects: Objects, row: models.File) -> UploadTarget:
    upload = objects.upload(
        row.object_key,
        content_type=row.content_type,
        size_bytes=row.size_bytes,
        sha256=row.sha256,
        seconds=int(service.UPLOAD_TTL.total_seconds()),
    )
    return UploadTarget(
        method="PUT",
        url=upload.url,
        headers=[HttpHeader(name=name, value=value) for name, value in upload.headers.items()],
        expires_at=row.upload_expires_at,
    )


async def _files(
    info: Info, owner_ids: Sequence[str | None], first: int, after: str | None
) -> list[Connection[File] | None]:
    """A page of files for each owner; null where None stands for one the caller may not see."""
    resources = info.context.resources
    asked = page(resources.files, first, after)
    async with resources.database.read() as session:
        found = await repository.files_per_owner(
            session,
            list(filter(None, owner_ids)),
            limit=asked.limit + 1,
            after=asked.after[0] if asked.after else None,
        )
    return [
        connection(
            found.get(each, []),
            asked,
            node=File.of,
            cursor=lambda row: resources.files.encode(str(row.id)),
        )
        if each
        else None
        for each in owner_ids
    ]


def _limit(row: models.Account | None, kind: OwnerKind) -> int:
    if row is None or row.limit_bytes is None:
        return service.DEFAULT_LIMITS[kind]
    return row.limit_bytes


schema = build_schema(Query, Mutation)
