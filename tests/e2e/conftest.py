"""The whole application in both modes; it runs once a worker, and tests bring their own people."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack

import pytest
import pytest_asyncio

from cli import embedded
from shared.config import Settings
from tests.support import databases, servers
from tests.support.nexus import Mode, Nexus, make_settings, running
from tests.support.servers import Servers

MODES: tuple[Mode, ...] = ("monolith", "services")
Start = Callable[[Mode], Awaitable[Nexus]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One loop for all of these tests: the application lives in it."""
    for item in items:
        if "/e2e/" in item.path.as_posix():
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest.fixture(scope="session")
def settings_of(
    request: pytest.FixtureRequest, started_servers: Servers, template_database: str
) -> Iterator[dict[Mode, Settings]]:
    """Settings for each mode: a database and a Valkey that only these tests use."""
    home = servers.folder(request.config) / f"{started_servers.worker}-e2e"
    url, worker = started_servers.postgres_url, started_servers.worker
    with ExitStack() as stack:
        # Other tests of this worker empty the Valkey that they share.
        valkey = stack.enter_context(embedded.start(home, services=["valkey"], disposable=True))
        found: dict[Mode, Settings] = {}
        for number, mode in enumerate(MODES):
            found[mode] = make_settings(
                started_servers,
                stack.enter_context(databases.copied(url, template_database)),
                f"{valkey.redis_url.removesuffix('/0')}/{number}",
                f"nexus-e2e-{mode}-{worker}",
            )
        yield found


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def start(settings_of: dict[Mode, Settings]) -> AsyncIterator[Start]:
    """Gives the running application of a mode."""
    found: dict[Mode, Nexus] = {}
    async with AsyncExitStack() as stack:

        async def get(mode: Mode) -> Nexus:
            if mode not in found:
                found[mode] = await stack.enter_async_context(running(settings_of[mode], mode))
            return found[mode]

        yield get


@pytest_asyncio.fixture(params=MODES, loop_scope="session")
async def nexus(request: pytest.FixtureRequest, start: Start) -> Nexus:
    """A running application in one of its modes."""
    mode: Mode = request.param
    return await start(mode)
