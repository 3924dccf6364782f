"""What `nexus test` runs: each check announced, all of them run, an honest exit code."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Check:
    """One step: what it is called, and the module and arguments that Python runs for it."""

    name: str
    module: Sequence[str]


CHECKS = (
    Check("format", ("ruff", "format", "--check", ".")),
    Check("lint", ("ruff", "check", ".")),
    Check("types", ("mypy",)),
)
PYTEST = Check("tests", ("pytest", "-n", "2"))


def run(arguments: Sequence[str]) -> int:
    """The exit code of everything, or of pytest alone when it was given arguments."""
    if arguments:
        return _call(Check("tests", ("pytest", *arguments)))
    failed = [check.name for check in CHECKS if _announce(check) != 0]
    if failed:
        # Said before pytest runs, so that pytest's own closing line stays the last one.
        click.secho(f"failed: {', '.join(failed)}", fg="red", bold=True)
    return _announce(PYTEST) or (1 if failed else 0)


def _announce(check: Check) -> int:
    click.secho(f"── {check.name}", bold=True)
    started = time.monotonic()
    code = _call(check)
    if check is not PYTEST:
        verdict = "ok" if code == 0 else f"failed with exit code {code}"
        click.echo(f"   {verdict} in {time.monotonic() - started:.1f} s")
    return code


def _call(check: Check) -> int:
    command = [sys.executable, "-m", *check.module]
    return subprocess.run(command, check=False, cwd=ROOT).returncode
