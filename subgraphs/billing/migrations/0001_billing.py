"""Plans, accounts, the ledger, invoices, payments, webhooks; the outbox, the inbox, the jobs."""

from alembic import op

from shared.migrations import create_plumbing

revision = "0001"
down_revision = None

PLANS = """
    create table plans (
        code text primary key,
        name text not null,
        description text not null,
        storage_limit_bytes bigint not null,
        rank smallint not null,
        constraint uq_plans_rank unique (rank),
        constraint ck_plans_storage_limit_bytes check (storage_limit_bytes > 0)
    );
    create table plan_prices (
        plan_code text not null references plans (code),
        currency text not null,
        monthly bigint not null,
        primary key (plan_code, currency),
        constraint ck_plan_prices_monthly check (monthly >= 0)
    );
    insert into plans (code, name, description, storage_limit_bytes, rank) values
        ('free', 'Free', 'For trying things out: 1 GiB of files.', 1073741824, 0),
        ('team', 'Team', 'For a team that works together: 100 GiB of files.', 107374182400, 1),
        ('business', 'Business', 'For a whole company: 2 TiB of files.', 2199023255552, 2);
    insert into plan_prices (plan_code, currency, monthly) values
        ('free', 'EUR', 0), ('free', 'USD', 0), ('free', 'BRL', 0),
        ('team', 'EUR', 2900), ('team', 'USD', 2900), ('team', 'BRL', 14900),
        ('business', 'EUR', 9900), ('business', 'USD', 9900), ('business', 'BRL', 49900);
"""

ACCOUNTS = """
    create table accounts (
        organization_id uuid primary key,
        plan_code text not null default 'free' references plans (code),
        currency text not null,
        period_price bigint not null default 0,
        period_started_at timestamptz,
        period_ends_at timestamptz,
        billing_email text,
        billing_email_by uuid,
        created_at timestamptz not null default now(),
        constraint ck_accounts_period check (
            (period_started_at is null) = (period_ends_at is null)
            and (period_price = 0 or period_ends_at is not null)
        )
    );
    create index ix_accounts_billing_email_by on accounts (billing_email_by)
        where billing_email_by is not null;
    create index ix_accounts_period_ends_at on accounts (period_ends_at)
        where period_ends_at is not null;
"""

# An entry belongs to a transaction and an account of one and the same currency.
# The house's own accounts have the nil UUID as owner.
# Only the accounts of organizations keep a balance: one row of the house that
# every payment had to update would queue all organizations behind one another.
LEDGER = """
    create table ledger_accounts (
        id uuid primary key default uuidv7(),
        kind text not null,
        owner_id uuid not null default '00000000-0000-0000-0000-000000000000',
        currency text not null,
        balance bigint,
        constraint uq_ledger_accounts_kind unique (owner_id, kind, currency),
        constraint uq_ledger_accounts_id unique (id, currency),
        constraint ck_ledger_accounts_kind
            check (kind in ('credits', 'revenue', 'stripe', 'mercadopago')),
        constraint ck_ledger_accounts_owner check (
            (kind = 'credits') = (owner_id <> '00000000-0000-0000-0000-000000000000')
            and (kind = 'credits') = (balance is not null)
        ),
        constraint ck_ledger_accounts_balance check (balance >= 0)
    );
    insert into ledger_accounts (kind, currency)
        select kind, currency
        from unnest(array['revenue', 'stripe', 'mercadopago']) kind,
             unnest(array['EUR', 'USD', 'BRL']) currency;

    create table ledger_transactions (
        id uuid primary key default uuidv7(),
        kind text not null,
        source_id uuid not null,
        currency text not null,
        created_at timestamptz not null default now(),
        constraint uq_ledger_transactions_kind unique (kind, source_id),
        constraint uq_ledger_transactions_id unique (id, currency),
        constraint ck_ledger_transactions_kind check (kind in ('payment', 'invoice', 'proration'))
    );
    create table ledger_entries (
        transaction_id uuid not null,
        account_id uuid not null,
        currency text not null,
        amount bigint not null,
        primary key (transaction_id, account_id),
        foreign key (transaction_id, currency) references ledger_transactions (id, currency),
        foreign key (account_id, currency) references ledger_accounts (id, currency),
        constraint ck_ledger_entries_amount check (amount <> 0)
    );
    create index ix_ledger_entries_account_id on ledger_entries (account_id, transaction_id);

    create function ledger_post() returns trigger language plpgsql set search_path from current
    as $$
    begin
        update ledger_accounts set balance = balance + new.amount
        where id = new.account_id and balance is not null;
        return null;
    end $$;
    create trigger ledger_post after insert on ledger_entries
        for each row execute function ledger_post();

    create function ledger_check() returns trigger language plpgsql set search_path from current
    as $$
    declare
        checked uuid;
        entries bigint;
        total numeric;
    begin
        if tg_table_name = 'ledger_entries' then
            checked := new.transaction_id;
        else
            checked := new.id;
        end if;
        select count(*), sum(amount) into entries, total
        from ledger_entries where transaction_id = checked;
        if entries < 2 or total <> 0 then
            raise exception 'ledger transaction % has % entries that sum to %',
                checked, entries, total using errcode = 'check_violation';
        end if;
        return null;
    end $$;
    create constraint trigger ledger_check after insert on ledger_transactions
        deferrable initially deferred for each row execute function ledger_check();
    create constraint trigger ledger_check after insert on ledger_entries
        deferrable initially deferred for each row execute function ledger_check();

    create function append_only() returns trigger language plpgsql as $$
    begin
        raise exception '% is append-only', tg_table_name using errcode = 'check_violation';
    end $$;
    create trigger append_only before update or delete or truncate on ledger_transactions
        for each statement execute function append_only();
    create trigger append_only before update or delete or truncate on ledger_entries
        for each statement execute function append_only();
"""

