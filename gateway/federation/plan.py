"""The plan: which subgraph is asked what, at which position, after what.

A plan is data.  The runtime executes its fetches as a dependency graph; the
tree of Sequence, Parallel and Flatten nodes that Apollo's tooling prints is
derived from it for people.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "AT",
    "AT_ONCE",
    "Entities",
    "Fetch",
    "Gate",
    "KeyRenamer",
    "Part",
    "Path",
    "PathStep",
    "QueryPlan",
    "RequireField",
    "RequireFragment",
    "RequireSelection",
    "ValueSetter",
]


@dataclass(frozen=True, slots=True)
class Gate:
    """A step that lets an object pass only if its runtime type is one of ``types``."""

    types: frozenset[str]


AT: Literal["@"] = "@"
"""The step into every element of a list."""

# A `str` other than AT is a response key.
PathStep = str | Gate
Path = tuple[PathStep, ...]

Part = tuple[int, str]
"""A part of the answer: the index of a deferred fragment, and what to call it."""
AT_ONCE: Part = (-1, "")
"""The part that comes before all deferred ones."""


@dataclass(frozen=True, slots=True)
class RequireField:
    """Read ``name`` from the response data, write it as ``key`` of the representation."""

    name: str
    key: str
    selections: tuple[RequireSelection, ...] = ()
    is_key: bool = False
    """Part of the entity's key: absent or null means there is nothing to ask."""
    may_be_null: bool = False
    """A part of the key that may be null where it is sent to, unless every part is."""


@dataclass(frozen=True, slots=True)
class RequireFragment:
    """Applies its selections to objects whose runtime type is, or implements, ``on``."""

    on: str
    selections: tuple[RequireSelection, ...]


RequireSelection = RequireField | RequireFragment


@dataclass(frozen=True, slots=True)
class ValueSetter:
    """Set what ``path`` leads to (relative to a representation) to ``value``."""

    path: Path
    value: str


@dataclass(frozen=True, slots=True)
class KeyRenamer:
    """Rename the last key of ``path`` (relative to one result) to ``key``."""

    path: Path
    key: str


@dataclass(frozen=True, slots=True)
class Entities:
    """One ``_entities`` call of a fetch: one shape of question, asked at one or more positions.

    ``alias`` is its response key in the fetch's document, ``variable`` the name
    of its representations variable.
    """

    paths: tuple[Path, ...]
    requires: tuple[RequireSelection, ...]
    alias: str = "_entities"
    variable: str = "representations"
    input_rewrites: tuple[ValueSetter, ...] = ()
    output_rewrites: tuple[KeyRenamer, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Fetch:
    """One request to one subgraph; compared and hashed by identity.

    A root fetch has no ``entities``.  Its data merges at the response's root, or
    where ``at`` leads: root objects further down, each of which gets all of it.
    ``output_rewrites`` are relative to the data.  ``variables`` are the client
    variables its document uses, as ``(name in the document, name at the client)``.
    ``depends_on`` holds ids of fetches that must have finished first.  ``part`` is
    the first part of the answer that needs it.
    """

    id: int
    subgraph: str
    kind: Literal["query", "mutation", "subscription"]
    document: str
    operation_name: str | None = None
    variables: tuple[tuple[str, str], ...] = ()
    entities: tuple[Entities, ...] = ()
    at: tuple[Path, ...] = ()
    output_rewrites: tuple[KeyRenamer, ...] = ()
    depends_on: tuple[int, ...] = ()
    part: Part = AT_ONCE


@dataclass(frozen=True, slots=True)
class QueryPlan:
    """The fetches of an operation in a topological order.

    For a subscription the first fetch is the stream and the others run once
    per event.  ``key_aliases`` maps each internal response key that is not the
    client's (``_k0``) to the field name it stands for, for error paths.
    """

    fetches: tuple[Fetch, ...]
    key_aliases: Mapping[str, str]
