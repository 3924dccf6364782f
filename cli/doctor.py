"""What is configured, what answers, what does not, and what to do about it."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import aiobotocore.session
import aiohttp
import asyncpg
import click
from aiobotocore.config import AioConfig
from click import ClickException

from cli import development
from shared import cache
from shared.config import SUBGRAPHS, Settings

PATIENCE = 10.0


@dataclass(frozen=True, slots=True)
class Question:
    """One thing to find out, and what to do when the answer is no."""

    about: str
    ask: Callable[[], Awaitable[str]]
    remedy: str


def run() -> int:
    """Prints a line for each question; the exit code is 1 when an answer is bad."""
    click.secho("This machine", bold=True)
    for line in _machine():
        click.echo(f"  {line}")
    click.secho("Configuration", bold=True)
    try:
        settings = development.settings()
    except ClickException as error:
        _print(good=False, about="settings", found=error.message)
        return 1
    for about, found in _configuration(settings):
        click.echo(f"  {about}: {found}")
    click.secho("What answers", bold=True)
    return asyncio.run(_ask_all(list(_questions(settings))))


def _machine() -> Iterator[str]:
    yield f"Python {sys.version.split()[0]} at {sys.executable}"
    free = shutil.disk_usage(Path.cwd()).free / 1e9
    yield f"{os.cpu_count()} processors, {free:.0f} GB of free disk space"


def _configuration(settings: Settings) -> Iterator[tuple[str, str]]:
    yield "environment", f"{settings.env}, as {settings.mode}"
    yield "address", f"{settings.http.host}:{settings.http.port}"
    yield "supergraph", str(settings.supergraph)
    webhooks = settings.webhooks
    on = [
        name
        for name, secret in (
            ("stripe", webhooks.stripe_secret),
            ("mercadopago", webhooks.mercadopago_secret),
        )
        if secret is not None
    ]
    yield "webhooks", ", ".join(on) or "off: no provider's secret is set"
    yield "traces", settings.telemetry.otlp_endpoint or "not exported: no OTLP endpoint is set"


def _questions(settings: Settings) -> Iterator[Question]:
    for name in SUBGRAPHS:
        yield Question(
            about=f"PostgreSQL of {name}",
            ask=lambda name=name: _postgres(settings, name),  # type: ignore[misc]
            remedy=f"check NEXUS_{name.upper()}__DATABASE_URL, and run ./nexus migrate",
        )
    yield Question("Redis", lambda: _redis(settings), "check NEXUS_REDIS__URL")
    yield Question("object store", lambda: _bucket(settings), "check the NEXUS_S3__ variables")
    for name in SUBGRAPHS if settings.mode == "services" else ():
        yield Question(
            about=f"subgraph {name}",
            ask=lambda name=name: _health(settings.subgraph(name).url),  # type: ignore[misc]
            remedy=f"start it with ./nexus serve {name}, and check NEXUS_{name.upper()}__URL",
        )
    yield Question(
        about="gateway",
        ask=lambda: _health(f"http://{settings.http.host}:{settings.http.port}/"),
        remedy="start it with ./nexus dev, or with ./nexus serve",
    )


async def _ask_all(questions: list[Question]) -> int:
    answers = await asyncio.gather(*(_answer(question) for question in questions))
    for question, (good, found) in zip(questions, answers, strict=True):
        _print(good=good, about=question.about, found=found)
        if not good:
            click.echo(f"      {question.remedy}")
    return 0 if all(good for good, _ in answers) else 1


async def _answer(question: Question) -> tuple[bool, str]:
    try:
        async with asyncio.timeout(PATIENCE):
            return True, await question.ask()
    except TimeoutError:
        return False, f"no answer within {PATIENCE:.0f} seconds"
    except Exception as error:  # noqa: BLE001 - whatever it is, that is the answer
        return False, " ".join(str(error).split()) or type(error).__name__


def _print(*, good: bool, about: str, found: str) -> None:
    sign = click.style("✓", fg="green") if good else click.style("✗", fg="red")
    click.echo(f"  {sign} {about}: {found}")


async def _postgres(settings: Settings, name: str) -> str:
    url = settings.subgraph(name).database_url
    if url is None:
        raise ValueError("not configured")
    address = url.get_secret_value().replace("postgresql+asyncpg://", "postgresql://")
    connection = await asyncpg.connect(address, server_settings={"search_path": name})
    try:
        version = await connection.fetchval("show server_version")
        if await connection.fetchval("select to_regclass('migrations')") is None:
            raise ValueError("answers, but was never migrated")
        revision = await connection.fetchval("select version_num from migrations")
    finally:
        await connection.close()
    return f"{version}, migrated to {revision}"


async def _redis(settings: Settings) -> str:
    async with cache.connect(settings.redis) as client:
        info = await client.info("server")
    return f"{info.get('valkey_version') or info['redis_version']}"


async def _bucket(settings: Settings) -> str:
    s3 = settings.s3
    client = aiobotocore.session.get_session().create_client(
        "s3",
        endpoint_url=s3.endpoint,
        region_name=s3.region,
        aws_access_key_id=s3.access_key.get_secret_value(),
        aws_secret_access_key=s3.secret_key.get_secret_value(),
        config=AioConfig(s3={"addressing_style": "path"}, retries={"max_attempts": 1}),
    )
    async with client as bucket:
        await bucket.head_bucket(Bucket=s3.bucket)
    return f"bucket {s3.bucket} at {s3.endpoint}"


async def _health(url: str | None) -> str:
    if not url:
        raise ValueError("no address is configured")
    place = url.rsplit("/", 1)[0] + "/health/ready"
    async with aiohttp.ClientSession() as http, http.get(place) as response:
        found = await response.json(content_type=None)
        if response.status != 200:
            bad = [f"{name} {said}" for name, said in found["checks"].items() if said != "ok"]
            raise ValueError(f"not ready: {', '.join(bad) or 'shutting down'}")
    return "ready"
