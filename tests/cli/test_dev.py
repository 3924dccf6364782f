"""`./nexus dev` as a newcomer meets it: a process that is started, asked, and interrupted."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cli.environment import ROOT
from tests.cli.test_embedded import eventually, processes_in

WITHIN = 300


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def command(data: Path, port: int, *more: str) -> list[str]:
    return [str(ROOT / "nexus"), "dev", f"--data={data}", f"--port={port}", *more]


@contextmanager
def started(data: Path, *more: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A running `dev` and what it said when it was ready."""
    with subprocess.Popen(
        command(data, free_port(), *more),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={name: value for name, value in os.environ.items() if not name.startswith("NEXUS_")},
    ) as process:
        hung = threading.Timer(WITHIN, process.kill)
        hung.start()
        try:
            yield process, _until_ready(process)
        finally:
            process.kill()
            hung.cancel()


def _until_ready(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if "Ctrl-C" in line:
            return said
    raise AssertionError(f"dev ended before it was ready:\n{said}")


def ask_as_told(said: str) -> dict[str, object]:
    """The answer to the curl command in the welcome, pasted into a shell."""
    pasted = said[said.index("curl ") : said.index("Ctrl-C")]
    answered = subprocess.run(["/bin/sh", "-c", pasted], capture_output=True, text=True, check=True)
    answer: dict[str, object] = json.loads(answered.stdout)
    return answer


def test_dev_answers_as_told_and_again_after_a_restart(tmp_path: Path) -> None:
    with started(tmp_path) as (process, said):
        first = ask_as_told(said)
        assert "errors" not in first
        assert "Lumen Studio" in json.dumps(first)
        assert interrupted(process, signal.SIGINT) == "stopped"
    with started(tmp_path) as (process, said):
        assert "the demo data" not in said
        assert ask_as_told(said) == first
        assert interrupted(process, signal.SIGTERM) == "stopped"
    assert eventually(lambda: processes_in(tmp_path) == [])


def test_a_second_dev_and_a_taken_port_are_one_line_and_reset_starts_over(tmp_path: Path) -> None:
    with started(tmp_path / "first") as (process, said):
        port = int(said.split("/graphql")[0].rpartition(":")[2])
        for data, reason in (
            (tmp_path / "first", f"the data in {tmp_path}/first is in use: ./nexus dev already"),
            (tmp_path / "second", f"cannot listen on 127.0.0.1:{port}: Address already in use"),
        ):
            refused = subprocess.run(
                command(data, port), capture_output=True, text=True, check=False
            )
            assert refused.returncode == 1
            (line,) = [line for line in refused.stderr.splitlines() if line.startswith("Error")]
            assert line.startswith(f"Error: {reason}")
            assert "Traceback" not in refused.stderr
        process.kill()  # Nothing is stopped politely, and still nothing is left.
        process.wait()
    assert eventually(lambda: processes_in(tmp_path) == [])
    with started(tmp_path / "first", "--reset") as (process, said):
        assert "the demo data" in said
        assert "errors" not in ask_as_told(said)
        interrupted(process, signal.SIGTERM)


def interrupted(process: subprocess.Popen[str], number: signal.Signals) -> str:
    """What `dev` said after the signal; it must have ended well."""
    process.send_signal(number)
    assert process.stdout is not None
    rest = process.stdout.read().strip()
    assert process.wait() == 0
    return rest
