"""Users, their settings, colleagues, deletions; the outbox, the inbox and the jobs."""

from alembic import op

from shared.migrations import create_plumbing

revision = "0001"
down_revision = None

_TABLES = (
    """
    create table users (
        id uuid primary key default uuidv7(),
        email_sealed bytea not null,
        email_index bytea not null,
        password_hash text not null,
        name text not null,
        avatar_url text,
        locale text not null,
        time_zone text not null,
        version integer not null default 1,
        created_at timestamptz not null default now(),
        updated_at timestamptz not null default now(),
        constraint uq_users_email_index unique (email_index)
    )
    """,
    """
    create table user_settings (
        user_id uuid primary key references users (id) on delete cascade,
        theme text not null default 'system',
        product_news boolean not null default false,
        security_alerts boolean not null default true,
        version integer not null default 1,
        constraint ck_user_settings_theme check (theme in ('system', 'light', 'dark'))
    )
    """,
    """
    create table colleagues (
        organization_id uuid not null,
        user_id uuid not null,
        membership_id uuid not null,
        active boolean not null,
        primary key (organization_id, user_id)
    )
    """,
    "create index ix_colleagues_user_id on colleagues (user_id)",
    """
    create table deletion_requests (
        id uuid primary key default uuidv7(),
        user_id uuid not null,
        status text not null default 'pending',
        requested_at timestamptz not null default now(),
        starts_at timestamptz not null,
        announced_at timestamptz,
        ended_at timestamptz,
        constraint ck_deletion_requests_status
            check (status in ('pending', 'started', 'completed', 'cancelled'))
    )
    """,
    """
    create unique index uq_deletion_requests_open on deletion_requests (user_id)
    where status in ('pending', 'started')
    """,
    """
    create index ix_deletion_requests_open on deletion_requests (starts_at)
    where status in ('pending', 'started')
    """,
    """
    create table deletion_confirmations (
        request_id uuid not null references deletion_requests (id),
        domain text not null,
        confirmed_at timestamptz not null default now(),
        primary key (request_id, domain)
    )
    """,
)


def upgrade() -> None:
    for statement in _TABLES:
        op.execute(statement)
    create_plumbing()
