"""Deletion requests over REST, with the users subgraph in the gateway or behind it."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request

from gateway.context import RequestContext
from gateway.federation.transport import SubgraphTransport
from gateway.identity import Callers, context_of
from gateway.rest import privacy
from gateway.rest.operations import routes
from gateway.rest.subgraphs import asking
from gateway.transports.http import HttpTransport, SubgraphEndpoint
from gateway.transports.local import LocalTransport
from shared.access import Role
from shared.access_lists import AccessLists
from shared.auth import AccessTokens, ServiceTokens, Signer, Verifier
from shared.config import Settings
from shared.subgraph import Subgraph, serve
from tests.serving import serving
from tests.support.asking import Asked
from tests.support.asking import asking as asking_subgraph

PATHS = ("/api/user/deletion-request", "/api/v1/users/me/deletion-requests")


@dataclass(frozen=True, slots=True)
class Gateway:
    """The gateway's endpoints over the users subgraph."""

    http: httpx.AsyncClient
    users: Asked

    async def sign_up(self) -> dict[str, str]:
        """The headers of a new person."""
        data = await self.users.data(
            "mutation($input: SignUpInput!) { signUp(input: $input) { accessToken } }",
            {
                "input": {
                    "email": f"{uuid.uuid4().hex}@example.org",
                    "password": "correct horse battery",
                    "name": "Ada",
                }
            },
        )
        return {"authorization": f"Bearer {data['signUp']['accessToken']}"}


@pytest.fixture(params=["local", "http"])
async def gateway(request: pytest.FixtureRequest, settings: Settings) -> AsyncIterator[Gateway]:
    """The endpoints, listening; a deletion waits for a day."""
    waiting = settings.privacy.model_copy(update={"deletion_grace_seconds": 86_400})
    settings = settings.model_copy(update={"privacy": waiting})
    async with AsyncExitStack() as stack:
        users = await stack.enter_async_context(asking_subgraph(settings, "users"))
        transport: SubgraphTransport = LocalTransport({"users": users.subgraph.service})
        if request.param == "http":
            transport = await over_http(stack, users.subgraph, settings)
        callers = Callers(tokens(settings), AccessLists(users.redis), no_memberships)

        async def identify(asked: Request) -> RequestContext:
            return await context_of(asked, callers)

        app = Starlette(routes=routes(privacy.operations(asking(lambda: transport), identify)))
        base = await stack.enter_async_context(serving(app))
        client = await stack.enter_async_context(httpx.AsyncClient(base_url=base, timeout=20))
        yield Gateway(client, users)


async def no_memberships(_: str) -> dict[str, Role]:
    """Nobody is a member of anything here."""
    return {}


def tokens(settings: Settings) -> AccessTokens:
    """What the gateway verifies callers with."""
    keys = settings.auth.verification_keys
    assert keys is not None
    verifier = Verifier(keys.get_secret_value())
    return AccessTokens(issuer="nexus", ttl_seconds=3600, signer=None, verifier=verifier)


async def over_http(stack: AsyncExitStack, subgraph: Subgraph, settings: Settings) -> HttpTransport:
    """A transport to the subgraph as a server of its own."""
    auth = settings.service_auth
    assert auth.signing_key is not None
    assert auth.verification_keys is not None
    signing = ServiceTokens(ttl_seconds=60, signer=Signer(auth.signing_key.get_secret_value()))
    verifier = Verifier(auth.verification_keys.get_secret_value())
    verifying = ServiceTokens(ttl_seconds=60, verifier=verifier)
    app = serve(subgraph, settings, verifying, draining=asyncio.Event())
    url = await stack.enter_async_context(serving(app))
    transport = HttpTransport(
        {"users": SubgraphEndpoint(f"{url}/graphql")},
        lambda context, name: {
            "authorization": f"Bearer {signing.sign(context.identity, subgraph=name)}"
        },
    )
    stack.push_async_callback(transport.close)
    return transport


