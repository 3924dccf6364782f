"""A subgraph that runs as a service believes only calls that the gateway signed for it."""

from __future__ import annotations

import httpx
import pytest
import pytest_asyncio

from shared.auth import ANONYMOUS, GATEWAY, Identity, ServiceTokens, Signer, generate_keys
from shared.config import SUBGRAPHS
from tests.e2e.conftest import Start
from tests.e2e.people import create_organization, sign_up
from tests.support.nexus import Nexus

QUESTION = {"query": "{ __typename }"}


@pytest_asyncio.fixture(loop_scope="session")
async def services(start: Start) -> Nexus:
    """The application as services."""
    return await start("services")


def _signed(nexus: Nexus, identity: Identity, *, subgraph: str) -> dict[str, str]:
    key = nexus.settings.service_auth.signing_key
    assert key is not None
    tokens = ServiceTokens(ttl_seconds=60, signer=Signer(key.get_secret_value()))
    return {"authorization": f"Bearer {tokens.sign(identity, subgraph=subgraph)}"}


@pytest.mark.parametrize("name", SUBGRAPHS)
async def test_only_the_gateways_signature_for_this_subgraph_opens_it(
    services: Nexus, name: str
) -> None:
    ada = await sign_up(services, "Ada")
    stranger = ServiceTokens(ttl_seconds=60, signer=Signer(generate_keys()[0]))
    another = next(each for each in SUBGRAPHS if each != name)
    refused: tuple[dict[str, str], ...] = (
        {},
        {"authorization": f"Bearer {ada.token}"},
        {"authorization": f"Bearer {stranger.sign(GATEWAY, subgraph=name)}"},
        _signed(services, GATEWAY, subgraph=another),
        {"authorization": "Bearer x.y.z"},
    )
    async with httpx.AsyncClient() as client:
        for headers in refused:
            response = await client.post(services.subgraphs[name], json=QUESTION, headers=headers)
            assert response.status_code == 401, headers
            assert response.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
        headers = _signed(services, ANONYMOUS, subgraph=name)
        response = await client.post(services.subgraphs[name], json=QUESTION, headers=headers)
    assert response.json() == {"data": {"__typename": "Query"}}


async def test_what_is_the_gateways_alone_is_refused_to_users_even_when_signed(
    services: Nexus,
) -> None:
    ada = await sign_up(services, "Ada")
    await create_organization(ada)
    query = {"query": f'{{ accessOf(userId: "{ada.id}") {{ role }} }}'}
    async with httpx.AsyncClient() as client:
        as_user = await client.post(
            services.subgraphs["orgs"],
            json=query,
            headers=_signed(services, Identity(user_id=ada.id), subgraph="orgs"),
        )
        as_gateway = await client.post(
            services.subgraphs["orgs"],
            json=query,
            headers=_signed(services, GATEWAY, subgraph="orgs"),
        )
    assert as_user.json()["errors"][0]["extensions"]["code"] == "FORBIDDEN"
    assert as_gateway.json() == {"data": {"accessOf": [{"role": "OWNER"}]}}
