"""All SQL of the billing subgraph."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, select, text, tuple_, update
from sqlalchemy.dialects.postgresql import ARRAY, UUID, insert
from sqlalchemy.types import BigInteger, Text

from shared.lists import PerParent, is_any
from subgraphs.billing.models import Account, Invoice, InvoiceLine, Payment, WebhookEvent

if TYPE_CHECKING:
    from shared.db import ReadSession, WriteSession

__all__ = [
    "HOUSE",
    "AccountView",
    "Plan",
    "Remembered",
    "account_views",
    "accounts_to_renew",
    "add_invoice",
    "add_payment",
    "add_webhook_event",
    "balance",
    "billing_emails_by",
    "forget_bodies",
    "forget_keys",
    "forget_person",
    "give_up_webhook_events",
    "invoice_in",
    "invoices_asked_by",
    "invoices_by_id",
    "invoices_by_number",
    "invoices_of",
    "lines_of",
    "lock_account",
    "lock_webhook_event",
    "next_number",
    "open_account",
    "overdue_invoices",
    "payment_by_id",
    "payments_asked_by",
    "payments_of",
    "pending_plan_invoice",
    "plans",
    "post",
    "recall",
    "remember",
    "set_checkout",
    "stuck_webhook_events",
    "unpaid_invoices",
    "webhook_event",
]

_AT_ONCE = 5_000

HOUSE = "00000000-0000-0000-0000-000000000000"
"""The owner of the ledger accounts that belong to no organization."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan with its price a month in one currency."""

    code: str
    name: str
    description: str
    storage_limit_bytes: int
    price: int
    currency: str


@dataclass(frozen=True, slots=True)
class AccountView:
    """What an organization has; one that has never been written to has the plan free."""

    plan: Plan
    balance: int
    currency: str
    billing_email: str | None


@dataclass(frozen=True, slots=True)
class Remembered:
    """What an idempotency key was used for, and the invoice it led to."""

    request: str
    invoice_id: uuid.UUID | None


# --- plans and accounts ----------------------------------------------------------------------

_PLAN = "p.code, p.name, p.description, p.storage_limit_bytes, pp.monthly as price, pp.currency"
_PLANS = text(
    f"""
    select {_PLAN} from plans p join plan_prices pp on pp.plan_code = p.code
    where pp.currency = :currency and (cast(:codes as text[]) is null or p.code = any(:codes))
    order by p.rank
    """  # noqa: S608 - a constant of ours
).bindparams(bindparam("codes", type_=ARRAY(Text)))
_ACCOUNT_VIEWS = text(
    f"""
    select o.id as organization_id, coalesce(c.balance, 0) as balance, a.billing_email, {_PLAN}
    from unnest(:ids) as o(id)
    left join accounts a on a.organization_id = o.id
    left join ledger_accounts c on c.owner_id = o.id and c.kind = 'credits'
    join plans p on p.code = coalesce(a.plan_code, 'free')
    join plan_prices pp on pp.plan_code = p.code and pp.currency = coalesce(a.currency, :currency)
    """  # noqa: S608 - a constant of ours
).bindparams(bindparam("ids", type_=ARRAY(UUID(as_uuid=False))))


async def plans(
    session: ReadSession, currency: str, *, codes: Iterable[str] | None = None
) -> list[Plan]:
    """The plans that are sold in this currency (of these codes), smallest first."""
    parameters = {"currency": currency, "codes": None if codes is None else list(codes)}
    rows = await session.execute(_PLANS, parameters)
    return [Plan(**row) for row in rows.mappings()]


async def account_views(
    session: ReadSession, organization_ids: Iterable[str], currency: str
) -> dict[str, AccountView]:
    """Each organization's plan and credits; ``currency`` is that of a new account."""
    parameters = {"ids": list(set(organization_ids)), "currency": currency}
    rows = await session.execute(_ACCOUNT_VIEWS, parameters)
    return {
        str(row["organization_id"]): AccountView(
            plan=Plan(**{name: row[name] for name in Plan.__dataclass_fields__}),
            balance=row["balance"],
            currency=row["currency"],
            billing_email=row["billing_email"],
        )
        for row in rows.mappings()
    }


