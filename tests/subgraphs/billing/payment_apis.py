"""Stand-ins for the APIs of Stripe and MercadoPago, as far as billing calls them.

They remember what they were asked under an idempotency key, as the real ones do.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass
class PaymentApis:
    """What was asked, what will be answered."""

    url: str = ""
    asked: list[tuple[str, dict[str, Any], dict[str, str]]] = field(default_factory=list)
    payments: dict[str, dict[str, Any]] = field(default_factory=dict)
    status: int | None = None
    answered: dict[str, Any] = field(default_factory=dict)
    held: asyncio.Event | None = None
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    async def stripe_session(self, request: web.Request) -> web.Response:
        """POST /v1/checkout/sessions"""
        return await self._once(request, "Idempotency-Key", dict(await request.post()), "cs", "url")

    async def preference(self, request: web.Request) -> web.Response:
        """POST /checkout/preferences"""
        given = await request.json()
        return await self._once(request, "X-Idempotency-Key", given, "pref", "init_point")

    async def payment(self, request: web.Request) -> web.Response:
        """GET /v1/payments/{id}"""
        self.asked.append((request.path, {}, dict(request.headers)))
        if self.status is not None:
            return web.json_response({}, status=self.status)
        found = self.payments.get(request.match_info["id"])
        return web.json_response(found or {}, status=200 if found else 404)

    async def _once(
        self, request: web.Request, header: str, given: dict[str, Any], prefix: str, url: str
    ) -> web.Response:
        self.asked.append((request.path, given, dict(request.headers)))
        self.arrived.set()
        if self.held is not None:
            await self.held.wait()
        if self.status is not None:
            return web.json_response({"error": {}}, status=self.status)
        key = request.headers[header]
        number = len(self.answered) + 1
        answer = self.answered.setdefault(
            key, {"id": f"{prefix}_{number}", url: f"https://pay.example/{prefix}_{number}"}
        )
        return web.json_response(answer)


@asynccontextmanager
async def serving() -> AsyncIterator[PaymentApis]:
    """The APIs on a free port, until the block ends."""
    apis = PaymentApis()
    app = web.Application()
    app.add_routes(
        [
            web.post("/v1/checkout/sessions", apis.stripe_session),
            web.post("/checkout/preferences", apis.preference),
            web.get("/v1/payments/{id}", apis.payment),
        ]
    )
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    apis.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield apis
    finally:
        await runner.cleanup()
