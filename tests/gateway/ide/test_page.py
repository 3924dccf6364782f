"""The page that a browser gets at the endpoint, in a real browser, without a network."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress

import httpx
import pytest
from playwright.async_api import expect
from starlette.applications import Starlette
from starlette.routing import Route, WebSocketRoute

from cli.ide import build
from gateway.ide import IdePage, asset_route
from shared.config import Settings
from shared.protocols.endpoint import GraphQLEndpoint
from shared.protocols.http import GraphQLHTTP
from shared.protocols.websocket import GraphQLWebSocket
from tests.e2e.people import PASSWORD, sign_up
from tests.serving import serving
from tests.shared.protocols.counting import Counting, name_of
from tests.support import browser
from tests.support.nexus import running


@pytest.fixture(scope="module", autouse=True)
def assets() -> None:
    build()


@pytest.fixture
async def address() -> AsyncIterator[str]:
    service = Counting()
    endpoint = IdePage(
        GraphQLEndpoint(
            http=GraphQLHTTP(service, name_of), websocket=GraphQLWebSocket(service, name_of)
        )
    )
    routes = [Route("/graphql", endpoint), WebSocketRoute("/graphql", endpoint), asset_route()]
    async with serving(Starlette(routes=routes), lifespan="off") as address:
        yield address


async def test_a_browser_asks_and_subscribes_without_leaving_the_origin(address: str) -> None:
    async with browser.page() as page:
        requested: list[str] = []
        wrong: list[str] = []
        page.on("request", lambda request: requested.append(request.url))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on(
            "console",
            lambda message: wrong.append(message.text) if message.type == "error" else None,
        )
        await page.goto(f"{address}/graphql")
        answer = page.locator(".graphiql-response .view-lines")
        await expect(page.get_by_role("tab", name="Dashboard")).to_be_visible()
        await expect(page.get_by_role("tab", name="InvoiceUpdated")).to_be_visible()

        await browser.ask(page, "Greet", 'query Greet { hello(name: "browser") }')
        await expect(answer).to_contain_text("hello browser")
        await browser.ask(page, "Watch", "subscription Watch { count(to: 3) }")
        await expect(answer).to_contain_text('"count": 3')

        assert [url for url in requested if not url.startswith((address, "blob:", "data:"))] == []
        assert wrong == []


async def test_only_a_browser_gets_the_page(address: str) -> None:
    async with httpx.AsyncClient() as client:
        page = await client.get(f"{address}/graphql", headers={"Accept": "text/html"})
        query = await client.get(f"{address}/graphql?query={{hello}}", headers={"Accept": "*/*"})
        posted = await client.post(f"{address}/graphql", json={"query": "{ hello }"})
    assert page.headers["content-type"].startswith("text/html")
    assert "script-src 'self'" in page.headers["content-security-policy"]
    assert query.json() == posted.json() == {"data": {"hello": "hello world"}}


async def test_after_logging_in_the_example_query_is_answered(settings: Settings) -> None:
    shown = settings.graphql.model_copy(update={"ide": True})
    served = settings.model_copy(update={"graphql": shown})
    async with running(served, "monolith") as nexus, browser.page() as page:
        person = await sign_up(nexus, "Grace")
        await page.goto(f"{nexus.url}/graphql")
        answer = page.locator(".graphiql-response .view-lines")
        given = f'email: "{person.email}", password: "{PASSWORD}"'
        log_in = f"mutation Enter {{ logIn(input: {{ {given} }}) {{ accessToken }} }}"
        await browser.ask(page, "Enter", log_in)
        await expect(answer).to_contain_text("accessToken")

        await page.get_by_role("tab", name="Dashboard").click()
        await expect(page.locator(".graphiql-query-editor .view-lines")).to_contain_text("me {")
        # GraphiQL learns the new operation's name a moment after the text has changed.
        for _ in range(5):
            await page.get_by_label("Execute query").click()
            with suppress(AssertionError):
                await expect(answer).to_contain_text(person.email, timeout=3_000)
                break
        await expect(answer).to_contain_text(person.email)
        await expect(answer).not_to_contain_text("errors")

        await page.get_by_role("button", name="How it was answered").click()
        shown_plan = page.get_by_label("How it was answered", exact=True).last
        await expect(shown_plan).to_contain_text('Fetch(service: "orgs")')
        await expect(shown_plan).to_contain_text(" ms")
        await expect(answer).not_to_contain_text("explain")

        kinds: list[str] = []
        page.on("response", lambda response: kinds.append(response.headers["content-type"]))
        await browser.ask(page, "Later", "query Later { me { name ... @defer { email } } }")
        await expect(shown_plan).to_contain_text('deferred: "#0"')
        await expect(answer).to_contain_text(f'"email": "{person.email}"')
        await expect(answer).to_contain_text('"name": "Grace"')
        await expect(answer).not_to_contain_text("explain")
        assert any(kind.startswith("multipart/mixed") for kind in kinds)
