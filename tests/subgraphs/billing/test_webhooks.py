"""Messages of payment providers: who is believed, and what a message does."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
from typing import Any

import asyncpg
import httpx
import pytest
import stripe
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette

from shared.cache import connect
from shared.config import DatabaseSettings, WebhookSettings
from subgraphs.billing import simulation
from subgraphs.billing.app import create
from subgraphs.billing.payments import RANK, climb
from tests.subgraphs.billing.conftest import Billing, Company, new_id
from tests.support import nexus

PAYMENTS = int(os.environ.get("WEBHOOK_PAYMENTS", "16"))
"""Give 2200 for the long run of some 10 000 deliveries."""

STATUSES = st.sampled_from(list(RANK))


def paid(billing: Billing, payment: str, amount: int, **changes: Any) -> tuple[Any, bytes]:
    """Headers and body of Stripe's message that it has the money."""
    given = {"currency": "EUR", "secret": nexus.STRIPE_SECRET, "now": billing.clock.now, **changes}
    return simulation.paid(payment, amount=amount, **given)


async def stored(billing: Billing) -> list[tuple[str, str | None]]:
    """Status and reason of each stored message."""
    rows = await billing.rows("select status, reason from webhook_events order by id")
    return [(row["status"], row["reason"]) for row in rows]


async def test_a_message_is_stored_once_and_answered_each_time(
    billing: Billing, company: Company
) -> None:
    payment = (await billing.top_up(company))["payment"]["id"]

    answers = [await billing.send_paid(payment, 5000) for _ in range(3)]
    at_once = await asyncio.gather(*(billing.send_paid(payment, 5000) for _ in range(10)))

    assert {answer.status_code for answer in (*answers, *at_once)} == {204}
    assert await stored(billing) == [("received", None)]
    assert len(await billing.rows("select id from pgqueuer")) == 1


async def test_handling_a_message_again_changes_nothing(billing: Billing, company: Company) -> None:
    payment = (await billing.top_up(company))["payment"]["id"]
    await billing.send_paid(payment, 5000)
    [event] = await billing.rows("select id from webhook_events")

    for _ in range(3):
        await billing.tasks.handle_webhook({"event": str(event["id"])})
    await asyncio.gather(
        *(billing.tasks.handle_webhook({"event": str(event["id"])}) for _ in range(5))
    )

    assert await billing.credits(company) == 5000
    assert await stored(billing) == [("applied", None)]


async def test_two_messages_about_one_payment_credit_it_once(
    billing: Billing, company: Company
) -> None:
    payment = (await billing.top_up(company))["payment"]["id"]
    await billing.send_paid(payment, 5000)
    await billing.send(
        "checkout.session.completed",
        {
            "id": "cs_1",
            "payment_status": "paid",
            "payment_intent": f"pi_{payment}",
            "amount_total": 5000,
            "currency": "eur",
            "client_reference_id": payment,
            "metadata": None,
        },
        event_id="evt_session",
    )

    events = await billing.rows("select id from webhook_events")
    await asyncio.gather(
        *(billing.tasks.handle_webhook({"event": str(each["id"])}) for each in events)
    )

    assert await billing.credits(company) == 5000
    await billing.check_books()


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda headers, body: ({}, body), id="no signature"),
        pytest.param(lambda headers, body: (headers, body + b" "), id="another body"),
        pytest.param(lambda headers, body: (headers, b""), id="empty"),
        pytest.param(lambda headers, _: ({"stripe-signature": ""}, b""), id="nothing"),
        pytest.param(
            lambda headers, body: (
                {"stripe-signature": headers["stripe-signature"].replace("v1=", "v0=")},
                body,
            ),
            id="an old scheme",
        ),
        pytest.param(
            lambda headers, body: (
                {"stripe-signature": headers["stripe-signature"].replace("t=", "t=1")},
                body,
            ),
            id="another time",
        ),
        pytest.param(
            lambda headers, body: ({"stripe-signature": "t=abc,v1=é".encode()}, body),
            id="not a header at all",
        ),
        pytest.param(
            lambda headers, body: ({"stripe-signature": "t=" + "9" * 5000 + ",v1=00"}, body),
            id="a very long header",
        ),
    ],
)
async def test_a_message_that_was_not_signed_is_refused_and_not_stored(
    billing: Billing, company: Company, spoil: Any
) -> None:
    payment = (await billing.top_up(company))["payment"]["id"]
    headers, body = spoil(*paid(billing, payment, 5000))

    response = await billing.http.post("/webhooks/stripe", content=body, headers=headers)

    assert response.status_code == 400
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["code"] == "BAD_REQUEST"
    assert await stored(billing) == []


