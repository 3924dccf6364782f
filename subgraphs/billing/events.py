"""The facts that the billing subgraph publishes, and its view of those it consumes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from shared.events import Fact

__all__ = [
    "CreditsChanged",
    "InvoiceCreated",
    "InvoicePaid",
    "InvoiceState",
    "InvoiceUpdated",
    "InvoiceVoided",
    "OrganizationClosed",
    "OrganizationCreated",
    "PlanChanged",
]


@dataclass(frozen=True, slots=True)
class _OfOrganization:
    """Facts about an organization's money stay in order for each organization."""

    organization_id: str

    def key(self) -> str:
        return self.organization_id


@dataclass(frozen=True, slots=True)
class InvoiceState(_OfOrganization):
    """An invoice as it is after the change; amounts are in minor units."""

    invoice_id: str
    number: str | None
    status: str
    total: int
    currency: str


@dataclass(frozen=True, slots=True)
class InvoiceCreated(InvoiceState, Fact):
    """A new invoice, as a draft or issued."""

    topic: ClassVar[str] = "billing.invoice.created"


@dataclass(frozen=True, slots=True)
class InvoiceUpdated(InvoiceState, Fact):
    """An invoice is new or changed in any way; what live subscriptions listen to."""

    topic: ClassVar[str] = "billing.invoice.updated"


@dataclass(frozen=True, slots=True)
class InvoicePaid(InvoiceState, Fact):
    """An invoice was paid in full."""

    topic: ClassVar[str] = "billing.invoice.paid"


@dataclass(frozen=True, slots=True)
class InvoiceVoided(InvoiceState, Fact):
    """An invoice is no longer owed."""

    topic: ClassVar[str] = "billing.invoice.voided"


@dataclass(frozen=True, slots=True)
class PlanChanged(_OfOrganization, Fact):
    """An organization has another plan from now on."""

    topic: ClassVar[str] = "billing.plan.changed"

    plan_code: str
    storage_limit_bytes: int


@dataclass(frozen=True, slots=True)
class CreditsChanged(_OfOrganization, Fact):
    """Credits came (``change`` > 0) or went; ``balance`` is what there is now."""

    topic: ClassVar[str] = "billing.credits.changed"

    change: int
    balance: int
    currency: str


@dataclass(frozen=True, slots=True)
class OrganizationCreated:
    """`orgs.organization.created`, as far as billing reads it."""

    organization_id: str


@dataclass(frozen=True, slots=True)
class OrganizationClosed:
    """`orgs.organization.closed`, as far as billing reads it."""

    organization_id: str
