"""Two small companies, made through the public API like anybody's, and how to log in as them."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
from click import ClickException

PASSWORD = "correct horse battery staple"  # noqa: S105 - everybody may know it.
WAIT = 15.0


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who can log in."""

    name: str
    email: str
    time_zone: str
    locale: str = "en"


@dataclass(frozen=True, slots=True)
class Company:
    """An organization: its people with their roles, its plan, what it paid in, its files."""

    name: str
    slug: str
    owner: Person
    others: Mapping[Person, str]
    plan: str
    credits: int
    files: Mapping[str, str]


ADA = Person("Ada Okafor", "ada@example.com", "Africa/Lagos")
BRUNO = Person("Bruno Costa", "bruno@example.com", "America/Sao_Paulo", "pt-BR")
CHEN = Person("Chen Wei", "chen@example.com", "Asia/Shanghai", "zh-CN")

COMPANIES = (
    Company(
        name="Lumen Studio",
        slug="lumen-studio",
        owner=ADA,
        others={BRUNO: "ADMIN", CHEN: "MEMBER"},
        plan="team",
        credits=25_000,
        files={
            "brand-guide.md": "# Lumen Studio\n\nWarm greys, one accent, no gradients.\n",
            "spring-campaign.csv": "week,posts,budget\n12,4,80000\n13,6,120000\n",
        },
    ),
    Company(
        name="Harbour Coffee",
        slug="harbour-coffee",
        owner=BRUNO,
        others={ADA: "BILLING"},
        plan="free",
        credits=4_000,
        files={"menu.txt": "Espresso 2.20\nFlat white 3.40\nFilter 2.80\n"},
    ),
)


NOTES = {"todo.md": "- [ ] Ask Bruno about the invoice\n- [x] Book the harbour shoot\n"}
TYPES = {"csv": "text/csv", "md": "text/markdown", "txt": "text/plain"}


class Refused(Exception):
    """The API answered with an error; `code` says which."""

    def __init__(self, errors: Sequence[Mapping[str, Any]]) -> None:
        super().__init__("; ".join(str(error.get("message")) for error in errors))
        self.code = str((errors[0].get("extensions") or {}).get("code"))


@dataclass(frozen=True, slots=True)
class Api:
    """The public API of a running Nexus, as one caller."""

    http: aiohttp.ClientSession
    url: str
    token: str | None = None

    async def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        """The data of one operation; raises `Refused` when it has errors."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        body = {"query": query, "variables": variables}
        async with self.http.post(f"{self.url}/graphql", json=body, headers=headers) as response:
            answer = await response.json(content_type=None)
        if answer.get("errors"):
            raise Refused(answer["errors"])
        data: dict[str, Any] = answer["data"]
        return data

    async def logged_in(self, person: Person) -> Api:
        """The same API as this person."""
        data = await self.ask(
            "mutation($input: LogInInput!) { logIn(input: $input) { accessToken } }",
            input={"email": person.email, "password": PASSWORD},
        )
        return Api(self.http, self.url, data["logIn"]["accessToken"])


async def seed(url: str, *, stripe_secret: str | None = None) -> None:
    """Leaves the demo companies in the Nexus at this address; doing it again changes nothing.

    Credits arrive only where `stripe_secret` lets this act as the payment provider.
    """
    async with _api(url) as api:
        people = {person for company in COMPANIES for person in [company.owner, *company.others]}
        known = {person: await _account(api, person) for person in sorted(people, key=_email)}
        for company in COMPANIES:
            await _company(company, known, stripe_secret)
        await _files(known[ADA], NOTES, None)


async def welcome(url: str) -> str:
    """What to tell a person who has just started a Nexus with the demo companies."""
    async with _api(url) as api:
        ada = await api.logged_in(ADA)
    people = "\n".join(
        f"    {person.email:<18} {person.name}" for person in sorted({ADA, BRUNO, CHEN}, key=_email)
    )
    query = json.dumps(
        {
            "query": "{ me { name memberships(first: 10) { edges { node { role "
            "organization { name plan { name } creditBalance { amount currency } } "
            "} } } } }"
        }
    )
    return f"""
  {url}/graphql   a page to try it, the same address is the API

  Log in as any of these; the password is: {PASSWORD}
{people}

  Ask as Ada, for an hour from now:

curl -s {url}/graphql -H 'Content-Type: application/json' \\
  -H 'Authorization: Bearer {ada.token}' \\
  -d '{query}'

  Ctrl-C stops everything.
