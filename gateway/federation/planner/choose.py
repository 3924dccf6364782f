"""The choice: one option for each group, so that the union of all paths weighs least.

A path is a set of atoms (fields, casts, jumps and what jumps require, and the
fetches these take), each counted once however many paths share it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from gateway.federation.plan import AT_ONCE, Part
from gateway.federation.planner.budget import Budget
from gateway.federation.planner.graph import NO_KEY
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
)

__all__ = ["LEVEL_COST", "choose"]

LEVEL_COST = 100
"""What each level of waiting weighs: it decides between plans of as many fetches."""
_CALL_COST = 10
"""What an entity call weighs that shares its request with others."""


def choose(groups: Sequence[Group], budget: Budget) -> tuple[list[Path], int]:
    """The chosen leaf paths in the order of the groups, and their weight together."""
    best = _Choice(groups, _Atoms(), budget)
    best.pick(range(len(groups)))
    if any(len(group.options) > 1 for group in groups):
        while best.improve() | best.eliminate():
            pass
    return [path for paths in best.chosen for path in paths], best.weight


@dataclass(slots=True)
class _Choice:
    """One option for each group, and the atoms of all of them together.

    Nothing is chosen that has the atom ``without``.
    """

    groups: Sequence[Group]
    atoms: _Atoms
    budget: Budget
    uses: dict[int, int] = field(default_factory=dict)
    without: int | None = None
    weight: int = 0
    chosen: list[list[Path]] = field(init=False)

    def __post_init__(self) -> None:
        self.chosen = [[] for _ in self.groups]

    def pick(self, indexes: Iterable[int]) -> bool:
        """Greedily: groups with the least freedom first, each by its marginal weight."""
        for index in sorted(indexes, key=lambda index: len(self.groups[index].options)):
            best = self._best(self.groups[index])
            if best is None:
                return False
            self._add(index, best)
        return True

    def improve(self) -> bool:
        """Reconsider each choice in the light of all the others."""
        improved = False
        for index, group in enumerate(self.groups):
            if len(group.options) > 1:
                before, weight = self.chosen[index], self.weight
                self._remove(index)
                best = self._best(group) or before
                self._add(index, min(best, before, key=self._marginal))
                improved |= self.weight < weight
        return improved

    def eliminate(self) -> bool:
        """Do without that fetch or level without which all the rest weighs least."""
        before = best = self._state()
        for atom in sorted(atom for atom, count in before[2].items() if count):
            if self.atoms.weights[atom] >= LEVEL_COST:
                if self._do_without(atom) and self.weight < best[0]:
                    best = self._state()
                self._restore(before)
        self._restore(best)
        return best is not before

    def _do_without(self, atom: int) -> bool:
        """Choose anew where an atom was used; whether that is possible."""
        self.budget.spend(len(self.groups))
        affected = [
            index
            for index, paths in enumerate(self.chosen)
            if any(atom in self.atoms.of(path)[1] for path in paths)
        ]
        for index in affected:
            self._remove(index)
        self.without = atom
        complete = self.pick(affected)
        if complete:
            self.improve()
        self.without = None
        return complete

    def _state(self) -> tuple[int, list[list[Path]], dict[int, int]]:
        return self.weight, list(self.chosen), dict(self.uses)

    def _restore(self, state: tuple[int, list[list[Path]], dict[int, int]]) -> None:
        self.weight, chosen, uses = state
        self.chosen, self.uses = list(chosen), dict(uses)

    def _best(self, group: Group) -> list[Path] | None:
        """The paths that add least, the first among equals."""
        if len(group.options) == 1:
            return self._paths(group.options[0])
        self.budget.spend(len(group.options))
        found = [paths for option in group.options if (paths := self._paths(option)) is not None]
        return min(found, key=self._marginal, default=None)

    def _paths(self, option: Option) -> list[Path] | None:
        if option.path is None:
            uses = dict(self.uses)
            inner = _Choice(option.groups, self.atoms, self.budget, uses, self.without)
            if not inner.pick(range(len(option.groups))):
                return None
            return [path for paths in inner.chosen for path in paths]
        if self.without is not None and self.without in self.atoms.of(option.path)[1]:
            return None
        return [option.path]

    def _add(self, index: int, paths: list[Path]) -> None:
        self.chosen[index] = paths
        uses, weights = self.uses, self.atoms.weights
        for path in paths:
            for atom in self.atoms.of(path)[1]:
                count = uses.get(atom, 0)
                if not count:
                    self.weight += weights[atom]
                uses[atom] = count + 1

    def _remove(self, index: int) -> None:
        uses, weights = self.uses, self.atoms.weights
        for path in self.chosen[index]:
            for atom in self.atoms.of(path)[1]:
                uses[atom] -= 1
                if not uses[atom]:
                    self.weight -= weights[atom]

    def _marginal(self, paths: Iterable[Path]) -> int:
        """What the paths would add to the weight."""
        uses, weights = self.uses, self.atoms.weights
        new = {atom for path in paths for atom in self.atoms.of(path)[1] if not uses.get(atom)}
        return sum(weights[atom] for atom in new)


@dataclass(slots=True)
class _Atoms:
    """Interns the steps of paths by where they are taken, and the fetches they lead to.

    All entity calls of one level to one subgraph for one part become one request,
    so that is what a fetch is here.  Each level there is at all counts as well.
    """

    ids: dict[object, int] = field(default_factory=dict)
    weights: list[int] = field(default_factory=lambda: [0])
    levels: list[int] = field(default_factory=lambda: [0])
    parts: list[Part] = field(default_factory=lambda: [AT_ONCE])
    sets: dict[tuple[int, Path], tuple[int, frozenset[int]]] = field(default_factory=dict)

    def of(self, path: Path, anchor: int = 0) -> tuple[int, frozenset[int]]:
        """The atom a path ends on and all its atoms, when it starts at an anchor."""
        if (anchor, path) not in self.sets:
            self.sets[anchor, path] = self._of(path, anchor)
        return self.sets[anchor, path]

    def _of(self, path: Path, anchor: int) -> tuple[int, frozenset[int]]:
        step = path.step
        if isinstance(step, Enter):
            fetch = self._intern((step.node, step.part), ENTRY_COST, 0, step.part)
            return fetch, frozenset((fetch,))
        if path.parent is None:
            return anchor, frozenset()
        before, atoms = self.of(path.parent, anchor)
        level, part = self.levels[before], self.parts[before]
        if isinstance(step, Jump):
            return self._jump(before, atoms, step)
        if isinstance(step, Cast):
            end = self._intern((before, step.type), 0, level, part)
        else:
            assert isinstance(step, Select)
            # Among equal plans, the one that has its data sooner.
            weight = 0 if step.edge is None else 1 + level
            field = before, step.key, step.name, step.arguments
            end = self._intern(field, weight, level, part)
        return end, atoms | {end}

    def _jump(self, before: int, atoms: frozenset[int], step: Jump) -> tuple[int, frozenset[int]]:
        required = [self.of(path, before) for path in step.requirement.paths]
        level = 1 + max([self.levels[before], *(self.levels[end] for end, _ in required)])
        part = max(step.part, self.parts[before])
        end = self._intern((before, step.move, step.requires, part), 0, level, part)
        # What is asked of one object by one key is one call, whatever it requires.
        call = self._intern((before, step.move, level, part), _CALL_COST, level, part)
        # Only entity calls share a request.
        alone = end if step.move.key is NO_KEY else None
        fetch = self._intern((step.move.target.graph, level, alone, part), JUMP_COST, level, part)
        wait = self._intern(level, LEVEL_COST, level, AT_ONCE)
        return end, atoms.union((end, call, fetch, wait), *(found for _, found in required))

    def _intern(self, identity: object, weight: int, level: int, part: Part) -> int:
        atom = self.ids.get(identity)
        if atom is None:
            atom = self.ids[identity] = len(self.weights)
            self.weights.append(weight)
            self.levels.append(level)
            self.parts.append(part)
        return atom
