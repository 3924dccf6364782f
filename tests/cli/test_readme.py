"""What the README says to type, typed; `dev` and production have tests of their own."""

from __future__ import annotations

import subprocess

from cli.environment import ROOT
from tests.support import readme


def typed(*words: str) -> str:
    ran = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_running_it_takes_two_commands() -> None:
    assert readme.commands("Run it") == [["./nexus", "dev"], ["./nexus", "test"]]


def test_the_plan_command_prints_a_plan() -> None:
    (plan,) = [words for words in readme.inline("./nexus") if words[1] == "plan"]
    assert typed(*plan).startswith("QueryPlan {")


def test_the_test_command_passes_arguments_to_pytest() -> None:
    (narrowed,) = [
        words for words in readme.inline("./nexus") if words[1] == "test" and len(words) > 2
    ]
    assert "tests/federation" in typed(*narrowed, "--collect-only", "--quiet")


def test_every_command_of_the_readme_exists() -> None:
    words = [*readme.inline("./nexus"), *readme.inline("nexus")]
    for command in {word[1] for word in words}:
        assert "Usage: nexus" in typed("./nexus", command, "--help")
