"""Where payment providers send their messages: passed on to billing as they are.

    POST /webhooks/stripe         POST /api/v1/webhooks/stripe
    POST /webhooks/mercadopago    POST /api/v1/webhooks/mercadopago

Billing checks the signature, over the very bytes that came.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response

from gateway.context import RequestContext
from gateway.federation.transport import SubgraphError
from gateway.rest.operations import Answer, Body, Handler, Operation, Parameter
from gateway.transports.forwarding import ForwardedRequest, ForwardedResponse
from shared.auth import GATEWAY
from shared.errors import BadRequest, NotFound, PayloadTooLarge, Unavailable

__all__ = ["PROVIDERS", "Forwarding", "operations"]

PROVIDERS = {"stripe": "Stripe", "mercadopago": "MercadoPago"}

_HEADERS = ("content-type", "stripe-signature", "x-signature", "x-request-id")
_MOST_BYTES = 262_144


class Forwarding(Protocol):
    """The part of a transport that passes REST requests on."""

    async def forward(
        self, subgraph: str, request: ForwardedRequest, context: RequestContext, /
    ) -> ForwardedResponse:
        """The subgraph's answer; raises `SubgraphError`."""


def operations(transport: Callable[[], Forwarding]) -> Sequence[Operation]:
    """The endpoints; ``transport`` gives the one that is in use now."""
    return [
        Operation(
            name=f"{provider}Webhook",
            method="POST",
            paths=(f"/webhooks/{provider}", f"/api/v1/webhooks/{provider}"),
            handler=_receiver(provider, transport),
            summary=f"A message of {name}",
            description=(
                "For the payment provider alone. A message is believed when it was signed with our"
                " secret within five minutes; it is stored once and takes effect later."
            ),
            answers={204: Answer("The message is stored, now or before.")},
            failures=(BadRequest, NotFound, PayloadTooLarge, Unavailable),
            parameters=_SIGNATURE[provider],
            body=Body("The message as it was signed.", {"application/json": {"type": "object"}}),
            tag="webhooks",
        )
        for provider, name in PROVIDERS.items()
    ]


_SIGNATURE = {
    "stripe": (
        Parameter(
            "Stripe-Signature", "header", "`t=`, the time, and `v1=`, signatures.", required=False
        ),
    ),
    "mercadopago": (
        Parameter(
            "x-signature", "header", "`ts=`, the time, and `v1=`, a signature.", required=False
        ),
        Parameter("x-request-id", "header", "Part of what is signed.", required=False),
        Parameter("data.id", "query", "What the message is about; signed.", required=False),
    ),
}


def _receiver(provider: str, transport: Callable[[], Forwarding]) -> Handler:
    async def receive(request: Request) -> Response:
        return await _forward(request, provider, transport())

    return receive


async def _forward(request: Request, provider: str, transport: Forwarding) -> Response:
    query = request.url.query
    forwarded = ForwardedRequest(
        method="POST",
        path=f"/webhooks/{provider}" + (f"?{query}" if query else ""),
        headers={name: request.headers[name] for name in _HEADERS if name in request.headers},
        body=await _body(request),
    )
    try:
        answer = await transport.forward("billing", forwarded, RequestContext(identity=GATEWAY))
        body = b"".join([chunk async for chunk in answer.body])
    except SubgraphError as error:
        raise Unavailable from error
    return Response(body, answer.status, media_type=answer.headers.get("content-type"))


async def _body(request: Request) -> bytes:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_BYTES:
            raise PayloadTooLarge
    return body
