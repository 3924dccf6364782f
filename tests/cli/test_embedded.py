"""The embedded servers: real ones, stopped whatever happens to those who use them."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import pytest
import redis.asyncio

from cli import embedded
from cli.embedded import postgres
from cli.embedded.account import Account, unprivileged
from cli.embedded.process import launch, started_at
from cli.embedded.workspace import Workspace

HOLD = """
import sys
from pathlib import Path
from cli import embedded
with embedded.start(Path(sys.argv[1]), services=sys.argv[2:]) as addresses:
    print(addresses.redis_url, flush=True)
    sys.stdin.read()
"""


def eventually(holds: Callable[[], bool]) -> bool:
    """Whether it comes true, before patience ends, in processes that tell nobody when it does."""
    deadline = time.monotonic() + 300
    pause = threading.Event()
    while not holds():
        if time.monotonic() > deadline:
            return False
        pause.wait(0.05)
    return True


def processes_in(directory: Path) -> list[int]:
    """Ids of all processes whose command line names this directory, or what it has outside."""
    places = [str(place).encode() for place in (directory, Workspace(directory).outside)]
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            named = any(place in command for place in places)
            if named and started_at(int(entry.name)) is not None:
                found.append(int(entry.name))
    return found


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", HOLD, str(tmp_path / "servers"), "valkey", "postgres"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        process.kill()


async def test_each_test_gets_a_database_of_its_own(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        version = await connection.fetchval("show server_version_num")
        await connection.execute("create table only_here (id uuid default uuidv7())")
    finally:
        await connection.close()
    assert int(version) >= 180000


async def test_valkey_is_real_and_empty(redis_url: str) -> None:
    async with redis.asyncio.from_url(redis_url) as client:
        assert await client.dbsize() == 0
        assert "valkey_version" in await client.info()


async def test_data_and_addresses_survive_a_restart(tmp_path: Path) -> None:
    with embedded.start(tmp_path, services=("postgres", "valkey")) as first:
        connection = await asyncpg.connect(first.postgres_url)
        await connection.execute("create table kept (id int)")
        await connection.close()
        async with redis.asyncio.from_url(first.redis_url) as client:
            await client.set("kept", "yes")
    with embedded.start(tmp_path, services=("postgres", "valkey")) as second:
        assert second == first
        connection = await asyncpg.connect(second.postgres_url)
        assert await connection.fetchval("select count(*) from kept") == 0
        await connection.close()
        async with redis.asyncio.from_url(second.redis_url) as client:
            assert await client.get("kept") == b"yes"
    assert eventually(lambda: processes_in(tmp_path) == [])


def test_secrets_are_readable_by_their_owner_alone(tmp_path: Path) -> None:
    with embedded.start(tmp_path, services=("valkey",)):
        secret = tmp_path / "secrets" / "valkey_password"
        assert stat.S_IMODE(secret.stat().st_mode) == 0o600
        assert stat.S_IMODE((tmp_path / "addresses.json").stat().st_mode) == 0o600
        for pid in processes_in(tmp_path):
            assert secret.read_bytes() not in Path(f"/proc/{pid}/cmdline").read_bytes()


def test_a_second_client_joins_and_the_last_one_stops(tmp_path: Path) -> None:
    with embedded.start(tmp_path, services=("valkey",), shared=True) as first:
        with embedded.start(tmp_path, services=("valkey",)) as second:
            assert second == first
        assert embedded.running(tmp_path) == first
    embedded.wait_until_stopped(tmp_path)
    assert eventually(lambda: processes_in(tmp_path) == [])


def test_a_killed_client_leaves_no_process(holder: subprocess.Popen[str], tmp_path: Path) -> None:
    assert holder.stdout is not None
    assert holder.stdout.readline().startswith("redis://")
    assert len(processes_in(tmp_path / "servers")) >= 3
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    assert eventually(lambda: processes_in(tmp_path / "servers") == [])


def test_a_killed_supervisor_leaves_no_process(
    holder: subprocess.Popen[str], tmp_path: Path
) -> None:
    assert holder.stdout is not None
    assert holder.stdout.readline().startswith("redis://")
    (supervisor,) = [
        pid
        for pid in processes_in(tmp_path / "servers")
        if b"cli.embedded.supervisor" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]
    os.kill(supervisor, signal.SIGKILL)
    assert eventually(lambda: processes_in(tmp_path / "servers") == [holder.pid])


def test_a_server_that_cannot_start_is_one_line(tmp_path: Path) -> None:
    postgres.create(Workspace(tmp_path)).data.mkdir()
    with (
        pytest.raises(embedded.EmbeddedError) as failure,
        embedded.start(tmp_path, services=("valkey", "postgres")),
    ):
        pass
    assert str(failure.value).startswith("postgres stopped (exit 2): ")
    assert "\n" not in str(failure.value)
    assert eventually(lambda: processes_in(tmp_path) == [])


def test_root_without_namespaces_runs_postgres_as_nobody_where_nobody_may_enter(
    tmp_path: Path,
) -> None:
    if os.geteuid() != 0:
        # An ordinary user never needs another account.
        assert unprivileged() is Account.OURS
        return
    workspace = Workspace(tmp_path, disposable=True)
    server = postgres.create(workspace, run_as=Account.NOBODY)
    process = launch(server.command())
    try:
        assert eventually(lambda: server.is_ready(process.pid)), server.workspace.log("postgres")
        assert Path(f"/proc/{process.pid}").stat().st_uid == 65534
        assert not server.home.is_relative_to(tmp_path)
    finally:
        process.send_signal(server.stop_signal)
        process.wait()
        workspace.remove()
    assert not workspace.outside.exists()