async def lock_account(session: WriteSession, organization_id: str) -> Account | None:
    """The organization's account, locked until the transaction ends."""
    return await session.scalar(
        select(Account)
        .where(Account.organization_id == organization_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )


async def open_account(session: WriteSession, organization_id: str, currency: str) -> Account:
    """The organization's account, made if need be, locked until the transaction ends."""
    account = await lock_account(session, organization_id)
    if account is not None:
        return account
    await session.execute(
        text(
            "insert into accounts (organization_id, currency) values (:id, :currency)"
            " on conflict do nothing"
        ),
        {"id": uuid.UUID(organization_id), "currency": currency},
    )
    account = await lock_account(session, organization_id)
    if account is None:
        raise RuntimeError("an account that was just made is not there")
    await session.execute(
        text(
            "insert into ledger_accounts (kind, owner_id, currency, balance)"
            " values ('credits', :id, :currency, 0) on conflict do nothing"
        ),
        {"id": uuid.UUID(organization_id), "currency": account.currency},
    )
    return account


# --- the ledger ------------------------------------------------------------------------------

_POST = text(
    """
    with posted as (
        insert into ledger_transactions (kind, source_id, currency, created_at)
        values (:kind, :source_id, :currency, :now)
        returning id, currency
    )
    insert into ledger_entries (transaction_id, account_id, currency, amount)
    select posted.id, a.id, a.currency, e.amount
    from posted, unnest(:kinds, :owners, :amounts) as e(kind, owner_id, amount)
    join ledger_accounts a on a.owner_id = e.owner_id and a.kind = e.kind and a.currency = :currency
    """
).bindparams(
    bindparam("kinds", type_=ARRAY(Text)),
    bindparam("owners", type_=ARRAY(UUID(as_uuid=False))),
    bindparam("amounts", type_=ARRAY(BigInteger)),
)


async def post(
    session: WriteSession,
    kind: str,
    source_id: str,
    entries: Mapping[tuple[str, str], int],
    *,
    currency: str,
    now: dt.datetime,
) -> None:
    """Write a ledger transaction: a signed amount for each (account kind, owner)."""
    await session.execute(
        _POST,
        {
            "kind": kind,
            "source_id": uuid.UUID(source_id),
            "currency": currency,
            "now": now,
            "kinds": [account for account, _ in entries],
            "owners": [owner for _, owner in entries],
            "amounts": list(entries.values()),
        },
    )


async def balance(session: ReadSession, organization_id: str) -> int:
    """The organization's credits in minor units."""
    found: int | None = await session.scalar(
        text("select balance from ledger_accounts where owner_id = :id and kind = 'credits'"),
        {"id": uuid.UUID(organization_id)},
    )
    return found or 0


# --- invoices --------------------------------------------------------------------------------


_INVOICES = select(Invoice).where(
    is_any(Invoice.id, "ids"), is_any(Invoice.organization_id, "organizations")
)


async def invoices_by_id(
    session: ReadSession, ids: Iterable[str], organization_ids: Iterable[str]
) -> dict[str, Invoice]:
    """Of these invoices, those of these organizations, by id."""
    parameters = {"ids": list(set(ids)), "organizations": list(set(organization_ids))}
    rows = await session.scalars(_INVOICES, parameters)
    return {str(row.id): row for row in rows}


async def invoices_by_number(
    session: ReadSession, keys: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], Invoice]:
    """Invoices by (organization, number)."""
    pairs = [(uuid.UUID(organization_id), number) for organization_id, number in set(keys)]
    rows = await session.scalars(
        select(Invoice).where(tuple_(Invoice.organization_id, Invoice.number).in_(pairs))
    )
    return {(str(row.organization_id), row.number or ""): row for row in rows}


_NEWEST = PerParent(Invoice, parent=Invoice.organization_id, key=Invoice.id, descending=True)
_NEWEST_OF_STATUS = PerParent(
    Invoice,
    parent=Invoice.organization_id,
    key=Invoice.id,
    descending=True,
    where=[Invoice.status == bindparam("status", type_=Text)],
)


