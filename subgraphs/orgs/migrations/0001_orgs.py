"""Organizations with all slugs they had, memberships, invitations; outbox, inbox and jobs."""

from alembic import op

from shared.migrations import create_plumbing

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.execute(
        """
        create table organizations (
            id uuid primary key default uuidv7(),
            slug text not null,
            name text not null,
            billing_email text,
            version integer not null default 1,
            created_at timestamptz not null default now(),
            updated_at timestamptz not null default now()
        )
        """
    )
    op.execute(
        """
        create table organization_slugs (
            slug text primary key,
            organization_id uuid not null references organizations (id) on delete cascade
        )
        """
    )
    op.execute(
        "create index ix_organization_slugs_organization_id on organization_slugs (organization_id)"
    )
    op.execute(
        """
        create table memberships (
            id uuid primary key default uuidv7(),
            organization_id uuid not null references organizations (id) on delete cascade,
            user_id uuid not null,
            role text not null,
            joined_at timestamptz not null default now(),
            constraint uq_memberships_organization_id unique (organization_id, user_id),
            constraint ck_memberships_role check (role in ('owner', 'admin', 'billing', 'member'))
        )
        """
    )
    op.execute("create index ix_memberships_organization_id on memberships (organization_id, id)")
    op.execute("create index ix_memberships_user_id on memberships (user_id, id)")
    op.execute(
        """
        create table invitations (
            id uuid primary key default uuidv7(),
            organization_id uuid not null references organizations (id) on delete cascade,
            email text not null,
            role text not null,
            token_hash bytea not null,
            invited_by uuid,
            created_at timestamptz not null default now(),
            expires_at timestamptz not null,
            accepted_at timestamptz,
            accepted_by uuid,
            revoked_at timestamptz,
            constraint uq_invitations_token_hash unique (token_hash),
            constraint ck_invitations_role check (role in ('admin', 'billing', 'member'))
        )
        """
    )
    op.execute("create index ix_invitations_organization_id on invitations (organization_id, id)")
    op.execute("create index ix_invitations_invited_by on invitations (invited_by)")
    op.execute("create index ix_invitations_accepted_by on invitations (accepted_by)")
    op.execute("create index ix_invitations_expires_at on invitations (expires_at)")
    op.execute(
        """
        create unique index uq_invitations_open on invitations (organization_id, email)
        where accepted_at is null and revoked_at is null
        """
    )
    create_plumbing()
