"""Secrets that are made once and then read from files that only their owner may read."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path


def kept(path: Path, make: Callable[[], str]) -> str:
    """The secret in this file, made now if there is none yet.

    Whoever is first wins, also between processes, and a half-written file is never seen.
    """
    if not path.exists():
        descriptor, unfinished = tempfile.mkstemp(dir=path.parent)  # Readable by the owner alone.
        with os.fdopen(descriptor, "w") as file:
            file.write(make())
        try:
            os.link(unfinished, path)
        except FileExistsError:
            pass
        finally:
            Path(unfinished).unlink()
    return path.read_text()