async def test_a_message_signed_with_another_secret_is_refused(billing: Billing) -> None:
    headers, body = paid(billing, new_id(), 5000, secret="whsec_of_somebody_else")

    response = await billing.http.post("/webhooks/stripe", content=body, headers=headers)

    assert response.status_code == 400
    assert await stored(billing) == []


@pytest.mark.parametrize(("seconds", "status"), [(300, 204), (301, 400), (-300, 204), (-301, 400)])
async def test_a_message_is_believed_for_five_minutes(
    billing: Billing, seconds: int, status: int
) -> None:
    headers, body = paid(billing, new_id(), 5000)
    billing.clock.advance(seconds=seconds)

    response = await billing.http.post("/webhooks/stripe", content=body, headers=headers)

    assert response.status_code == status
    assert len(await stored(billing)) == (status == 204)


@pytest.mark.parametrize(
    "body",
    [
        b"not json",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"id": 1, "type": "x", "data": {"object": {}}}',
        b'{"id": "evt_1"}',
        b'{"id": "evt\\u0000", "type": "x", "data": {"object": {}}}',
        b'{"id": "evt_1", "type": "payment_intent.succeeded", "data": []}',
        b'{"id": "evt_1", "type": "payment_intent.succeeded", "data": {"object": null}}',
    ],
)
async def test_a_signed_message_that_says_nothing_is_refused(billing: Billing, body: bytes) -> None:
    headers = simulation.signed(body, secret=nexus.STRIPE_SECRET, now=billing.clock.now)

    response = await billing.http.post("/webhooks/stripe", content=body, headers=headers)

    assert response.status_code == 400
    assert await stored(billing) == []


async def test_a_huge_message_is_refused(billing: Billing) -> None:
    headers, body = paid(billing, new_id(), 1)

    response = await billing.http.post(
        "/webhooks/stripe", content=body + b" " * 300_000, headers=headers
    )

    assert response.status_code == 413


async def test_an_unknown_provider_is_not_found(billing: Billing) -> None:
    assert (await billing.http.post("/webhooks/paypal", content=b"{}")).status_code == 404


async def test_while_the_database_is_down_the_provider_is_asked_to_come_back(
    billing: Billing,
) -> None:
    nowhere = billing.settings.model_copy(
        update={
            "billing": billing.settings.billing.model_copy(
                update={
                    "database_url": type(billing.settings.secret_key)(
                        "postgresql+asyncpg://billing:x@127.0.0.1:1/nexus"
                    )
                }
            ),
            "database": DatabaseSettings(pool_timeout_seconds=1),
        }
    )
    redis = connect(nowhere.redis)
    subgraph = create(nowhere, redis, clock=billing.clock)
    app = httpx.ASGITransport(Starlette(routes=list(subgraph.routes)))
    headers, body = paid(billing, new_id(), 5000)
    async with httpx.AsyncClient(transport=app, base_url="http://billing") as http:
        response = await http.post("/webhooks/stripe", content=body, headers=headers)
    await subgraph.close()
    await redis.aclose()

    assert response.status_code == 503
    assert response.json()["code"] == "UNAVAILABLE"


async def test_when_connections_are_lost_the_provider_is_asked_to_come_back(
    billing: Billing,
) -> None:
    headers, body = paid(billing, new_id(), 5000)
    await billing.http.post("/webhooks/stripe", content=body, headers=headers)
    admin = await asyncpg.connect(_plain_url(billing))
    await admin.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where datname = current_database() and pid <> pg_backend_pid()"
    )
    await admin.close()
    answers = []
    for _ in range(2):
        headers, body = paid(billing, new_id(), 5000)
        answer = await billing.http.post("/webhooks/stripe", content=body, headers=headers)
        answers.append(answer.status_code)

    assert answers == [503, 204]


def _plain_url(billing: Billing) -> str:
    url = billing.settings.database.admin_url
    assert url is not None
    return url.get_secret_value().replace("+asyncpg", "")


async def test_while_a_secret_is_replaced_both_are_good(billing: Billing) -> None:
    both = WebhookSettings.model_validate({"stripe_secret": "whsec_old\nwhsec_new"})
    settings = billing.settings.model_copy(update={"webhooks": both})
    redis = connect(settings.redis)
    subgraph = create(settings, redis, clock=billing.clock)
    app = httpx.ASGITransport(Starlette(routes=list(subgraph.routes)))
    statuses = []
    async with httpx.AsyncClient(transport=app, base_url="http://billing") as http:
        for secret in ("whsec_old", "whsec_new", nexus.STRIPE_SECRET):
            headers, body = paid(billing, new_id(), 5000, secret=secret)
            answer = await http.post("/webhooks/stripe", content=body, headers=headers)
            statuses.append(answer.status_code)
    await subgraph.close()
    await redis.aclose()

    assert statuses == [204, 204, 400]


