"""Payment providers that are asked over their APIs: checkouts, and MercadoPago's payments."""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import hmac
from collections.abc import AsyncIterator
from typing import Any

import httpx
import orjson
import pytest
from mercadopago.webhook.validator import WebhookSignatureValidator

from shared.config import PaymentSettings, Settings
from shared.errors import Unavailable
from tests.subgraphs.billing.conftest import TOP_UP, Billing, Company, key, start
from tests.subgraphs.billing.payment_apis import PaymentApis, serving
from tests.support.nexus import MERCADOPAGO_SECRET


@pytest.fixture
async def apis() -> AsyncIterator[PaymentApis]:
    """What billing takes for Stripe and MercadoPago."""
    async with serving() as found:
        yield found


@pytest.fixture
async def paying(settings: Settings, apis: PaymentApis) -> AsyncIterator[Billing]:
    """The subgraph with API keys of both providers."""
    payments = PaymentSettings.model_validate(
        {
            "stripe_api_key": "sk_test",
            "stripe_api_url": apis.url,
            "mercadopago_access_token": "APP_USR",
            "mercadopago_api_url": apis.url,
            "return_url": "https://nexus.example/back",
            "timeout_seconds": 5,
        }
    )
    async with start(settings.model_copy(update={"payments": payments})) as billing:
        yield billing


def asked(company: Company, **changes: Any) -> dict[str, Any]:
    """The variables of a top-up."""
    return {
        "input": {
            "organizationId": company.id,
            "amount": {"amount": 5000, "currency": "EUR"},
            "idempotencyKey": key(),
            **changes,
        }
    }


async def test_a_top_up_leads_to_a_checkout_of_stripe(
    paying: Billing, apis: PaymentApis, company: Company
) -> None:
    payment = (await paying.top_up(company, 5000))["payment"]

    assert payment["checkoutUrl"] == "https://pay.example/cs_1"
    [(path, form, headers)] = apis.asked
    assert path == "/v1/checkout/sessions"
    assert headers["Authorization"] == "Bearer sk_test"
    assert headers["Idempotency-Key"] == payment["id"]
    assert form["metadata[payment_id]"] == payment["id"]
    assert form["payment_intent_data[metadata][payment_id]"] == payment["id"]
    assert form["line_items[0][price_data][unit_amount]"] == "5000"
    assert form["line_items[0][price_data][currency]"] == "eur"
    assert form["success_url"] == "https://nexus.example/back"


async def test_a_top_up_leads_to_a_checkout_of_mercadopago(
    paying: Billing, apis: PaymentApis, company: Company
) -> None:
    payment = (await paying.top_up(company, 5099, provider="MERCADOPAGO"))["payment"]

    assert payment["checkoutUrl"] == "https://pay.example/pref_1"
    [(_, given, headers)] = apis.asked
    assert headers["X-Idempotency-Key"] == payment["id"]
    assert given["external_reference"] == payment["id"]
    assert given["items"][0]["unit_price"] == 50.99


async def test_the_same_call_gets_the_same_checkout(
    paying: Billing, apis: PaymentApis, company: Company
) -> None:
    answers = [await paying.top_up(company, idempotencyKey="one") for _ in range(3)]

    assert answers[0] == answers[1] == answers[2]
    assert len(apis.asked) == 1


async def test_calls_at_once_get_the_same_checkout(
    paying: Billing, apis: PaymentApis, company: Company
) -> None:
    answers = await asyncio.gather(
        *(paying.top_up(company, idempotencyKey="one") for _ in range(10))
    )

    assert all(answer == answers[0] for answer in answers)
    assert len(apis.answered) == 1


async def test_a_call_that_was_cut_off_is_made_good_by_the_same_call(
    paying: Billing, apis: PaymentApis, company: Company
) -> None:
    variables = asked(company, idempotencyKey="one")
    apis.status = 503
    error = await paying.error(TOP_UP, variables, by=company.by())
    apis.status = None

    payload = (await paying.data(TOP_UP, variables, by=company.by()))["topUpCredits"]

    assert error["code"] == "UNAVAILABLE"
    assert payload["payment"]["checkoutUrl"] == "https://pay.example/cs_1"
    assert payload["invoice"]["number"] == "2031-000001"


async def test_while_stripe_is_down_calls_fail_at_once_and_reads_go_on(
    paying: Billing, apis: PaymentApis, company: Company
) -> None:
    apis.status = 500
    for _ in range(8):
        await paying.error(TOP_UP, asked(company), by=company.by())

    assert len(apis.asked) == 5
    assert (await paying.account(company))["creditBalance"]["amount"] == 0


