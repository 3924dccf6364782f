"""Serves one of them as its authors would: Strawberry's own ASGI application under uvicorn."""

from __future__ import annotations

import sys
from importlib import import_module

import uvicorn
from strawberry.asgi import GraphQL

if __name__ == "__main__":
    name, port = sys.argv[1:]
    schema = import_module(f"bench.peers.subgraphs.{name}").schema
    uvicorn.run(
        GraphQL(schema, graphql_ide=None),
        host="127.0.0.1",
        port=int(port),
        log_level="warning",
        access_log=False,
    )
