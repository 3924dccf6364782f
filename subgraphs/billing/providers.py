"""Stripe and MercadoPago: their signatures, their messages, their checkouts.

Signatures are checked here after the providers' documentation rather than by
their SDKs: the SDKs read the clock themselves, and MercadoPago's takes its
milliseconds for seconds.  The tests hold both against the SDKs.

- Stripe: https://docs.stripe.com/webhooks#verify-manually
- MercadoPago: https://www.mercadopago.com/developers/en/docs/your-integrations/notifications/webhooks
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Protocol

import aiohttp
import orjson

from shared.circuit_breaker import CircuitBreaker
from shared.errors import BadRequest, BadUserInput, Conflict, Unavailable
from shared.graphql import id_or_none
from shared.logger import get_logger

if TYPE_CHECKING:
    from pydantic import SecretStr

    from shared.config import Settings
    from subgraphs.billing.models import Payment, WebhookEvent

__all__ = [
    "BadWebhook",
    "Checkout",
    "MercadoPago",
    "Notice",
    "Provider",
    "Providers",
    "Report",
    "Stripe",
    "Unclear",
    "stripe_signature",
]

logger = get_logger(__name__)

_PLAIN = re.compile(r"[\x21-\x7e]{1,255}")
_WHOLE_UNITS = frozenset({"CLP", "PYG", "JPY", "KRW"})


class BadWebhook(BadRequest):
    """The message is not one the provider signed for us just now."""

    message = "This is not a message that the payment provider signed for us."


class ProviderOff(BadUserInput):
    """The provider is not set up here."""


class CheckoutRefused(Conflict):
    """The provider does not want this payment, for instance because it is too small."""

    message = "The payment provider refuses this payment. Try another amount."


@dataclass(frozen=True, slots=True)
class Notice:
    """A message that a provider signed: what identifies it, and what it is about."""

    event_id: str
    kind: str
    subject: str
    body: str


@dataclass(frozen=True, slots=True)
class Report:
    """What a provider says about a payment of ours.

    ``amount`` is what it has collected, and ``money`` its name for that, the same
    in whichever message it is told; None when the message does not say.
    """

    payment_id: str
    status: str
    amount: int
    currency: str
    money: str | None


class Unclear(Exception):
    """A message about money that needs a person; the text says why."""


@dataclass(frozen=True, slots=True)
class Checkout:
    """A page where a payment can be made."""

    reference: str
    url: str


class Provider(Protocol):
    """A company that takes payments for us."""

    @property
    def name(self) -> str:
        """Its name in addresses, columns and the ledger."""

    def verify(
        self, headers: Mapping[str, str], query: Mapping[str, str], body: bytes, *, now: dt.datetime
    ) -> Notice:
        """What the message says; raises `BadWebhook`."""

    async def report(self, event: WebhookEvent) -> Report | None:
        """What a stored message reports; None when it is about nothing of ours.

        Raises `Unclear`, and `Unavailable` when the provider has to be asked and
        does not answer.
        """

    async def open_checkout(self, payment: Payment) -> Checkout | None:
        """Where to make the payment, the same for every call; None without an API key.

        Raises `Unavailable`, `CheckoutRefused`.
        """


class _Api:
    """JSON over HTTP to one provider, behind a circuit breaker."""

    def __init__(self, base_url: str, token: str, *, timeout_seconds: float) -> None:
        self._base = base_url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}"}
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        self._breaker = CircuitBreaker(base_url, least_calls=5)
        self._session: aiohttp.ClientSession | None = None

    async def request(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **body: Any
    ) -> tuple[int, Any]:
        """Status and JSON of an answer below 500 other than 429; raises `Unavailable`."""
        if self._session is None:
            self._session = aiohttp.ClientSession(headers=self._headers, timeout=self._timeout)
        with self._breaker:
            try:
                async with self._session.request(
                    method, self._base + path, headers=headers, allow_redirects=False, **body
                ) as response:
                    text = await response.text()
                    if response.status >= 500 or response.status == 429:
                        raise Unavailable("The payment provider does not answer. Try again.")
                    return response.status, json.loads(text, parse_float=Decimal)
            except (aiohttp.ClientError, TimeoutError, ValueError) as error:
                raise Unavailable("The payment provider does not answer. Try again.") from error

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()


@dataclass(frozen=True, slots=True)
class Stripe:
    """Stripe: Checkout sessions and payment intents.

    A payment of ours is known by ``metadata.payment_id`` (or, in a Checkout
    session, ``client_reference_id``).
    """

    secrets: tuple[bytes, ...] = field(repr=False)
    tolerance_seconds: int
    return_url: str
    api: _Api | None = None
    name: str = "stripe"

    def verify(
        self, headers: Mapping[str, str], query: Mapping[str, str], body: bytes, *, now: dt.datetime
    ) -> Notice:
        fields = _pairs(headers.get("stripe-signature", ""))
        sent_at = _timestamp(fields, "t", now=now, tolerance_seconds=self.tolerance_seconds)
        _match(self.secrets, f"{sent_at}.".encode() + body, [v for k, v in fields if k == "v1"])
        event = _object(body)
        about = event.get("data")
        subject = about.get("object") if isinstance(about, dict) else None
        return Notice(
            event_id=_plain(event.get("id")),
            kind=_plain(event.get("type")),
            subject=_plain(subject.get("id", "-") if isinstance(subject, dict) else None),
            body=body.decode(),
        )

    async def report(self, event: WebhookEvent) -> Report | None:
        status = _STRIPE_STATUS.get(event.kind)
        about: dict[str, Any] = orjson.loads(event.body)["data"]["object"]
        if status is None:
            if event.kind.startswith(_STRIPE_MONEY_BACK):
                raise Unclear("money_went_back")
            return None
        session = event.kind.startswith("checkout.")
        if session and status == "succeeded" and about.get("payment_status") != "paid":
            return None
        metadata = about.get("metadata")
        named = metadata.get("payment_id") if isinstance(metadata, dict) else None
        return _report(
            named or about.get("client_reference_id"),
            status=status,
            amount=about.get("amount_total" if session else "amount_received"),
            currency=about.get("currency"),
            money=about.get("payment_intent") if session else about.get("id"),
        )

    async def open_checkout(self, payment: Payment) -> Checkout | None:
        if self.api is None:
            return None
        status, answer = await self.api.request(
            "POST",
            "/v1/checkout/sessions",
            headers={"Idempotency-Key": str(payment.id)},
            data={
                "mode": "payment",
                "client_reference_id": str(payment.id),
                "metadata[payment_id]": str(payment.id),
                "payment_intent_data[metadata][payment_id]": str(payment.id),
                "line_items[0][quantity]": "1",
                "line_items[0][price_data][currency]": payment.currency.lower(),
                "line_items[0][price_data][unit_amount]": str(payment.amount),
                "line_items[0][price_data][product_data][name]": "Credits",
                "success_url": self.return_url,
                "cancel_url": self.return_url,
            },
        )
        return _checkout(status, answer, url="url")


_STRIPE_STATUS = {
    "checkout.session.completed": "succeeded",
    "checkout.session.async_payment_succeeded": "succeeded",
    "checkout.session.async_payment_failed": "failed",
    "checkout.session.expired": "canceled",
    "payment_intent.succeeded": "succeeded",
    "payment_intent.payment_failed": "failed",
    "payment_intent.canceled": "canceled",
}
_STRIPE_MONEY_BACK = ("charge.refund", "charge.dispute", "refund.")


@dataclass(frozen=True, slots=True)
class MercadoPago:
    """MercadoPago: Checkout Pro.  A payment of ours is known by ``external_reference``.

    A notification only names a payment; what became of it is asked over the API.
    """

    secrets: tuple[bytes, ...] = field(repr=False)
    tolerance_seconds: int
    return_url: str
    api: _Api | None = None
    name: str = "mercadopago"

    def verify(
        self, headers: Mapping[str, str], query: Mapping[str, str], body: bytes, *, now: dt.datetime
    ) -> Notice:
        message = _object(body)
        data = message.get("data")
        named = data.get("id") if isinstance(data, dict) else None
        subject = query.get("data.id") or (str(named) if isinstance(named, int | str) else "")
        request_id = headers.get("x-request-id", "")
        fields = _pairs(headers.get("x-signature", ""))
        sent_at = _timestamp(fields, "ts", now=now, tolerance_seconds=self.tolerance_seconds)
        manifest = "".join(
            f"{name}:{value};"
            # In the manifest the letters of an id are small.
            for name, value in (
                ("id", subject.lower()),
                ("request-id", request_id),
                ("ts", sent_at),
            )
            if value
        )
        _match(self.secrets, manifest.encode(), [v for k, v in fields if k == "v1"])
        # The body is not signed: only what is signed may decide whether this was seen before.
        return Notice(
            event_id=_plain(f"{subject}:{request_id or sent_at}"),
            kind=_plain(message.get("type") or query.get("type") or "unknown"),
            subject=_plain(subject),
            body=_text(body),
        )

    async def report(self, event: WebhookEvent) -> Report | None:
        if event.kind != "payment":
            return None
        if self.api is None:
            raise Unclear("no_access_token")
        if not re.fullmatch(r"[0-9A-Za-z_-]{1,64}", event.subject):
            raise Unclear("unknown_payment")
        status, payment = await self.api.request("GET", f"/v1/payments/{event.subject}")
        if status != 200 or not isinstance(payment, dict):
            raise Unclear("unknown_payment")
        if payment.get("status") in {"refunded", "charged_back"}:
            raise Unclear("money_went_back")
        return _report(
            payment.get("external_reference"),
            status=_MERCADOPAGO_STATUS.get(str(payment.get("status")), "pending"),
            amount=_minor(payment.get("transaction_amount"), str(payment.get("currency_id"))),
            currency=payment.get("currency_id"),
            money=event.subject,
        )

    async def open_checkout(self, payment: Payment) -> Checkout | None:
        if self.api is None:
            return None
        whole = payment.currency in _WHOLE_UNITS
        price = payment.amount if whole else payment.amount / 100
        status, answer = await self.api.request(
            "POST",
            "/checkout/preferences",
            headers={"X-Idempotency-Key": str(payment.id)},
            json={
                "external_reference": str(payment.id),
                "items": [
                    {
                        "title": "Credits",
                        "quantity": 1,
                        "currency_id": payment.currency,
                        "unit_price": price,
                    }
                ],
                "back_urls": {"success": self.return_url, "failure": self.return_url},
            },
        )
        return _checkout(status, answer, url="init_point")


_MERCADOPAGO_STATUS = {"approved": "succeeded", "rejected": "failed", "cancelled": "canceled"}


@dataclass(frozen=True, slots=True)
class Providers:
    """The providers that are set up."""

    by_name: Mapping[str, Provider]
    apis: Sequence[_Api] = ()

    def named(self, name: str) -> Provider:
        """The provider; raises `ProviderOff`."""
        provider = self.by_name.get(name)
        if provider is None:
            raise ProviderOff("This payment provider is not available here.", field="provider")
        return provider

    async def close(self) -> None:
        """Give up connections."""
        for api in self.apis:
            await api.close()

    @classmethod
    def create(cls, settings: Settings) -> Providers:
        """Those with a webhook secret; one with an API key has checkouts too."""
        webhooks, payments = settings.webhooks, settings.payments
        return_url = payments.return_url or settings.http.public_url
        stripe_api = _api(
            payments.stripe_api_url, payments.stripe_api_key, payments.timeout_seconds
        )
        mercadopago_api = _api(
            payments.mercadopago_api_url,
            payments.mercadopago_access_token,
            payments.timeout_seconds,
        )
        tolerance = webhooks.tolerance_seconds
        found: list[Provider] = []
        if secrets := _secrets(webhooks.stripe_secret):
            found.append(Stripe(secrets, tolerance, return_url, stripe_api))
        if secrets := _secrets(webhooks.mercadopago_secret):
            found.append(MercadoPago(secrets, tolerance, return_url, mercadopago_api))
        apis = [api for api in (stripe_api, mercadopago_api) if api is not None]
        return cls({provider.name: provider for provider in found}, apis)


def _api(url: str, key: SecretStr | None, timeout_seconds: float) -> _Api | None:
    token = key.get_secret_value() if key else ""
    return _Api(url, token, timeout_seconds=timeout_seconds) if token else None


def _secrets(value: SecretStr | None) -> tuple[bytes, ...]:
    return tuple(each.encode() for each in value.get_secret_value().split()) if value else ()


def _pairs(header: str) -> list[tuple[str, str]]:
    """The ``name=value`` items of a signature header, of a sane length."""
    items = [item.strip().partition("=") for item in header[:4096].split(",")]
    return [(name, value) for name, _, value in items]


def _timestamp(
    fields: Iterable[tuple[str, str]], name: str, *, now: dt.datetime, tolerance_seconds: int
) -> str:
    """The time of signing as it was written; raises `BadWebhook` when it is not about now."""
    sent = next((value for key, value in fields if key == name), "")
    if not re.fullmatch(r"[0-9]{1,16}", sent):
        raise BadWebhook
    seconds = int(sent) / (1000 if len(sent) > 11 else 1)
    if abs(now.timestamp() - seconds) > tolerance_seconds:
        raise BadWebhook("The message was signed too long ago.")
    return sent


def _match(secrets: Iterable[bytes], signed: bytes, given: Sequence[str]) -> None:
    """Raise `BadWebhook` unless one of the given signatures was made with one of our secrets."""
    valid = False
    for secret in secrets:
        expected = hmac.digest(secret, signed, hashlib.sha256).hex().encode()
        for each in given[:8]:
            valid |= hmac.compare_digest(expected, each.encode())
    if not valid:
        raise BadWebhook


def stripe_signature(secret: bytes, body: bytes, *, sent_at: int) -> str:
    """The value of ``Stripe-Signature`` for a body."""
    signature = hmac.digest(secret, f"{sent_at}.".encode() + body, hashlib.sha256).hex()
    return f"t={sent_at},v1={signature}"


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise BadWebhook("The message is not JSON.") from error


def _object(body: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadWebhook("The message is not JSON.") from error
    if not isinstance(value, dict):
        raise BadWebhook("The message is not a JSON object.")
    return value


def _plain(value: object) -> str:
    if not isinstance(value, str) or not _PLAIN.fullmatch(value):
        raise BadWebhook("The message does not say what it is.")
    return value


def _report(
    payment_id: object, *, status: str, amount: object, currency: object, money: object
) -> Report:
    ours = id_or_none(payment_id) if isinstance(payment_id, str) else None
    if ours is None:
        raise Unclear("unknown_payment")
    if status == "succeeded" and (isinstance(amount, bool) or not isinstance(amount, int)):
        raise Unclear("no_amount")
    return Report(
        payment_id=ours,
        status=status,
        amount=amount if isinstance(amount, int) else 0,
        currency=str(currency).upper(),
        money=money if isinstance(money, str) else None,
    )


def _minor(amount: object, currency: str) -> int | None:
    """An amount in major units as minor units; None when it is not one."""
    try:
        minor = Decimal(str(amount)) * (1 if currency in _WHOLE_UNITS else 100)
        return int(minor) if minor == minor.to_integral_value() else None
    except (InvalidOperation, OverflowError):
        return None


def _checkout(status: int, answer: Any, *, url: str) -> Checkout:
    if status in {401, 403}:
        logger.error("provider.refuses_our_key", status=status)
        raise Unavailable("The payment provider does not answer. Try again.")
    if status >= 400 or not isinstance(answer, dict) or not isinstance(answer.get(url), str):
        logger.warning("provider.refuses_checkout", status=status)
        raise CheckoutRefused
    return Checkout(reference=str(answer.get("id")), url=answer[url])
