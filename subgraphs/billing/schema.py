"""The GraphQL schema of the billing subgraph; its mutations open the transactions."""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, TypeAlias

import strawberry
from aiodataloader import DataLoader

from shared.access import Permission, allows, authorize, require_user
from shared.access_lists import AccessLists
from shared.auth import Identity
from shared.db import Database
from shared.errors import NotFound, Unauthenticated
from shared.events import EventBus
from shared.execution import batched, batched_reference
from shared.graphql import (
    PAGED,
    BigInt,
    Connection,
    Context,
    Cursors,
    Money,
    Node,
    build_schema,
    connection,
    id_or_none,
    page,
    parse_id,
)
from shared.privacy import export_field
from subgraphs.billing import checkout, models, privacy, repository, service
from subgraphs.billing.events import InvoiceUpdated
from subgraphs.billing.invoices import Actor
from subgraphs.billing.providers import Providers

__all__ = ["BillingContext", "Resources", "schema"]


@dataclass(frozen=True, slots=True)
class Resources:
    """What the resolvers work with; ``currency`` is that of new accounts and public prices."""

    database: Database
    bus: EventBus
    access: AccessLists
    providers: Providers
    cursors: Cursors
    currency: str
    clock: Callable[[], dt.datetime]


class BillingContext(Context[Resources]):
    """The caller and our resources, and one reader of accounts for all fields that need one."""

    __slots__ = ("accounts",)
    accounts: DataLoader[str, repository.AccountView]

    def __init__(self, identity: Identity, resources: Resources) -> None:
        super().__init__(identity, resources)

        async def read(ids: list[str]) -> list[repository.AccountView]:
            async with resources.database.read() as session:
                found = await repository.account_views(session, ids, resources.currency)
            return [found[each] for each in ids]

        # Keeps nothing: a mutation may change what an earlier field has read.
        accounts: DataLoader[str, repository.AccountView] = DataLoader(read, cache=False)
        object.__setattr__(self, "accounts", accounts)


Info: TypeAlias = strawberry.Info[BillingContext, None]


def _money(amount: int, currency: str) -> Money:
    return Money(amount=BigInt(amount), currency=currency)


def _value(member: enum.Enum) -> str:
    """What the database calls it."""
    return str(member.value)


def _id(value: object) -> strawberry.ID:
    return strawberry.ID(str(value))


@strawberry.enum(description="How far an invoice has come.")
class InvoiceStatus(enum.Enum):
    DRAFT = strawberry.enum_value(
        "draft", description="Announced; it gets its number when it is issued."
    )
    OPEN = strawberry.enum_value("open", description="Issued and waiting to be paid.")
    PAID = strawberry.enum_value("paid", description="Paid in full.")
    VOID = strawberry.enum_value("void", description="No longer owed.")


@strawberry.enum(description="What an invoice is for.")
class InvoicePurpose(enum.Enum):
    TOP_UP = strawberry.enum_value("top_up", description="It buys credits.")
    PLAN = strawberry.enum_value("plan", description="It buys a month of a plan.")


@strawberry.enum(description="How far a payment has come.")
class PaymentStatus(enum.Enum):
    PENDING = strawberry.enum_value("pending", description="Waiting for the payment provider.")
    FAILED = strawberry.enum_value("failed", description="Refused; it can be tried again.")
    CANCELED = strawberry.enum_value("canceled", description="Given up.")
    SUCCEEDED = strawberry.enum_value("succeeded", description="The money has arrived.")


@strawberry.enum(description="Where the money of a payment comes from.")
class PaymentMethod(enum.Enum):
    CREDITS = strawberry.enum_value("credits", description="The organization's credits.")
    STRIPE = strawberry.enum_value("stripe", description="Stripe.")
    MERCADOPAGO = strawberry.enum_value("mercadopago", description="MercadoPago.")


@strawberry.enum(description="A company that takes payments for us.")
class PaymentProvider(enum.Enum):
    STRIPE = strawberry.enum_value("stripe", description="Stripe.")
    MERCADOPAGO = strawberry.enum_value("mercadopago", description="MercadoPago.")