async def invoices_of(
    session: ReadSession,
    organization_ids: Collection[str],
    *,
    limit: int,
    after: str | None = None,
    status: str | None = None,
) -> dict[str, list[Invoice]]:
    """The newest invoices of each organization."""
    if status is None:
        return await _NEWEST.read(session, organization_ids, limit=limit, after=after)
    return await _NEWEST_OF_STATUS.read(
        session, organization_ids, limit=limit, after=after, parameters={"status": status}
    )


_LINES = (
    select(InvoiceLine)
    .where(is_any(InvoiceLine.invoice_id, "invoices"))
    .order_by(InvoiceLine.position)
)


async def lines_of(
    session: ReadSession, invoice_ids: Iterable[str]
) -> dict[str, list[InvoiceLine]]:
    """Lines by invoice, in their order."""
    found: dict[str, list[InvoiceLine]] = {}
    for row in await session.scalars(_LINES, {"invoices": list(set(invoice_ids))}):
        found.setdefault(str(row.invoice_id), []).append(row)
    return found


async def invoice_in(session: ReadSession, organization_id: str, invoice_id: str) -> Invoice | None:
    """The organization's invoice as it is now."""
    return await session.scalar(
        select(Invoice)
        .where(Invoice.id == invoice_id, Invoice.organization_id == organization_id)
        .execution_options(populate_existing=True)
    )


async def overdue_invoices(
    session: ReadSession, organization_id: str, *, now: dt.datetime
) -> list[Invoice]:
    """Open invoices whose time to be paid is over, oldest first."""
    rows = await session.scalars(
        select(Invoice)
        .where(
            Invoice.organization_id == organization_id,
            Invoice.status == "open",
            Invoice.due_at <= now,
        )
        .order_by(Invoice.id)
        .limit(1000)
    )
    return list(rows)


async def unpaid_invoices(session: ReadSession, organization_id: str) -> list[Invoice]:
    """Draft and open invoices, oldest first."""
    rows = await session.scalars(
        select(Invoice)
        .where(Invoice.organization_id == organization_id, Invoice.status.in_(["draft", "open"]))
        .order_by(Invoice.id)
    )
    return list(rows)


async def pending_plan_invoice(session: ReadSession, organization_id: str) -> Invoice | None:
    """The draft or open invoice for a plan, of which there is at most one."""
    return await session.scalar(
        select(Invoice)
        .where(
            Invoice.organization_id == organization_id,
            Invoice.purpose == "plan",
            Invoice.status.in_(["draft", "open"]),
        )
        .execution_options(populate_existing=True)
    )


async def add_invoice(
    session: WriteSession, invoice: Invoice, lines: Sequence[tuple[str, int]]
) -> Invoice:
    """The invoice as stored, with a line for each (description, amount)."""
    session.add(invoice)
    await session.flush()
    await session.execute(
        insert(InvoiceLine).values(
            [
                {
                    "invoice_id": invoice.id,
                    "position": position,
                    "description": description,
                    "quantity": 1,
                    "unit_amount": amount,
                }
                for position, (description, amount) in enumerate(lines, 1)
            ]
        )
    )
    return invoice


async def next_number(session: WriteSession, organization_id: str, year: int) -> int:
    """The organization's next invoice number of this year, without gaps.

    The counter's row is locked until the transaction ends, and goes back with it.
    """
    number: int | None = await session.scalar(
        text(
            "insert into invoice_counters as c (organization_id, year, last)"
            " values (:id, :year, 1)"
            " on conflict (organization_id, year) do update set last = c.last + 1"
            " returning last"
        ),
        {"id": uuid.UUID(organization_id), "year": year},
    )
    if number is None:
        raise RuntimeError("the counter gave no number")
    return number


# --- payments --------------------------------------------------------------------------------


_PAYMENTS = select(Payment).where(is_any(Payment.invoice_id, "invoices")).order_by(Payment.id)


async def payments_of(session: ReadSession, invoice_ids: Iterable[str]) -> dict[str, list[Payment]]:
    """Payments by invoice, oldest first."""
    found: dict[str, list[Payment]] = {}
    for row in await session.scalars(_PAYMENTS, {"invoices": list(set(invoice_ids))}):
        found.setdefault(str(row.invoice_id), []).append(row)
    return found


