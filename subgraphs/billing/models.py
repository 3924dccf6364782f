"""The tables of the schema `billing` that are read and written as rows.

The ledger and the counters are written by statements of `repository` alone.
"""

from __future__ import annotations

import datetime as dt
import uuid

from sqlalchemy import BigInteger, Computed, ForeignKey, SmallInteger, Text, func, text
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from shared.db import metadata

__all__ = ["Account", "Base", "Invoice", "InvoiceLine", "Payment", "WebhookEvent"]


class Base(DeclarativeBase):
    """What every table of this schema shares."""

    metadata = metadata()
    type_annotation_map = {  # noqa: RUF012
        str: Text,
        dt.datetime: TIMESTAMP(timezone=True),
        int: BigInteger,
    }


class Account(Base):
    """An organization's plan, currency and billing address.

    A plan that costs something is paid for a period, which was worth
    ``period_price`` when it began.
    """

    __tablename__ = "accounts"

    organization_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    plan_code: Mapped[str]
    currency: Mapped[str]
    period_price: Mapped[int]
    period_started_at: Mapped[dt.datetime | None]
    period_ends_at: Mapped[dt.datetime | None]
    billing_email: Mapped[str | None]
    billing_email_by: Mapped[uuid.UUID | None]
    created_at: Mapped[dt.datetime] = mapped_column(server_default=func.now())


class Invoice(Base):
    """An invoice; ``total`` and lines never change, and the number is given on issue.

    ``purpose`` is ``top_up`` (buys credits) or ``plan`` (a month of
    ``plan_code``, whose full price is ``plan_price``).
    """

    __tablename__ = "invoices"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, server_default=text("uuidv7()"))
    organization_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("accounts.organization_id"))
    purpose: Mapped[str]
    plan_code: Mapped[str | None]
    plan_price: Mapped[int | None]
    status: Mapped[str]
    year: Mapped[int | None] = mapped_column(SmallInteger)
    sequence: Mapped[int | None]
    number: Mapped[str | None] = mapped_column(Computed("generated in the database"))
    currency: Mapped[str]
    total: Mapped[int]
    created_by: Mapped[uuid.UUID | None]
    created_at: Mapped[dt.datetime] = mapped_column(server_default=func.now())
    issued_at: Mapped[dt.datetime | None]
    due_at: Mapped[dt.datetime | None]
    paid_at: Mapped[dt.datetime | None]
    voided_at: Mapped[dt.datetime | None]

    __mapper_args__ = {"eager_defaults": True}  # noqa: RUF012


class InvoiceLine(Base):
    """What an invoice charges for; ``amount`` is negative for what is deducted."""

    __tablename__ = "invoice_lines"

    invoice_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("invoices.id"), primary_key=True)
    position: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    description: Mapped[str]
    quantity: Mapped[int]
    unit_amount: Mapped[int]
    amount: Mapped[int] = mapped_column(Computed("generated in the database"))


class Payment(Base):
    """An attempt to pay an invoice, from credits or through a provider.

    ``provider_reference`` is the provider's name of the checkout, ``settled_by``
    that of the money.
    """

    __tablename__ = "payments"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, server_default=text("uuidv7()"))
    organization_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("accounts.organization_id"))
    invoice_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("invoices.id"))
    method: Mapped[str]
    status: Mapped[str]
    amount: Mapped[int]
    currency: Mapped[str]
    provider_reference: Mapped[str | None]
    settled_by: Mapped[str | None]
    checkout_url: Mapped[str | None]
    created_by: Mapped[uuid.UUID | None]
    created_at: Mapped[dt.datetime] = mapped_column(server_default=func.now())
    settled_at: Mapped[dt.datetime | None]


class WebhookEvent(Base):
    """A message of a provider, as received; ``status`` says what became of it."""

    __tablename__ = "webhook_events"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, server_default=text("uuidv7()"))
    provider: Mapped[str]
    event_id: Mapped[str]
    kind: Mapped[str]
    subject: Mapped[str]
    body: Mapped[str]
    status: Mapped[str] = mapped_column(server_default="received")
    reason: Mapped[str | None]
    received_at: Mapped[dt.datetime] = mapped_column(server_default=func.now())
    handled_at: Mapped[dt.datetime | None]