@strawberry.federation.type(keys=["code"], description="What an organization pays for.")
class Plan:
    code: str = strawberry.field(description="Its stable name, such as team.")
    name: str = strawberry.field(description="Its name on a price list.")
    description: str = strawberry.field(description="What it offers.")
    monthly_price: Money = strawberry.field(description="What a month costs.")
    storage_limit_bytes: BigInt = strawberry.field(description="How much can be stored with it.")

    @batched_reference
    @classmethod
    async def references(cls, keys: Sequence[strawberry.ID], info: Info) -> list[Plan | None]:
        resources = info.context.resources
        async with resources.database.read() as session:
            rows = await repository.plans(session, resources.currency, codes=set(keys))
        found = {row.code: cls.of(row) for row in rows}
        return [found.get(key) for key in keys]

    @classmethod
    def of(cls, row: repository.Plan) -> Plan:
        return cls(
            code=row.code,
            name=row.name,
            description=row.description,
            monthly_price=_money(row.price, row.currency),
            storage_limit_bytes=BigInt(row.storage_limit_bytes),
        )


@strawberry.federation.type(
    keys=["id"], description="A company or team whose members share plans and files."
)
class Organization:
    id: strawberry.ID = strawberry.field(description="Opaque and stable.")

    @batched(description="The plan it has now.")
    @staticmethod
    async def plan(parents: Sequence[Organization], info: Info) -> list[Plan | None]:
        views = await _views(parents, info)
        return [Plan.of(view.plan) if view else None for view in views]

    @batched(description="The credits it can spend.")
    @staticmethod
    async def credit_balance(parents: Sequence[Organization], info: Info) -> list[Money | None]:
        views = await _views(parents, info)
        return [_money(view.balance, view.currency) if view else None for view in views]

    @batched(override="orgs", description="Where its invoices are sent.")
    @staticmethod
    async def billing_email(parents: Sequence[Organization], info: Info) -> list[str | None]:
        views = await _views(parents, info)
        return [view.billing_email if view else None for view in views]

    @batched(description="Its invoices, newest first.", directives=[PAGED])
    @staticmethod
    async def invoices(
        parents: Sequence[Organization],
        info: Info,
        first: Annotated[int, strawberry.argument(description="At most this many, to 100.")] = 20,
        after: Annotated[
            str | None, strawberry.argument(description="The `endCursor` of the page before.")
        ] = None,
        status: Annotated[
            InvoiceStatus | None, strawberry.argument(description="Only those of this status.")
        ] = None,
    ) -> list[Connection[Invoice] | None]:
        resources, identity = info.context.resources, info.context.identity
        asked = page(resources.cursors, first, after)
        readable = [each.id for each in parents if _may_read(identity, each.id)]
        async with resources.database.read() as session:
            found = await repository.invoices_of(
                session,
                readable,
                limit=asked.limit + 1,
                after=asked.after[0] if asked.after else None,
                status=_value(status) if status else None,
            )
        allowed = set(readable)
        return [
            connection(
                found.get(each.id, []),
                asked,
                node=Invoice.of,
                cursor=lambda row: resources.cursors.encode(str(row.id)),
            )
            if each.id in allowed
            else None
            for each in parents
        ]

    @batched_reference
    @classmethod
    async def references(
        cls, keys: Sequence[strawberry.ID], info: Info
    ) -> list[Organization | None]:
        ids = [id_or_none(key) for key in keys]
        return [
            cls(id=_id(each)) if each and _may_read(info.context.identity, each) else None
            for each in ids
        ]


def _may_read(identity: Identity, organization_id: str) -> bool:
    return allows(identity, Permission.BILLING_READ, organization_id)


async def _views(
    parents: Sequence[Organization], info: Info
) -> Sequence[repository.AccountView | None]:
    """What each organization has; None where the caller may not know."""
    readable = [each.id for each in parents if _may_read(info.context.identity, each.id)]
    views = await info.context.accounts.load_many(readable)
    found = dict(zip(readable, views, strict=True))
    return [found.get(each.id) for each in parents]


@strawberry.type(description="Something an invoice charges for.")
class InvoiceLine:
    description: str = strawberry.field(description="What it is.")
    quantity: int = strawberry.field(description="How many of it.")
    unit_amount: Money = strawberry.field(description="What one costs; negative for a deduction.")
    amount: Money = strawberry.field(description="The quantity times the price of one.")


@strawberry.type(description="An attempt to pay an invoice.")
class Payment:
    id: strawberry.ID = strawberry.field(
        description="Opaque and stable; what the payment provider knows the payment by."
    )
    status: PaymentStatus = strawberry.field(description="How far it has come.")
    method: PaymentMethod = strawberry.field(description="Where the money comes from.")
    amount: Money = strawberry.field(description="How much is paid.")
    checkout_url: str | None = strawberry.field(
        description="Where to pay; null when there is nothing to do there."
    )
    created_at: dt.datetime = strawberry.field(description="When it was begun.")
    settled_at: dt.datetime | None = strawberry.field(description="When the money arrived.")

    @classmethod
    def of(cls, row: models.Payment) -> Payment:
        return cls(
            id=_id(row.id),
            status=PaymentStatus(row.status),
            method=PaymentMethod(row.method),
            amount=_money(row.amount, row.currency),
            checkout_url=row.checkout_url if row.status in {"pending", "failed"} else None,
            created_at=row.created_at,
            settled_at=row.settled_at,
        )


