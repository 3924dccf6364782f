"""The search: every candidate path to every leaf of an operation.

Never commits to a subgraph early.  A composite field keeps the candidates of
all subgraphs that can serve it, because its children decide.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from graphql import NonNullTypeNode

from gateway.federation.operation.selection import Field, Fragment, Selection
from gateway.federation.planner.budget import Budget
from gateway.federation.planner.choose import choose
from gateway.federation.planner.graph import (
    NOTHING_PROVIDED,
    Edge,
    Move,
    Node,
    Provided,
    QueryGraph,
)
from gateway.federation.planner.normalize import TYPENAME, normalize
from gateway.federation.planner.paths import (
    LEVEL_COST,
    TYPENAME_STEP,
    Group,
    Jump,
    Option,
    Path,
    Requirement,
    Select,
)
from gateway.federation.supergraph.model import Kind, list_depth, named_type, type_in

__all__ = ["Search"]

_TIES = 8
"""How many ways into one node are kept: fetches of a dearer one may be needed anyway."""
_NO_CUT = 1_000_000
_OPTIONS = 16
"""How many candidates are kept for a leaf."""


class Search:
    """One search over a query graph, within a budget of steps."""

    def __init__(self, graph: QueryGraph, budget: Budget) -> None:
        self._graph = graph
        self._budget = budget
        self._active: dict[object, int] = {}
        self._cut = _NO_CUT
        self.unresolved = ""

    def walk(self, paths: Sequence[Path], selections: Iterable[Selection]) -> list[Group] | None:
        """What must be found for normalised selections; None when something cannot be."""
        groups: list[Group] = []
        for selection in selections:
            found = (
                self._field(paths, selection)
                if isinstance(selection, Field)
                else self._fragment(paths, selection)
            )
            if found is None:
                return None
            groups += found
        return groups

    def _fragment(self, paths: Sequence[Path], fragment: Fragment) -> list[Group] | None:
        cast = [q for p in paths for q in self._cast(p, fragment.on)]
        if not cast:
            # No candidate produces this type: only the object's existence matters.
            return self._field(paths, TYPENAME)
        return self.walk(cast, fragment.selections)

    def _field(self, paths: Sequence[Path], field: Field) -> list[Group] | None:
        self._budget.spend(len(paths))
        if field.name == TYPENAME.name:
            typed = [q for p in paths for q in self._typename(p)]
            if typed:
                return self._leaf(typed)
            self._fail(paths, field)
            return None
        paths = [p if p.part == field.part else p.postpone(field.part) for p in paths]
        found: list[Path] = []
        stuck: list[Path] = []
        for path in paths:
            before = len(found)
            found += self._candidates(path, field)
            if path.node.info.kind is Kind.INTERFACE and (
                len(found) == before or self._differs_by_type(path.node, field)
            ):
                stuck.append(path)
        options: list[Option] = []
        groups = self._below(found, field)
        if groups is not None:
            stuck = [path for path in stuck if not _is_within(path, groups)]
            if not stuck:
                return groups
            options.append(Option(groups=tuple(groups)))
        for path in stuck:
            expanded = self._expand(path, field)
            if expanded is not None:
                options.append(Option(groups=tuple(expanded)))
        if not options:
            self._fail(paths, field)
            return None
        return list(options[0].groups) if len(options) == 1 else [Group(tuple(options))]

    def _below(self, found: Sequence[Path], field: Field) -> list[Group] | None:
        if not found:
            return None
        if not field.selections:
            return self._leaf(found)
        return self.walk(_common_members(_cheapest(found)), field.selections)

    @staticmethod
    def _leaf(found: Sequence[Path]) -> list[Group]:
        return [Group(tuple(Option(path) for path in _cheapest(found)[:_OPTIONS]))]

    def _expand(self, path: Path, field: Field) -> list[Group] | None:
        """Ask each runtime type instead of the interface: all must be found from this path.

        The runtime type is unknown while planning, so one that cannot be
        resolved rules the whole candidate out.
        """
        groups: list[Group] = []
        for type_ in sorted(path.members):
            field_of_type = self._narrowed(field, path.node.type, type_)
            found = self._field(self._cast(path, type_), field_of_type)
            if found is None:
                return None
            groups += found
        return groups or None

    def _narrowed(self, field: Field, interface: str, type_: str) -> Field:
        """The field with selections normalised for what the object type returns."""
        asked = self._graph.types[interface].fields.get(field.name)
        target = self._graph.target_type(type_, field.name)
        if asked is None or named_type(asked.type) == target:
            return field
        selections = normalize(self._graph.supergraph, field.selections, target) or (TYPENAME,)
        return replace(field, selections=selections)

    def _candidates(self, path: Path, field: Field) -> list[Path]:
        """The paths that take a field: from here, and through any entity call."""
        direct = self._direct(path, field)
        if direct is not None and path.postponed:
            return self._postponed(path, field, direct)
        if direct is not None and not field.selections:
            return [direct]
        found = [] if direct is None else [direct]
        found += self._through_moves(path, field)
        return found

    def _postponed(self, path: Path, field: Field, direct: Path) -> list[Path]:
        """The paths that take a field for a deferred part: by asking again, if that can be done.

        What identifies the object comes with the rest.
        """
        graph = path.node.graph
        moved = list(self._through_moves(path, field))
        again = [one for one in moved if one.node.graph == graph]
        if any(_covers(move.key.fields, field) for move in self._graph.moves(path.node)):
            again = []
        if not again and path.node.is_interface and self._is_entity_by_type(path.node):
            # What the objects have no key in common for is asked of each type.
            return []
        again = again or [direct]
        return [*again, *(one for one in moved if one not in again)] if field.selections else again

    def _is_entity_by_type(self, node: Node) -> bool:
        return any(
            move.target.graph == node.graph
            for type_ in node.members
            for move in self._graph.moves(self._graph.node(type_, node.graph))
        )

    def _direct(self, path: Path, field: Field) -> Path | None:
        node = path.node
        edge = self._graph.edge(node, field.name)
        if edge is None or edge.rule.external:
            if field.name not in path.provided.fields:
                return None
            edge = self._graph.provided_edge(node, field.name)
        elif edge.rule.requires and not self._is_local(path, edge.rule.requires):
            return None
        if node.is_interface and not self._is_sound(node, path.provided, field.name):
            return None
        return self._take(path, field, edge)

    def _differs_by_type(self, node: Node, field: Field) -> bool:
        """Whether runtime types unlock more than the interface does, or return fewer types."""
        asked = self._graph.edge(node, field.name)
        members = asked.target.members if asked and asked.target else frozenset[str]()
        return any(
            edge is not None
            and edge.target is not None
            and (edge.rule.provides or edge.target.members < members)
            for type_ in node.members
            for edge in [self._graph.edge(self._graph.node(type_, node.graph), field.name)]
        )

    def _is_sound(self, node: Node, provided: Provided, name: str) -> bool:
        """Whether every runtime type resolves the field here, so the interface may be asked."""
        return all(self._resolves(node, provided, type_, name) for type_ in node.members)

    def _resolves(self, node: Node, provided: Provided, type_: str, name: str) -> bool:
        edge = self._graph.edge(self._graph.node(type_, node.graph), name)
        if edge is not None and not edge.rule.external and not edge.rule.requires:
            return True
        return name in self._graph.provided_on(provided, type_).fields

    def _is_local(self, path: Path, requires: Sequence[Selection]) -> bool:
        """Whether this subgraph has by itself, at this position, all that a field requires."""
        identity = (path.node, path.provided, path.members, requires)
        memo = self._graph.memo
        if identity not in memo:
            normalized = normalize(self._graph.supergraph, requires, path.node.type)
            memo[identity] = self._has(path, normalized)
        return bool(memo[identity])

    def _has(self, path: Path, selections: Iterable[Selection]) -> bool:
        for selection in selections:
            if isinstance(selection, Fragment):
                cast = self._cast(path, selection.on)
                if not all(self._has(inner, selection.selections) for inner in cast):
                    return False
            elif selection.name != TYPENAME.name:
                inner_path = self._direct(path, selection)
                if inner_path is None or not self._has(inner_path, selection.selections):
                    return False
        return True

    def _take(self, path: Path, field: Field, edge: Edge) -> Path:
        step = Select(field.key, field.name, field.arguments, edge)
        if edge.target is None:
            return path.leaf(step)
        provided = self._graph.provided_below(path.provided, field.name, edge.rule.provides)
        return path.select(step, edge.target, provided)

    def _through_moves(self, path: Path, field: Field) -> Iterator[Path]:
        # Objects of some types have the field here: only the others need to be asked for.
        is_split = path.node.is_interface and any(
            self._resolves(path.node, path.provided, type_, field.name)
            for type_ in path.node.members
        )
        at_hand: set[Node] = set()
        for move in self._graph.moves(path.node):
            target = move.target
            edge = self._graph.edge(target, field.name)
            if edge is None or edge.rule.external or target.graph in path.excluded:
                continue
            again = target.graph == path.node.graph
            if again and not edge.rule.requires and not self._may_ask_again(path, move):
                continue
            if target.is_interface and not self._is_sound(target, NOTHING_PROVIDED, field.name):
                continue
            if is_split and target.is_interface and not again:
                continue
            if _covers(move.key.fields, field):
                continue
            self._budget.spend(1)
            requirement = self._satisfy(path, move, edge.rule.requires)
            if requirement is None:
                continue
            if requirement.cost < LEVEL_COST:
                # Of the keys that take no call one is enough.
                if target in at_hand:
                    continue
                at_hand.add(target)
            jump = Jump(move, edge.rule.requires, requirement, path.part)
            yield self._take(path.jump(jump), field, edge)

    def _may_ask_again(self, path: Path, move: Move) -> bool:
        """Whether a deferred part can leave and come back: with a key that every object has."""
        return path.postponed and self._is_certain(move.target, move.key.fields)

    def _is_certain(self, node: Node, key: Sequence[Selection]) -> bool:
        return all(
            isinstance(one, Field) and (one == TYPENAME or self._is_never_null(node, one))
            for one in key
        )

    def _is_never_null(self, node: Node, field: Field) -> bool:
        type_ = type_in(node.info.fields[field.name], node.graph)
        if not isinstance(type_, NonNullTypeNode) or list_depth(type_):
            return False
        below = field.selections
        return not below or self._is_certain(self._graph.node(named_type(type_), node.graph), below)

    def _satisfy(
        self, path: Path, move: Move, requires: tuple[Selection, ...]
    ) -> Requirement | None:
        """How to find a representation from here, independent of what led here."""
        target = move.target
        identity = (path.node, path.provided, path.members, move, requires, path.excluded)
        memo = self._graph.memo
        if identity in memo:
            return memo[identity]  # type: ignore[return-value]
        if identity in self._active:
            self._cut = min(self._cut, self._active[identity])
            return None
        depth = self._active[identity] = len(self._active)
        cut_before, self._cut = self._cut, _NO_CUT
        requirement = self._search_requirement(path, target, move, requires)
        del self._active[identity]
        if self._cut >= depth:
            # Nothing outside this search cut it short, so it holds everywhere.
            memo[identity] = requirement
            self._cut = _NO_CUT
        self._cut = min(self._cut, cut_before)
        return requirement

    def _search_requirement(
        self, path: Path, target: Node, move: Move, requires: tuple[Selection, ...]
    ) -> Requirement | None:
        supergraph = self._graph.supergraph
        node = path.node
        excluded = path.excluded | {target.graph}
        for_key = Path(None, None, node, path.members, path.provided, excluded)
        groups = self.walk([for_key], normalize(supergraph, move.key.fields, node.type))
        if groups is not None and requires:
            # The subgraph being re-entered may help to find what its field requires.
            start = Path(None, None, node, path.members, path.provided)
            more = self.walk([start], normalize(supergraph, requires, node.type))
            groups = None if more is None else groups + more
        if groups is None:
            return None
        chosen = choose(groups, self._budget)
        return Requirement(chosen.paths, chosen.levels * LEVEL_COST + chosen.weight)

    def _cast(self, path: Path, type_: str) -> list[Path]:
        node = path.node
        if node.type == type_:
            return [path] if type_ in path.members else []
        if node.interface_object:
            return list(self._narrow(path, type_))
        if type_ not in path.members or node.info.kind is Kind.OBJECT:
            return []
        return [self._as_type(path, type_)]

    def _as_type(self, path: Path, type_: str) -> Path:
        node = self._graph.node(type_, path.node.graph)
        return path.cast(node, self._graph.provided_on(path.provided, type_))

    def _narrow(self, path: Path, type_: str) -> Iterator[Path]:
        """From an ``@interfaceObject`` to a subgraph that knows the object's real type."""
        for jumped in self._to_real_interface(path):
            if type_ in jumped.node.members:
                yield self._as_type(jumped, type_)

    def _to_real_interface(self, path: Path) -> Iterator[Path]:
        for move in self._graph.moves(path.node):
            if move.target.is_interface and move.target.graph not in path.excluded:
                requirement = self._satisfy(path, move, ())
                if requirement is not None:
                    yield path.jump(Jump(move, (), requirement, path.part))

    def _typename(self, path: Path) -> Iterator[Path]:
        if path.node.interface_object:
            for jumped in self._to_real_interface(path):
                yield jumped.leaf(TYPENAME_STEP)
        else:
            yield path.leaf(TYPENAME_STEP)

    def _fail(self, paths: Sequence[Path], field: Field) -> None:
        """Remember the first selection of the client that could not be resolved."""
        if self._active:
            return
        types = sorted({path.node.type for path in paths})
        graphs = sorted({path.node.graph for path in paths})
        self.unresolved = self.unresolved or (
            f"{'/'.join(types)}.{field.name} cannot be reached from {', '.join(graphs)}"
        )


