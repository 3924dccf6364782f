"""The storage subgraph on real servers."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from shared.access import Role
from shared.auth import Identity
from shared.config import Settings
from subgraphs.storage.objects import Objects
from tests.support.asking import Asked, asking, make_template
from tests.support.servers import Servers

REQUEST = """
mutation($input: RequestUploadInput!) {
  requestUpload(input: $input) {
    file { id name status sizeBytes contentType downloadUrl }
    upload { method url headers { name value } expiresAt }
  }
}
"""
COMPLETE = """
mutation($input: CompleteUploadInput!) {
  completeUpload(input: $input) { id status downloadUrl }
}
"""
DELETE = "mutation($input: DeleteFileInput!) { deleteFile(input: $input) { fileId } }"


def new_id() -> str:
    """An id that nothing has yet."""
    return str(uuid.uuid4())


def person(**roles: str) -> Identity:
    """Someone; ``{organization_id: "MEMBER"}``."""
    return Identity(new_id(), "session", {org: Role[role] for org, role in roles.items()})


def member(organization_id: str, role: str = "MEMBER") -> Identity:
    """Someone who is in an organization."""
    return Identity(new_id(), "session", {organization_id: Role[role]})


def announced(content: bytes, **given: Any) -> dict[str, Any]:
    """The input of `requestUpload` for this content."""
    return {
        "name": "notes.txt",
        "contentType": "text/plain",
        "sizeBytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        **given,
    }


@dataclass(frozen=True, slots=True)
class Storage(Asked):
    """The subgraph, the bucket, and what happens often."""

    objects: Objects
    client: httpx.AsyncClient

    async def request(self, content: bytes, *, by: Identity, **given: Any) -> dict[str, Any]:
        """What `requestUpload` answers."""
        answer = await self.data(REQUEST, {"input": announced(content, **given)}, by=by)
        payload: dict[str, Any] = answer["requestUpload"]
        return payload

    async def send(self, payload: dict[str, Any], content: bytes, **headers: str) -> httpx.Response:
        """Carry out the upload; ``headers`` (underscores for hyphens) replace given ones."""
        target = payload["upload"]
        given = {each["name"]: each["value"] for each in target["headers"]}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.request(
            target["method"], target["url"], content=content, headers=given
        )

    async def upload(self, content: bytes, *, by: Identity, **given: Any) -> str:
        """The id of a new complete file."""
        payload = await self.request(content, by=by, **given)
        response = await self.send(payload, content)
        assert response.status_code == 200, response.text
        file_id: str = payload["file"]["id"]
        await self.data(COMPLETE, {"input": {"fileId": file_id}}, by=by)
        return file_id

    async def account(self, owner_id: str | None) -> tuple[int, int, int]:
        """Used and reserved bytes, and the number of files."""
        rows = await self.sql("select * from accounts where owner_id = :owner", owner=owner_id)
        return (
            (rows[0].used_bytes, rows[0].reserved_bytes, rows[0].file_count) if rows else (0, 0, 0)
        )

    async def jobs(self) -> list[str]:
        """The names of the jobs that wait."""
        return [row.entrypoint for row in await self.sql("select entrypoint from pgqueuer")]


@pytest.fixture(scope="session")
def template_database(started_servers: Servers) -> str:
    """A template with this subgraph alone."""
    return make_template(started_servers, "storage")


@pytest.fixture
async def storage(settings: Settings) -> AsyncIterator[Storage]:
    """The subgraph, over empty stores."""
    async with asking(settings, "storage") as asked, httpx.AsyncClient() as client:
        objects = Objects(settings.s3, asked.subgraph.make_context(person()).resources.clock)
        yield Storage(asked.subgraph, asked.settings, asked.redis, asked.database, objects, client)
        await objects.close()
