"""The README's way to production, walked with an installed wheel and settings from files."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from shared.auth import generate_keys
from shared.config import SUBGRAPHS
from tests.cli.test_dev import free_port
from tests.cli.test_embedded import eventually
from tests.support import databases, readme
from tests.support.servers import Servers

WITHIN = 300
"""Seconds for what takes a few: machines may be busy."""


@pytest.fixture
def empty_database(started_servers: Servers) -> Iterator[str]:
    with databases.copied(started_servers.postgres_url, "template1") as url:
        yield url.replace("postgresql://", "postgresql+asyncpg://")


@pytest.fixture
def variables(
    started_servers: Servers,
    empty_database: str,
    redis_url: str,
    s3_bucket: str,
    production: Path,
    tmp_path: Path,
) -> dict[str, str]:
    """The environment of a production process: secrets are files, everything else is plain."""
    access, service = generate_keys(), generate_keys()
    server = empty_database.partition("@")[2]
    secrets = {
        "SECRET_KEY": "s" * 32,
        "DATABASE__ADMIN_URL": empty_database,
        "REDIS__URL": redis_url,
        "S3__ACCESS_KEY": started_servers.s3_access_key,
        "S3__SECRET_KEY": started_servers.s3_secret_key,
        "AUTH__SIGNING_KEY": access[0],
        "AUTH__VERIFICATION_KEYS": access[1],
        "SERVICE_AUTH__SIGNING_KEY": service[0],
        "SERVICE_AUTH__VERIFICATION_KEYS": service[1],
        **{
            f"{name.upper()}__DATABASE_URL": (
                f"postgresql+asyncpg://{name}:{name}-password@{server}"
            )
            for name in SUBGRAPHS
        },
    }
    for name, value in secrets.items():
        (tmp_path / name).write_text(value)
    return {
        "PATH": f"{production}/bin:{os.environ['PATH']}",
        "NEXUS_HTTP__PORT": str(free_port()),
        "NEXUS_HTTP__SHUTDOWN_DELAY_SECONDS": "0",
        "NEXUS_S3__ENDPOINT": started_servers.s3_endpoint,
        "NEXUS_S3__BUCKET": s3_bucket,
        **{f"NEXUS_{name}": f"file:{tmp_path}/{name}" for name in secrets},
    }


@contextmanager
def running(words: list[str], variables: dict[str, str]) -> Iterator[None]:
    """A process that must end well when it is asked to."""
    with subprocess.Popen(words, env=variables, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            _, said = process.communicate(timeout=WITHIN)
        assert process.returncode == 0, said


def is_well(doctor: list[str], variables: dict[str, str]) -> bool:
    """Whether the doctor finds that everything answers; what it says is for the failing test."""
    examined = subprocess.run(doctor, env=variables, capture_output=True, text=True, check=False)
    print(examined.stdout)
    assert (examined.returncode == 0) == ("✗" not in examined.stdout)
    return examined.returncode == 0


def is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health/ready", timeout=WITHIN).status_code == 200
    except httpx.HTTPError:
        return False


def test_the_readme_leads_from_the_wheel_to_a_healthy_process(variables: dict[str, str]) -> None:
    build, install, migrate, serve, worker, doctor = readme.commands("Run it for real")
    assert build == ["./nexus", "build"]
    assert install[:2] == ["pip", "install"]
    url = f"http://127.0.0.1:{variables['NEXUS_HTTP__PORT']}"

    migrated = subprocess.run(migrate, env=variables, capture_output=True, text=True, check=True)
    assert [line.split(":")[0] for line in migrated.stdout.splitlines()] == list(SUBGRAPHS)
    again = subprocess.run(migrate, env=variables, capture_output=True, text=True, check=True)
    assert again.stdout.count("up to date") == len(SUBGRAPHS)

    with running(serve, variables), running(worker, variables):
        assert eventually(lambda: is_ready(url))
        query = {"query": "{ plans { name } }"}
        answer = httpx.post(f"{url}/graphql", json=query, timeout=WITHIN).json()
        assert "errors" not in answer
        # A busy machine may answer later than the doctor waits, and sooner the next time.
        assert eventually(lambda: is_well(doctor, variables))
        page = httpx.get(f"{url}/graphql", headers={"Accept": "text/html"}, timeout=WITHIN)
        assert "graphiql" not in page.text
