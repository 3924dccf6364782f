"""Users, their settings, colleagues; the outbox, the inbox and the jobs."""

from alembic import op

from shared.migrations import create_plumbing

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.execute(
        """
        create table users (
            id uuid primary key default uuidv7(),
            email text not null,
            password_hash text not null,
            name text not null,
            avatar_url text,
            locale text not null,
            time_zone text not null,
            version integer not null default 1,
            created_at timestamptz not null default now(),
            updated_at timestamptz not null default now(),
            constraint uq_users_email unique (email),
            constraint ck_users_email_lower check (email = lower(email))
        )
        """
    )
    op.execute(
        """
        create table user_settings (
            user_id uuid primary key references users (id) on delete cascade,
            theme text not null default 'system',
            product_news boolean not null default false,
            security_alerts boolean not null default true,
            version integer not null default 1,
            constraint ck_user_settings_theme check (theme in ('system', 'light', 'dark'))
        )
        """
    )
    op.execute(
        """
        create table colleagues (
            organization_id uuid not null,
            user_id uuid not null,
            primary key (organization_id, user_id)
        )
        """
    )
    op.execute("create index ix_colleagues_user_id on colleagues (user_id)")
    create_plumbing()