async def test_nothing_waits_in_a_transaction_while_the_provider_thinks(
    paying: Billing, apis: PaymentApis, company: Company
) -> None:
    apis.held = asyncio.Event()
    waiting = asyncio.create_task(paying.top_up(company))
    async with asyncio.timeout(20):
        await apis.arrived.wait()
        # The account is not locked: something else can be done with it meanwhile.
        await paying.change_plan(company, "team")
    apis.held.set()

    assert (await waiting)["payment"]["checkoutUrl"] is not None


@pytest.mark.parametrize(
    ("status", "code"), [(400, "CONFLICT"), (401, "UNAVAILABLE"), (403, "UNAVAILABLE")]
)
async def test_a_refusal_of_the_provider_is_told_and_our_key_is_not(
    paying: Billing, apis: PaymentApis, company: Company, status: int, code: str
) -> None:
    apis.status = status

    error = await paying.error(TOP_UP, asked(company), by=company.by())

    assert error["code"] == code
    assert "sk_test" not in str(error)


# --- MercadoPago's notifications -------------------------------------------------------------


def sign(subject: str, request_id: str, sent_at: int | str) -> str:
    """``x-signature``, after MercadoPago's documentation."""
    manifest = f"id:{subject};request-id:{request_id};ts:{sent_at};"
    signature = hmac.digest(MERCADOPAGO_SECRET.encode(), manifest.encode(), hashlib.sha256)
    return f"ts={sent_at},v1={signature.hex()}"


async def notify(
    billing: Billing, subject: str, *, request_id: str = "req-1", number: int = 1
) -> httpx.Response:
    """The answer to a notification about a payment."""
    sent_at = int(billing.clock.now.timestamp())
    return await billing.http.post(
        f"/webhooks/mercadopago?data.id={subject}&type=payment",
        content=orjson.dumps({"id": number, "type": "payment", "data": {"id": subject}}),
        headers={"x-signature": sign(subject, request_id, sent_at), "x-request-id": request_id},
    )


def mercadopago_payment(payment_id: str, **changes: Any) -> dict[str, Any]:
    """A payment as MercadoPago shows it."""
    return {
        "status": "approved",
        "external_reference": payment_id,
        "transaction_amount": 50.99,
        "currency_id": "EUR",
        **changes,
    }


async def test_an_approved_payment_of_mercadopago_becomes_credits(
    paying: Billing, apis: PaymentApis, company: Company
) -> None:
    payment = (await paying.top_up(company, 5099, provider="MERCADOPAGO"))["payment"]["id"]
    apis.payments["777"] = mercadopago_payment(payment)

    responses = [await notify(paying, "777") for _ in range(2)]
    await paying.handle_webhooks()

    assert [response.status_code for response in responses] == [204, 204]
    assert len(await paying.rows("select id from webhook_events")) == 1
    assert await paying.credits(company) == 5099
    assert apis.asked[-1][2]["Authorization"] == "Bearer APP_USR"
    await paying.check_books()


@pytest.mark.parametrize(
    ("state", "status"),
    [
        ("pending", "pending"),
        ("in_process", "pending"),
        ("rejected", "failed"),
        ("cancelled", "canceled"),
    ],
)
async def test_what_mercadopago_says_of_a_payment_is_understood(
    paying: Billing, apis: PaymentApis, company: Company, state: str, status: str
) -> None:
    payment = (await paying.top_up(company, 5099, provider="MERCADOPAGO"))["payment"]["id"]
    apis.payments["777"] = mercadopago_payment(payment, status=state)

    await notify(paying, "777")
    await paying.handle_webhooks()

    [row] = await paying.rows("select status from payments")
    assert row["status"] == status
    assert await paying.credits(company) == 0


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"transaction_amount": 50.98}, "amount_mismatch"),
        ({"transaction_amount": 50.991}, "no_amount"),
        ({"transaction_amount": "NaN"}, "no_amount"),
        ({"transaction_amount": "Infinity"}, "no_amount"),
        ({"transaction_amount": None}, "no_amount"),
        ({"currency_id": "BRL"}, "amount_mismatch"),
        ({"external_reference": None}, "unknown_payment"),
        ({"status": "refunded"}, "money_went_back"),
        ({"status": "charged_back"}, "money_went_back"),
    ],
)
async def test_what_does_not_fit_waits_for_a_person(
    paying: Billing, apis: PaymentApis, company: Company, changes: dict[str, Any], reason: str
) -> None:
    payment = (await paying.top_up(company, 5099, provider="MERCADOPAGO"))["payment"]["id"]
    apis.payments["777"] = mercadopago_payment(payment, **changes)

    await notify(paying, "777")
    await paying.handle_webhooks()

    [row] = await paying.rows("select status, reason from webhook_events")
    assert row == {"status": "quarantined", "reason": reason}
    assert await paying.credits(company) == 0


