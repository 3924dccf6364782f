"""Fixtures that every test may ask for. Nothing starts before a test needs it."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator

import aiobotocore.session
import pytest
import redis.asyncio
from aiobotocore.config import AioConfig

from shared import logger
from shared.config import Settings, TelemetrySettings
from tests.support import databases, nexus, servers
from tests.support.servers import Servers


def pytest_configure(config: pytest.Config) -> None:
    """Names the run before xdist makes a name up, so that the controller knows it; plain logs."""
    logger.configure(TelemetrySettings(log_level="warning"), service="tests")
    if config.pluginmanager.hasplugin("xdist") and not config.option.testrunuid:
        config.option.testrunuid = uuid.uuid4().hex


def pytest_sessionfinish(session: pytest.Session) -> None:
    """The controller, or the only process, leaves when the servers of its run have stopped."""
    if not hasattr(session.config, "workerinput"):
        servers.wait_until_stopped(session.config)


@pytest.fixture(scope="session")
def started_servers(request: pytest.FixtureRequest) -> Iterator[Servers]:
    """Addresses of PostgreSQL and S3, shared by the workers, and of a Valkey of this worker."""
    with servers.started(request.config) as found:
        yield found


@pytest.fixture(scope="session")
def postgres_admin_url(started_servers: Servers) -> str:
    """The superuser's URL of the PostgreSQL server."""
    return started_servers.postgres_url


@pytest.fixture(scope="session")
def template_database(started_servers: Servers) -> str:
    """The name of this worker's migrated template, of which tests get copies."""
    return databases.make_template(
        started_servers.postgres_url,
        f"template_{started_servers.worker}",
        lambda url: nexus.migrate(started_servers, url),
    )


@pytest.fixture
def database_url(started_servers: Servers, template_database: str) -> Iterator[str]:
    """The superuser's URL of a database that only this test uses."""
    with databases.copied(started_servers.postgres_url, template_database) as url:
        yield url


@pytest.fixture
async def redis_url(started_servers: Servers) -> str:
    """The URL of an empty Valkey; no other test uses it at the same time."""
    async with redis.asyncio.from_url(started_servers.redis_url) as client:
        await client.flushall()
    return started_servers.redis_url


@pytest.fixture(scope="session")
def s3_bucket(started_servers: Servers) -> str:
    """The name of a bucket of this worker."""
    name = f"nexus-{started_servers.worker}"
    asyncio.run(_make_bucket(started_servers, name))
    return name


async def _make_bucket(found: Servers, name: str) -> None:
    async with aiobotocore.session.get_session().create_client(
        "s3",
        endpoint_url=found.s3_endpoint,
        aws_access_key_id=found.s3_access_key,
        aws_secret_access_key=found.s3_secret_key,
        region_name=found.s3_region,
        config=AioConfig(s3={"addressing_style": "path"}),
    ) as client:
        await client.create_bucket(Bucket=name)


@pytest.fixture
def settings(
    started_servers: Servers, database_url: str, redis_url: str, s3_bucket: str
) -> Settings:
    """Settings of a process whose database, Valkey and bucket only this test uses."""
    return nexus.make_settings(started_servers, database_url, redis_url, s3_bucket)
