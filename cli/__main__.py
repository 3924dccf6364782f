"""Runs the command line as `python -m cli`."""

from __future__ import annotations

from cli.main import main

main(prog_name="nexus")
