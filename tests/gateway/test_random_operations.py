"""Whatever valid operation a client makes up, what goes wrong is never our fault."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings

from shared.config import Settings
from tests.support.nexus import running

_SIGN_UP = """
mutation {
  signUp(input: {email: "ada@example.org", password: "correct horse battery", name: "Ada"}) {
    accessToken
  }
}
"""


def fuzz(url: str, headers: dict[str, str], *, examples: int) -> tuple[set[str], list[Any]]:
    """Send operations made up from the schema; gives the codes that were met, and the bugs."""
    schema = schemathesis.graphql.from_url(url, headers=headers)
    codes: set[str] = set()
    bugs: list[Any] = []

    @hypothesis_settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=schema.exclude(name=["Mutation.logOut"]).as_strategy())
    def ask(case: Any) -> None:
        response = case.call(headers=headers)
        answer = response.json()
        found = {error["extensions"]["code"] for error in answer.get("errors", ())}
        codes.update(found)
        # Noted, not raised: the next attempt meets another state.
        if response.status_code >= 500 or "INTERNAL" in found:
            bugs.append((case.body, answer))

    ask()
    return codes, bugs


# Hypothesis sees the application, in the same process, use random numbers while it makes up a case.
@pytest.mark.filterwarnings("ignore:Do not use the `random` module inside strategies")
async def test_random_operations_meet_no_bug(settings: Settings) -> None:
    async with running(settings, "monolith") as nexus:
        token = (await nexus.data(_SIGN_UP))["signUp"]["accessToken"]
        known = {"authorization": f"Bearer {token}"}
        url = f"{nexus.url}/graphql"
        met, bugs = await asyncio.to_thread(fuzz, url, known, examples=200)
        assert (await nexus.data("{ me { id } }", token=token))["me"]
        strange, more = await asyncio.to_thread(fuzz, url, {}, examples=100)
    assert bugs + more == []
    assert {"NOT_FOUND", "BAD_USER_INPUT"} <= met
    assert "UNAUTHENTICATED" in strange
