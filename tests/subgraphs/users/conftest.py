"""The users subgraph on real servers, asked as the gateway asks it."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from shared import migrations
from shared.auth import ANONYMOUS, Identity
from shared.cache import Redis, connect
from shared.config import Settings
from shared.db import Database
from shared.events import EventBus
from shared.protocols.service import GraphQLRequest
from shared.subgraph import Subgraph
from subgraphs.users.app import create
from subgraphs.users.sessions import Sessions
from tests.support import databases, nexus
from tests.support.servers import Servers

PASSWORD = "correct horse battery"

_SIGN_UP = """
mutation SignUp($input: SignUpInput!) {
  signUp(input: $input) { accessToken refreshToken expiresIn user { id email name version } }
}
"""


@dataclass(frozen=True, slots=True)
class Person:
    """Someone who is logged in."""

    id: str
    email: str
    access_token: str
    refresh_token: str

    @property
    def session_id(self) -> str:
        """The session of the tokens."""
        return self.refresh_token.partition(".")[0]

    @property
    def identity(self) -> Identity:
        """What the gateway tells subgraphs about them."""
        return Identity(self.id, self.session_id)


@dataclass(frozen=True, slots=True)
class Users:
    """The subgraph, and short ways to use it."""

    subgraph: Subgraph
    settings: Settings
    redis: Redis
    database: Database

    async def ask(
        self, query: str, variables: dict[str, Any] | None = None, *, by: Identity = ANONYMOUS
    ) -> dict[str, Any]:
        """The response map."""
        request = GraphQLRequest(query, variables=variables or {})
        return (await self.subgraph.service.execute(request, by)).payload()

    async def data(
        self, query: str, variables: dict[str, Any] | None = None, *, by: Identity = ANONYMOUS
    ) -> dict[str, Any]:
        """The data of an operation without errors."""
        answer = await self.ask(query, variables, by=by)
        assert "errors" not in answer, answer["errors"]
        found: dict[str, Any] = answer["data"]
        return found

    async def error(
        self, query: str, variables: dict[str, Any] | None = None, *, by: Identity = ANONYMOUS
    ) -> dict[str, Any]:
        """The extensions, with the message, of the one error."""
        answer = await self.ask(query, variables, by=by)
        [error] = answer["errors"]
        return {"message": error["message"], **error["extensions"]}

    async def sign_up(self, email: str | None = None, **changes: Any) -> Person:
        """A new person."""
        email = email or f"{uuid.uuid4().hex}@example.org"
        given = {"email": email, "password": PASSWORD, "name": "Ada Lovelace", **changes}
        payload = (await self.data(_SIGN_UP, {"input": given}))["signUp"]
        user = payload["user"]
        return Person(user["id"], user["email"], payload["accessToken"], payload["refreshToken"])

    async def log_in(
        self, email: str, password: str = PASSWORD, *, by: Identity = ANONYMOUS
    ) -> Person:
        """Someone who exists, in a new session."""
        payload = (
            await self.data(
                "mutation($input: LogInInput!) {"
                " logIn(input: $input) { accessToken refreshToken user { id } } }",
                {"input": {"email": email, "password": password}},
                by=by,
            )
        )["logIn"]
        return Person(payload["user"]["id"], email, payload["accessToken"], payload["refreshToken"])

    def sessions(self, *, at: float) -> Sessions:
        """The sessions as a process whose clock stands at ``at`` sees them."""
        return Sessions(
            self.redis,
            secret=self.settings.secret_key.get_secret_value(),
            ttl_seconds=self.settings.auth.refresh_ttl_seconds,
            clock=lambda: at,
        )

    @property
    def bus(self) -> EventBus:
        """The bus that other subgraphs use."""
        return EventBus(self.redis)

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """The subgraph's worker runs inside the block."""
        assert self.subgraph.worker is not None
        stop = asyncio.Event()
        worker = asyncio.create_task(self.subgraph.worker.run(stop))
        try:
            yield
        finally:
            stop.set()
            await worker


@pytest.fixture(scope="session")
def template_database(started_servers: Servers) -> str:
    """A template with this subgraph alone."""

    async def prepare(url: str) -> None:
        settings = nexus.make_settings(started_servers, url, "redis://-", "-")
        await migrations.migrate(settings, ["users"])

    name = f"template_users_{started_servers.worker}"
    return databases.make_template(started_servers.postgres_url, name, prepare)


@pytest.fixture
def grace_seconds() -> int:
    """How long a deletion can be cancelled; a test may say otherwise."""
    return 0


@pytest.fixture
async def users(settings: Settings, grace_seconds: int) -> AsyncIterator[Users]:
    """The subgraph, over empty stores."""
    privacy = settings.privacy.model_copy(update={"deletion_grace_seconds": grace_seconds})
    settings = settings.model_copy(update={"privacy": privacy})
    redis = connect(settings.redis)
    subgraph = create(settings, redis)
    url = settings.users.database_url
    assert url is not None
    database = Database(url.get_secret_value(), settings.database, name="users")
    yield Users(subgraph, settings, redis, database)
    await database.close()
    await subgraph.close()
    await redis.aclose()


@pytest.fixture
def statements() -> Iterator[list[str]]:
    """The SQL statements that this process sends, as they are sent."""
    sent: list[str] = []

    def note(_: Any, __: Any, statement: str, *___: Any) -> None:
        sent.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    yield sent
    event.remove(Engine, "before_cursor_execute", note)