INVOICES = """
    create table invoice_counters (
        organization_id uuid not null references accounts (organization_id),
        year smallint not null,
        last integer not null,
        primary key (organization_id, year)
    );
    create table invoices (
        id uuid primary key default uuidv7(),
        organization_id uuid not null references accounts (organization_id),
        purpose text not null,
        plan_code text references plans (code),
        plan_price bigint,
        status text not null,
        year smallint,
        sequence integer,
        number text generated always as (year::text || '-'
            || lpad(sequence::text, greatest(6, length(sequence::text)), '0')) stored,
        currency text not null,
        total bigint not null,
        created_by uuid,
        created_at timestamptz not null default now(),
        issued_at timestamptz,
        due_at timestamptz,
        paid_at timestamptz,
        voided_at timestamptz,
        constraint uq_invoices_number unique (organization_id, year, sequence),
        constraint ck_invoices_total check (total > 0),
        constraint ck_invoices_purpose check (purpose in ('top_up', 'plan')),
        constraint ck_invoices_plan check ((purpose = 'plan') = (plan_code is not null)
            and (purpose = 'plan') = (plan_price is not null)),
        constraint ck_invoices_status check (status in ('draft', 'open', 'paid', 'void')),
        constraint ck_invoices_issued check ((issued_at is null) = (sequence is null)
            and (sequence is null) = (year is null) and (issued_at is null) = (due_at is null)
            and (status <> 'draft' or issued_at is null)
            and (status not in ('open', 'paid') or issued_at is not null)),
        constraint ck_invoices_paid check ((status = 'paid') = (paid_at is not null)),
        constraint ck_invoices_voided check ((status = 'void') = (voided_at is not null))
    );
    create index ix_invoices_organization_id on invoices (organization_id, id desc);
    create index ix_invoices_status on invoices (organization_id, status, id desc);
    create index ix_invoices_number on invoices (organization_id, number);
    create index ix_invoices_created_by on invoices (created_by, id) where created_by is not null;
    create index ix_invoices_due_at on invoices (due_at) where status = 'open';
    create unique index uq_invoices_pending_plan on invoices (organization_id)
        where purpose = 'plan' and status in ('draft', 'open');

    create function invoice_final() returns trigger language plpgsql as $$
    begin
        if old.status in ('paid', 'void') and new.status <> old.status
            or old.status = 'open' and new.status = 'draft'
            or (old.organization_id, old.purpose, old.plan_code, old.plan_price,
                old.currency, old.total)
                is distinct from (new.organization_id, new.purpose, new.plan_code,
                    new.plan_price, new.currency, new.total)
            or old.sequence is not null and (old.year, old.sequence)
                is distinct from (new.year, new.sequence)
        then
            raise exception 'invoice % cannot change from % to %', old.id, old.status, new.status
                using errcode = 'check_violation';
        end if;
        return new;
    end $$;
    create trigger invoice_final before update on invoices
        for each row execute function invoice_final();
    create trigger append_only before delete or truncate on invoices
        for each statement execute function append_only();

    create table invoice_lines (
        invoice_id uuid not null references invoices (id),
        position smallint not null,
        description text not null,
        quantity integer not null,
        unit_amount bigint not null,
        amount bigint not null generated always as (quantity * unit_amount) stored,
        primary key (invoice_id, position),
        constraint ck_invoice_lines_quantity check (quantity > 0)
    );
    create trigger append_only before update or delete or truncate on invoice_lines
        for each statement execute function append_only();

    create function invoice_sum() returns trigger language plpgsql set search_path from current
    as $$
    declare
        checked uuid;
    begin
        if tg_table_name = 'invoice_lines' then
            checked := new.invoice_id;
        else
            checked := new.id;
        end if;
        if (select total from invoices where id = checked) is distinct from
            (select sum(amount) from invoice_lines where invoice_id = checked)
        then
            raise exception 'the lines of invoice % do not sum to its total', checked
                using errcode = 'check_violation';
        end if;
        return null;
    end $$;
    create constraint trigger invoice_sum after insert on invoices
        deferrable initially deferred for each row execute function invoice_sum();
    create constraint trigger invoice_sum after insert on invoice_lines
        deferrable initially deferred for each row execute function invoice_sum();
"""