@dataclass(frozen=True, slots=True)
class OrganizationKey:
    """The key inside an invoice's second key."""

    id: str


@dataclass(frozen=True, slots=True)
class InvoiceKey:
    """One of an invoice's keys."""

    id: str | None = None
    organization: OrganizationKey | None = None
    number: str | None = None


@strawberry.federation.type(
    keys=["id", "organization { id } number"], description="What an organization owes or has paid."
)
class Invoice(Node):
    number: str | None = strawberry.field(
        description="Counts up without gaps within an organization and a year; null for a draft."
    )
    status: InvoiceStatus = strawberry.field(description="How far it has come.")
    purpose: InvoicePurpose = strawberry.field(description="What it is for.")
    total: Money = strawberry.field(description="What is owed altogether.")
    created_at: dt.datetime = strawberry.field(description="When it was made.")
    issued_at: dt.datetime | None = strawberry.field(description="When it got its number.")
    due_at: dt.datetime | None = strawberry.field(description="Until when to pay it.")
    paid_at: dt.datetime | None = strawberry.field(description="When it was paid.")
    voided_at: dt.datetime | None = strawberry.field(description="When it was voided.")
    organization: Organization | None = strawberry.field(description="Who owes it.")

    @batched(description="What it charges for.")
    @staticmethod
    async def lines(parents: Sequence[Invoice], info: Info) -> list[list[InvoiceLine]]:
        async with info.context.resources.database.read() as session:
            found = await repository.lines_of(session, [each.id for each in parents])
        return [
            [_line(row, each.total.currency) for row in found.get(each.id, [])] for each in parents
        ]

    @batched(description="The attempts to pay it, oldest first.")
    @staticmethod
    async def payments(parents: Sequence[Invoice], info: Info) -> list[list[Payment]]:
        async with info.context.resources.database.read() as session:
            found = await repository.payments_of(session, [each.id for each in parents])
        return [[Payment.of(row) for row in found.get(each.id, [])] for each in parents]

    @batched_reference
    @classmethod
    async def references(cls, keys: Sequence[InvoiceKey], info: Info) -> list[Invoice | None]:
        identity = info.context.identity
        ids = {each.id: id_or_none(each.id) for each in keys if each.id}
        async with info.context.resources.database.read() as session:
            by_id = await service.visible_invoices(session, identity, ids.values())
            by_number = await service.visible_invoices_by_number(
                session,
                identity,
                [
                    (key.organization.id, key.number)
                    for key in keys
                    if key.organization and key.number
                ],
            )
        found = [
            by_id.get(ids[key.id] or "")
            if key.id
            else by_number.get((key.organization.id, key.number or ""))
            if key.organization
            else None
            for key in keys
        ]
        return [cls.of(row) if row else None for row in found]

    @classmethod
    def of(cls, row: models.Invoice) -> Invoice:
        return cls(
            id=_id(row.id),
            number=row.number,
            status=InvoiceStatus(row.status),
            purpose=InvoicePurpose(row.purpose),
            total=_money(row.total, row.currency),
            created_at=row.created_at,
            issued_at=row.issued_at,
            due_at=row.due_at,
            paid_at=row.paid_at,
            voided_at=row.voided_at,
            organization=Organization(id=_id(row.organization_id)),
        )


def _line(row: models.InvoiceLine, currency: str) -> InvoiceLine:
    return InvoiceLine(
        description=row.description,
        quantity=row.quantity,
        unit_amount=_money(row.unit_amount, currency),
        amount=_money(row.amount, currency),
    )


IDEMPOTENCY = (
    "Chosen by the caller, 1 to 255 characters: the same request with the same key takes effect "
    "once, however often it is sent."
)


@strawberry.input(description="An amount of money.")
class MoneyInput:
    amount: BigInt = strawberry.field(description="In minor units of the currency.")
    currency: str = strawberry.field(description="The ISO 4217 code, such as EUR.")


