"""The gateway of any supergraph, as its settings file says."""

from __future__ import annotations

import json
from pathlib import Path

from click import ClickException

from cli import serving
from gateway import configuration
from gateway.configuration import Configuration
from shared.config import ConfigurationError


def run(
    supergraph: str,
    settings: Path | None,
    *,
    address: tuple[str, int],
    workers: int,
    inherited: tuple[int, int] | None,
) -> int:
    """Serves until SIGTERM or SIGINT; wrong settings are told before a port opens.

    One of several processes has ``inherited`` its listening socket, and that of its parent.
    """
    told = _read(settings)
    if inherited is not None:
        listener, parent = map(serving.inherited, inherited)
        serving.run_standalone(supergraph, told, listener, parent)
        return 0
    with serving.listen(*address) as listener:
        if workers == 1:
            serving.run_standalone(supergraph, told, listener, None)
            return 0
        arguments = ["gateway", "--supergraph", supergraph]
        arguments += ["--config", str(settings)] if settings is not None else []
        return serving.run_several_standalone(arguments, told, listener, workers)


def settings(path: Path | None, supergraph: str | None) -> str:
    """All settings as YAML, those that the file lacks included.

    Raises what is wrong with them, also for a supergraph if there is one.
    """
    told = _read(path)
    if supergraph is not None:
        serving.check_standalone(supergraph, told)
    return configuration.masked(told)


def schema() -> str:
    """The JSON schema of the settings' file."""
    return json.dumps(configuration.json_schema(), indent=2)


def _read(path: Path | None) -> Configuration:
    try:
        return configuration.read(path) if path is not None else Configuration()
    except ConfigurationError as error:
        raise ClickException(f"{path}:\n{error}") from error
