"""A pipeline over the bookshop, with its subgraphs in this process and as HTTP services."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest
from starlette.requests import HTTPConnection

from gateway.context import RequestContext
from gateway.pipeline import Pipeline
from gateway.runtime import Runtime, Transport
from gateway.security.limits import Limits
from gateway.transports.http import HttpTransport, SubgraphEndpoint
from gateway.transports.local import LocalTransport
from shared.auth import Identity, ServiceTokens, Signer, Verifier, generate_keys
from shared.protocols.endpoint import GraphQLEndpoint
from shared.protocols.http import GraphQLHTTP
from shared.protocols.service import GraphQLRequest, GraphQLResult
from shared.protocols.websocket import GraphQLWebSocket
from shared.subgraph import SubgraphService
from tests.gateway.bookshop import SUPERGRAPH, Bookshop, make_bookshop
from tests.serving import serving


@dataclass
class Gateway:
    """A pipeline and what is behind it."""

    pipeline: Pipeline
    bookshop: Bookshop
    transport: Transport
    context: RequestContext = field(default_factory=RequestContext)

    async def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        """The response map of one operation."""
        result = await self.pipeline.execute(
            GraphQLRequest(query, variables=variables), self.context
        )
        return as_json(result)

    async def stream(self, query: str, **variables: Any) -> AsyncIterator[GraphQLResult]:
        """The stream of a subscription."""
        request = GraphQLRequest(query, variables=variables)
        stream = await self.pipeline.subscribe(request, self.context)
        assert not isinstance(stream, GraphQLResult), stream
        return stream


def as_json(result: GraphQLResult) -> dict[str, Any]:
    """The response map as a client decodes it."""
    decoded: dict[str, Any] = orjson.loads(result.encode())
    return decoded


@pytest.fixture(params=["local", "http"])
async def transport(request: pytest.FixtureRequest, bookshop: Bookshop) -> AsyncIterator[Transport]:
    """The bookshop's subgraphs over each transport."""
    subgraphs = make_bookshop(bookshop)
    if request.param == "local":
        yield LocalTransport(subgraphs)
        return
    async with AsyncExitStack() as stack:
        private, public = generate_keys()
        signing = ServiceTokens(ttl_seconds=60, signer=Signer(private))
        verifying = ServiceTokens(ttl_seconds=60, verifier=Verifier(public))
        endpoints = {}
        for name, service in subgraphs.items():
            app = served(name, service, verifying)
            address = await stack.enter_async_context(serving(app, lifespan="off"))
            endpoints[name] = SubgraphEndpoint(f"{address}/graphql")

        def headers(context: RequestContext, subgraph: str) -> Mapping[str, str]:
            return {"authorization": f"Bearer {signing.sign(context.identity, subgraph=subgraph)}"}

        http = HttpTransport(endpoints, headers)
        yield http
        await http.close()


def served(name: str, service: SubgraphService, tokens: ServiceTokens) -> GraphQLEndpoint:
    async def from_request(connection: HTTPConnection) -> Identity:
        token = connection.headers["authorization"].removeprefix("Bearer ")
        return tokens.verify(token, subgraph=name)

    async def from_init(_: HTTPConnection, payload: Mapping[str, Any]) -> Identity:
        token = payload["authorization"].removeprefix("Bearer ")
        return tokens.verify(token, subgraph=name)

    return GraphQLEndpoint(
        http=GraphQLHTTP(service, from_request),
        websocket=GraphQLWebSocket(service, from_init),
    )


@pytest.fixture
def bookshop() -> Bookshop:
    return Bookshop()


@pytest.fixture
async def gateway(transport: Transport, bookshop: Bookshop) -> AsyncIterator[Gateway]:
    limits = Limits(tokens=1_000, depth=8, aliases=5, root_fields=5, fields=30, directives=4)
    pipeline = Pipeline(Runtime(SUPERGRAPH, transport, limits=limits), timeout_seconds=5)
    yield Gateway(pipeline, bookshop, transport)
    await pipeline.close()
