"""Real PostgreSQL, Valkey and S3 for one test run, shared by its parallel workers."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from cli import embedded

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Servers:
    """Where this worker finds its servers: PostgreSQL and S3 are shared, Valkey is its own."""

    worker: str
    postgres_url: str
    redis_url: str
    s3_endpoint: str
    s3_access_key: str
    s3_secret_key: str
    s3_region: str


def folder(config: pytest.Config) -> Path:
    """The directory of this run's servers, the same in the controller and in every worker."""
    given: str | None = getattr(config, "workerinput", {}).get("testrunuid")
    return ROOT / ".nexus" / "tests" / (given or config.option.testrunuid)


@contextmanager
def started(config: pytest.Config) -> Iterator[Servers]:
    """The servers: the first worker that asks starts them, the last one that leaves stops them."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    home = folder(config)
    with (
        embedded.start(
            home / "common", services=("postgres", "s3"), disposable=True, shared=True
        ) as common,
        embedded.start(home / worker, services=("valkey",), disposable=True) as own,
    ):
        yield Servers(
            worker=worker,
            postgres_url=common.postgres_url,
            redis_url=own.redis_url,
            s3_endpoint=common.s3_endpoint,
            s3_access_key=common.s3_access_key,
            s3_secret_key=common.s3_secret_key,
            s3_region=common.s3_region,
        )


def wait_until_stopped(config: pytest.Config) -> None:
    """Returns when nothing that this run started is left."""
    home = folder(config)
    embedded.wait_until_stopped(home / "common")
    if home.exists():
        shutil.rmtree(home)
