"""The wheel for production: the product and what it serves, no embedded servers, no tools."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from click import ClickException

from cli import ide
from cli.environment import ROOT


def build(into: Path = ROOT / "dist") -> Path:
    """The path of the new wheel."""
    ide.build()
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(into)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if built.returncode != 0:
        raise ClickException(f"the wheel was not built:\n{built.stderr.strip()}")
    return max(into.glob("*.whl"), key=lambda wheel: wheel.stat().st_mtime)