async def test_stripes_own_library_agrees_on_signatures(billing: Billing) -> None:
    body = b'{"id": "evt_1", "type": "x.y", "object": "event", "data": {"object": {"id": "x"}}}'
    now = int(billing.clock.now.timestamp())
    theirs = stripe.WebhookSignature._compute_signature(
        f"{now}.{body.decode()}", nexus.STRIPE_SECRET
    )
    ours = simulation.signed(body, secret=nexus.STRIPE_SECRET, now=billing.clock.now)

    response = await billing.http.post(
        "/webhooks/stripe",
        content=body,
        headers={"stripe-signature": f"t={now},v1=00ff,v1={theirs},v0=abc"},
    )

    assert response.status_code == 204
    assert stripe.WebhookSignature.verify_header(
        body.decode(), ours["stripe-signature"], nexus.STRIPE_SECRET
    )


async def test_money_that_comes_twice_for_one_payment_waits_for_a_person(
    billing: Billing, company: Company
) -> None:
    payment = (await billing.top_up(company, 5000))["payment"]["id"]
    about = {"amount_received": 5000, "currency": "eur", "metadata": {"payment_id": payment}}
    for money in ("pi_1", "pi_2"):
        event_id = f"evt_{money}"
        await billing.send("payment_intent.succeeded", {"id": money, **about}, event_id=event_id)
    await billing.handle_webhooks()

    assert await stored(billing) == [("applied", None), ("quarantined", "paid_twice")]
    assert await billing.credits(company) == 5000


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"amount_received": 4999}, "amount_mismatch"),
        ({"amount_received": 5001}, "amount_mismatch"),
        ({"currency": "usd"}, "amount_mismatch"),
        ({"amount_received": None}, "no_amount"),
        ({"amount_received": True}, "no_amount"),
        ({"amount_received": "5000"}, "no_amount"),
        ({"metadata": {"payment_id": "00000000-0000-0000-0000-000000000001"}}, "unknown_payment"),
        ({"metadata": {"payment_id": "?"}}, "unknown_payment"),
        ({"metadata": {}}, "unknown_payment"),
        ({"metadata": None}, "unknown_payment"),
        ({"metadata": ["?"]}, "unknown_payment"),
    ],
)
async def test_a_message_that_does_not_fit_waits_for_a_person(
    billing: Billing, company: Company, changes: dict[str, Any], reason: str
) -> None:
    payment = (await billing.top_up(company, 5000))["payment"]["id"]
    about = {
        "id": "pi_1",
        "amount_received": 5000,
        "currency": "eur",
        "metadata": {"payment_id": payment},
        **changes,
    }

    response = await billing.send("payment_intent.succeeded", about, event_id="evt_1")
    await billing.handle_webhooks()

    assert response.status_code == 204
    assert await stored(billing) == [("quarantined", reason)]
    assert await billing.credits(company) == 0


async def test_money_that_goes_back_waits_for_a_person(billing: Billing) -> None:
    await billing.send("charge.refunded", {"id": "ch_1"}, event_id="evt_1")
    await billing.send("charge.dispute.created", {"id": "dp_1"}, event_id="evt_2")
    await billing.handle_webhooks()

    assert await stored(billing) == [("quarantined", "money_went_back")] * 2


async def test_what_is_none_of_our_business_is_ignored(billing: Billing) -> None:
    await billing.send("customer.created", {"id": "cus_1"}, event_id="evt_1")
    await billing.handle_webhooks()

    assert await stored(billing) == [("ignored", None)]


async def test_a_session_that_is_complete_but_not_paid_brings_nothing(
    billing: Billing, company: Company
) -> None:
    payment = (await billing.top_up(company, 5000))["payment"]["id"]
    about = {
        "id": "cs_1",
        "payment_status": "unpaid",
        "amount_total": 5000,
        "currency": "eur",
        "client_reference_id": payment,
    }
    await billing.send("checkout.session.completed", about, event_id="evt_1")
    await billing.handle_webhooks()

    assert await billing.credits(company) == 0


async def test_money_for_a_voided_invoice_is_credited_all_the_same(
    billing: Billing, company: Company
) -> None:
    payload = await billing.top_up(company, 5000)
    await billing.void(company, payload["invoice"]["id"])
    await billing.send_paid(payload["payment"]["id"], 5000)
    await billing.handle_webhooks()

    account = await billing.account(company)
    assert account["creditBalance"]["amount"] == 5000
    assert account["invoices"]["edges"][0]["node"]["status"] == "VOID"


