"""The README's commands, executed as they stand there."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from cli import development
from cli.embedded import Addresses
from cli.environment import ROOT
from tests.cli.test_dev import ask_as_told, free_port, interrupted, started
from tests.support.servers import Servers

README = (ROOT / "README.md").read_text(encoding="utf-8")

# Ended by a signal once they work; each is executed by a test of its own below.
STAYING = {"./nexus dev", "nexus serve", "nexus worker"}
# `./nexus test` would start this test again; `./nexus build` and installing what it
# builds are executed by tests/cli/test_wheel.py.
ELSEWHERE = {"./nexus test", "./nexus build", "pip install dist/nexus_backend-*.whl"}
ONCE = {"nexus migrate"}
BESIDE_A_SERVER = {"nexus doctor"}


def commands() -> set[str]:
    """Every command of the README's shell blocks, and those inside sentences."""
    blocks = re.findall(r"```sh\n(.+?)```", README, re.DOTALL)
    lines = [line.split("#")[0].strip() for block in blocks for line in block.splitlines()]
    said = re.findall(r"`(\./nexus [^`]+)`", README)
    return {line for line in [*lines, *said] if line}


@pytest.fixture
def environment(
    started_servers: Servers, database_url: str, redis_url: str, tmp_path: Path
) -> dict[str, str]:
    """The variables of a process that runs on these servers."""
    addresses = Addresses(
        postgres_url=database_url,
        redis_url=redis_url,
        s3_endpoint=started_servers.s3_endpoint,
        s3_access_key=started_servers.s3_access_key,
        s3_secret_key=started_servers.s3_secret_key,
        s3_region=started_servers.s3_region,
    )
    given = dict(development.variables(addresses, tmp_path))
    # Roles belong to the whole server: these are the tests', with their passwords.
    for name in ("users", "orgs", "billing", "storage"):
        given[f"NEXUS_{name.upper()}__DATABASE_URL"] = re.sub(
            r"//.+@", f"//{name}:{name}-password@", given[f"NEXUS_{name.upper()}__DATABASE_URL"]
        )
    return {**os.environ, **given, "NEXUS_HTTP__PORT": str(free_port())}


def as_written(command: str) -> list[str]:
    """The README's words; an installed ``nexus`` is the clone's here."""
    program, *arguments = shlex.split(command)
    return [str(ROOT / "nexus") if program.endswith("nexus") else program, *arguments]


def test_every_command_of_the_readme_is_known_here() -> None:
    known = STAYING | ELSEWHERE | ONCE | BESIDE_A_SERVER
    unknown = {
        command
        for command in commands() - known
        if not command.startswith(("./nexus plan ", "./nexus test ", "./nexus dev --reset"))
        and command not in {"./nexus compose", "./nexus bench"}
    }
    assert unknown == set()


@pytest.mark.parametrize("command", sorted(each for each in commands() if " plan " in each))
def test_the_plan_is_printed(command: str) -> None:
    ran = subprocess.run(as_written(command), capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("QueryPlan {")


@pytest.mark.parametrize("command", sorted(each for each in commands() if "nexus test " in each))
def test_arguments_go_to_pytest(command: str) -> None:
    ran = subprocess.run(
        [*as_written(command), "--collect-only", "-q"], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout
    assert "requires" in ran.stdout


def test_generated_files_are_made_and_are_up_to_date() -> None:
    ran = subprocess.run(as_written("./nexus compose --check"), capture_output=True, check=False)
    assert ran.returncode == 0, ran.stderr


def test_dev_prints_a_command_that_works_as_pasted(tmp_path: Path) -> None:
    with started(tmp_path) as (process, said):
        assert "errors" not in ask_as_told(said)
        assert interrupted(process, signal.SIGINT) == "stopped"


def test_a_production_process_migrates_serves_works_and_is_examined(
    environment: dict[str, str],
) -> None:
    _succeeds("nexus migrate", environment)
    with _running("nexus serve", environment) as server:
        _until_ready(f"http://127.0.0.1:{environment['NEXUS_HTTP__PORT']}", server)
        with _running("nexus worker", environment):
            _succeeds("nexus doctor", environment)


def _succeeds(command: str, environment: dict[str, str]) -> None:
    ran = subprocess.run(
        as_written(command), env=environment, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, f"{command}: {ran.stdout}{ran.stderr}"


@contextmanager
def _running(command: str, environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        as_written(command), env=environment, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            _, said = process.communicate(timeout=60)
        assert process.returncode == 0, said


def _until_ready(url: str, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with httpx.stream("GET", f"{url}/health/ready", timeout=2) as answer:
                assert answer.status_code == 200
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError(process.communicate(timeout=5))
