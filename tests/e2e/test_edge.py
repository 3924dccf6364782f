"""The public edge: protocols, refused callers, headers, health, metrics, explanations."""

from __future__ import annotations

import hashlib
import json
import re
import time
import uuid
from typing import Any

import jwt
import pytest_asyncio

from gateway.explain import sign
from shared.auth import Identity, ServiceTokens, Signer, generate_keys
from shared.config import Settings
from tests.clients import node, npm_packages
from tests.e2e.conftest import Start
from tests.e2e.people import create_organization, sign_up
from tests.hostile import HOSTILE
from tests.support.nexus import Nexus, running

GRAPHQL = "application/graphql-response+json"


@pytest_asyncio.fixture(loop_scope="session")
async def monolith(start: Start) -> Nexus:
    """The running application, where the mode makes no difference."""
    return await start("monolith")


@pytest_asyncio.fixture(loop_scope="session")
async def services(start: Start) -> Nexus:
    """The running application with its subgraphs as services."""
    return await start("services")


async def test_the_published_audit_passes_on_the_gateway_and_on_every_subgraph(
    services: Nexus,
) -> None:
    await npm_packages()
    key = services.settings.service_auth.signing_key
    assert key is not None
    tokens = ServiceTokens(ttl_seconds=60, signer=Signer(key.get_secret_value()))
    targets = {f"{services.url}/graphql": "{}"}
    for name, url in services.subgraphs.items():
        token = tokens.sign(Identity(), subgraph=name)
        targets[url] = json.dumps({"authorization": f"Bearer {token}"})
    for url, headers in targets.items():
        results = await node("audit.mjs", url, headers)
        assert len(results) == 61
        assert [result for result in results if result["status"] != "ok"] == [], url


async def test_a_subgraph_refuses_a_call_that_the_gateway_did_not_sign(services: Nexus) -> None:
    private, _ = generate_keys()
    forged = ServiceTokens(ttl_seconds=60, signer=Signer(private))
    for name, url in services.subgraphs.items():
        token = forged.sign(Identity(), subgraph=name)
        for headers in ({}, {"authorization": f"Bearer {token}"}):
            body = {"query": "{ __typename }"}
            response = await services.client.post(url, json=body, headers=headers)
            assert response.status_code == 401
            assert response.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


async def test_a_token_that_is_not_good_is_refused(nexus: Nexus) -> None:
    ada = await sign_up(nexus, "Ada")
    private, _ = generate_keys()
    claims = jwt.decode(ada.token, options={"verify_signature": False})
    forged = Signer(private).sign(claims)
    unsigned = jwt.encode(claims, "", algorithm="none")
    key = nexus.settings.auth.signing_key
    assert key is not None
    past = {**claims, "exp": int(time.time()) - 1}
    expired = Signer(key.get_secret_value()).sign(past)
    unknown = Signer(key.get_secret_value()).sign({**claims, "sid": "nobody"})
    for authorization in (
        f"Bearer {forged}",
        f"Bearer {unsigned}",
        f"Bearer {expired}",
        f"Bearer {unknown}",
        "Bearer nonsense",
        "Bearer",
        "Basic YWRhOmFkYQ==",
    ):
        response = await nexus.client.post(
            "/graphql",
            json={"query": "{ me { id } }"},
            headers={"authorization": authorization, "accept": GRAPHQL},
        )
        assert response.status_code == 401, authorization
        assert response.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
        assert "data" not in response.json()