@pytest.mark.parametrize("path", PATHS)
async def test_a_request_is_accepted_shown_and_cancelled(gateway: Gateway, path: str) -> None:
    ada = await gateway.sign_up()
    accepted = await gateway.http.post(path, headers=ada)
    assert accepted.status_code == 202
    assert accepted.headers["cache-control"] == "no-store"
    made = accepted.json()
    assert set(made) == {"id", "status", "requestedAt", "startsAt", "endedAt"}
    assert (made["status"], made["endedAt"]) == ("pending", None)
    location = urlsplit(accepted.headers["location"])
    assert location.path == f"{path}/{made['id']}"
    again = await gateway.http.post(path, headers=ada)
    assert (again.status_code, again.json()) == (202, made)
    shown = await gateway.http.get(f"{path}/{made['id']}", headers=ada)
    assert (shown.status_code, shown.json()) == (200, made)
    cancelled = await gateway.http.delete(f"{path}/{made['id']}", headers=ada)
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
    assert (await gateway.http.delete(f"{path}/{made['id']}", headers=ada)).status_code == 200


async def test_the_location_is_good_without_a_token_or_with_one_that_has_ended(
    gateway: Gateway,
) -> None:
    ada = await gateway.sign_up()
    location = (await gateway.http.post(PATHS[0], headers=ada)).headers["location"]
    assert (await gateway.http.get(location)).json()["status"] == "pending"
    ended = {"authorization": "Bearer x.y.z"}
    assert (await gateway.http.get(location, headers=ended)).status_code == 200
    forged = await gateway.http.get(location[:-1] + ("0" if location[-1] != "0" else "1"))
    assert (forged.status_code, forged.json()["code"]) == (401, "UNAUTHENTICATED")


async def test_what_has_started_is_a_conflict(gateway: Gateway) -> None:
    ada = await gateway.sign_up()
    made = (await gateway.http.post(PATHS[0], headers=ada)).json()
    await gateway.users.sql("update deletion_requests set status = 'started'")
    answer = await gateway.http.delete(f"{PATHS[0]}/{made['id']}", headers=ada)
    assert (answer.status_code, answer.json()["code"]) == (409, "CONFLICT")
    assert answer.headers["content-type"] == "application/problem+json"


async def test_another_persons_request_is_as_unknown_as_none(gateway: Gateway) -> None:
    ada, eve = await gateway.sign_up(), await gateway.sign_up()
    made = (await gateway.http.post(PATHS[0], headers=ada)).json()
    for method in ("GET", "DELETE"):
        answers = [
            await gateway.http.request(method, f"{PATHS[0]}/{id_}", headers=eve)
            for id_ in (made["id"], str(uuid.uuid4()), "x", "%00", "a" * 5000)
        ]
        assert {answer.status_code for answer in answers} == {404}
        assert len({answer.content for answer in answers}) == 1
    shown = await gateway.http.get(f"{PATHS[0]}/{made['id']}", headers=ada)
    assert shown.json()["status"] == "pending"


async def test_a_stranger_asks_shows_and_cancels_nothing(gateway: Gateway) -> None:
    ada = await gateway.sign_up()
    made = (await gateway.http.post(PATHS[0], headers=ada)).json()
    one = f"{PATHS[0]}/{made['id']}"
    for method, path in (("POST", PATHS[0]), ("GET", one), ("DELETE", one)):
        for headers in ({}, {"authorization": "Bearer x"}, {"authorization": "Basic eDp5"}):
            answer = await gateway.http.request(method, path, headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (401, "UNAUTHENTICATED")


async def test_a_session_that_was_ended_is_refused(gateway: Gateway) -> None:
    ada = await gateway.sign_up()
    await gateway.users.redis.flushall()
    assert (await gateway.http.post(PATHS[0], headers=ada)).status_code == 401


async def test_other_methods_are_refused(gateway: Gateway) -> None:
    answer = await gateway.http.get(PATHS[0])
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    answer = await gateway.http.post(f"{PATHS[0]}/x")
    assert answer.status_code == 405
    assert set(answer.headers["allow"].split(", ")) == {"GET", "DELETE"}
