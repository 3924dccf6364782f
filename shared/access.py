"""Who may do what in an organization: roles, permissions, one question.

A caller who is not a member is told `NotFound`: that the organization exists is
itself something only members know.  A member without the permission is told
`Forbidden`.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

from shared.errors import Forbidden, NotFound, Unauthenticated

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.auth import Identity

__all__ = ["PERMISSIONS", "Permission", "Role", "allows", "authorize", "require_user"]


class Role(enum.StrEnum):
    """A member's role in one organization, strongest first."""

    OWNER = "owner"
    ADMIN = "admin"
    BILLING = "billing"
    MEMBER = "member"


class Permission(enum.StrEnum):
    """Something a role may do, named ``domain.subject.verb``."""

    ORG_READ = "orgs.organization.read"
    ORG_UPDATE = "orgs.organization.update"
    ORG_TRANSFER = "orgs.organization.transfer"
    MEMBER_READ = "orgs.membership.read"
    MEMBER_INVITE = "orgs.membership.invite"
    MEMBER_MANAGE = "orgs.membership.manage"
    BILLING_READ = "billing.account.read"
    BILLING_MANAGE = "billing.account.manage"
    FILE_READ = "storage.file.read"
    FILE_WRITE = "storage.file.write"
    FILE_DELETE = "storage.file.delete"


_MEMBER = frozenset(
    {
        Permission.ORG_READ,
        Permission.MEMBER_READ,
        Permission.BILLING_READ,
        Permission.FILE_READ,
        Permission.FILE_WRITE,
    }
)

PERMISSIONS: Mapping[Role, frozenset[Permission]] = {
    Role.OWNER: frozenset(Permission),
    Role.ADMIN: frozenset(Permission) - {Permission.ORG_TRANSFER, Permission.BILLING_MANAGE},
    Role.BILLING: _MEMBER | {Permission.BILLING_MANAGE},
    Role.MEMBER: _MEMBER,
}


def require_user(identity: Identity) -> str:
    """The caller's user id; raises `Unauthenticated` for a stranger."""
    if identity.user_id is None:
        raise Unauthenticated
    return identity.user_id


def allows(identity: Identity, permission: Permission, organization_id: str) -> bool:
    """Whether the caller has this permission in this organization."""
    role = identity.memberships.get(organization_id)
    return role is not None and permission in PERMISSIONS[role]


def authorize(identity: Identity, permission: Permission, organization_id: str) -> None:
    """Return when the caller may; raise `Unauthenticated`, `NotFound` or `Forbidden` when not."""
    require_user(identity)
    if organization_id not in identity.memberships:
        raise NotFound
    if not allows(identity, permission, organization_id):
        raise Forbidden
