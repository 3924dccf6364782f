"""Nexus over the three subgraphs in one process a core: ``monolith.py SUPERGRAPH PORT WORKERS``."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection
from starlette.routing import Route

from cli.serving import collect_less
from gateway.context import RequestContext
from gateway.federation.supergraph import Supergraph
from gateway.pipeline import Pipeline
from gateway.runtime import Runtime
from gateway.transports.local import LocalTransport
from shared import logger
from shared.auth import Identity
from shared.config import TelemetrySettings
from shared.observation import Observed
from shared.protocols.http import GraphQLHTTP
from shared.subgraph import SubgraphService

SUBGRAPHS = ("accounts", "organizations", "plans")


def create() -> Starlette:
    """The application; the supergraph's file comes from the environment, for uvicorn's workers."""
    supergraph = Supergraph.from_sdl(Path(os.environ["BENCH_SUPERGRAPH"]).read_text())
    services = {
        name: SubgraphService(
            name, import_module(f"bench.peers.subgraphs.{name}").schema, _no_context
        )
        for name in SUBGRAPHS
    }
    pipeline = Pipeline(Runtime(supergraph, LocalTransport(services)))
    logger.configure(TelemetrySettings(), service="monolith")
    collect_less()
    routes = [Route("/graphql", GraphQLHTTP(pipeline, _caller))]
    # What the product does for every request beside answering it: access log, metrics, deadline.
    observed = Middleware(Observed, service="monolith", timeout_seconds=30)
    return Starlette(routes=routes, middleware=[observed])


def _no_context(_: Identity) -> Any:
    return None


async def _caller(connection: HTTPConnection) -> RequestContext:
    return RequestContext(Identity(user_id=connection.headers.get("authorization")))


if __name__ == "__main__":
    path, port, workers = sys.argv[1:]
    os.environ["BENCH_SUPERGRAPH"] = path
    uvicorn.run(
        "bench.peers.monolith:create",
        factory=True,
        host="127.0.0.1",
        port=int(port),
        workers=int(workers),
        log_level="warning",
        access_log=False,
    )