async def test_a_payment_of_another_provider_is_unknown(billing: Billing, company: Company) -> None:
    payment = (await billing.top_up(company, 5000, provider="MERCADOPAGO"))["payment"]["id"]
    await billing.send_paid(payment, 5000)
    await billing.handle_webhooks()

    assert await stored(billing) == [("quarantined", "unknown_payment")]
    assert await billing.credits(company) == 0


async def test_messages_in_any_order_any_number_of_times_end_the_same(billing: Billing) -> None:
    chosen = random.Random(7)  # noqa: S311 - a shuffle that can be repeated
    kinds = ["payment_intent.payment_failed", "payment_intent.canceled", "payment_intent.succeeded"]
    stories = itertools.islice(itertools.cycle(itertools.product([0, 1], repeat=3)), PAYMENTS)
    expected: dict[str, str] = {}
    deliveries: list[tuple[str, dict[str, Any], str]] = []
    for story in stories:
        payment = (await billing.top_up(Company(), 5000))["payment"]["id"]
        reached = ["pending", *itertools.compress(["failed", "canceled", "succeeded"], story)]
        expected[payment] = reached[-1]
        for kind in itertools.compress(kinds, story):
            about = {
                "id": f"pi_{payment}",
                "amount_received": 5000,
                "currency": "eur",
                "metadata": {"payment_id": payment},
            }
            times = chosen.randrange(1, 6)
            deliveries += [(kind, about, f"evt_{kind}_{payment}")] * times
    chosen.shuffle(deliveries)

    for first in range(0, len(deliveries), 20):
        await asyncio.gather(
            *(
                billing.send(kind, about, event_id=event_id)
                for kind, about, event_id in deliveries[first : first + 20]
            ),
            billing.handle_webhooks(),
        )
    await asyncio.gather(billing.handle_webhooks(), billing.handle_webhooks())

    rows = await billing.rows(
        "select p.id, p.status, c.balance from payments p"
        " join ledger_accounts c on c.owner_id = p.organization_id"
    )
    assert {str(row["id"]): row["status"] for row in rows} == expected
    assert all(row["balance"] == 5000 * (row["status"] == "succeeded") for row in rows)
    await billing.check_books()


@given(st.lists(STATUSES), st.randoms())
def test_a_payment_ends_the_same_whatever_the_order_of_reports(
    reports: list[str], chosen: random.Random
) -> None:
    def outcome(order: list[str]) -> str:
        status = "pending"
        for reported in order:
            climbed = climb(status, reported)
            assert RANK[climbed] >= RANK[status]
            status = climbed
        return status

    shuffled = reports + chosen.choices(reports, k=3) if reports else []
    chosen.shuffle(shuffled)

    assert outcome(reports) == outcome(shuffled)


async def test_what_no_job_has_handled_is_enqueued_again(
    billing: Billing, company: Company
) -> None:
    payment = (await billing.top_up(company))["payment"]["id"]
    await billing.send_paid(payment, 5000)
    async with billing.database.write() as session:
        await (await session.connection()).exec_driver_sql("delete from pgqueuer")

    await billing.tasks.sweep_webhooks()
    assert await billing.rows("select id from pgqueuer") == []
    billing.clock.advance(minutes=2)
    await billing.tasks.sweep_webhooks()
    await billing.tasks.sweep_webhooks()

    assert len(await billing.rows("select id from pgqueuer")) == 1


async def test_what_could_not_be_handled_for_days_is_left_to_a_person(
    billing: Billing, company: Company
) -> None:
    payment = (await billing.top_up(company))["payment"]["id"]
    await billing.send_paid(payment, 5000)
    billing.clock.advance(days=3, minutes=1)
    await billing.tasks.sweep_webhooks()

    assert await stored(billing) == [("quarantined", "gave_up")]


async def test_a_message_that_waited_for_a_person_can_be_handled_again(
    billing: Billing, company: Company
) -> None:
    payment = (await billing.top_up(company))["payment"]["id"]
    await billing.send_paid(payment, 5000)
    billing.clock.advance(days=4)
    await billing.tasks.sweep_webhooks()
    [event] = await billing.rows("select id from webhook_events")

    await billing.tasks.handle_webhook({"event": str(event["id"])})

    assert await stored(billing) == [("applied", None)]
    assert await billing.credits(company) == 5000


async def test_old_messages_are_emptied_and_still_known(billing: Billing, company: Company) -> None:
    payment = (await billing.top_up(company))["payment"]["id"]
    await billing.send_paid(payment, 5000)
    await billing.handle_webhooks()
    billing.clock.advance(days=91)
    await billing.tasks.forget()

    [row] = await billing.rows("select body, status from webhook_events")
    assert row == {"body": "", "status": "applied"}
    await billing.send_paid(payment, 5000)
    assert len(await stored(billing)) == 1
