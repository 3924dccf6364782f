"""The facts that the orgs subgraph publishes.

All are keyed by the organization.  ``membership_id`` is new each time someone
joins and grows with time, so a consumer that sees a removal late can tell it
from the membership that followed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from shared.access import Role
from shared.events import Fact

__all__ = [
    "InvitationAccepted",
    "InvitationRevoked",
    "InvitationSent",
    "MembershipAdded",
    "MembershipChanged",
    "MembershipRemoved",
    "OrganizationClosed",
    "OrganizationCreated",
    "OrganizationUpdated",
]


@dataclass(frozen=True, slots=True)
class OrganizationCreated(Fact):
    """A new organization exists."""

    topic: ClassVar[str] = "orgs.organization.created"

    organization_id: str
    slug: str
    name: str
    created_by: str

    def key(self) -> str:
        return self.organization_id


@dataclass(frozen=True, slots=True)
class OrganizationUpdated(Fact):
    """An organization has another name or slug."""

    topic: ClassVar[str] = "orgs.organization.updated"

    organization_id: str
    slug: str
    name: str

    def key(self) -> str:
        return self.organization_id


@dataclass(frozen=True, slots=True)
class OrganizationClosed(Fact):
    """An organization is gone for good, with all its memberships."""

    topic: ClassVar[str] = "orgs.organization.closed"

    organization_id: str

    def key(self) -> str:
        return self.organization_id


@dataclass(frozen=True, slots=True)
class MembershipAdded(Fact):
    """Someone joined."""

    topic: ClassVar[str] = "orgs.membership.added"

    membership_id: str
    organization_id: str
    user_id: str
    role: Role

    def key(self) -> str:
        return self.organization_id


@dataclass(frozen=True, slots=True)
class MembershipChanged(Fact):
    """Someone has another role."""

    topic: ClassVar[str] = "orgs.membership.changed"

    membership_id: str
    organization_id: str
    user_id: str
    role: Role

    def key(self) -> str:
        return self.organization_id


@dataclass(frozen=True, slots=True)
class MembershipRemoved(Fact):
    """Someone left or was removed; ``role`` is the one they had."""

    topic: ClassVar[str] = "orgs.membership.removed"

    membership_id: str
    organization_id: str
    user_id: str
    role: Role

    def key(self) -> str:
        return self.organization_id


@dataclass(frozen=True, slots=True)
class InvitationSent(Fact):
    """Someone was invited."""

    topic: ClassVar[str] = "orgs.invitation.sent"

    invitation_id: str
    organization_id: str
    invited_by: str
    role: Role

    def key(self) -> str:
        return self.organization_id


@dataclass(frozen=True, slots=True)
class InvitationAccepted(Fact):
    """An invitation was used."""

    topic: ClassVar[str] = "orgs.invitation.accepted"

    invitation_id: str
    organization_id: str
    user_id: str

    def key(self) -> str:
        return self.organization_id


@dataclass(frozen=True, slots=True)
class InvitationRevoked(Fact):
    """An invitation was taken back."""

    topic: ClassVar[str] = "orgs.invitation.revoked"

    invitation_id: str
    organization_id: str

    def key(self) -> str:
        return self.organization_id
