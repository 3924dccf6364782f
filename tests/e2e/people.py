"""Users of a running Nexus, with the steps that many journeys share."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import httpx

from tests.support.nexus import Nexus

__all__ = ["Person", "sign_up"]

PASSWORD = "correct horse battery"


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


async def sign_up(nexus: Nexus, name: str) -> Person:
    """A new account, logged in."""
    email = f"{name.lower()}@example.com"
    answer = await nexus.data(
        "mutation($input: SignUpInput!) { signUp(input: $input) {"
        " accessToken refreshToken user { id } } }",
        {"input": {"email": email, "password": PASSWORD, "name": name}},
    )
    payload = answer["signUp"]
    return Person(
        nexus, payload["user"]["id"], email, payload["accessToken"], payload["refreshToken"]
    )
