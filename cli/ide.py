"""Bundles the browser page of the gateway, once for every state of its sources."""

from __future__ import annotations

import hashlib
from pathlib import Path

from cli import node
from cli.environment import ROOT

FOLDER = ROOT / "gateway" / "ide"
SOURCES = ("app.jsx", "explanation.jsx", "build.mjs", "package-lock.json")


def build(folder: Path = FOLDER) -> bool:
    """Whether there was anything to do; afterwards `assets/` belongs to the sources."""
    state = hashlib.sha256(b"".join((folder / name).read_bytes() for name in SOURCES)).hexdigest()
    mark = folder / "assets" / "built-from"
    if mark.exists() and mark.read_text() == state:
        return False
    node.run(folder / "build.mjs")
    mark.write_text(state)
    return True
