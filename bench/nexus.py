"""Measures the product: the Dashboard query and three smaller ones, in both modes.

``./nexus bench``.  Every request is another user's; the users, with an
organization, an invoice and a file entry each, are made through the public API
first.  Load and servers share the machine, so figures are for comparing runs.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
import sys
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import click

from bench import report
from bench.processes import Request, measure, process, wait_for
from cli import development, embedded
from shared.config import SUBGRAPHS

__all__ = ["command", "free_port", "make_callers", "run", "running", "wait_until_ended"]

ROOT = Path(__file__).resolve().parents[1]
MODES = ("monolith", "services")


@dataclass(frozen=True, slots=True)
class Caller:
    """A user of the benchmark."""

    token: str
    organization: str


def _queries() -> dict[str, str]:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    dashboard = re.search(r"```graphql\n(query Dashboard .+?)```", readme, re.DOTALL)
    assert dashboard is not None
    return {
        "Dashboard": dashboard.group(1),
        "Viewer": "query Viewer { me { id name email } }",
        "Organization": "query Organization($id: ID!) {"
        " organization(id: $id) { name viewerRole plan { name } } }",
        "Invoices": "query Invoices($id: ID!) { organization(id: $id) { invoices(first: 5) {"
        " edges { node { number status total { amount currency } } } } } }",
    }


def run(*, seconds: float, concurrency: int, users: int) -> Path:
    """Measure everything; returns the path of the table."""
    rows: list[dict[str, Any]] = []
    with (
        tempfile.TemporaryDirectory(prefix="nexus-bench-") as folder,
        embedded.start(Path(folder) / "servers", disposable=True) as addresses,
    ):
        env = {
            **dict(development.variables(addresses, Path(folder))),
            "NEXUS_SUPERGRAPH": str(ROOT / "supergraph.graphql"),
            "NEXUS_TELEMETRY__LOG_FORMAT": "json",
            "NEXUS_EMBEDDED_WORKER": "false",
            "NEXUS_GRAPHQL__IDE": "false",
            "PYTHONPATH": str(ROOT),
        }
        logs = Path(folder)
        with command(["migrate"], env, logs / "migrate.log") as pid:
            wait_until_ended(pid)
        callers: list[Caller] = []
        for mode in MODES:
            with running(mode, env, logs) as (url, pids):
                callers = callers or asyncio.run(make_callers(url, users))
                for name, query in _queries().items():
                    found = measure(
                        url,
                        [_request(query, caller) for caller in callers],
                        pids=pids,
                        concurrency=concurrency,
                        seconds=seconds,
                    )
                    rows.append({"mode": mode, "operation": name, **found.row()})
                    click.echo(
                        f"{mode:9} {name:13} {found.load['requests_per_second']:7,.0f} requests/s"
                        f" p95 {found.load['p95_ms']:6.1f} ms"
                        f" {found.cpu_seconds_per_thousand:6.3f} CPU s/1000"
                        f" {found.load['failures']} failures {found.load['first_failure'][:300]}"
                    )
    columns = {
        "mode": "mode",
        "operation": "operation",
        "requests_per_second": "requests/s",
        "p50_ms": "p50 ms",
        "p95_ms": "p95 ms",
        "cpu_seconds_per_thousand": "CPU ms per request",
        "failures": "failures",
    }
    text = (
        f"{concurrency} requests in flight, {users} users, one server process in the monolith and"
        " five as services, PostgreSQL, Valkey and the load on the same machine.\n\n"
        + report.table(rows, columns)
    )
    return report.write("nexus", "Nexus: the Dashboard query and smaller ones", rows, text)


def _request(query: str, caller: Caller) -> Request:
    variables = {"id": caller.organization} if "$id" in query else {}
    body = json.dumps({"query": query, "variables": variables})
    return Request("/graphql", body, {"authorization": f"Bearer {caller.token}"})


@contextlib.contextmanager
def running(mode: str, env: Mapping[str, str], logs: Path) -> Iterator[tuple[str, Sequence[int]]]:
    """The product's address and its processes, until the block ends."""
    with contextlib.ExitStack() as stack:
        pids = []
        urls = {}
        if mode == "services":
            for name in SUBGRAPHS:
                port = free_port()
                pids.append(_serve(stack, name, port, env, logs))
                urls[f"NEXUS_{name.upper()}__URL"] = f"http://127.0.0.1:{port}/graphql"
        port = free_port()
        what = "all" if mode == "monolith" else "gateway"
        own = {**env, **urls, "NEXUS_MODE": mode}
        pids.append(_serve(stack, what, port, own, logs))
        yield f"http://127.0.0.1:{port}/graphql", pids


def _serve(
    stack: contextlib.ExitStack, what: str, port: int, env: Mapping[str, str], logs: Path
) -> int:
    log = logs / f"{what}.log"
    pid = stack.enter_context(command(["serve", what, "--port", str(port)], env, log))
    try:
        wait_for(f"http://127.0.0.1:{port}/health/live", pid)
    except RuntimeError as error:
        raise click.ClickException(f"{error}\n{log.read_text()[-2000:]}") from error
    return pid


def command(
    arguments: Sequence[str], env: Mapping[str, str], log: Path
) -> contextlib.AbstractContextManager[int]:
    """The pid of a command of ours that runs inside the block."""
    return process([sys.executable, "-m", "cli", *arguments], env=env, cwd=ROOT, log=log)


def wait_until_ended(pid: int) -> None:
    """Return when a process has ended well."""
    import os

    _, status = os.waitpid(pid, 0)
    if status:
        raise click.ClickException("the databases could not be migrated")


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


async def make_callers(url: str, count: int) -> list[Caller]:
    """So many new users, each with an organization."""
    async with aiohttp.ClientSession() as http:
        limit = asyncio.Semaphore(4)

        async def make(number: int) -> Caller:
            async with limit:
                return await _make_caller(http, url, number)

        return list(await asyncio.gather(*(make(number) for number in range(count))))


async def _make_caller(http: aiohttp.ClientSession, url: str, number: int) -> Caller:
    async def ask(query: str, token: str | None = None, **given: Any) -> Any:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        body = {"query": query, "variables": {"input": given}}
        async with http.post(url, json=body, headers=headers) as response:
            answer = await response.json(content_type=None)
        if answer.get("errors"):
            raise click.ClickException(str(answer["errors"]))
        (payload,) = answer["data"].values()
        return payload

    email = f"user{number}-{uuid.uuid4().hex[:8]}@example.com"
    signed_up = await ask(
        "mutation($input: SignUpInput!) { signUp(input: $input) { accessToken } }",
        email=email,
        password="a password of a benchmark",  # noqa: S106
        name=f"User {number}",
    )
    token = signed_up["accessToken"]
    organization = await ask(
        "mutation($input: CreateOrganizationInput!) { createOrganization(input: $input) { id } }",
        token,
        name=f"Organization {number}",
        slug=f"org-{uuid.uuid4().hex[:12]}",
    )
    for amount in (1_000, 2_000, 3_000):
        await ask(
            "mutation($input: TopUpCreditsInput!) {"
            " topUpCredits(input: $input) { invoice { id } } }",
            token,
            organizationId=organization["id"],
            amount={"amount": amount, "currency": "EUR"},
            idempotencyKey=f"bench-{amount}",
        )
    return Caller(token, organization["id"])
