"""The commands that the README tells people to type."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

README = Path(__file__).resolve().parents[2] / "README.md"


def commands(heading: str) -> list[list[str]]:
    """The commands in the shell blocks below a heading, in order, each split into words."""
    section = README.read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    blocks = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def inline(program: str) -> list[list[str]]:
    """The commands of this program that stand inside the text."""
    found = re.findall(r"(?<!`)`(" + re.escape(program) + r" [^`]+)`", README.read_text())
    return [shlex.split(line.replace("\n", " ")) for line in found]
