"""Users of a running Nexus, with the steps that many journeys share."""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx

from subgraphs.billing import simulation
from tests.support.nexus import STRIPE_SECRET, Nexus

__all__ = [
    "BALANCE",
    "PASSWORD",
    "TOP_UP",
    "Person",
    "buy_credits",
    "create_organization",
    "eventually",
    "invite",
    "new_slug",
    "send_paid",
    "sign_up",
    "top_up_variables",
]

T = TypeVar("T")

PASSWORD = "correct horse battery"
TOP_UP = (
    "mutation($input: TopUpCreditsInput!) { topUpCredits(input: $input) {"
    " payment { id status } invoice { id status } } }"
)
BALANCE = "query($id: ID!) { organization(id: $id) { creditBalance { amount currency } } }"


@dataclass(frozen=True, slots=True)
class Person:
    """Someone who is logged in."""

    nexus: Nexus
    id: str
    email: str
    token: str
    refresh_token: str

    async def graphql(self, query: str, variables: dict[str, Any] | None = None) -> dict[str, Any]:
        """The whole answer to one operation of theirs."""
        return await self.nexus.graphql(query, variables, token=self.token)

    async def data(self, query: str, variables: dict[str, Any] | None = None) -> dict[str, Any]:
        """The data of one operation of theirs, which must have no errors."""
        return await self.nexus.data(query, variables, token=self.token)

    async def upload(
        self, name: str, content: bytes, *, organization_id: str | None = None
    ) -> dict[str, Any]:
        """A file that is uploaded and complete."""
        requested = await self.data(
            "mutation($input: RequestUploadInput!) { requestUpload(input: $input) {"
            " file { id } upload { method url headers { name value } } } }",
            {
                "input": {
                    "name": name,
                    "contentType": "text/plain",
                    "sizeBytes": len(content),
                    "sha256": hashlib.sha256(content).hexdigest(),
                    "organizationId": organization_id,
                }
            },
        )
        target = requested["requestUpload"]["upload"]
        headers = {header["name"]: header["value"] for header in target["headers"]}
        async with httpx.AsyncClient() as client:
            response = await client.request(
                target["method"], target["url"], content=content, headers=headers
            )
        response.raise_for_status()
        completed = await self.data(
            "mutation($input: CompleteUploadInput!) {"
            " completeUpload(input: $input) { id status sizeBytes } }",
            {"input": {"fileId": requested["requestUpload"]["file"]["id"]}},
        )
        file: dict[str, Any] = completed["completeUpload"]
        return file

    async def download(self, url: str) -> bytes:
        """What a download URL leads to."""
        async with httpx.AsyncClient() as client:
            response = await client.get(url)
        response.raise_for_status()
        return response.content


async def sign_up(nexus: Nexus, name: str, *, email: str | None = None) -> Person:
    """A new account, logged in."""
    email = email or f"{name.lower()}-{uuid.uuid4().hex[:12]}@example.com"
    answer = await nexus.data(
        "mutation($input: SignUpInput!) { signUp(input: $input) {"
        " accessToken refreshToken user { id } } }",
        {"input": {"email": email, "password": PASSWORD, "name": name}},
    )
    payload = answer["signUp"]
    return Person(
        nexus, payload["user"]["id"], email, payload["accessToken"], payload["refreshToken"]
    )


def new_slug() -> str:
    """A slug that no organization has."""
    return f"lumen-{uuid.uuid4().hex[:12]}"


async def create_organization(owner: Person, *, slug: str | None = None) -> str:
    """The id of a new organization named Lumen."""
    created = await owner.data(
        "mutation($input: CreateOrganizationInput!) { createOrganization(input: $input) { id } }",
        {"input": {"name": "Lumen", "slug": slug or new_slug()}},
    )
    organization: str = created["createOrganization"]["id"]
    return organization


async def invite(
    owner: Person, guest: Person, organization_id: str, *, role: str = "MEMBER"
) -> None:
    """Make the guest a member, whom the others know by name when this returns."""
    invited = await owner.data(
        "mutation($input: InviteMemberInput!) { inviteMember(input: $input) { token } }",
        {"input": {"organizationId": organization_id, "email": guest.email, "role": role}},
    )
    await guest.data(
        "mutation($input: AcceptInvitationInput!) { acceptInvitation(input: $input) { id } }",
        {"input": {"token": invited["inviteMember"]["token"]}},
    )

    async def members() -> dict[str, Any]:
        return await owner.graphql(
            "query($id: ID!) { organization(id: $id) {"
            " members(first: 100) { edges { node { user { name } } } } } }",
            {"id": organization_id},
        )

    # The users subgraph learns from a fact who is whose colleague.
    await eventually(members, lambda answer: "errors" not in answer)


async def eventually(ask: Callable[[], Awaitable[T]], wanted: Callable[[T], bool]) -> T:
    """What ``ask`` answers once it is what is wanted; workers bring it about within 20 s."""
    async with asyncio.timeout(20):
        answer = await ask()
        while not wanted(answer):
            await asyncio.sleep(0.05)
            answer = await ask()
    return answer


def top_up_variables(organization_id: str, amount: int) -> dict[str, Any]:
    """The input of a top-up in euros."""
    money = {"amount": amount, "currency": "EUR"}
    return {
        "input": {
            "organizationId": organization_id,
            "amount": money,
            "idempotencyKey": f"top-up-{organization_id}-{amount}",
        }
    }


async def buy_credits(owner: Person, organization_id: str, amount: int) -> None:
    """Credits that were paid for: the provider's signed message has been handled."""
    bought = await owner.data(TOP_UP, top_up_variables(organization_id, amount))
    payment = bought["topUpCredits"]["payment"]
    response = await send_paid(owner.nexus, payment["id"], amount)
    assert response.status_code == 204, response.text

    async def balance() -> int:
        data = await owner.data(BALANCE, {"id": organization_id})
        found: int = data["organization"]["creditBalance"]["amount"]
        return found

    await eventually(balance, lambda found: found >= amount)


async def send_paid(nexus: Nexus, payment_id: str, amount: int) -> httpx.Response:
    """Report a payment as Stripe does."""
    headers, body = simulation.paid(
        payment_id, amount=amount, currency="EUR", secret=STRIPE_SECRET, now=dt.datetime.now(dt.UTC)
    )
    return await nexus.client.post("/webhooks/stripe", content=body, headers=headers)
