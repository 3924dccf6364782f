"""The users subgraph on real servers, asked as the gateway asks it."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from shared.auth import ANONYMOUS, Identity
from shared.config import Settings
from subgraphs.users.sessions import Sessions
from tests.support.asking import Asked, asking, make_template, noting_statements
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
class Users(Asked):
    """The subgraph, and short ways to use it."""

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


@pytest.fixture(scope="session")
def template_database(started_servers: Servers) -> str:
    """A template with this subgraph alone."""
    return make_template(started_servers, "users")


@pytest.fixture
def grace_seconds() -> int:
    """How long a deletion can be cancelled; a test may say otherwise."""
    return 0


@pytest.fixture
async def users(settings: Settings, grace_seconds: int) -> AsyncIterator[Users]:
    """The subgraph, over empty stores."""
    privacy = settings.privacy.model_copy(update={"deletion_grace_seconds": grace_seconds})
    async with asking(settings.model_copy(update={"privacy": privacy}), "users") as found:
        yield Users(found.subgraph, found.settings, found.redis, found.database)


@pytest.fixture
def statements() -> Iterator[list[str]]:
    """The SQL statements that this process sends, as they are sent."""
    with noting_statements() as sent:
        yield sent