async def payment_by_id(session: ReadSession, payment_id: str) -> Payment | None:
    """The payment as it is now."""
    return await session.scalar(
        select(Payment).where(Payment.id == payment_id).execution_options(populate_existing=True)
    )


async def add_payment(session: WriteSession, payment: Payment) -> Payment:
    """The payment as stored."""
    session.add(payment)
    await session.flush()
    return payment


async def set_checkout(session: WriteSession, payment_id: str, *, reference: str, url: str) -> None:
    """Keep where the payment is made, unless that is known already."""
    await session.execute(
        update(Payment)
        .where(Payment.id == payment_id, Payment.checkout_url.is_(None))
        .values(provider_reference=reference, checkout_url=url)
    )


# --- idempotency keys ------------------------------------------------------------------------


async def recall(session: ReadSession, organization_id: str, key: str) -> Remembered | None:
    """What the key was used for, if it was."""
    row = (
        await session.execute(
            text(
                "select request, invoice_id from idempotency_keys"
                " where organization_id = :id and key = :key"
            ),
            {"id": uuid.UUID(organization_id), "key": key},
        )
    ).one_or_none()
    return Remembered(row.request, row.invoice_id) if row else None


async def remember(
    session: WriteSession, organization_id: str, key: str, *, used: Remembered, now: dt.datetime
) -> None:
    """Keep what the key was used for."""
    await session.execute(
        text(
            "insert into idempotency_keys (organization_id, key, request, invoice_id, created_at)"
            " values (:id, :key, :request, :invoice_id, :now)"
        ),
        {
            "id": uuid.UUID(organization_id),
            "key": key,
            "request": used.request,
            "invoice_id": used.invoice_id,
            "now": now,
        },
    )


# --- webhooks --------------------------------------------------------------------------------


async def add_webhook_event(session: WriteSession, event: Mapping[str, Any]) -> str | None:
    """The id of the stored event; None when it was stored before."""
    found: uuid.UUID | None = await session.scalar(
        insert(WebhookEvent)
        .values(**event)
        .on_conflict_do_nothing(index_elements=["provider", "event_id"])
        .returning(WebhookEvent.id)
    )
    return str(found) if found else None


async def lock_webhook_event(session: WriteSession, event_id: str) -> WebhookEvent | None:
    """The event, locked until the transaction ends."""
    return await session.scalar(
        select(WebhookEvent).where(WebhookEvent.id == event_id).with_for_update()
    )


async def webhook_event(session: ReadSession, event_id: str) -> WebhookEvent | None:
    """The event."""
    return await session.get(WebhookEvent, uuid.UUID(event_id))


async def give_up_webhook_events(
    session: WriteSession, *, before: dt.datetime, now: dt.datetime
) -> int:
    """Leave to a person what was received before and could not be handled; returns how many."""
    rows = await session.scalars(
        update(WebhookEvent)
        .where(WebhookEvent.status == "received", WebhookEvent.received_at < before)
        .values(status="quarantined", reason="gave_up", handled_at=now)
        .returning(WebhookEvent.id)
    )
    return len(rows.all())


async def stuck_webhook_events(session: ReadSession, *, before: dt.datetime) -> list[str]:
    """Events that were received before and are not handled, oldest first, some of them."""
    rows = await session.scalars(
        select(WebhookEvent.id)
        .where(WebhookEvent.status == "received", WebhookEvent.received_at < before)
        .order_by(WebhookEvent.received_at)
        .limit(500)
    )
    return [str(each) for each in rows]


async def forget_bodies(session: WriteSession, *, before: dt.datetime) -> bool:
    """Empty handled events that were received before; that they were received stays known.

    Some at a time; returns whether there may be more.
    """
    old = (
        select(WebhookEvent.id)
        .where(
            WebhookEvent.received_at < before,
            WebhookEvent.status.in_(["applied", "ignored"]),
            WebhookEvent.body != "",
        )
        .limit(_AT_ONCE)
    )
    emptied = await session.scalars(
        update(WebhookEvent)
        .where(WebhookEvent.id.in_(old.scalar_subquery()))
        .values(body="")
        .returning(WebhookEvent.id)
    )
    return len(emptied.all()) == _AT_ONCE


