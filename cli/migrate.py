"""Brings the databases of the subgraphs to the newest revision."""

from __future__ import annotations

from collections.abc import Sequence

from click import ClickException

from shared import migrations
from shared.config import SUBGRAPHS, ConfigurationError, Settings


async def migrate(settings: Settings, names: Sequence[str] = SUBGRAPHS) -> dict[str, list[str]]:
    """The revisions that were applied to each subgraph, oldest first."""
    try:
        return await migrations.migrate(settings, names)
    except ConfigurationError as error:
        raise ClickException(str(error)) from error