@strawberry.input(description="Credits to buy.")
class TopUpCreditsInput:
    organization_id: strawberry.ID = strawberry.field(description="Who gets the credits.")
    amount: MoneyInput = strawberry.field(description="How much, in the organization's currency.")
    provider: PaymentProvider = strawberry.field(
        default=PaymentProvider.STRIPE, description="Who takes the payment."
    )
    idempotency_key: str = strawberry.field(description=IDEMPOTENCY)


@strawberry.input(description="Another plan.")
class ChangePlanInput:
    organization_id: strawberry.ID = strawberry.field(description="Whose plan to change.")
    plan_code: str = strawberry.field(description="The `code` of the new plan.")
    idempotency_key: str = strawberry.field(description=IDEMPOTENCY)


@strawberry.input(description="An invoice to pay from credits.")
class PayInvoiceInput:
    invoice_id: strawberry.ID = strawberry.field(description="Which invoice.")
    idempotency_key: str = strawberry.field(description=IDEMPOTENCY)


@strawberry.input(description="An invoice that is no longer owed.")
class VoidInvoiceInput:
    invoice_id: strawberry.ID = strawberry.field(description="Which invoice.")


@strawberry.input(description="Where invoices go.")
class UpdateBillingEmailInput:
    organization_id: strawberry.ID = strawberry.field(description="Whose invoices.")
    email: str | None = strawberry.field(default=None, description="The address; null for none.")


@strawberry.type(description="Credits that arrive once they are paid for.")
class TopUpCreditsPayload:
    invoice: Invoice = strawberry.field(description="The invoice for the credits.")
    payment: Payment = strawberry.field(description="The payment that is waiting.")


@strawberry.type(description="What became of a change of plan.")
class ChangePlanPayload:
    organization: Organization | None = strawberry.field(description="Whose plan it is.")
    invoice: Invoice | None = strawberry.field(
        description="What the change costs; null when nothing. While it is open the old plan stays."
    )


@strawberry.type
class Query:
    @strawberry.field(description="The plans there are, smallest first.")
    async def plans(self, info: Info) -> list[Plan] | None:
        resources = info.context.resources
        async with resources.database.read() as session:
            return [Plan.of(row) for row in await repository.plans(session, resources.currency)]

    @strawberry.field(description="An invoice of one of the caller's organizations.")
    async def invoice(
        self,
        info: Info,
        id: Annotated[  # noqa: A002
            strawberry.ID, strawberry.argument(description="The invoice's id.")
        ],
    ) -> Invoice | None:
        identity = info.context.identity
        require_user(identity)
        key = parse_id(id)
        async with info.context.resources.database.read() as session:
            found = await service.visible_invoices(session, identity, [key])
        if key not in found:
            raise NotFound
        return Invoice.of(found[key])

    privacy_export = export_field("billing", privacy.SECTIONS)


def _actor(info: Info) -> Actor:
    return Actor(require_user(info.context.identity), info.context.resources.clock())


Input = strawberry.argument(description="What to do.")


