"""The choice: one option for each group, so that the union of all paths weighs least.

A path is a set of atoms (fields, casts, jumps and what jumps require, and the
fetches these take), each counted once however many paths share it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from gateway.federation.plan import AT_ONCE, Part
from gateway.federation.planner.budget import Budget
from gateway.federation.planner.errors import PlanningBudgetExceeded
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

__all__ = ["Chosen", "choose"]

_WAIT_COST = 100
"""What each level of waiting weighs: it decides between plans of as many fetches."""
_REFINING = 15_000
"""How many steps the search for a better plan may take once there is one."""
_CALL_COST = 10
"""What an entity call weighs that shares its request with others."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """Leaf paths in the order of the groups, on how many levels they call, what they weigh."""

    paths: tuple[Path, ...]
    levels: int
    weight: int


def choose(groups: Sequence[Group], budget: Budget) -> Chosen:
    """A path for each leaf: none is late, and together they take the fewest fetches."""
    atoms = _Atoms()
    is_free = any(len(group.options) > 1 for group in groups)
    if is_free:
        last = max(_soonest(group, atoms) for group in groups)
        groups = [_in_time(group, atoms, last) for group in groups]
    best = _Choice(groups, atoms, budget)
    if is_free:
        best.look_around()
    best.pick(range(len(groups)))
    if is_free:
        best.refine()
    paths = tuple(way.path for ways in best.chosen for way in ways)
    levels = max((atoms.levels[atom] for atom in best.uses), default=0)
    return Chosen(paths, levels, best.weight)


def _soonest(group: Group, atoms: _Atoms) -> int:
    """The level on which all of a group can be had."""
    return min(_level(option, atoms) for option in group.options)


def _level(option: Option, atoms: _Atoms) -> int:
    if option.path is not None:
        return atoms.levels[atoms.of(option.path).atom]
    return max(_soonest(group, atoms) for group in option.groups)


def _in_time(group: Group, atoms: _Atoms, last: int) -> Group:
    """A group without the options on which it would be late.

    Some field is on the level ``last`` in any case.  None is later than that, or
    than by its nearest way: that of the fewest calls, apart from what they require.
    """
    last = max(last, min(_near(option, atoms) for option in group.options)[1])
    return Group(tuple(one for one in group.options if _level(one, atoms) <= last))


def _near(option: Option, atoms: _Atoms) -> tuple[int, int]:
    if option.path is not None:
        end = atoms.of(option.path)
        return end.hops, atoms.levels[end.atom]
    return max(min(_near(one, atoms) for one in group.options) for group in option.groups)


@dataclass(frozen=True, slots=True)
class _Way:
    """A path, and its atoms."""

    path: Path
    atoms: frozenset[int]


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
    wanted: Counter[int] = field(default_factory=Counter)
    chosen: list[list[_Way]] = field(init=False)

    def __post_init__(self) -> None:
        self.chosen = [[] for _ in self.groups]

    def look_around(self) -> None:
        """Count for each fetch how many groups could share it."""
        weights = self.atoms.weights
        for group in self.groups:
            paths = (option.path for option in group.options if option.path is not None)
            atoms = {atom for path in paths for atom in self.atoms.of(path).atoms}
            self.wanted.update(atom for atom in atoms if weights[atom] == JUMP_COST)

    def pick(self, indexes: Iterable[int]) -> bool:
        """Greedily: groups with the least freedom first, each by its marginal weight.

        Among equals, by fetches that many groups could share.
        """
        for index in sorted(indexes, key=lambda index: len(self.groups[index].options)):
            group = self.groups[index]
            if len(group.options) > 1:
                best = self._best(group, self._promise)
            else:
                best = next(self._ways(group.options[0]), None)
            if best is None:
                return False
            self._add(index, best)
        return True

    def refine(self) -> None:
        """Make the choice better for as long as that takes few steps; then it is good enough."""
        self.budget = Budget(min(self.budget.left, _REFINING))
        state = self._state()
        try:
            while True:
                self.improve()
                self.eliminate()
                if self.weight == state[0]:
                    return
                state = self._state()
        except PlanningBudgetExceeded:
            self._restore(state)

    def improve(self) -> None:
        """Reconsider each choice in the light of all the others."""
        for index, group in enumerate(self.groups):
            before = self.chosen[index]
            self._remove(index)
            best = self._best(group, self._marginal) or before
            self._add(index, min(before, best, key=self._marginal))

    def eliminate(self) -> None:
        """Do without that fetch without which all the rest weighs least."""
        before = best = self._state()
        for atom in sorted(self.uses):
            if self.atoms.weights[atom] >= JUMP_COST:
                if self._do_without(atom) and self.weight < best[0]:
                    best = self._state()
                self._restore(before)
        self._restore(best)

    def _do_without(self, atom: int) -> bool:
        """Choose anew where an atom was used; whether that is possible."""
        self.budget.spend(len(self.groups))
        affected = [
            index
            for index, ways in enumerate(self.chosen)
            if any(atom in way.atoms for way in ways)
        ]
        for index in affected:
            self._remove(index)
        self.without = atom
        complete = self.pick(affected)
        if complete:
            self.improve()
        self.without = None
        return complete

    def _state(self) -> tuple[int, list[list[_Way]], dict[int, int]]:
        return self.weight, list(self.chosen), dict(self.uses)

    def _restore(self, state: tuple[int, list[list[_Way]], dict[int, int]]) -> None:
        self.weight, chosen, uses = state
        self.chosen, self.uses = list(chosen), dict(uses)

    def _best(
        self, group: Group, key: Callable[[list[_Way]], int | tuple[int, ...]]
    ) -> list[_Way] | None:
        """The ways that are least, the first among equals."""
        self.budget.spend(len(group.options))
        found = [ways for option in group.options for ways in self._ways(option)]
        return min(found, key=key, default=None)

    def _ways(self, option: Option) -> Iterator[list[_Way]]:
        if option.path is None:
            uses = dict(self.uses)
            inner = _Choice(option.groups, self.atoms, self.budget, uses, self.without)
            if inner.pick(range(len(option.groups))):
                yield [way for ways in inner.chosen for way in ways]
            return
        for atoms in self.atoms.ways(option.path, self.uses):
            if self.without not in atoms:
                yield [_Way(option.path, atoms)]

    def _add(self, index: int, chosen: list[_Way]) -> None:
        self.chosen[index] = chosen
        uses, weights = self.uses, self.atoms.weights
        for way in chosen:
            for atom in way.atoms:
                if atom not in uses:
                    self.weight += weights[atom]
                uses[atom] = uses.get(atom, 0) + 1

    def _remove(self, index: int) -> None:
        uses, weights = self.uses, self.atoms.weights
        for way in self.chosen[index]:
            for atom in way.atoms:
                uses[atom] -= 1
                if not uses[atom]:
                    del uses[atom]
                    self.weight -= weights[atom]

    def _new(self, ways: Iterable[_Way]) -> set[int]:
        return set[int]().union(*(way.atoms.difference(self.uses) for way in ways))

    def _marginal(self, ways: Iterable[_Way]) -> int:
        """What the ways would add to the weight."""
        return sum(map(self.atoms.weights.__getitem__, self._new(ways)))

    def _promise(self, ways: list[_Way]) -> tuple[int, ...]:
        """What the ways would add, and how much of it others could share."""
        weight = self._marginal(ways)
        shared = sum(map(self.wanted.__getitem__, self._new(ways)))
        return weight // JUMP_COST, -shared, weight


@dataclass(frozen=True, slots=True)
class _End:
    """Where a path ends: its last atom, the fetch it ends in, all its atoms."""

    atom: int
    fetch: int
    atoms: frozenset[int]
    hops: int


@dataclass(slots=True)
class _Atoms:
    """Interns the steps of paths by where they are taken, and the fetches they lead to.

    All entity calls of one level to one subgraph for one part become one request,
    so that is what a fetch is here.  Each level there is at all counts as well.
    ``kin`` are the fetches of the same subgraph and part on all levels.
    """

    ids: dict[object, int] = field(default_factory=dict)
    weights: list[int] = field(default_factory=lambda: [0])
    levels: list[int] = field(default_factory=lambda: [0])
    parts: list[Part] = field(default_factory=lambda: [AT_ONCE])
    ends: dict[tuple[int, Path], _End] = field(default_factory=dict)
    kin: dict[int, list[int]] = field(default_factory=dict)
    families: dict[tuple[str, Part], list[int]] = field(default_factory=dict)

    def of(self, path: Path, anchor: int = 0) -> _End:
        """Where a path ends, when it starts at an anchor."""
        if (anchor, path) not in self.ends:
            self.ends[anchor, path] = self._of(path, anchor)
        return self.ends[anchor, path]

    def ways(self, path: Path, uses: Mapping[int, int]) -> Iterator[frozenset[int]]:
        """The atoms of a path; and those when its last call waits for a later fetch there is."""
        end = self.of(path)
        yield end.atoms
        for later in self.kin.get(end.fetch, ()):
            if later in uses and self.levels[later] > self.levels[end.fetch]:
                wait = self.ids[self.levels[later]]
                yield end.atoms - {end.fetch} | {later, wait}

    def _of(self, path: Path, anchor: int) -> _End:
        step = path.step
        if isinstance(step, Enter):
            fetch = self._intern((step.node, step.part), ENTRY_COST, 0, step.part)
            return _End(fetch, fetch, frozenset((fetch,)), 0)
        if path.parent is None:
            return _End(anchor, 0, frozenset(), 0)
        before = self.of(path.parent, anchor)
        level, part = self.levels[before.atom], self.parts[before.atom]
        if isinstance(step, Jump):
            return self._jump(before, step, path.parent.node.graph)
        if isinstance(step, Cast):
            end = self._intern((before.atom, step.type), 0, level, part)
        else:
            assert isinstance(step, Select)
            # Among equal plans, the one that has its data sooner.
            weight = 0 if step.edge is None else 1 + level
            identity = before.atom, step.key, step.name, step.arguments
            end = self._intern(identity, weight, level, part)
        return _End(end, before.fetch, before.atoms | {end}, before.hops)

    def _jump(self, before: _End, step: Jump, source: str) -> _End:
        at = before.atom
        required = [self.of(path, at) for path in step.requirement.paths]
        level = 1 + max([self.levels[at], *(self.levels[end.atom] for end in required)])
        part = max(step.part, self.parts[at])
        end = self._intern((at, step.move, step.requires, part), 0, level, part)
        # What is asked of one object by one key is one call, whatever it requires.
        call = self._intern((at, step.move, level, part), _CALL_COST, level, part)
        wait = self._intern(level, _WAIT_COST, level, AT_ONCE)
        atoms = before.atoms.union((end, call, wait), *(found.atoms for found in required))
        graph = step.move.target.graph
        # Only entity calls share a request.
        alone = end if step.move.key is NO_KEY else None
        fetch = self._intern((graph, level, alone, part), JUMP_COST, level, part)
        if alone is None and fetch not in self.kin:
            self.kin[fetch] = self.families.setdefault((graph, part), [])
            self.kin[fetch].append(fetch)
        return _End(end, fetch, atoms | {fetch}, before.hops + (graph != source))

    def _intern(self, identity: object, weight: int, level: int, part: Part) -> int:
        atom = self.ids.get(identity)
        if atom is None:
            atom = self.ids[identity] = len(self.weights)
            self.weights.append(weight)
            self.levels.append(level)
            self.parts.append(part)
        return atom
