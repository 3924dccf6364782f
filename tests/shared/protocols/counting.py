"""A service of a few fields on graphql-core alone, to speak the protocols with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import graphql
from starlette.requests import HTTPConnection

from shared.errors import Unauthenticated
from shared.protocols.problems import request_error
from shared.protocols.service import GraphQLRequest, GraphQLResult

SCHEMA = graphql.build_schema(
    """
    type Query { hello(name: String = "world"): String  zebra: Int  apple: Int  wait: Int }
    type Mutation { add(by: Int!): Int }
    type Subscription { count(to: Int!): Int  forever: Int  broken: Int }
    """
)


@dataclass
class Counting:
    """Counts: `add` keeps a total, `count` streams numbers; `wait` waits to be told to go on."""

    total: int = 0
    waiting: asyncio.Event = field(default_factory=asyncio.Event)
    going_on: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    streaming: asyncio.Event = field(default_factory=asyncio.Event)
    stopped: asyncio.Event = field(default_factory=asyncio.Event)

    async def execute(self, request: GraphQLRequest, _context: str) -> GraphQLResult:
        document = self._document(request)
        if isinstance(document, GraphQLResult):
            return document
        kind = _kind(document, request)
        if kind == "mutation" and request.read_only:
            return request_error("No mutations over GET.", code="MUTATION", status=405)
        if kind == "subscription":
            return request_error("Not over plain HTTP.", code="SUBSCRIPTION")
        result = graphql.execute(
            SCHEMA,
            document,
            self,
            variable_values=dict(request.variables),
            operation_name=request.operation_name,
        )
        return _result(result if isinstance(result, graphql.ExecutionResult) else await result)

    async def subscribe(
        self, request: GraphQLRequest, context: str
    ) -> GraphQLResult | AsyncIterator[GraphQLResult]:
        document = self._document(request)
        if isinstance(document, GraphQLResult):
            return document
        if _kind(document, request) != "subscription":
            return await self.execute(request, context)
        stream = graphql.subscribe(
            SCHEMA, document, self.events(request.query), variable_values=dict(request.variables)
        )
        if asyncio.iscoroutine(stream):
            stream = await stream
        if isinstance(stream, graphql.ExecutionResult):
            return _result(stream)
        return self._results(stream)

    async def _results(self, stream: Any) -> AsyncIterator[GraphQLResult]:
        async for result in stream:
            yield _result(result)

    def events(self, query: str) -> dict[str, Any]:
        return {"count": _count, "forever": self._forever, "broken": _broken, "query": query}

    async def _forever(self, _info: object) -> AsyncIterator[dict[str, int]]:
        self.streaming.set()
        try:
            yield {"forever": 1}
            await asyncio.Event().wait()
        finally:
            self.stopped.set()

    def hello(self, _info: object, name: str) -> str:
        return f"hello {name}"

    def zebra(self, _info: object) -> int:
        return 1

    def apple(self, _info: object) -> int:
        return 2

    async def wait(self, _info: object) -> int:
        self.waiting.set()
        try:
            await self.going_on.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return 0

    def add(self, _info: object, by: int) -> int:
        self.total += by
        return self.total

    def _document(self, request: GraphQLRequest) -> graphql.DocumentNode | GraphQLResult:
        if "explode" in request.query:
            raise RuntimeError("secret detail")
        try:
            document = graphql.parse(request.query)
        except graphql.GraphQLSyntaxError as error:
            return GraphQLResult(errors=[error.formatted], status=400)
        errors = graphql.validate(SCHEMA, document)
        if errors:
            return GraphQLResult(errors=[error.formatted for error in errors], status=400)
        return document


async def _count(_info: object, to: int) -> AsyncIterator[dict[str, int]]:
    for number in range(1, to + 1):
        yield {"count": number}


async def _broken(_info: object) -> AsyncIterator[dict[str, int]]:
    yield {"broken": 1}
    raise RuntimeError("secret detail")


def _kind(document: graphql.DocumentNode, request: GraphQLRequest) -> str:
    operation = graphql.get_operation_ast(document, request.operation_name)
    return operation.operation.value if operation else "none"


def _result(result: graphql.ExecutionResult) -> GraphQLResult:
    if result.data is None and result.errors and not result.errors[0].path:
        return GraphQLResult(errors=[error.formatted for error in result.errors], status=400)
    return GraphQLResult(
        data=result.data, errors=[error.formatted for error in result.errors or ()]
    )


async def name_of(connection: HTTPConnection, init: Any = None) -> str:
    """The caller's name: a token from the header or the init payload; "expired" is refused."""
    token = (init or {}).get("token") or connection.headers.get("authorization", "anonymous")
    if token == "expired":
        raise Unauthenticated("The token is not valid or has expired.")
    return str(token)
