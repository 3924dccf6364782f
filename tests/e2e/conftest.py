"""The whole application, in both modes."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from shared.config import Settings
from tests.support.nexus import Mode, Nexus, running


@pytest.fixture(params=["monolith", "services"])
def mode(request: pytest.FixtureRequest) -> Mode:
    """How the application is put together."""
    chosen: Mode = request.param
    return chosen


@pytest.fixture
async def nexus(settings: Settings, mode: Mode) -> AsyncIterator[Nexus]:
    """A running application over an empty, migrated database."""
    async with running(settings, mode) as found:
        yield found