@strawberry.type
class Mutation:
    @strawberry.mutation(
        description="Buy credits: opens an invoice and a payment; the credits arrive when the "
        "payment provider reports that it has the money."
    )
    async def top_up_credits(
        self,
        info: Info,
        input: Annotated[TopUpCreditsInput, Input],  # noqa: A002
    ) -> TopUpCreditsPayload | None:
        resources = info.context.resources
        organization_id = parse_id(input.organization_id)
        authorize(info.context.identity, Permission.BILLING_MANAGE, organization_id)
        provider = resources.providers.named(_value(input.provider))
        async with resources.database.write() as session:
            placed = await service.top_up(
                session,
                _actor(info),
                organization_id,
                amount=input.amount.amount,
                currency=input.amount.currency,
                method=provider.name,
                key=input.idempotency_key,
                default_currency=resources.currency,
            )
        payment = await checkout.prepare(resources.database, provider, placed)
        return TopUpCreditsPayload(invoice=Invoice.of(placed.invoice), payment=Payment.of(payment))

    @strawberry.mutation(
        description="Change the plan: at once when credits suffice or nothing is owed; otherwise "
        "once the invoice is paid. The unused time of the old plan is taken off the price."
    )
    async def change_plan(
        self,
        info: Info,
        input: Annotated[ChangePlanInput, Input],  # noqa: A002
    ) -> ChangePlanPayload | None:
        resources = info.context.resources
        organization_id = parse_id(input.organization_id)
        authorize(info.context.identity, Permission.BILLING_MANAGE, organization_id)
        async with resources.database.write() as session:
            invoice = await service.change_plan(
                session,
                _actor(info),
                organization_id,
                plan_code=input.plan_code,
                key=input.idempotency_key,
                default_currency=resources.currency,
            )
        return ChangePlanPayload(
            organization=Organization(id=_id(organization_id)),
            invoice=Invoice.of(invoice) if invoice else None,
        )

    @strawberry.mutation(description="Pay an open invoice from credits.")
    async def pay_invoice(
        self,
        info: Info,
        input: Annotated[PayInvoiceInput, Input],  # noqa: A002
    ) -> Invoice | None:
        organization_id, invoice_id = await _owner(info, input.invoice_id)
        async with info.context.resources.database.write() as session:
            invoice = await service.pay_invoice(
                session, _actor(info), organization_id, invoice_id, key=input.idempotency_key
            )
        return Invoice.of(invoice)

    @strawberry.mutation(
        description="Void an open invoice, so that it is no longer owed; a paid one stays."
    )
    async def void_invoice(
        self,
        info: Info,
        input: Annotated[VoidInvoiceInput, Input],  # noqa: A002
    ) -> Invoice | None:
        organization_id, invoice_id = await _owner(info, input.invoice_id)
        async with info.context.resources.database.write() as session:
            invoice = await service.void_invoice(session, _actor(info), organization_id, invoice_id)
        return Invoice.of(invoice)

    @strawberry.mutation(description="Say where invoices are to be sent.")
    async def update_billing_email(
        self,
        info: Info,
        input: Annotated[UpdateBillingEmailInput, Input],  # noqa: A002
    ) -> Organization | None:
        resources = info.context.resources
        organization_id = parse_id(input.organization_id)
        authorize(info.context.identity, Permission.BILLING_MANAGE, organization_id)
        async with resources.database.write() as session:
            await service.update_billing_email(
                session,
                _actor(info),
                organization_id,
                email=input.email,
                default_currency=resources.currency,
            )
        return Organization(id=_id(organization_id))


async def _owner(info: Info, given: strawberry.ID) -> tuple[str, str]:
    """The organization whose invoice this is, and the invoice's id; the caller may manage it."""
    identity = info.context.identity
    require_user(identity)
    invoice_id = parse_id(given)
    async with info.context.resources.database.read() as session:
        found = await service.visible_invoices(session, identity, [invoice_id])
    if invoice_id not in found:
        raise NotFound
    organization_id = str(found[invoice_id].organization_id)
    authorize(identity, Permission.BILLING_MANAGE, organization_id)
    return organization_id, invoice_id


@strawberry.type
class Subscription:
    @strawberry.subscription(
        description="Each invoice of the organization that is made or changes from now on."
    )
    async def invoice_updated(
        self,
        info: Info,
        organization_id: Annotated[
            strawberry.ID, strawberry.argument(description="Whose invoices.")
        ],
    ) -> AsyncGenerator[Invoice, None]:
        resources = info.context.resources
        organization = parse_id(organization_id)
        watch = await _Watch.begin(resources.access, info.context.identity, organization)
        return _changes(resources, watch)


async def _changes(resources: Resources, watch: _Watch) -> AsyncGenerator[Invoice, None]:
    organization = watch.organization_id
    async with resources.bus.listen(InvoiceUpdated.topic, organization, InvoiceUpdated) as facts:
        async for fact in facts:
            await watch.confirm()
            async with resources.database.read() as session:
                row = await repository.invoice_in(session, organization, fact.invoice_id)
            if row is not None:
                yield Invoice.of(row)


@dataclass(frozen=True, slots=True)
class _Watch:
    """A caller's access to an organization over the life of a stream."""

    access: AccessLists
    identity: Identity
    organization_id: str
    generation: str

    @classmethod
    async def begin(cls, access: AccessLists, identity: Identity, organization_id: str) -> _Watch:
        """Access as of now; raises as `authorize` does."""
        authorize(identity, Permission.BILLING_READ, organization_id)
        known = await access.read(identity.user_id or "", identity.session_id or "")
        return cls(access, identity, organization_id, known.generation)

    async def confirm(self) -> None:
        """Return while the caller may still read; raises when not, or when it is not certain."""
        known = await self.access.read(self.identity.user_id or "", self.identity.session_id or "")
        if not known.session_alive:
            raise Unauthenticated("You are logged out.")
        if known.memberships is not None:
            current = Identity(self.identity.user_id, None, known.memberships)
            authorize(current, Permission.BILLING_READ, self.organization_id)
        elif known.generation != self.generation:
            raise Unauthenticated("Your memberships changed. Subscribe again.")


schema = build_schema(Query, Mutation, Subscription, types=[Organization, Plan, Invoice])