"""


@asynccontextmanager
async def _api(url: str) -> AsyncIterator[Api]:
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(30)) as http:
            yield Api(http, url.rstrip("/"))
    except (aiohttp.ClientError, TimeoutError) as error:
        raise ClickException(f"{url} does not answer: {error}") from error
    except Refused as error:
        raise ClickException(f"the demo data was refused: {error}") from error


def _email(person: Person) -> str:
    return person.email


async def _account(api: Api, person: Person) -> Api:
    """The API as this person, who has an account afterwards."""
    given = {
        "email": person.email,
        "password": PASSWORD,
        "name": person.name,
        "locale": person.locale,
        "timeZone": person.time_zone,
    }
    try:
        data = await api.ask(
            "mutation($input: SignUpInput!) { signUp(input: $input) { accessToken } }", input=given
        )
    except Refused as refused:
        if refused.code != "CONFLICT":
            raise
        return await api.logged_in(person)
    return Api(api.http, api.url, data["signUp"]["accessToken"])


async def _company(company: Company, known: Mapping[Person, Api], secret: str | None) -> None:
    owner = known[company.owner]
    organization = await _organization(owner, company)
    await _members(owner, company, organization, known)
    if secret is not None:
        await _credits(owner, company, organization, secret)
    await _plan(owner, company, organization)
    await _files(owner, company.files, organization)


async def _organization(owner: Api, company: Company) -> str:
    """The id of the organization, which exists afterwards."""
    try:
        data = await owner.ask(
            "mutation($input: CreateOrganizationInput!)"
            " { createOrganization(input: $input) { id } }",
            input={"name": company.name, "slug": company.slug},
        )
        found = data["createOrganization"]
    except Refused as refused:
        if refused.code != "CONFLICT":
            raise
        query = "query($slug: String!) { organization(slug: $slug) { id } }"
        found = (await owner.ask(query, slug=company.slug))["organization"]
    return str(found["id"])


async def _members(
    owner: Api, company: Company, organization: str, known: Mapping[Person, Api]
) -> None:
    for person, role in company.others.items():
        try:
            data = await owner.ask(
                "mutation($input: InviteMemberInput!) { inviteMember(input: $input) { token } }",
                input={"organizationId": organization, "email": person.email, "role": role},
            )
        except Refused as refused:
            if refused.code != "CONFLICT":
                raise
            continue
        await known[person].ask(
            "mutation($input: AcceptInvitationInput!) { acceptInvitation(input: $input) { id } }",
            input={"token": data["inviteMember"]["token"]},
        )


async def _credits(owner: Api, company: Company, organization: str, secret: str) -> None:
    """Buys credits, and reports the payment as the provider would."""
    data = await owner.ask(
        "mutation($input: TopUpCreditsInput!) { topUpCredits(input: $input)"
        " { payment { id status amount { amount currency } } } }",
        input={
            "organizationId": organization,
            "amount": {"amount": company.credits, "currency": "EUR"},
            "idempotencyKey": f"demo-credits-{company.slug}",
        },
    )
    payment = data["topUpCredits"]["payment"]
    event = _paid(payment, company)
    moment = int(time.time())
    signed = hmac.new(secret.encode(), f"{moment}.{event}".encode(), hashlib.sha256).hexdigest()
    headers = {"Stripe-Signature": f"t={moment},v1={signed}", "Content-Type": "application/json"}
    async with owner.http.post(
        f"{owner.url}/webhooks/stripe", data=event.encode(), headers=headers
    ) as response:
        if not response.ok:
            raise ClickException(f"the demo payment was refused: {await response.text()}")
    await _until_paid(owner, organization, company.credits)


def _paid(payment: Mapping[str, Any], company: Company) -> str:
    """The event with which Stripe reports a payment."""
    intent = {
        "id": f"pi_demo_{company.slug}",
        "object": "payment_intent",
        "status": "succeeded",
        "amount": payment["amount"]["amount"],
        "amount_received": payment["amount"]["amount"],
        "currency": payment["amount"]["currency"].lower(),
        "metadata": {"payment_id": payment["id"]},
    }
    return json.dumps(
        {
            "id": f"evt_demo_{company.slug}",
            "object": "event",
            "type": "payment_intent.succeeded",
            "created": int(time.time()),
            "data": {"object": intent},
        }
    )


async def _until_paid(owner: Api, organization: str, amount: int) -> None:
    """Returns when the worker has settled the payment, whatever was spent since."""
    query = (
        "query($id: ID!) { organization(id: $id)"
        " { invoices(first: 20, status: PAID) { edges { node { total { amount } } } } } }"
    )
    deadline = time.monotonic() + WAIT
    while time.monotonic() < deadline:
        data = await owner.ask(query, id=organization)
        paid = [edge["node"]["total"] for edge in data["organization"]["invoices"]["edges"]]
        if any(total["amount"] == amount for total in paid):
            return
        await asyncio.sleep(0.1)
    raise ClickException("the demo payment was not settled; does a worker run?")


async def _plan(owner: Api, company: Company, organization: str) -> None:
    query = "query($id: ID!) { organization(id: $id) { plan { code } } }"
    data = await owner.ask(query, id=organization)
    if data["organization"]["plan"]["code"] == company.plan:
        return
    await owner.ask(
        "mutation($input: ChangePlanInput!)"
        " { changePlan(input: $input) { invoice { number status } } }",
        input={
            "organizationId": organization,
            "planCode": company.plan,
            "idempotencyKey": f"demo-plan-{company.slug}",
        },
    )


async def _files(api: Api, files: Mapping[str, str], organization: str | None) -> None:
    """Uploads the files to an organization, or to the person, that has none yet."""
    owner = "organization(id: $id)" if organization else "me"
    variables = "query($id: ID!)" if organization else "query"
    query = (
        f"{variables} {{ owner: {owner} {{ files(first: 1) {{ edges {{ node {{ id }} }} }} }} }}"
    )
    data = await api.ask(query, **({"id": organization} if organization else {}))
    if data["owner"]["files"]["edges"]:
        return
    for name, text in files.items():
        await _upload(api, name, text.encode(), organization)


async def _upload(api: Api, name: str, content: bytes, organization: str | None) -> None:
    data = await api.ask(
        "mutation($input: RequestUploadInput!) { requestUpload(input: $input)"
        " { file { id } upload { method url headers { name value } } } }",
        input={
            "organizationId": organization,
            "name": name,
            "contentType": TYPES[name.rpartition(".")[2]],
            "sizeBytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
        },
    )
    file, target = data["requestUpload"]["file"], data["requestUpload"]["upload"]
    headers = {header["name"]: header["value"] for header in target["headers"]}
    async with api.http.request(
        target["method"], target["url"], data=content, headers=headers
    ) as response:
        if not response.ok:
            raise ClickException(f"the upload of {name} was refused: {await response.text()}")
    await api.ask(
        "mutation($input: CompleteUploadInput!) { completeUpload(input: $input) { id } }",
        input={"fileId": file["id"]},
    )
