"""The tables of the schema `orgs`."""

from __future__ import annotations

import datetime as dt
import uuid

from sqlalchemy import Enum, ForeignKey, Text, func, text
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from shared.access import Role
from shared.db import metadata

__all__ = ["Base", "Invitation", "Membership", "Organization", "OrganizationSlug"]


class Base(DeclarativeBase):
    """What every table of this schema shares."""

    metadata = metadata()
    type_annotation_map = {  # noqa: RUF012
        str: Text,
        dt.datetime: TIMESTAMP(timezone=True),
        Role: Enum(Role, native_enum=False, values_callable=lambda roles: [r.value for r in roles]),
    }


class Organization(Base):
    """A tenant.  A change of memberships locks its row, so they happen one after the other."""

    __tablename__ = "organizations"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, server_default=text("uuidv7()"))
    slug: Mapped[str]
    name: Mapped[str]
    billing_email: Mapped[str | None]
    version: Mapped[int] = mapped_column(server_default=text("1"))
    created_at: Mapped[dt.datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[dt.datetime] = mapped_column(server_default=func.now(), onupdate=func.now())


class OrganizationSlug(Base):
    """Every slug an organization has or had: old addresses go on working and stay its own.

    This table, not `organizations`, decides whose a slug is.
    """

    __tablename__ = "organization_slugs"

    slug: Mapped[str] = mapped_column(primary_key=True)
    organization_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("organizations.id", ondelete="CASCADE")
    )


class Membership(Base):
    """Someone's place in an organization."""

    __tablename__ = "memberships"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, server_default=text("uuidv7()"))
    organization_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("organizations.id", ondelete="CASCADE")
    )
    user_id: Mapped[uuid.UUID]
    role: Mapped[Role]
    joined_at: Mapped[dt.datetime] = mapped_column(server_default=func.now())


class Invitation(Base):
    """An invitation; of its token only the SHA-256 is kept."""

    __tablename__ = "invitations"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, server_default=text("uuidv7()"))
    organization_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("organizations.id", ondelete="CASCADE")
    )
    email: Mapped[str]
    role: Mapped[Role]
    token_hash: Mapped[bytes] = mapped_column(unique=True)
    invited_by: Mapped[uuid.UUID | None]
    created_at: Mapped[dt.datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[dt.datetime]
    accepted_at: Mapped[dt.datetime | None]
    accepted_by: Mapped[uuid.UUID | None]
    revoked_at: Mapped[dt.datetime | None]
