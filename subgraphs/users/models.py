"""The tables of the schema `users`."""

from __future__ import annotations

import datetime as dt
import uuid

from sqlalchemy import ForeignKey, Text, func, text
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from shared.db import metadata

__all__ = ["Base", "Colleague", "User", "UserSettings"]


class Base(DeclarativeBase):
    """What every table of this schema shares."""

    metadata = metadata()
    type_annotation_map = {str: Text, dt.datetime: TIMESTAMP(timezone=True)}  # noqa: RUF012


class User(Base):
    """A person with an account.  E-mail addresses are kept in lower case."""

    __tablename__ = "users"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, server_default=text("uuidv7()"))
    email: Mapped[str] = mapped_column(unique=True)
    password_hash: Mapped[str]
    name: Mapped[str]
    avatar_url: Mapped[str | None]
    locale: Mapped[str]
    time_zone: Mapped[str]
    version: Mapped[int] = mapped_column(server_default=text("1"))
    created_at: Mapped[dt.datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[dt.datetime] = mapped_column(server_default=func.now())


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
    """Who is a member of which organization, learnt from the orgs subgraph's facts."""

    __tablename__ = "colleagues"

    organization_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    user_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
