"""The launcher and the environment it makes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from cli import environment

ROOT = Path(__file__).resolve().parents[2]


def test_the_lock_names_every_package_once_and_with_hashes() -> None:
    lock = environment.LOCK.read_text()
    assert len(environment.PINNED.findall(lock)) == len(environment.names_in(lock))
    assert lock.count("--hash=sha256:") >= len(environment.names_in(lock))


def test_committed_files_name_no_registry_host() -> None:
    for path in (ROOT / "requirements").iterdir():
        assert "://" not in path.read_text(), path
    locks = [path for path in ROOT.glob("*/*/package-lock.json") if ".venv" not in path.parts]
    assert len(locks) >= 4
    for path in locks:
        assert '"resolved"' not in path.read_text(), path


def test_a_launcher_without_python_says_so_in_one_line(tmp_path: Path) -> None:
    for tool in ("dirname", "cmp"):
        (tmp_path / tool).symlink_to(f"/usr/bin/{tool}")
    clone = tmp_path / "clone"
    clone.mkdir()
    (clone / "nexus").write_bytes((ROOT / "nexus").read_bytes())
    ran = subprocess.run(
        ["/bin/sh", str(clone / "nexus"), "--help"],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1
    assert ran.stderr == (
        "nexus: Python 3.11 or newer is needed, and none was found on the PATH.\n"
    )


def test_an_environment_whose_python_is_gone_is_made_anew(tmp_path: Path) -> None:
    files = {
        "nexus": (ROOT / "nexus").read_text(),
        "requirements/development.lock": "same",
        ".venv/installed.lock": "same",
        "cli/environment.py": f"import os\nos.symlink({sys.executable!r}, '.venv/bin/python-new')\n"
        "os.replace('.venv/bin/python-new', '.venv/bin/python')\n",
        "cli/__main__.py": "print('started')\n",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / ".venv" / "bin").mkdir()
    (tmp_path / ".venv" / "bin" / "python").symlink_to("/usr/bin/python3.0")
    ran = subprocess.run(
        ["/bin/sh", "nexus"],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.stdout, ran.stderr) == ("started\n", "")
