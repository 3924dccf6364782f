"""Accounts, files; the outbox, the inbox and the jobs."""

from alembic import op

from shared.migrations import create_plumbing

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.execute(
        """
        create table accounts (
            owner_id uuid primary key,
            owner_kind text not null,
            limit_bytes bigint,
            used_bytes bigint not null default 0,
            reserved_bytes bigint not null default 0,
            file_count bigint not null default 0,
            closed_at timestamptz,
            constraint ck_accounts_owner_kind check (owner_kind in ('user', 'organization')),
            constraint ck_accounts_used_bytes check (used_bytes >= 0),
            constraint ck_accounts_reserved_bytes check (reserved_bytes >= 0),
            constraint ck_accounts_file_count check (file_count >= 0)
        )
        """
    )
    op.execute(
        """
        create table files (
            id uuid primary key default uuidv7(),
            owner_id uuid not null references accounts (owner_id),
            owner_kind text not null,
            name text not null,
            content_type text not null,
            size_bytes bigint not null,
            sha256 text not null,
            status text not null,
            uploaded_by uuid,
            created_at timestamptz not null default now(),
            upload_expires_at timestamptz not null,
            completed_at timestamptz,
            constraint ck_files_owner_kind check (owner_kind in ('user', 'organization')),
            constraint ck_files_status check (status in ('pending', 'complete')),
            constraint ck_files_size_bytes check (size_bytes > 0)
        )
        """
    )
    op.execute("create index ix_files_owner_id on files (owner_id, id)")
    op.execute("create index ix_files_uploaded_by on files (uploaded_by, id)")
    op.execute(
        "create index ix_files_upload_expires_at on files (upload_expires_at)"
        " where status = 'pending'"
    )
    create_plumbing()
