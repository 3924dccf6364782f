"""How a server process stops: readiness first, then the port, then what is under way."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest

from shared.auth import generate_keys
from shared.protocols.sse import TOKEN_HEADER
from tests.cli.test_replicas import WITHIN, Served, settings, started

FOR_EVER = 600
ANY = ("gateway", "--supergraph=supergraph.graphql")
GATEWAY = ("serve", "gateway")
QUERY = {"query": "{ __typename }"}


@pytest.fixture
def environment(redis_url: str, tmp_path: Path) -> dict[str, str]:
    """Of one process that needs neither its subgraphs nor its databases."""
    (access, _), (_, service) = generate_keys(), generate_keys()
    nowhere = {
        f"NEXUS_{name}__DATABASE_URL": "postgresql+asyncpg://nobody:x@127.0.0.1:1/x"
        for name in ("USERS", "ORGS", "BILLING", "STORAGE")
    }
    return {
        **settings("http://127.0.0.1:1/graphql", redis_url),
        **nowhere,
        "NEXUS_S3__ACCESS_KEY": "nobody",
        "NEXUS_S3__SECRET_KEY": "x",
        "NEXUS_AUTH__SIGNING_KEY": access,
        "NEXUS_SERVICE_AUTH__VERIFICATION_KEYS": service,
        "NEXUS_HTTP__WORKERS": "1",
        "NEXUS_HTTP__SHUTDOWN_DELAY_SECONDS": str(FOR_EVER),
        "TMPDIR": str(tmp_path),
    }


@asynccontextmanager
async def serving(
    environment: dict[str, str], process: tuple[str, ...], *, delay: float = FOR_EVER
) -> AsyncIterator[tuple[Served, httpx.AsyncClient]]:
    """A process that answers."""
    if process[0] == "gateway":
        told = Path(environment["TMPDIR"]) / "gateway.yaml"
        told.write_text(f"server: {{shutdown_delay_seconds: {delay}}}")
        process = (*process, f"--config={told}")
    environment = {**environment, "NEXUS_HTTP__SHUTDOWN_DELAY_SECONDS": str(delay)}
    async with (
        started(environment, process) as served,
        httpx.AsyncClient(base_url=served.url, timeout=WITHIN) as client,
    ):
        await until(served, client, lambda _: True)
        yield served, client


async def until(
    served: Served, client: httpx.AsyncClient, holds: Callable[[httpx.Response], bool]
) -> httpx.Response:
    """The first readiness of which this is so."""
    async with asyncio.timeout(WITHIN):
        while served.process.returncode is None:
            with suppress(httpx.HTTPError):
                answer = await client.get("/health/ready")
                if holds(answer):
                    return answer
    raise AssertionError(served.logged)


def is_leaving(answer: httpx.Response) -> bool:
    return (answer.headers.get("connection"), answer.json()["status"]) == ("close", "draining")


async def ended(served: Served) -> int:
    """The exit code."""
    async with asyncio.timeout(WITHIN):
        return await served.process.wait()


@pytest.mark.parametrize(
    ("process", "workers"),
    [
        (GATEWAY, "2"),
        (("serve", "billing"), "1"),
        (("serve", "all"), "1"),
        ((*ANY, "--workers=2"), "2"),
    ],
    ids=["gateway", "subgraph", "monolith", "any gateway"],
)
async def test_readiness_goes_off_before_requests_are_refused(
    environment: dict[str, str], process: tuple[str, ...], workers: str
) -> None:
    environment["NEXUS_HTTP__WORKERS"] = workers
    async with serving(environment, process) as (served, client):
        served.process.terminate()
        told = await until(served, client, is_leaving)
        assert told.status_code == 503
        answer = await client.post("/graphql", json=QUERY)
        assert answer.status_code == (401 if "billing" in process else 200)
        assert (await client.get("/health/live")).status_code == 200
        served.process.terminate()
        assert await ended(served) == 0


@pytest.mark.parametrize("process", [GATEWAY, ANY], ids=["gateway", "any gateway"])
async def test_streams_last_until_the_port_is_closed(
    environment: dict[str, str], process: tuple[str, ...]
) -> None:
    async with serving(environment, process) as (served, client):
        token = {TOKEN_HEADER: (await client.put("/graphql")).text}
        accept = {**token, "accept": "text/event-stream"}
        async with client.stream("GET", "/graphql", headers=accept) as stream:
            results = (line async for line in stream.aiter_lines() if '"payload"' in line)
            served.process.terminate()
            await until(served, client, is_leaving)
            operation = {**QUERY, "extensions": {"operationId": "1"}}
            begun = await client.post("/graphql", json=operation, headers=token)
            assert begun.status_code == 202
            assert await anext(results)
            served.process.send_signal(signal.SIGINT)
            assert [result async for result in results] == []
        assert await ended(served) == 0


@pytest.mark.parametrize("process", [GATEWAY, ANY], ids=["gateway", "any gateway"])
async def test_a_person_does_not_wait(
    environment: dict[str, str], process: tuple[str, ...]
) -> None:
    async with serving(environment, process) as (served, _):
        served.process.send_signal(signal.SIGINT)
        assert await ended(served) == 0


async def test_a_process_that_was_asked_once_stops_after_the_delay(
    environment: dict[str, str],
) -> None:
    async with serving(environment, GATEWAY, delay=0.3) as (served, _):
        served.process.terminate()
        assert await ended(served) == 0