async def forget_keys(session: WriteSession, *, before: dt.datetime) -> bool:
    """Drop idempotency keys that were used before, some at a time; whether there may be more."""
    dropped = await session.scalars(
        text(
            """
            delete from idempotency_keys where (organization_id, key) in (
                select organization_id, key from idempotency_keys
                where created_at < :before limit :most
            ) returning 1
            """
        ),
        {"before": before, "most": _AT_ONCE},
    )
    return len(dropped.all()) == _AT_ONCE


# --- renewals --------------------------------------------------------------------------------


async def accounts_to_renew(
    session: ReadSession, *, now: dt.datetime, announced: dt.datetime, over: dt.datetime
) -> list[str]:
    """Organizations with a period to announce or renew, or with an overdue invoice."""
    rows = await session.scalars(
        text(
            """
            select a.organization_id from accounts a
            left join invoices i on i.organization_id = a.organization_id
                and i.purpose = 'plan' and i.status in ('draft', 'open')
            where a.period_ends_at <= :announced
                and (i.id is null or i.status = 'draft' and a.period_ends_at <= :now
                    or a.period_ends_at <= :over)
            union
            select organization_id from invoices
            where status = 'open' and due_at <= :now
            limit 1000
            """
        ),
        {"now": now, "announced": announced, "over": over},
    )
    return [str(each) for each in rows]


# --- privacy ---------------------------------------------------------------------------------


async def invoices_asked_by(
    session: ReadSession, user_id: str, *, after: str | None, limit: int
) -> list[dict[str, Any]]:
    """Invoices that came from a request of this person."""
    statement = (
        select(
            Invoice.id,
            Invoice.organization_id,
            Invoice.number,
            Invoice.status,
            Invoice.total,
            Invoice.currency,
            Invoice.created_at,
            Invoice.paid_at,
        )
        .where(Invoice.created_by == user_id)
        .order_by(Invoice.id)
        .limit(limit)
    )
    if after is not None:
        statement = statement.where(Invoice.id > after)
    return [dict(row) for row in (await session.execute(statement)).mappings()]


async def payments_asked_by(
    session: ReadSession, user_id: str, *, after: str | None, limit: int
) -> list[dict[str, Any]]:
    """Payments that came from a request of this person."""
    statement = (
        select(
            Payment.id,
            Payment.organization_id,
            Payment.invoice_id,
            Payment.method,
            Payment.status,
            Payment.amount,
            Payment.currency,
            Payment.created_at,
            Payment.settled_at,
        )
        .where(Payment.created_by == user_id)
        .order_by(Payment.id)
        .limit(limit)
    )
    if after is not None:
        statement = statement.where(Payment.id > after)
    return [dict(row) for row in (await session.execute(statement)).mappings()]


async def billing_emails_by(
    session: ReadSession, user_id: str, *, after: str | None, limit: int
) -> list[dict[str, Any]]:
    """Billing addresses that this person gave."""
    statement = (
        select(Account.organization_id.label("id"), Account.billing_email)
        .where(Account.billing_email_by == user_id)
        .order_by(Account.organization_id)
        .limit(limit)
    )
    if after is not None:
        statement = statement.where(Account.organization_id > after)
    return [dict(row) for row in (await session.execute(statement)).mappings()]


async def forget_person(session: WriteSession, user_id: str) -> None:
    """Take the person out of messages, invoices, payments and billing addresses."""
    await session.execute(
        text(
            """
            update webhook_events e set body = '' from payments p
            where p.created_by = :user_id and p.method = e.provider
                and e.status in ('applied', 'ignored') and position(p.id::text in e.body) > 0
            """
        ),
        {"user_id": uuid.UUID(user_id)},
    )
    await session.execute(
        update(Invoice).where(Invoice.created_by == user_id).values(created_by=None)
    )
    await session.execute(
        update(Payment).where(Payment.created_by == user_id).values(created_by=None)
    )
    await session.execute(
        update(Account)
        .where(Account.billing_email_by == user_id)
        .values(billing_email=None, billing_email_by=None)
    )
