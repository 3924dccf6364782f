"""The commands and their options. What a command does is imported only when it runs."""

from __future__ import annotations

import sys
from pathlib import Path

import click

PROCESSES = ("all", "gateway", "users", "orgs", "billing", "storage")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="nexus-backend", message="%(version)s")
def main() -> None:
    """One GraphQL endpoint over users, orgs, billing and storage."""


@main.command(context_settings={"ignore_unknown_options": True, "help_option_names": ["--help"]})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def test(arguments: tuple[str, ...]) -> None:
    """Run every check and test; with ARGUMENTS, only pytest with those arguments."""
    from cli import checks

    sys.exit(checks.run(arguments))


@main.command()
@click.option("--check", is_flag=True, help="Write nothing; fail when a file is out of date.")
@click.option(
    "--config",
    "configuration",
    type=click.Path(path_type=Path, dir_okay=False),
    default="supergraph.yaml",
    show_default=True,
    help="The subgraphs, in Rover's format.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    default="supergraph.graphql",
    show_default=True,
)
def compose(*, check: bool, configuration: Path, output: Path) -> None:
    """Write each subgraph's schema.graphql and the supergraph composed of them."""
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
