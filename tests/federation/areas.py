"""Finds the areas; `python -m tests.federation.areas` composes their supergraphs anew."""

from __future__ import annotations

import importlib
import json
import pkgutil
import sys

from cli import node
from cli.compose import COMPOSER
from tests.federation import suites
from tests.federation.suites import Area

__all__ = ["areas", "composed"]


def areas() -> list[Area]:
    """All areas, by name."""
    names = sorted(one.name for one in pkgutil.iter_modules(suites.__path__))
    return [importlib.import_module(f"{suites.__name__}.{name}").AREA for name in names]


def composed(area: Area) -> str:
    """The supergraph of an area, composed now."""
    request = [
        {"name": one.name, "url": f"http://{one.name}.test/graphql", "typeDefs": one.sdl}
        for one in area.subgraphs
    ]
    answer = json.loads(node.run(COMPOSER, stdin=json.dumps(request)))
    if "errors" in answer:
        raise ValueError(f"{area.name}: {answer['errors']}")
    return f"# Made by `python -m tests.federation.areas`.\n\n{answer['supergraphSdl'].strip()}\n"


if __name__ == "__main__":
    for found in areas():
        if not found.is_kept and (len(sys.argv) == 1 or found.name in sys.argv[1:]):
            found.supergraph_file.write_text(composed(found))
