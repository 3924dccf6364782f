"""Makes `.venv` from the lock file: the one part of the command line that runs before it exists.

Uses the standard library only. Safe to interrupt at any moment: the copy of the lock that marks
the environment as complete is removed first and written last.
"""

from __future__ import annotations

import fcntl
import re
import shutil
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".nexus"
# A clone has the supergraph at its root, an installed wheel beside the gateway.
IN_A_CLONE = (ROOT / "pyproject.toml").exists()
SUPERGRAPH = ROOT / "supergraph.graphql" if IN_A_CLONE else ROOT / "gateway" / "supergraph.graphql"
LOCK = ROOT / "requirements" / "development.lock"
VENV = ROOT / ".venv"
MARK = VENV / "installed.lock"
PYTHON = VENV / "bin" / "python"
PIP = (str(PYTHON), "-I", "-m", "pip", "--disable-pip-version-check")

# PyYAML has no wheel for the newest Python yet; its source asks for no compiler.
FROM_SOURCE = {"pyyaml"} if sys.version_info >= (3, 15) else set()

PINNED = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^]]*])?==", re.MULTILINE)


class SetupError(Exception):
    """A reason why the environment cannot be made, in one line."""


def say(text: str) -> None:
    print(f"nexus: {text}", file=sys.stderr, flush=True)


@contextmanager
def only_one() -> Iterator[None]:
    """Holds other launchers of this clone back until the environment is made."""
    with LOCK.open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def runs(python: Path) -> bool:
    """Whether this interpreter starts, is the version we were started with, and has pip."""
    check = f"import pip, sys; sys.exit(sys.version_info[:2] != {sys.version_info[:2]!r})"
    try:
        ran = subprocess.run([python, "-I", "-c", check], check=False, capture_output=True)
    except OSError:
        return False
    return ran.returncode == 0


def make_venv() -> None:
    say(f"making .venv with Python {sys.version.split()[0]}")
    if VENV.exists() and not VENV.is_symlink():
        shutil.rmtree(VENV)
    # By its whole name: `python3` may be another version one day, `python3.13` never is.
    python = Path(sys.executable).resolve()
    command = [str(python), "-I", "-m", "venv", str(VENV)]
    made = subprocess.run(command, check=False, capture_output=True)
    if made.returncode != 0:
        shutil.rmtree(VENV, ignore_errors=True)
        raise SetupError(
            f"{sys.executable} cannot make a virtual environment; install its venv module"
            " (on Debian and Ubuntu the package python3-venv)"
        )


def names_in(lock: str) -> set[str]:
    return {normal(name) for name in PINNED.findall(lock)}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def install(locked: set[str]) -> None:
    """Installs exactly what the lock names, every file checked against its hash."""
    wheels = ",".join(sorted(locked - FROM_SOURCE))
    command = [*PIP, "install", "--require-hashes", "--only-binary", wheels, "--no-deps"]
    command += ["--no-compile", "--progress-bar", "off", "-r", str(LOCK)]
    total = len(locked)
    seen = 0
    tail: deque[str] = deque(maxlen=12)
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as pip:
        assert pip.stdout is not None
        for line in pip.stdout:
            tail.append(line.rstrip())
            if line.startswith(("Collecting ", "Requirement already satisfied", "Ignoring ")):
                seen += 1
                progress(seen, total, line)
            elif line.startswith("Installing collected"):
                say("unpacking")
    if pip.returncode != 0:
        print("\n".join(tail), file=sys.stderr)
        raise SetupError(
            "pip could not install the locked packages (its last lines are above);"
            " mend that and run the same command again"
        )


def progress(seen: int, total: int, line: str) -> None:
    words = line.replace("Requirement already satisfied:", "Collecting").split()
    package = words[1].split("==")[0] if len(words) > 1 else ""
    if sys.stderr.isatty():
        print(f"\r\033[Knexus: {seen}/{total} {package}", end="", file=sys.stderr, flush=True)
        if seen == total:
            print(file=sys.stderr)
    elif seen % 20 == 0 or seen == total:
        say(f"{seen}/{total} packages")


def remove_what_is_not_locked(locked: set[str]) -> None:
    command = [*PIP, "list", "--format=freeze"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True)
    extra = names_in(listed.stdout) - locked - {"pip", "setuptools"}
    if extra:
        subprocess.run([*PIP, "uninstall", "--yes", "--quiet", *sorted(extra)], check=True)


def make() -> None:
    """Leaves a `.venv` that holds exactly the locked packages."""
    with only_one():
        lock = LOCK.read_text()
        if MARK.exists() and MARK.read_text() == lock and runs(PYTHON):
            return
        MARK.unlink(missing_ok=True)
        if not runs(PYTHON):
            make_venv()
        locked = names_in(lock)
        say(f"installing {len(locked)} locked packages (the first time takes a few minutes)")
        install(locked)
        remove_what_is_not_locked(locked)
        unfinished = MARK.with_suffix(".new")
        unfinished.write_text(lock)
        unfinished.replace(MARK)
        say("the environment is ready")


def main() -> int:
    try:
        make()
    except SetupError as error:
        say(str(error))
        return 1
    except OSError as error:
        say(f"cannot make the environment: {error}")
        return 1
    except KeyboardInterrupt:
        say("interrupted; the next run goes on from here")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
