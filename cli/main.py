"""The commands and their options. What a command does is imported only when it runs."""

from __future__ import annotations

import sys

import click


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="nexus-backend")
def main() -> None:
    """One GraphQL endpoint over users, orgs, billing and storage."""


@main.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def test(arguments: tuple[str, ...]) -> None:
    """Run every check and test; with ARGUMENTS, only pytest with those arguments."""
    from cli import checks

    sys.exit(checks.run(arguments))
