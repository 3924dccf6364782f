"""How long a small known operation waits while others send large new documents.

``python -m bench.flood`` starts `nexus gateway` over subgraphs that answer from
memory, and the product as a monolith.  One client asks the same small thing again
and again, a hundred times a second; meanwhile others send documents as large as the
limits let them be, each of them new (*new*), or always the same one (*known*), which
tells what running them costs apart from reading and planning them.  On a machine that does
other things besides, `chrt -r 10` keeps those out of the figures.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from bench import nexus, report
from bench.load import connected, encode_request
from bench.peers import run as peers
from bench.processes import process, usage, wait_for
from cli import development, embedded

__all__ = ["main"]

_PAUSE = 0.01


@dataclass(frozen=True, slots=True)
class Target:
    """A gateway, what is asked of it all the time, and what floods it."""

    name: str
    url: str
    pid: int
    small: str
    large: Callable[[str], str]
    headers: dict[str, str] = field(default_factory=dict)


def _large_for_any(name: str) -> str:
    """14,000 tokens, 5,000 fields, 1,000 aliases."""
    fields = " ".join(f'{name}_{n}: user(id: "{n}") {{ id name email age }}' for n in range(999))
    return f"query {name} {{ {fields} }}"


def _skipped_for_any(name: str) -> str:
    """The same, to be read and not to be run."""
    _, _, rest = _large_for_any(name).partition("{")
    return (
        f'query {name}($on: Boolean!) {{ user(id: "1") {{ id }} ... @include(if: $on) {{{rest} }}'
    )


_PERSON = """{name}_{n}: me {{ id name email locale timeZone createdAt version avatarUrl
 m: memberships(first: 1) {{ edges {{ cursor node {{ id role joinedAt organization {{
 id slug name createdAt version viewerRole billingEmail plan {{ name storageLimitBytes }}
 creditBalance {{ amount currency }} storageUsage {{ usedBytes limitBytes }}
 i: invoices(first: 1) {{ edges {{ node {{ id number status total {{ amount currency }} }} }} }}
 }} }} }} pageInfo {{ hasNextPage endCursor }} }}
 f: files(first: 1) {{ edges {{ node {{ id name sizeBytes contentType createdAt }} }} }} }}"""


def _large_for_nexus(name: str) -> str:
    """17 root fields, 68 aliases, 950 fields."""
    people = " ".join(_PERSON.format(name=name, n=n) for n in range(17))
    return f"query {name} {{ {people} }}"


def _skipped_for_nexus(name: str) -> str:
    """The same, to be read and not to be run."""
    _, _, rest = _large_for_nexus(name).partition("{")
    return f"query {name}($on: Boolean!) {{ plans {{ name }} ... @include(if: $on) {{{rest} }}"


@contextlib.contextmanager
def _any_gateway() -> Iterator[list[Target]]:
    with contextlib.ExitStack() as stack:
        urls = stack.enter_context(peers.stubs())
        supergraph = peers.compose(urls, peers.WORK / "flood.graphql")
        port = nexus.free_port()
        command = [sys.executable, "-m", "cli", "gateway", "--supergraph", str(supergraph)]
        # What is too dear is planned and not run: the subgraphs are not to be what waits.
        told = peers.WORK / "flood.yaml"
        told.write_text("cost: {mode: enforce, max: 100}\n", encoding="utf-8")
        command += ["--config", str(told)]
        env = {"PYTHONPATH": str(nexus.ROOT)}
        log = peers.WORK / "flood.log"
        pid = stack.enter_context(
            process([*command, "--port", str(port)], env=env, cwd=nexus.ROOT, log=log)
        )
        url = f"http://127.0.0.1:{port}/graphql"
        wait_for(url, pid)
        small = '{ user(id: "1") { id name } }'
        yield [
            Target("nexus gateway, read", url, pid, small, _skipped_for_any),
            Target("nexus gateway, read and planned", url, pid, small, _large_for_any),
        ]


@contextlib.contextmanager
def _product() -> Iterator[list[Target]]:
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nexus-flood-")))
        addresses = stack.enter_context(embedded.start(folder / "servers", disposable=True))
        env = {
            **dict(development.variables(addresses, folder)),
            "NEXUS_SUPERGRAPH": str(nexus.ROOT / "supergraph.graphql"),
            "NEXUS_TELEMETRY__LOG_FORMAT": "json",
            "NEXUS_EMBEDDED_WORKER": "false",
            "PYTHONPATH": str(nexus.ROOT),
        }
        with nexus.command(["migrate"], env, folder / "migrate.log") as migrating:
            nexus.wait_until_ended(migrating)
        url, pids = stack.enter_context(nexus.running("monolith", env, folder))
        (caller,) = asyncio.run(nexus.make_callers(url, 1))
        headers = {"authorization": f"Bearer {caller.token}"}
        small = "{ me { id name } }"
        yield [
            Target("product, read", url, pids[0], small, _skipped_for_nexus, headers),
            Target("product, run", url, pids[0], small, _large_for_nexus, headers),
        ]


async def _measure(target: Target, flood: str, *, seconds: float, senders: int) -> dict[str, Any]:
    host, port = target.url.removeprefix("http://").split("/")[0].split(":")
    end = time.perf_counter() + seconds
    waits: list[float] = []
    answers: dict[str, int] = {}

    def request(query: str) -> bytes:
        body = json.dumps({"query": query, "variables": {"on": False}})
        return encode_request(host, "/graphql", body, target.headers)

    known = request(target.large("Known"))

    async def ask(query: bytes) -> None:
        async with connected(host, int(port)) as exchange:
            while (began := time.perf_counter()) < end:
                answer = await exchange(query)
                waits.append(time.perf_counter() - began)
                if b'"errors"' in answer:
                    raise click.ClickException(answer.decode())
                await asyncio.sleep(_PAUSE)

    async def send(sender: int) -> None:
        async with connected(host, int(port)) as exchange:
            while time.perf_counter() < end:
                unique = target.large(f"F{time.time_ns()}_{sender}") if flood == "new" else None
                answer = await exchange(request(unique) if unique else known)
                at = answer.find(b'"code":"')
                what = answer[at + 8 : at + 60].split(b'"')[0].decode() if at >= 0 else "answered"
                answers[what] = answers.get(what, 0) + 1

    before, _ = usage([target.pid])
    began = time.perf_counter()
    await asyncio.gather(ask(request(target.small)), *(send(each) for each in range(senders)))
    took = time.perf_counter() - began
    after, megabytes = usage([target.pid])
    waits.sort()
    return {
        "gateway": target.name,
        "flood": flood if senders else "none",
        "asked": len(waits),
        **{f"p{p}_ms": 1000 * waits[len(waits) * p // 100] for p in (50, 95, 99)},
        "most_ms": 1000 * waits[-1],
        "large": sum(answers.values()) / took,
        "answers": ", ".join(f"{count} {what}" for what, count in sorted(answers.items())),
        "cpu": (after - before) / took,
        "megabytes": megabytes,
    }


_COLUMNS = {
    "gateway": "gateway",
    "flood": "large documents",
    "p50_ms": "p50 ms",
    "p95_ms": "p95 ms",
    "p99_ms": "p99 ms",
    "most_ms": "most ms",
    "large": "large ones a second",
    "answers": "their answers",
    "cpu": "cores used",
    "megabytes": "memory MB",
}


def _each(targets: Sequence[Target], *, seconds: float, senders: int) -> list[dict[str, Any]]:
    rows = []
    for target in targets:
        for flood, count in (("none", 0), ("known", senders), ("new", senders)):
            rows.append(asyncio.run(_measure(target, flood, seconds=seconds, senders=count)))
            click.echo(report.table(rows[-1:], _COLUMNS).splitlines()[-1])
    return rows


@click.command()
@click.option("--seconds", default=10.0, show_default=True)
@click.option("--senders", default=8, show_default=True, help="Large documents in flight.")
@click.option("--only", type=click.Choice(["any", "product"]), default=None)
@click.option("--keep/--no-keep", default=True, help="Write the figures into bench/results.")
def main(*, seconds: float, senders: int, only: str | None, keep: bool) -> None:
    """Measure, and write JSON and a table into bench/results."""
    rows = []
    if only != "product":
        with _any_gateway() as targets:
            rows += _each(targets, seconds=seconds, senders=senders)
    if only != "any":
        with _product() as targets:
            rows += _each(targets, seconds=seconds, senders=senders)
    if keep:
        report.write(
            "flood",
            "A small known operation beside large documents",
            rows,
            f"{senders} large documents in flight, the small operation asked every"
            f" {1000 * _PAUSE:.0f} ms on a connection of its own.\n\n"
            + report.table(rows, _COLUMNS),
        )


if __name__ == "__main__":
    main()
