"""The commands and their options. What a command does is imported only when it runs."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tomllib
from collections.abc import Callable
from functools import wraps
from importlib import metadata
from pathlib import Path
from typing import ParamSpec

import click

from cli.environment import HOME, IN_A_CLONE, ROOT, SUPERGRAPH

P = ParamSpec("P")

FILE = click.Path(path_type=Path, dir_okay=False)
PORT = click.IntRange(0, 65535)
WORKERS = click.IntRange(1, 256)
PROCESSES = ("all", "gateway", "users", "orgs", "billing", "storage")


def only_in_a_clone(command: Callable[P, None]) -> Callable[P, None]:
    """A command that an installed wheel refuses, because what it needs is not part of it."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        if not IN_A_CLONE:
            raise click.ClickException("this command works in a clone of the repository only")
        command(*args, **kwargs)

    return run


def _version() -> str:
    """What the wheel says or, in a clone, the project file."""
    if not IN_A_CLONE:
        return metadata.version("nexus-backend")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return str(project["version"])


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(_version(), message="%(version)s")
def main() -> None:
    """One GraphQL endpoint over users, orgs, billing and storage."""


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option("--port", default=4000, show_default=True, type=PORT, help="Where to listen.")
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False, resolve_path=True),
    default=HOME,
    help="Where the data is kept.  [default: .nexus]",
)
@click.option("--reset", is_flag=True, help="Erase all data of earlier runs first.")
@only_in_a_clone
def dev(*, host: str, port: int, data: Path, reset: bool) -> None:
    """Start everything, with demo data and a page to try it."""
    from cli import dev

    dev.run(data, host=host, port=port, reset=reset)


@main.command(context_settings={"ignore_unknown_options": True, "help_option_names": ["--help"]})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@only_in_a_clone
def test(arguments: tuple[str, ...]) -> None:
    """Run every check and test.

    With ARGUMENTS, only pytest runs, and gets them.
    """
    from cli import checks

    sys.exit(checks.run(arguments))


@main.command()
@click.option("--check", is_flag=True, help="Write nothing; fail when a file is out of date.")
@click.option(
    "--config",
    "configuration",
    type=FILE,
    default="supergraph.yaml",
    show_default=True,
    help="The subgraphs, in Rover's format.",
)
@click.option(
    "--output",
    type=FILE,
    default="supergraph.graphql",
    show_default=True,
)
@only_in_a_clone
def compose(*, check: bool, configuration: Path, output: Path) -> None:
    """Write the schemas and the supergraph composed of them.

    A schema.graphql for each subgraph, and supergraph.graphql of them all.
    """
    from cli import compose

    stale = compose.compose(configuration, output)
    for file in stale:
        if not check:
            file.path.write_text(file.text)
        click.echo(f"{'out of date' if check else 'written'}: {file.path}")
    if not stale:
        click.echo("everything is up to date")
    elif check:
        raise click.ClickException("generated files are out of date: run ./nexus compose")


@main.command()
@click.argument("what", type=click.Choice(PROCESSES), default="all")
@click.option("--host", help="Overrides NEXUS_HTTP__HOST.")
@click.option("--port", type=PORT, help="Overrides NEXUS_HTTP__PORT.")
@click.option("--inherit", type=int, hidden=True, help="Serve on this open socket.")
@click.option("--parent", type=int, hidden=True, help="Serve until this open socket is closed.")
def serve(
    *, what: str, host: str | None, port: int | None, inherit: int | None, parent: int | None
) -> None:
    """Run a server process.

    WHAT is the whole graph in one process (all), the gateway, or one subgraph.
    """
    from cli import development, serving

    settings = development.settings()
    with (
        serving.listen(host or settings.http.host, settings.http.port if port is None else port)
        if inherit is None
        else serving.inherited(inherit)
    ) as listener:
        kept = None if parent is None else serving.inherited(parent)
        sys.exit(serving.run(what, settings, listener, kept))


@main.command()
@click.argument("names", metavar="[SUBGRAPH]...", nargs=-1, type=click.Choice(PROCESSES[2:]))
def worker(names: tuple[str, ...]) -> None:
    """Run the background work of the subgraphs.

    Of all, or of those that are named.
    """
    from cli import development, worker

    worker.main(development.settings(), names or PROCESSES[2:])