@pytest.mark.parametrize("subject", ["778", "..%2F..%2Fusers%2Fme", "a%20b"])
async def test_a_payment_that_mercadopago_does_not_know_waits_for_a_person(
    paying: Billing, apis: PaymentApis, subject: str
) -> None:
    decoded = httpx.QueryParams(f"data.id={subject}")["data.id"]
    sent_at = int(paying.clock.now.timestamp())
    response = await paying.http.post(
        f"/webhooks/mercadopago?data.id={subject}",
        content=b'{"type": "payment"}',
        headers={"x-signature": sign(decoded, "r", sent_at), "x-request-id": "r"},
    )
    await paying.handle_webhooks()

    rows = await paying.rows("select status from webhook_events")
    assert response.status_code == (400 if " " in decoded else 204)
    assert [row["status"] for row in rows] == ([] if " " in decoded else ["quarantined"])
    assert not any(".." in path for path, _, _ in apis.asked)


async def test_while_mercadopago_is_down_the_message_waits(
    paying: Billing, apis: PaymentApis, company: Company
) -> None:
    payment = (await paying.top_up(company, 5099, provider="MERCADOPAGO"))["payment"]["id"]
    apis.payments["777"] = mercadopago_payment(payment)
    await notify(paying, "777")
    apis.status = 500
    with pytest.raises(Unavailable):
        await paying.handle_webhooks()
    apis.status = None

    await paying.handle_webhooks()

    assert await paying.credits(company) == 5099


async def test_the_body_is_not_signed_and_decides_nothing(
    paying: Billing, apis: PaymentApis, company: Company
) -> None:
    """Whoever has one signature could otherwise make a later message look like a known one."""
    payment = (await paying.top_up(company, 5099, provider="MERCADOPAGO"))["payment"]["id"]
    apis.payments["777"] = mercadopago_payment(payment, status="pending")
    apis.payments["888"] = mercadopago_payment(payment)
    await notify(paying, "777", request_id="old", number=2)
    await notify(paying, "888", request_id="new", number=2)
    await paying.handle_webhooks()

    assert await paying.credits(company) == 5099


@pytest.mark.parametrize("unit", [1, 1000])
async def test_the_time_of_signing_may_be_in_seconds_or_milliseconds(
    paying: Billing, unit: int
) -> None:
    sent_at = int(paying.clock.now.timestamp()) * unit
    headers = {"x-signature": sign("777", "r", sent_at), "x-request-id": "r"}
    body = b'{"type": "payment", "data": {"id": "777"}}'

    stale = await _later(paying, 301, body, headers)
    fresh = await _later(paying, -301 + 300, body, headers)

    assert (stale.status_code, fresh.status_code) == (400, 204)


async def _later(
    billing: Billing, seconds: int, body: bytes, headers: dict[str, str]
) -> httpx.Response:
    billing.clock.now += dt.timedelta(seconds=seconds)
    return await billing.http.post("/webhooks/mercadopago", content=body, headers=headers)


async def test_in_the_manifest_the_letters_of_an_id_are_small(paying: Billing) -> None:
    sent_at = int(paying.clock.now.timestamp())
    response = await paying.http.post(
        "/webhooks/mercadopago?data.id=ORD01ABC",
        content=b'{"type": "order"}',
        headers={"x-signature": sign("ord01abc", "r", sent_at), "x-request-id": "r"},
    )

    assert response.status_code == 204


async def test_mercadopagos_own_library_agrees_on_signatures(paying: Billing) -> None:
    signature = sign("777", "req-1", int(paying.clock.now.timestamp()))

    WebhookSignatureValidator.validate(signature, "req-1", "777", MERCADOPAGO_SECRET)

    assert (await notify(paying, "777")).status_code == 204


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-signature": "ts=1,v1=00"},
        {"x-signature": "v1=" + "0" * 64},
        {"x-signature": ",,,=,="},
    ],
)
async def test_a_notification_that_was_not_signed_is_refused(
    paying: Billing, headers: dict[str, str]
) -> None:
    response = await paying.http.post(
        "/webhooks/mercadopago?data.id=777", content=b'{"type": "payment"}', headers=headers
    )

    assert response.status_code == 400
    assert await paying.rows("select 1 from webhook_events") == []


async def test_a_provider_that_is_not_set_up_is_refused(
    settings: Settings, company: Company
) -> None:
    webhooks = settings.webhooks.model_copy(update={"mercadopago_secret": None})
    async with start(settings.model_copy(update={"webhooks": webhooks})) as billing:
        error = await billing.error(TOP_UP, asked(company, provider="MERCADOPAGO"), by=company.by())
        response = await billing.http.post("/webhooks/mercadopago", content=b"{}")

    assert (error["code"], error["field"]) == ("BAD_USER_INPUT", "provider")
    assert response.status_code == 404
