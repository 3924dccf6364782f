"""The conformance areas: one module each, with its subgraphs and its operations."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.federation.subgraphs import Subgraph

__all__ = ["Area", "Case", "find", "only"]

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Case:
    """An operation and its answer; ``errors`` says whether there are any."""

    query: str
    data: Any
    errors: bool = False
    variables: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Area:
    """One area; ``reset`` is called before each case for subgraphs that keep state.

    ``is_kept`` says that our composer refuses the area, and that Apollo's made the file.
    """

    name: str
    subgraphs: Sequence[Subgraph]
    cases: Sequence[Case]
    reset: Callable[[], None] = lambda: None
    is_kept: bool = False

    @property
    def supergraph_file(self) -> Path:
        """Where the composed SDL is."""
        return FOLDER / f"{self.name.replace('-', '_')}.graphql"


def find(items: Iterable[dict[str, Any]], **wanted: Any) -> Any:
    """The first item with these values; None if there is none."""
    return next((one for one in items if all(one[key] == wanted[key] for key in wanted)), None)


def only(item: Mapping[str, Any] | None, *keys: str) -> Any:
    """These keys of an item; None of None."""
    return None if item is None else {key: item[key] for key in keys}
