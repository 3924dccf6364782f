"""A whole Nexus for a test: settings, a migrated database, the application in both modes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import httpx
from sqlalchemy import make_url

from shared import migrations
from shared.auth import ServiceTokens, Verifier, generate_keys
from shared.cache import connect
from shared.config import SUBGRAPHS, Settings
from shared.subgraph import Subgraph, serve
from tests.serving import serving
from tests.support.servers import Servers

ROOT = Path(__file__).resolve().parents[2]
SECRET = "a secret of the tests, long enough to be one"
STRIPE_SECRET = "whsec_" + "t" * 32
MERCADOPAGO_SECRET = "m" * 32

Mode = Literal["monolith", "services"]


@cache
def _keys() -> tuple[tuple[str, str], tuple[str, str]]:
    return generate_keys(), generate_keys()


def make_settings(
    servers: Servers, database_url: str, redis_url: str, bucket: str, **changes: Any
) -> Settings:
    """Settings of a process that uses these servers; ``changes`` replace whole sections."""
    (access_private, access_public), (service_private, service_public) = _keys()
    admin = make_url(database_url).set(drivername="postgresql+asyncpg")
    values: dict[str, Any] = {
        "env": "test",
        "secret_key": SECRET,
        "supergraph": ROOT / "supergraph.graphql",
        "database": {"admin_url": admin.render_as_string(hide_password=False), "pool_size": 5},
        "redis": {"url": redis_url},
        "s3": {
            "endpoint": servers.s3_endpoint,
            "region": servers.s3_region,
            "bucket": bucket,
            "access_key": servers.s3_access_key,
            "secret_key": servers.s3_secret_key,
        },
        "auth": {"signing_key": access_private, "verification_keys": access_public},
        "service_auth": {"signing_key": service_private, "verification_keys": service_public},
        "webhooks": {"stripe_secret": STRIPE_SECRET, "mercadopago_secret": MERCADOPAGO_SECRET},
        "privacy": {"deletion_grace_seconds": 0},
        "graphql": {"introspection": True, "explain": True},
    }
    for name in SUBGRAPHS:
        own = admin.set(username=name, password=f"{name}-password")
        values[name] = {"database_url": own.render_as_string(hide_password=False)}
    return Settings(**{**values, **changes})


async def migrate(servers: Servers, database_url: str) -> None:
    """Bring a database to the newest revision of every subgraph."""
    names = [name for name in SUBGRAPHS if (ROOT / "subgraphs" / name / "migrations").exists()]
    await migrations.migrate(make_settings(servers, database_url, "redis://-", "-"), names)


@dataclass(frozen=True, slots=True)
class Nexus:
    """A running application as its clients see it."""

    mode: Mode
    url: str
    client: httpx.AsyncClient
    settings: Settings
    subgraphs: dict[str, str] = field(default_factory=dict)

    async def graphql(
        self, query: str, variables: dict[str, Any] | None = None, *, token: str | None = None
    ) -> dict[str, Any]:
        """The whole answer to one operation."""
        headers = {"authorization": f"Bearer {token}"} if token else {}
        response = await self.client.post(
            "/graphql", json={"query": query, "variables": variables or {}}, headers=headers
        )
        answer: dict[str, Any] = response.json()
        return answer

    async def data(
        self, query: str, variables: dict[str, Any] | None = None, *, token: str | None = None
    ) -> dict[str, Any]:
        """The data of one operation that must have no errors."""
        answer = await self.graphql(query, variables, token=token)
        assert not answer.get("errors"), answer["errors"]
        found: dict[str, Any] = answer["data"]
        return found


@asynccontextmanager
async def running(settings: Settings, mode: Mode) -> AsyncIterator[Nexus]:
    """The application on a free port, with its workers, until the block ends."""
    async with AsyncExitStack() as stack:
        urls: dict[str, str] = {}
        if mode == "services":
            urls = await _serve_subgraphs(stack, settings)
            changed = {name: {**_section(settings, name), "url": url} for name, url in urls.items()}
            settings = Settings(**{**_values(settings), **changed, "mode": "services"})
        create = import_module("gateway.app").create
        base = await stack.enter_async_context(serving(create(settings)))
        await _run_workers(stack, settings)
        client = await stack.enter_async_context(httpx.AsyncClient(base_url=base, timeout=30))
        yield Nexus(mode, base, client, settings, urls)


async def _serve_subgraphs(stack: AsyncExitStack, settings: Settings) -> dict[str, str]:
    verification = settings.service_auth.verification_keys
    assert verification is not None
    tokens = ServiceTokens(ttl_seconds=60, verifier=Verifier(verification.get_secret_value()))
    urls = {}
    for name in SUBGRAPHS:
        redis = connect(settings.redis)
        stack.push_async_callback(redis.aclose)
        subgraph: Subgraph = import_module(f"subgraphs.{name}.app").create(settings, redis)
        app = serve(subgraph, settings, tokens, draining=asyncio.Event())
        urls[name] = await stack.enter_async_context(serving(app)) + "/graphql"
    return urls


async def _run_workers(stack: AsyncExitStack, settings: Settings) -> None:
    redis = connect(settings.redis)
    stack.push_async_callback(redis.aclose)
    stop = asyncio.Event()
    for name in SUBGRAPHS:
        subgraph: Subgraph = import_module(f"subgraphs.{name}.app").create(settings, redis)
        stack.push_async_callback(subgraph.close)
        assert subgraph.worker is not None
        stack.push_async_callback(_finished, asyncio.create_task(subgraph.worker.run(stop)))

    async def request_stop() -> None:
        stop.set()

    stack.push_async_callback(request_stop)


async def _finished(task: asyncio.Task[None]) -> None:
    await task


def _values(settings: Settings) -> dict[str, Any]:
    return {name: getattr(settings, name) for name in Settings.model_fields}


def _section(settings: Settings, name: str) -> dict[str, Any]:
    section = settings.subgraph(name)
    return {field: getattr(section, field) for field in type(section).model_fields}