async def test_a_session_that_was_ended_lets_nobody_in(nexus: Nexus) -> None:
    ada = await sign_up(nexus, "Ada")
    assert (await ada.data("{ me { id } }"))["me"]["id"] == ada.id
    await ada.data("mutation { logOut { __typename } }")
    answer = await ada.graphql("{ me { id } }")
    assert answer["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


async def test_what_a_token_may_see_is_what_orgs_says_now(nexus: Nexus) -> None:
    ada = await sign_up(nexus, "Ada")
    assert (await ada.data("{ me { memberships(first: 9) { edges { cursor } } } }"))["me"][
        "memberships"
    ]["edges"] == []
    organization = await create_organization(ada)
    found = await ada.data(
        "query($id: ID!) { organization(id: $id) { name creditBalance { amount } } }",
        {"id": organization},
    )
    assert found["organization"] == {"name": "Lumen", "creditBalance": {"amount": 0}}


async def test_a_socket_is_refused_without_a_good_token_and_serves_with_one(nexus: Nexus) -> None:
    await npm_packages()
    ada = await sign_up(nexus, "Ada")
    url = nexus.url.replace("http", "ws") + "/graphql"
    requests = json.dumps([{"query": "{ me { name } }"}])
    (answer,) = await node(
        "graphql_ws.mjs", url, requests, json.dumps({"authorization": f"Bearer {ada.token}"})
    )
    assert answer == {"results": [{"data": {"me": {"name": "Ada"}}}]}
    (refused,) = await node(
        "graphql_ws.mjs", url, requests, json.dumps({"authorization": "Bearer nonsense"})
    )
    assert refused["error"] == {"code": 4403}


async def test_every_response_is_careful_and_can_be_found_again(monolith: Nexus) -> None:
    response = await monolith.client.post(
        "/graphql", json={"query": "{ plans { name } }"}, headers={"x-request-id": "abc-1"}
    )
    assert response.status_code == 200
    assert response.headers["x-request-id"] == "abc-1"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["cache-control"] == "no-store"
    assert "max-age" in response.headers["strict-transport-security"]
    other = await monolith.client.get("/health/live", headers={"x-request-id": "<script>"})
    assert re.fullmatch("[0-9a-f]{32}", other.headers["x-request-id"])


async def test_only_the_origins_that_are_allowed_read_answers(settings: Settings) -> None:
    section = {**settings.http.model_dump(), "allowed_origins": ("https://app.example",)}
    values = {name: getattr(settings, name) for name in Settings.model_fields}
    async with running(Settings(**{**values, "http": section}), "monolith") as nexus:
        for origin, allowed in (("https://app.example", True), ("https://evil.example", False)):
            preflight = await nexus.client.options(
                "/graphql",
                headers={
                    "origin": origin,
                    "access-control-request-method": "POST",
                    "access-control-request-headers": "content-type,authorization",
                },
            )
            assert (preflight.status_code == 200) is allowed
            answer = await nexus.client.post(
                "/graphql", json={"query": "{ __typename }"}, headers={"origin": origin}
            )
            assert answer.headers.get("access-control-allow-origin") == (
                origin if allowed else None
            )


async def test_the_process_says_whether_it_is_ready(nexus: Nexus) -> None:
    live = await nexus.client.get("/health/live")
    assert (live.status_code, live.json()) == (200, {"status": "ok"})
    ready = await nexus.client.get("/health/ready")
    assert ready.status_code == 200
    assert ready.json()["checks"]["redis"] == "ok"


async def test_metrics_name_routes_and_operations_and_no_more(monolith: Nexus) -> None:
    for name in ("Plans", "Plans"):
        await monolith.data(f"query {name} {{ plans {{ name }} }}")
    await monolith.client.get("/nothing/here")
    metrics = (await monolith.client.get("/metrics")).text
    assert re.search(
        r'http_request_duration_seconds_count\{method="POST",operation="Plans",route="/graphql",'
        r'service="gateway",status="200"\} [2-9]',
        metrics,
    )
    assert 'route="unmatched"' in metrics
    assert "nodejs_eventloop_lag_seconds" in metrics
    assert "eventloop_lag_seconds" in metrics
    assert "db_connection_pool_usage" in metrics


async def test_an_answer_is_explained_to_those_who_may_ask(nexus: Nexus) -> None:
    ada = await sign_up(nexus, "Ada")
    organization = await create_organization(ada)
    query = "query($id: ID!) { organization(id: $id) { name creditBalance { amount } } }"
    headers = {"authorization": f"Bearer {ada.token}", "x-nexus-explain": "1"}
    body = {"query": query, "variables": {"id": organization}}
    response = await nexus.client.post("/graphql", json=body, headers=headers)
    explain = response.json()["extensions"]["explain"]
    assert explain["queryPlan"].startswith("QueryPlan {")
    assert [fetch["subgraph"] for fetch in explain["fetches"]] == ["orgs", "billing"]
    assert explain["nulls"] == []


async def test_in_production_only_a_signature_explains(settings: Settings) -> None:
    section = {**settings.graphql.model_dump(), "explain": False}
    values = {name: getattr(settings, name) for name in Settings.model_fields}
    async with running(Settings(**{**values, "graphql": section}), "monolith") as nexus:
        secret = settings.secret_key.get_secret_value()
        for value, explained in (
            ("1", False),
            (sign(secret), True),
            (sign("another secret"), False),
            (sign(secret, now=time.time() - 7_200), False),
        ):
            answer = await nexus.client.post(
                "/graphql",
                json={"query": "{ plans { name } }"},
                headers={"x-nexus-explain": value},
            )
            assert ("extensions" in answer.json()) is explained


async def test_hostile_requests_are_refused_as_in_production(settings: Settings) -> None:
    section = {**settings.graphql.model_dump(), "introspection": False, "explain": False}
    values = {name: getattr(settings, name) for name in Settings.model_fields}
    async with running(Settings(**{**values, "graphql": section}), "monolith") as nexus:
        for hostile in HOSTILE:
            await hostile.refused(nexus.client)
        misspelt = await nexus.graphql("{ plan { nam } mee { id } }")
        assert "errors" in misspelt
        assert "Did you mean" not in json.dumps(misspelt)


async def test_a_document_that_one_process_was_told_another_knows(nexus: Nexus) -> None:
    query = f"query Plans{uuid.uuid4().hex} {{ plans {{ name }} }}"
    digest = hashlib.sha256(query.encode()).hexdigest()
    persisted = {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": digest}}}
    told = await nexus.client.post("/graphql", json={"query": query, **persisted})
    async with running(nexus.settings, nexus.mode) as other:
        asked = await other.client.post("/graphql", json=persisted)
    assert asked.json() == told.json()
    assert asked.json()["data"]["plans"]


async def test_a_large_answer_is_compressed_for_who_accepts_it(monolith: Nexus) -> None:
    query = "{" + " ".join(f"a{n}: plans {{ name description }}" for n in range(20)) + "}"
    body = {"query": query}
    response = await monolith.client.post(
        "/graphql", json=body, headers={"accept-encoding": "gzip"}
    )
    plain = await monolith.client.post("/graphql", json=body, headers={"accept-encoding": "br"})
    assert response.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert response.json() == plain.json()
    assert "errors" not in plain.json()


async def test_a_null_is_explained_by_what_failed(monolith: Nexus) -> None:
    ada = await sign_up(monolith, "Ada")
    answer: dict[str, Any] = (
        await monolith.client.post(
            "/graphql",
            json={"query": '{ user(id: "0198c0de-0000-7000-8000-000000000000") { name } }'},
            headers={"authorization": f"Bearer {ada.token}", "x-nexus-explain": "1"},
        )
    ).json()
    (null,) = answer["extensions"]["explain"]["nulls"]
    assert null["path"] == ["user"]
    assert (null["reason"]["subgraph"], null["reason"]["code"]) == ("users", "NOT_FOUND")
