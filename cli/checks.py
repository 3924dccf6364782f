"""What `nexus test` runs: every check announced, all of them run, an honest exit code."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from cli import ide
from cli.environment import ROOT

PYTHON = sys.executable


@dataclass(frozen=True, slots=True)
class Check:
    """One step: what it is called, and the command."""

    name: str
    command: Sequence[str]


CHECKS = (
    Check("format", (PYTHON, "-m", "ruff", "format", "--check", ".")),
    Check("lint", (PYTHON, "-m", "ruff", "check", ".")),
    Check("types", (PYTHON, "-m", "mypy")),
    Check("import contracts", (str(Path(PYTHON).with_name("lint-imports")), "--no-cache")),
    Check("generated files", (PYTHON, "-m", "cli", "compose", "--check")),
)
# Two workers: the smallest machine that this has to be quick on has two cores.
TESTS = (PYTHON, "-m", "pytest", "--numprocesses=2", "--dist=worksteal")


def run(arguments: Sequence[str]) -> int:
    """The exit code of everything, or of pytest alone when it was given arguments."""
    if arguments:
        ide.build()
        return _call((PYTHON, "-m", "pytest", *arguments))
    failed = [check.name for check in CHECKS if _announced(check) != 0]
    if failed:
        # Said before pytest runs, so that pytest's own closing line stays the last one.
        click.secho(f"failed: {', '.join(failed)}", fg="red", bold=True)
    click.secho("── browser page", bold=True)
    click.echo(f"   {'bundled' if ide.build() else 'up to date'}")
    click.secho("── tests", bold=True)
    return _call(TESTS) or (1 if failed else 0)


def _announced(check: Check) -> int:
    click.secho(f"── {check.name}", bold=True)
    started = time.monotonic()
    code = _call(check.command)
    verdict = "ok" if code == 0 else f"failed with exit code {code}"
    click.echo(f"   {verdict} in {time.monotonic() - started:.1f} s")
    return code


def _call(command: Sequence[str]) -> int:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, check=False, cwd=ROOT, env=environment).returncode
