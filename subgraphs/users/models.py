"""The tables of the schema `users`."""

from __future__ import annotations

import datetime as dt
import uuid

from sqlalchemy import ForeignKey, Text, func, text
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from shared.db import metadata

__all__ = ["Base", "Colleague", "DeletionConfirmation", "DeletionRequest", "User", "UserSettings"]


class Base(DeclarativeBase):
    """What every table of this schema shares."""

    metadata = metadata()
    type_annotation_map = {str: Text, dt.datetime: TIMESTAMP(timezone=True)}  # noqa: RUF012


class User(Base):
    """A person with an account.

    The e-mail address is sealed; ``email_index`` is the blind index of its
    normal form, by which it is found and kept unique.
    """

    __tablename__ = "users"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, server_default=text("uuidv7()"))
    email_sealed: Mapped[bytes]
    email_index: Mapped[bytes] = mapped_column(unique=True)
    password_hash: Mapped[str]
    name: Mapped[str]
    avatar_url: Mapped[str | None]
    locale: Mapped[str]
    time_zone: Mapped[str]
    version: Mapped[int] = mapped_column(server_default=text("1"))
    created_at: Mapped[dt.datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[dt.datetime] = mapped_column(server_default=func.now(), onupdate=func.now())


class UserSettings(Base):
    """A person's preferences; one row for each user."""

    __tablename__ = "user_settings"

    user_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), primary_key=True
    )
    theme: Mapped[str] = mapped_column(server_default="system")
    product_news: Mapped[bool] = mapped_column(server_default=text("false"))
    security_alerts: Mapped[bool] = mapped_column(server_default=text("true"))
    version: Mapped[int] = mapped_column(server_default=text("1"))


class Colleague(Base):
    """Who is a member of which organization, learnt from the orgs subgraph's facts.

    Facts of different topics arrive in any order.  A membership that has ended
    stays here, inactive, so that its beginning is not believed when it comes
    late; the ids of memberships grow with time.
    """

    __tablename__ = "colleagues"

    organization_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    user_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    membership_id: Mapped[uuid.UUID]
    active: Mapped[bool]


class DeletionRequest(Base):
    """A person's wish to be forgotten, kept as the proof that it was followed.

    ``user_id`` leads to nobody once the request is completed.
    """

    __tablename__ = "deletion_requests"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, server_default=text("uuidv7()"))
    user_id: Mapped[uuid.UUID]
    status: Mapped[str] = mapped_column(server_default="pending")
    requested_at: Mapped[dt.datetime] = mapped_column(server_default=func.now())
    starts_at: Mapped[dt.datetime]
    announced_at: Mapped[dt.datetime | None]
    ended_at: Mapped[dt.datetime | None]


class DeletionConfirmation(Base):
    """A domain holds nothing about the person any more."""

    __tablename__ = "deletion_confirmations"

    request_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("deletion_requests.id"), primary_key=True
    )
    domain: Mapped[str] = mapped_column(primary_key=True)
    confirmed_at: Mapped[dt.datetime] = mapped_column(server_default=func.now())
