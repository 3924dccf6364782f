"""The tables of the schema `storage`."""

from __future__ import annotations

import datetime as dt
import enum
import uuid

from sqlalchemy import BigInteger, Enum, ForeignKey, Text, func, text
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from shared.db import metadata

__all__ = ["Account", "Base", "File", "FileStatus", "OwnerKind"]


class OwnerKind(enum.StrEnum):
    """Whose files they are."""

    USER = "user"
    ORGANIZATION = "organization"


class FileStatus(enum.StrEnum):
    """Whether the bytes are there."""

    PENDING = "pending"
    COMPLETE = "complete"


def _enum(kind: type[enum.Enum]) -> Enum:
    return Enum(kind, native_enum=False, values_callable=lambda all_: [each.value for each in all_])


class Base(DeclarativeBase):
    """What every table of this schema shares."""

    metadata = metadata()
    type_annotation_map = {  # noqa: RUF012
        str: Text,
        int: BigInteger,
        dt.datetime: TIMESTAMP(timezone=True),
        OwnerKind: _enum(OwnerKind),
        FileStatus: _enum(FileStatus),
    }


class Account(Base):
    """An owner's space.  ``limit_bytes`` is null while nobody has said another than the default.

    An account that is closed takes no more uploads, whatever a late caller may still believe.
    """

    __tablename__ = "accounts"

    owner_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    owner_kind: Mapped[OwnerKind]
    limit_bytes: Mapped[int | None]
    used_bytes: Mapped[int] = mapped_column(server_default=text("0"))
    reserved_bytes: Mapped[int] = mapped_column(server_default=text("0"))
    file_count: Mapped[int] = mapped_column(server_default=text("0"))
    closed_at: Mapped[dt.datetime | None]


class File(Base):
    """A file, or the promise of one while it is pending."""

    __tablename__ = "files"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, server_default=text("uuidv7()"))
    owner_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("accounts.owner_id"))
    owner_kind: Mapped[OwnerKind]
    name: Mapped[str]
    content_type: Mapped[str]
    size_bytes: Mapped[int]
    sha256: Mapped[str]
    status: Mapped[FileStatus]
    uploaded_by: Mapped[uuid.UUID | None]
    created_at: Mapped[dt.datetime] = mapped_column(server_default=func.now())
    upload_expires_at: Mapped[dt.datetime]
    completed_at: Mapped[dt.datetime | None]

    @property
    def object_key(self) -> str:
        """Where its bytes are in the bucket; nothing in it was chosen by a client."""
        return f"files/{self.owner_id}/{self.id}"