def _cheapest(paths: Sequence[Path]) -> list[Path]:
    """The cheapest few paths to each distinct node, cheapest first."""
    by_tail: dict[object, list[Path]] = {}
    for path in paths:
        by_tail.setdefault((path.node, path.provided), []).append(path)
    kept: list[Path] = []
    for tail in by_tail.values():
        kept += sorted(tail, key=lambda path: path.cost)[:_TIES]
    kept.sort(key=lambda path: path.cost)
    return kept


def _is_within(path: Path, groups: Iterable[Group]) -> bool:
    """Whether all can be found from a path's end without a call."""
    return all(
        any(option.path is not None and option.path.is_after(path) for option in group.options)
        for group in groups
    )


def _common_members(paths: list[Path]) -> list[Path]:
    """Restrict a union to the members every subgraph that can serve it knows.

    Which subgraph will answer is open, so a member only one of them knows
    cannot be relied on.
    """
    by_graph = {path.node.graph: path for path in paths}
    if len(by_graph) < 2 or all(path.node.info.kind is not Kind.UNION for path in paths):
        return paths
    common = frozenset.intersection(*(path.node.members for path in by_graph.values()))
    for path in paths:
        path.members = path.node.members & common
    return paths


def _covers(key: Sequence[Selection], field: Field) -> bool:
    """Whether finding the key already means finding the field."""
    for selection in key:
        if isinstance(selection, Field) and selection.name == field.name:
            below = field.selections
            return all(isinstance(s, Field) and _covers(selection.selections, s) for s in below)
    return False