PAYMENTS = """
    create table payments (
        id uuid primary key default uuidv7(),
        organization_id uuid not null references accounts (organization_id),
        invoice_id uuid not null references invoices (id),
        method text not null,
        status text not null,
        amount bigint not null,
        currency text not null,
        provider_reference text,
        settled_by text,
        checkout_url text,
        created_by uuid,
        created_at timestamptz not null default now(),
        settled_at timestamptz,
        constraint uq_payments_provider_reference unique (method, provider_reference),
        constraint uq_payments_settled_by unique (method, settled_by),
        constraint ck_payments_method check (method in ('credits', 'stripe', 'mercadopago')),
        constraint ck_payments_status
            check (status in ('pending', 'failed', 'canceled', 'succeeded')),
        constraint ck_payments_amount check (amount > 0),
        constraint ck_payments_settled check ((status = 'succeeded') = (settled_at is not null))
    );
    create index ix_payments_invoice_id on payments (invoice_id, id);
    create index ix_payments_created_by on payments (created_by, id) where created_by is not null;

    create table idempotency_keys (
        organization_id uuid not null references accounts (organization_id),
        key text not null,
        request text not null,
        invoice_id uuid references invoices (id),
        created_at timestamptz not null default now(),
        primary key (organization_id, key)
    );
    create index ix_idempotency_keys_created_at on idempotency_keys (created_at);

    create table webhook_events (
        id uuid primary key default uuidv7(),
        provider text not null,
        event_id text not null,
        kind text not null,
        subject text not null,
        body text not null,
        status text not null default 'received',
        reason text,
        received_at timestamptz not null default now(),
        handled_at timestamptz,
        constraint uq_webhook_events_event_id unique (provider, event_id),
        constraint ck_webhook_events_status
            check (status in ('received', 'applied', 'ignored', 'quarantined')),
        constraint ck_webhook_events_handled
            check ((status = 'received') = (handled_at is null))
    );
    create index ix_webhook_events_received_at on webhook_events (received_at)
        where status in ('received', 'quarantined');
    create index ix_webhook_events_body on webhook_events (received_at)
        where status in ('applied', 'ignored') and body <> '';
"""


def upgrade() -> None:
    for group in (PLANS, ACCOUNTS, LEDGER, INVOICES, PAYMENTS):
        for statement in _statements(group):
            op.execute(statement)
    create_plumbing()


def _statements(group: str) -> list[str]:
    """The statements of a text; a function's body may hold semicolons."""
    found, body = [""], False
    for line in group.splitlines():
        found[-1] += line + "\n"
        body ^= line.count("$$") % 2 == 1
        if line.rstrip().endswith(";") and not body:
            found.append("")
    return [statement for statement in found if statement.strip()]
