"""The product's gateway on a supergraph that an address gives, while it changes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import httpx
import pytest
import structlog
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from gateway.app import create
from shared.config import ConfigurationError, Settings
from tests.e2e.conftest import Start
from tests.e2e.people import buy_credits, create_organization, eventually, sign_up
from tests.e2e.test_subscriptions import over_sse
from tests.serving import serving
from tests.support.nexus import ROOT, Nexus

SDL = (ROOT / "supergraph.graphql").read_text()
SMALLER = SDL.replace("plans: [Plan!] @join__field", "plans: [Plan!] @inaccessible @join__field")
PROTECTED = (
    SDL.replace(
        "schema @link", 'schema @link(url: "https://specs.apollo.dev/policy/v0.1") @link', 1
    ).replace(
        "plans: [Plan!] @join__field", 'plans: [Plan!] @policy(policies: [["a"]]) @join__field'
    )
    + "directive @policy(policies: [[policy__Policy!]!]!) on FIELD_DEFINITION\n"
    + "scalar policy__Policy\n"
)
PLANS = "{ plans { name } }"


@dataclass
class Registry:
    """Gives a supergraph with its tag."""

    sdl: str = SDL
    asked: int = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked += 1
        tag = f'"{sha256(self.sdl.encode()).hexdigest()}"'
        known = Request(scope).headers.get("if-none-match") == tag
        response = Response(status_code=304) if known else PlainTextResponse(self.sdl)
        response.headers["etag"] = tag
        await response(scope, receive, send)


@asynccontextmanager
async def gateway(settings: Settings) -> AsyncIterator[Nexus]:
    """Another gateway over the subgraphs that run."""
    # It reads the address before it returns, and who gives it may run in this loop.
    app = await asyncio.to_thread(create, settings)
    async with (
        serving(app) as url,
        httpx.AsyncClient(base_url=url, timeout=30) as client,
    ):
        yield Nexus("services", url, client, settings)


async def health(nexus: Nexus) -> dict[str, object]:
    answer: dict[str, object] = (await nexus.client.get("/health/ready")).json()
    return answer


async def test_the_gateway_follows_the_supergraph_at_an_address(start: Start) -> None:
    services = await start("services")
    registry = Registry()
    async with serving(registry, lifespan="off") as address:
        settings = services.settings.model_copy(
            update={"supergraph": address, "supergraph_interval_seconds": 0.02}
        )
        async with gateway(settings) as nexus:
            ada = await sign_up(nexus, "Ada")
            organization = await create_organization(ada)
            variables = {"id": organization}
            async with over_sse(ada, variables) as events:
                assert "errors" not in await nexus.graphql(PLANS)

                registry.sdl = SMALLER
                await eventually(lambda: nexus.graphql(PLANS), lambda answer: "data" not in answer)

                registry.sdl = "type Query { broken"
                told = await eventually(
                    lambda: health(nexus), lambda answer: answer["supergraph"] == "refused"
                )
                assert told["status"] == "degraded"
                assert "data" not in await nexus.graphql(PLANS)
                metrics = (await nexus.client.get("/metrics")).text
                assert "supergraph_refused 1.0" in metrics

                registry.sdl = SDL
                await eventually(lambda: nexus.graphql(PLANS), lambda answer: "data" in answer)
                assert (await health(nexus))["supergraph"] == "ok"

                # Opened on the first of these supergraphs.
                await buy_credits(ada, organization, 500)
                event = await anext(events)
                assert event["data"]["invoiceUpdated"]["organization"]["slug"]


async def test_an_address_that_gives_no_supergraph_stops_the_start(start: Start) -> None:
    services = await start("services")
    async with serving(Registry(sdl="type Query { a: Int }"), lifespan="off") as address:
        for location in (address, "http://127.0.0.1:1/supergraph"):
            settings = services.settings.model_copy(update={"supergraph": location})
            with pytest.raises(ConfigurationError, match=r"compose it first|cannot read"):
                await asyncio.to_thread(create, settings)


async def test_a_policy_that_nobody_here_decides_on_is_refused_and_warned_of(
    start: Start, tmp_path: Path
) -> None:
    services = await start("services")
    path = tmp_path / "supergraph.graphql"
    path.write_text(PROTECTED)
    with structlog.testing.capture_logs() as logs:
        async with gateway(services.settings.model_copy(update={"supergraph": str(path)})) as nexus:
            answer = await nexus.graphql(PLANS)
    (warning,) = [one for one in logs if one["event"] == "authorization.granted_to_nobody"]
    assert (warning["directives"], warning["such_as"]) == (["@policy"], ["Query.plans"])
    assert answer["data"] == {"plans": None}
    (error,) = answer["errors"]
    assert error["extensions"]["code"] == "UNAUTHORIZED_FIELD_OR_TYPE"


async def test_a_gateway_stays_ready_when_a_subgraph_is_gone(start: Start) -> None:
    services = await start("services")
    storage = services.settings.storage.model_copy(update={"url": "http://127.0.0.1:1/graphql"})
    async with gateway(services.settings.model_copy(update={"storage": storage})) as nexus:
        ready = await nexus.client.get("/health/ready")
    assert ready.status_code == 200
    assert ready.json() == {
        "status": "degraded",
        "checks": {"redis": "ok"},
        "supergraph": "ok",
        "subgraphs": {
            "billing": "ok",
            "orgs": "ok",
            "storage": "DOWNSTREAM_SERVICE_ERROR",
            "users": "ok",
        },
    }
