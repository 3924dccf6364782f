"""Every line and every branch of the engine has a test that runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ENGINE = "gateway/federation"
PLANNER = (
    ("planner/*", "supergraph/*", "plan*.py"),
    ("planner", "supergraph", "test_suites.py", "test_plan_notation.py"),
)
EXECUTION = (
    ("execution/*", "operation/*", "deferral.py"),
    ("execution", "operation", "test_authorization.py", "test_deferral.py"),
)
COST = (("cost/*",), ("cost",))


@pytest.mark.parametrize(
    ("sources", "tests"),
    [
        pytest.param(*PLANNER, id="planner"),
        pytest.param(*EXECUTION, id="execution"),
        pytest.param(*COST, id="cost"),
    ],
)
def test_the_engine_is_covered_by_line_and_by_branch(
    sources: tuple[str, ...], tests: tuple[str, ...], tmp_path: Path
) -> None:
    environment = {**os.environ, "COVERAGE_FILE": str(tmp_path / "coverage")}
    suites = [f"tests/federation/{one}" for one in tests]
    pytest_ = ["-m", "pytest", "-q", "-p", "no:randomly", "-p", "no:cacheprovider", *suites]
    included = ",".join(f"{ENGINE}/{one}" for one in sources)
    for arguments in (
        ["run", "--branch", f"--source={ENGINE}", *pytest_],
        ["report", "--skip-covered", "--show-missing", "--fail-under=100", f"--include={included}"],
    ):
        done = subprocess.run(
            [sys.executable, "-m", "coverage", *arguments],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
