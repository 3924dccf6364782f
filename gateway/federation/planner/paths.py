"""Candidate paths: the ways to reach one position, as parent-linked steps."""

from __future__ import annotations

from dataclasses import dataclass, replace

from graphql import ValueNode

from gateway.federation.operation.selection import Selection
from gateway.federation.plan import AT_ONCE, Part
from gateway.federation.planner.graph import NOTHING_PROVIDED, Edge, Move, Node, Provided

__all__ = [
    "ENTRY_COST",
    "JUMP_COST",
    "LEVEL_COST",
    "TYPENAME_STEP",
    "Cast",
    "Enter",
    "Group",
    "Jump",
    "Option",
    "Path",
    "Requirement",
    "Select",
    "Step",
]

LEVEL_COST = 1_000_000
"""What each level of waiting weighs: more than all fetches, which decide between plans as deep."""
ENTRY_COST = 1000
JUMP_COST = 1000


@dataclass(frozen=True, slots=True, eq=False)
class Enter:
    """Start in a subgraph, for a part of the answer."""

    node: Node
    part: Part = AT_ONCE


@dataclass(frozen=True, slots=True, eq=False)
class Select:
    """Take a field; ``key`` is the client's response key, or the name when nobody asked."""

    key: str
    name: str
    arguments: tuple[tuple[str, ValueNode], ...]
    edge: Edge | None


@dataclass(frozen=True, slots=True, eq=False)
class Cast:
    """Go on only with objects of one type."""

    type: str


@dataclass(frozen=True, slots=True, eq=False)
class Jump:
    """Enter a subgraph as an entity.

    ``requires`` is what the field to be taken there needs on top of the key.
    ``part`` is the part of the answer it is for.
    """

    move: Move
    requires: tuple[Selection, ...]
    requirement: Requirement
    part: Part


TYPENAME_STEP = Select("__typename", "__typename", (), None)
Step = Enter | Select | Cast | Jump


@dataclass(frozen=True, slots=True, eq=False)
class Requirement:
    """How the fields of a representation are found: paths from where the jump starts."""

    paths: tuple[Path, ...]
    cost: int


@dataclass(slots=True, eq=False)
class Path:
    """A way to a position; compared by identity.

    A path without ``step`` is the start of a relative search.  ``members`` are the
    object types a value found here can have.  ``excluded`` subgraphs may not be
    entered for what is searched at this position: they are the ones whose keys are
    being searched.  ``cost`` is that of the levels and the calls: all else is alike on
    every way.
    ``part`` is the part of the answer that it is searched for, ``postponed`` until
    an entity call of its own.
    """

    parent: Path | None
    step: Step | None
    node: Node
    members: frozenset[str] = frozenset()
    provided: Provided = NOTHING_PROVIDED
    excluded: frozenset[str] = frozenset()
    cost: int = 0
    part: Part = AT_ONCE
    postponed: bool = False

    def steps(self) -> list[Step]:
        """What was done one after another to get here."""
        steps: list[Step] = []
        path: Path | None = self
        while path is not None and path.step is not None:
            steps.append(path.step)
            path = path.parent
        steps.reverse()
        return steps

    def is_after(self, other: Path) -> bool:
        """Whether the way leads on from another's end, without a call."""
        path: Path | None = self
        while path is not None and path is not other and not isinstance(path.step, Jump):
            path = path.parent
        return path is other

    @staticmethod
    def entry(node: Node) -> Path:
        """Start in the subgraph of a root node; the others have starts of their own."""
        return Path(None, Enter(node), node, excluded=node.info.graphs)

    def postpone(self, part: Part) -> Path:
        """Search for a deferred part from here on."""
        if isinstance(self.step, Enter):
            return replace(self, step=Enter(self.node, part), part=part)
        return replace(self, part=part, postponed=True)

    def select(self, step: Select, target: Node, provided: Provided) -> Path:
        """Take a composite field."""
        return replace(
            self,
            parent=self,
            step=step,
            node=target,
            members=target.members,
            provided=provided,
            excluded=frozenset(),
        )

    def leaf(self, step: Select) -> Path:
        """Take a leaf field."""
        return replace(self, parent=self, step=step)

    def cast(self, node: Node, provided: Provided) -> Path:
        """Go on only with objects of a node's type."""
        return replace(self, parent=self, step=Cast(node.type), node=node, provided=provided)

    def jump(self, step: Jump) -> Path:
        """Enter another subgraph (or the same, with more data)."""
        return replace(
            self,
            parent=self,
            step=step,
            node=step.move.target,
            provided=NOTHING_PROVIDED,
            cost=self.cost + LEVEL_COST + step.requirement.cost,
            postponed=False,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Option:
    """One way to satisfy a group: a path, or further groups that must all be satisfied."""

    path: Path | None = None
    groups: tuple[Group, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Something that must be found, and the options to find it, cheapest first."""

    options: tuple[Option, ...]
