"""Where payment providers send their messages.

``POST /webhooks/{provider}``: the signature is checked over the raw bytes, the
message is stored once with the job that will handle it, and that is all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import Response
from starlette.routing import Route

from shared.errors import NexusError, NotFound, PayloadTooLarge
from shared.protocols.problem_details import problem
from subgraphs.billing import payments
from subgraphs.billing.providers import BadWebhook

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from starlette.requests import Request

    from shared.db import Database
    from subgraphs.billing.providers import Providers

__all__ = ["routes"]

_MOST_BYTES = 262_144


def routes(database: Database, providers: Providers, clock: Callable[[], datetime]) -> list[Route]:
    """The routes of this edge."""

    async def receive(request: Request) -> Response:
        try:
            provider = providers.by_name.get(request.path_params["provider"])
            if provider is None:
                raise NotFound
            body = await _body(request)
            now = clock()
            notice = provider.verify(request.headers, request.query_params, body, now=now)
            async with database.write() as session:
                await payments.accept(session, provider.name, notice, now=now)
        except NexusError as error:
            return problem(error)
        return Response(status_code=204)

    return [Route("/webhooks/{provider}", receive, methods=["POST"])]


async def _body(request: Request) -> bytes:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_BYTES:
            raise PayloadTooLarge
    if not body:
        raise BadWebhook("The message is empty.")
    return body
