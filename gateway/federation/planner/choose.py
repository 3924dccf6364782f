"""The choice: one option for each group, so that the union of all paths weighs least.

A path is a set of atoms (entries, fields, casts, jumps and what jumps require),
each counted once however many paths share it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from gateway.federation.planner.paths import (
    ENTRY_COST,
    JUMP_COST,
    Cast,
    Enter,
    Group,
    Jump,
    Option,
    Path,
    Select,
    Step,
)

__all__ = ["choose"]

_DEPTH_COST = 100
"""What each level a fetch has to wait for adds to its weight."""
_ROUNDS = 3


def choose(groups: Sequence[Group]) -> tuple[list[Path], int]:
    """The chosen leaf paths in the order of the groups, and their weight together."""
    atoms = _Atoms()
    fixed = _Selection(atoms)
    chosen = _pick(groups, fixed)
    for _ in range(_ROUNDS):
        if not _improve(groups, chosen, fixed):
            break
    paths = [path for index in range(len(groups)) for path in chosen[index]]
    return paths, fixed.weight


def _pick(groups: Sequence[Group], selection: _Selection) -> dict[int, list[Path]]:
    """Greedily: groups with the least freedom first, each by its marginal weight."""
    order = sorted(range(len(groups)), key=lambda index: len(groups[index].options))
    chosen: dict[int, list[Path]] = {}
    for index in order:
        chosen[index] = _best(groups[index], selection)
        selection.add(chosen[index])
    return chosen


def _best(group: Group, selection: _Selection) -> list[Path]:
    if len(group.options) == 1:
        return _paths(group.options[0], selection)
    candidates = [_paths(option, selection) for option in group.options]
    return min(candidates, key=selection.marginal)


def _paths(option: Option, selection: _Selection) -> list[Path]:
    if option.path is not None:
        return [option.path]
    scratch = selection.copy()
    chosen = _pick(option.groups, scratch)
    return [path for index in range(len(option.groups)) for path in chosen[index]]


def _improve(groups: Sequence[Group], chosen: dict[int, list[Path]], selection: _Selection) -> bool:
    """Reconsider each choice in the light of all the others."""
    improved = False
    for index, group in enumerate(groups):
        if len(group.options) < 2:
            continue
        selection.remove(chosen[index])
        best = _best(group, selection)
        if selection.marginal(best) < selection.marginal(chosen[index]):
            chosen[index] = best
            improved = True
        selection.add(chosen[index])
    return improved


@dataclass(slots=True)
class _Atoms:
    """Interns the steps of paths by where they are taken."""

    ids: dict[tuple[int, object], int] = field(default_factory=dict)
    weights: list[int] = field(default_factory=lambda: [0])
    levels: list[int] = field(default_factory=lambda: [0])
    sets: dict[tuple[int, Path], tuple[int, frozenset[int]]] = field(default_factory=dict)

    def of(self, path: Path, anchor: int = 0) -> tuple[int, frozenset[int]]:
        """The atom a path ends on and all its atoms, when it starts at an anchor."""
        if path.parent is None or path.step is None:
            return anchor, frozenset()
        known = self.sets.get((anchor, path))
        if known is None:
            known = self.sets[anchor, path] = self._of(path.parent, path.step, anchor)
        return known

    def _of(self, parent: Path, step: Step, anchor: int) -> tuple[int, frozenset[int]]:
        before, atoms = self.of(parent, anchor)
        level = self.levels[before]
        if isinstance(step, Jump):
            required = [self.of(path, before) for path in step.requirement.paths]
            level = 1 + max([level, *(self.levels[end] for end, _ in required)])
            atoms = atoms.union(*(found for _, found in required))
        end = self._intern(before, step, level)
        return end, atoms | {end}

    def _intern(self, before: int, step: Step, level: int) -> int:
        identity = (before, _identity(step))
        end = self.ids.get(identity)
        if end is None:
            end = self.ids[identity] = len(self.weights)
            self.weights.append(_weight(step, level))
            self.levels.append(level)
        return end


def _identity(step: Step) -> object:
    match step:
        case Enter(node):
            return node
        case Select(key, name, arguments, edge):
            return (key, name, arguments, edge is not None)
        case Cast(type_):
            return type_
        case Jump(move, requires):
            return (move, requires)


def _weight(step: Step, level: int) -> int:
    match step:
        case Enter():
            return ENTRY_COST
        case Select(edge=edge):
            return 1 if edge is not None else 0
        case Cast():
            return 0
        case Jump():
            return JUMP_COST + _DEPTH_COST * level


class _Selection:
    """The atoms chosen so far, each with the number of paths that use it."""

    __slots__ = ("_atoms", "_uses", "weight")

    def __init__(self, atoms: _Atoms, uses: dict[int, int] | None = None, weight: int = 0) -> None:
        self._atoms = atoms
        self._uses = uses if uses is not None else {}
        self.weight = weight

    def copy(self) -> _Selection:
        return _Selection(self._atoms, dict(self._uses), self.weight)

    def add(self, paths: Iterable[Path]) -> None:
        uses, weights = self._uses, self._atoms.weights
        for path in paths:
            for atom in self._atoms.of(path)[1]:
                count = uses.get(atom, 0)
                if not count:
                    self.weight += weights[atom]
                uses[atom] = count + 1

    def remove(self, paths: Iterable[Path]) -> None:
        uses, weights = self._uses, self._atoms.weights
        for path in paths:
            for atom in self._atoms.of(path)[1]:
                uses[atom] -= 1
                if not uses[atom]:
                    self.weight -= weights[atom]

    def marginal(self, paths: Iterable[Path]) -> int:
        """What the paths would add to the weight."""
        uses, weights = self._uses, self._atoms.weights
        new = {atom for path in paths for atom in self._atoms.of(path)[1] if not uses.get(atom)}
        return sum(weights[atom] for atom in new)
