"""The wheel, and an environment as it is installed in production."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from importlib import metadata
from pathlib import Path

import pytest

from cli import wheel
from cli.environment import ROOT, normal

INSTALLED = Path(sysconfig.get_path("purelib"))


def pinned(name: str) -> dict[str, str]:
    """The versions in a lock file, by package."""
    lines = (ROOT / "requirements" / f"{name}.lock").read_text().splitlines()
    found = [line.split(" ")[0] for line in lines if "==" in line and line[0] != " "]
    return dict(pin.split("==") for pin in found)


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel."""
    return wheel.build(tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="session")
def production(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment of the wheel and the packages of the production lock, nothing else."""
    home = tmp_path_factory.mktemp("production") / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(home)], check=True)
    (packages,) = home.glob("lib/python*/site-packages")
    here = {normal(found.name): found for found in metadata.distributions()}
    for name in pinned("production").keys() & here:
        # The launcher has checked their hashes; installing them once more would take a minute.
        tops = {file.parts[0] for file in here[name].files or ()} - {".."}
        for top in tops:
            if not (packages / top).exists():
                (packages / top).symlink_to(INSTALLED / top)
    pip = [sys.executable, "-m", "pip", f"--python={home}/bin/python", "install", "--no-deps"]
    subprocess.run([*pip, "--quiet", "--disable-pip-version-check", str(built)], check=True)
    return home