@main.command()
@click.argument("names", metavar="[SUBGRAPH]...", nargs=-1, type=click.Choice(PROCESSES[2:]))
def migrate(names: tuple[str, ...]) -> None:
    """Bring the databases up to date.

    Those of all subgraphs, or of those that are named.
    """
    from cli import development, migrate

    applied = asyncio.run(migrate.migrate(development.settings(), names or PROCESSES[2:]))
    for name, revisions in applied.items():
        click.echo(f"{name}: {', '.join(revisions) or 'up to date'}")


@main.command()
@click.option("--url", default="http://127.0.0.1:4000", show_default=True, help="A running Nexus.")
def seed(url: str) -> None:
    """Fill a running Nexus with demo companies."""
    from cli import demo

    asyncio.run(demo.seed(url))
    click.echo("the demo companies are there")


@main.command()
@click.option("--supergraph", help="A file or an http(s) address; it is watched.")
@click.option("--config", "settings", type=FILE, help="The settings, in YAML.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option("--port", default=4000, show_default=True, type=PORT, help="Where to listen.")
@click.option("--workers", default=1, show_default=True, type=WORKERS, help="How many processes.")
@click.option("--inherit", type=int, hidden=True, help="Serve on this open socket.")
@click.option("--parent", type=int, hidden=True, help="Serve until this open socket is closed.")
@click.option("--check", is_flag=True, help="Print all settings, secrets masked; serve nothing.")
@click.option("--schema", is_flag=True, help="Print the JSON schema of the settings' file.")
def gateway(
    *,
    supergraph: str | None,
    settings: Path | None,
    host: str,
    port: int,
    workers: int,
    inherit: int | None,
    parent: int | None,
    check: bool,
    schema: bool,
) -> None:
    """Serve any standard supergraph, with nothing of ours around it.

    At /graphql, and its health at /health. Subgraphs are asked over HTTP.
    """
    from cli import any_gateway

    if schema:
        click.echo(any_gateway.schema())
    elif check:
        click.echo(any_gateway.settings(settings, supergraph), nl=False)
    elif supergraph is None:
        raise click.UsageError("Missing option '--supergraph'.")
    else:
        inherited = None if inherit is None or parent is None else (inherit, parent)
        sys.exit(
            any_gateway.run(
                supergraph, settings, address=(host, port), workers=workers, inherited=inherited
            )
        )


@main.command()
@click.argument("query")
@click.option("--supergraph", type=FILE, help="Any standard supergraph.  [default: ours]")
@click.option("--operation", help="Which operation, if there are several.")
@click.option("--variables", default="{}", help="As JSON; @skip and @include need theirs.")
@click.option("--label", "labels", multiple=True, help="A label of @override that is on.")
@click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")
def plan(
    *,
    query: str,
    supergraph: Path | None,
    operation: str | None,
    variables: str,
    labels: tuple[str, ...],
    as_json: bool,
) -> None:
    """Print the query plan of an operation, in Apollo's notation, and what it may cost.

    QUERY is the operation, or a file that holds it; - reads standard input.
    """
    from cli import plan

    try:
        given = json.loads(variables)
    except ValueError as error:
        raise click.BadParameter(f"is not JSON: {error}", param_hint="--variables") from error
    if not isinstance(given, dict):
        raise click.BadParameter("is not a JSON object.", param_hint="--variables")
    click.echo(
        plan.explain(
            supergraph or SUPERGRAPH,
            query,
            operation=operation,
            variables=given,
            labels=labels,
            as_json=as_json,
        )
    )


@main.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@only_in_a_clone
def bench(arguments: tuple[str, ...]) -> None:
    """Measure the gateway, and write the figures into bench/results."""
    sys.exit(subprocess.run([sys.executable, "-m", "bench", *arguments], check=False).returncode)


@main.command()
@only_in_a_clone
def build() -> None:
    """Build the wheel for production into dist/."""
    from cli import wheel

    click.echo(wheel.build())


@main.command()
def doctor() -> None:
    """Say what is configured, what answers, and what to do."""
    from cli import doctor

    sys.exit(doctor.run())
