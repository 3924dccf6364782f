"""Nexus over the three subgraphs in one process a core."""

from __future__ import annotations

import asyncio
import socket
import sys
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import click
import uvloop
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection
from starlette.routing import Route

from cli import replicas
from cli.serving import Server, collect_less, inherited, listen
from gateway.context import RequestContext
from gateway.federation.supergraph import Supergraph
from gateway.pipeline import Pipeline
from gateway.runtime import Runtime
from gateway.transports.local import LocalTransport
from shared import logger
from shared.auth import Identity
from shared.config import HttpSettings, TelemetrySettings
from shared.observation import Observed
from shared.protocols.endpoint import Shortcut
from shared.protocols.http import GraphQLHTTP
from shared.subgraph import SubgraphService

SUBGRAPHS = ("accounts", "organizations", "plans")


def create(path: Path) -> Starlette:
    """The application that serves the supergraph of a file."""
    supergraph = Supergraph.from_sdl(path.read_text(encoding="utf-8"))
    services = {
        name: SubgraphService(
            name, import_module(f"bench.peers.subgraphs.{name}").schema, _no_context
        )
        for name in SUBGRAPHS
    }
    pipeline = Pipeline(Runtime(supergraph, LocalTransport(services)))
    logger.configure(TelemetrySettings(), service="monolith")
    collect_less()
    endpoint = GraphQLHTTP(pipeline, _caller)
    # What the product does for every request beside answering it: access log, metrics, deadline.
    observed = Middleware(Observed, service="monolith", timeout_seconds=30)
    shortcut = Middleware(Shortcut, path="/graphql", endpoint=endpoint)
    return Starlette(routes=[Route("/graphql", endpoint)], middleware=[observed, shortcut])


def _no_context(_: Identity) -> Any:
    return None


async def _caller(connection: HTTPConnection) -> RequestContext:
    return RequestContext(Identity(user_id=connection.headers.get("authorization")))


async def _serve(supergraph: str, listener: socket.socket, parent: socket.socket) -> None:
    ready = partial(replicas.stay_with, parent)
    server = Server(create(Path(supergraph)), HttpSettings(), asyncio.Event(), ready)
    await server.serve(sockets=[listener])


@click.command()
@click.argument("supergraph")
@click.option("--port", type=int)
@click.option("--workers", type=int)
@click.option("--inherit", type=int)
@click.option("--parent", type=int)
def main(supergraph: str, port: int, workers: int, inherit: int | None, parent: int | None) -> None:
    """Serve, in as many processes as there are workers; or be one of them, like ours."""
    if inherit is not None and parent is not None:
        uvloop.run(_serve(supergraph, inherited(inherit), inherited(parent)))
    else:
        command = [sys.executable, "-m", "bench.peers.monolith", supergraph]
        sys.exit(uvloop.run(replicas.run(command, listen("127.0.0.1", port), workers)))


if __name__ == "__main__":
    main()
