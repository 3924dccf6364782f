"""How large the plans of two reference planners are.

`python -m tests.federation.reference_planners` finds out anew, for the areas named or for all. It
asks the planners of Hive Router and of Apollo Gateway, from the packages that
`./nexus bench --peers` installs, and keeps the figures of those plans that are
right: every document valid where it is sent, no field asked of a subgraph that
only declares it or that needs more data for it, mutations in order, and the
same answer as ours.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    Visitor,
    parse,
    visit,
)

from gateway.federation.execution import Response, compile_plan
from gateway.federation.operation.prepare import InvalidRequest, parse_and_validate, prepare
from gateway.federation.operation.selection import Field, Operation
from gateway.federation.plan import Fetch, QueryPlan
from gateway.federation.plan_json import plan_from_json
from gateway.federation.plan_tree import waves
from gateway.federation.planner import PlanningError, plan
from gateway.federation.planner.graph import NOTHING_PROVIDED, Node, Provided, QueryGraph
from gateway.federation.supergraph import Supergraph
from tests.federation.areas import areas
from tests.federation.operations import ARGUMENTS, random_operation
from tests.federation.printing import print_operation
from tests.federation.subgraphs import InMemory
from tests.federation.suites import FOLDER, Area
from tests.federation.world import WORLD

__all__ = ["AUDIT", "RANDOM", "Asked", "random_operations", "size"]

AUDIT = FOLDER / "reference_plans.json"
RANDOM = Path(__file__).parent / "random_plans.json"
SCRIPT = Path(__file__).with_suffix(".mjs")
SEEDS = 100
VALUES = {
    **ARGUMENTS,
    "id": ('"p1"', '"u1"', '"1"', '"a1"', '"c1"'),
    "limit": ("1", "2", "3"),
    "currency": ('"USD"', '"EUR"'),
    "zip": ('"1234"',),
    "filter": ("{first: 1}",),
    "type": ("REGULAR",),
    "requestId": ('"r"',),
    "num": ("1",),
    "by": ("2",),
    "name": ('"x"',),
    "input": ('{name: "x", price: 1}',),
}

Size = tuple[int, int]


@dataclass(frozen=True)
class Asked:
    """An operation to plan, folded, and its variables."""

    text: str
    operation: Operation
    variables: Mapping[str, Any]


@cache
def supergraph_of(path: Path) -> Supergraph:
    """The supergraph of a file; read once."""
    return Supergraph.from_sdl(path.read_text())


def asked_of(area: Area, source: str, variables: Mapping[str, Any]) -> Asked | None:
    """An operation over an area; None if it is not valid or needs no fetch."""
    schema = supergraph_of(area.supergraph_file).api_schema
    try:
        prepared = prepare(schema, parse_and_validate(schema, source))
        coerced = prepared.coerce(variables)
    except InvalidRequest:
        return None
    operation = prepared.fold(coerced)
    if all(isinstance(s, Field) and s.name == "__typename" for s in operation.selections):
        return None
    return Asked(print_operation(operation), operation, coerced)


def random_operations(area: Area) -> dict[str, Asked]:
    """Random operations over an area's supergraph, by the seed that makes them."""
    schema = supergraph_of(area.supergraph_file).api_schema
    found: dict[str, Asked] = {}
    for seed in range(SEEDS):
        for mutation in (False, True) if schema.mutation_type else (False,):
            random = Random(seed)  # noqa: S311
            source = random_operation(schema, random, mutation=mutation, arguments=VALUES)
            asked = asked_of(area, source, {})
            if asked is not None:
                found[f"{seed}{'m' if mutation else ''}"] = asked
    return found


def size(planned: QueryPlan) -> Size:
    """How many fetches a plan has, and how many of them one after another."""
    return len(planned.fetches), len(waves(planned.fetches))


def checksum(operations: Mapping[str, Asked]) -> int:
    """Tells whether figures are still those of the operations."""
    return zlib.crc32("\n".join(asked.text for asked in operations.values()).encode())


def right_sizes(planner: str, area: Area, operations: Mapping[str, Asked]) -> dict[str, Size]:
    """The size of each plan of a reference planner that is right."""
    judge = _Judge(area, supergraph_of(area.supergraph_file))
    plans = _plans(planner, area, [asked.text for asked in operations.values()])
    return {
        name: size(planned)
        for (name, asked), planned in zip(operations.items(), plans, strict=True)
        if planned is not None and judge.is_right(asked, planned)
    }


def _plans(planner: str, area: Area, queries: Sequence[str]) -> Iterator[QueryPlan | None]:
    keys = {
        name: {
            graph: frozenset(s.key for key in keys for s in key.fields if isinstance(s, Field))
            for graph, keys in type_.keys.items()
        }
        for name, type_ in supergraph_of(area.supergraph_file).types.items()
    }
    left = list(queries)
    while left:
        request = {"planner": planner, "sdl": area.supergraph_file.read_text(), "queries": left}
        done = subprocess.run(
            ["node", str(SCRIPT)],
            input=json.dumps(request),
            capture_output=True,
            text=True,
            check=False,
        )
        answers = [json.loads(line) for line in done.stdout.splitlines()]
        for answer in answers:
            yield plan_from_json(answer["plan"], keys=keys) if "plan" in answer else None
        left = left[len(answers) :]
        if left and not answers and "panicked" not in done.stderr:
            raise RuntimeError(done.stderr)
        if left:
            yield None
            left = left[1:]


@dataclass(frozen=True)
class _Judge:
    area: Area
    supergraph: Supergraph

    def is_right(self, asked: Asked, reference: QueryPlan) -> bool:
        """Whether a plan may stand as a reference."""
        graph = QueryGraph(self.supergraph, {})
        if not all(_is_allowed(graph, asked.operation, fetch) for fetch in reference.fetches):
            return False
        if not _is_in_order(reference):
            return False
        try:
            ours = plan(self.supergraph, asked.operation)
        except PlanningError:
            return False
        theirs, transport = self._run(asked, reference)
        mine, _ = self._run(asked, ours)
        return (
            not transport.invalid
            and json.dumps(theirs.data, sort_keys=True) == json.dumps(mine.data, sort_keys=True)
            and _places(theirs) == _places(mine)
        )

    def _run(self, asked: Asked, planned: QueryPlan) -> tuple[Response, InMemory]:
        self.area.reset()
        transport = InMemory(*self.area.subgraphs)
        executable = compile_plan(self.supergraph, asked.operation, planned)
        return asyncio.run(executable.run(transport, asked.variables, None)), transport


def _places(response: Response) -> set[str]:
    return {str(error.get("path")) for error in response.errors}


def _is_in_order(planned: QueryPlan) -> bool:
    """Whether a mutation's root fields wait for everything below those before them."""
    before: list[set[int]] = []
    for fetch in planned.fetches:
        before.append(set(fetch.depends_on).union(*(before[one] for one in fetch.depends_on)))
    mutations = [fetch.id for fetch in planned.fetches if fetch.kind == "mutation"]
    return all(
        other == one or other in before[one] or one in before[other]
        for one in mutations[1:]
        for other in range(len(before))
    )


def _is_allowed(graph: QueryGraph, operation: Operation, fetch: Fetch) -> bool:
    """Whether a fetch asks only for what its subgraph resolves there."""
    definition = _inlined(parse(fetch.document))
    same = fetch.kind == operation.kind.value
    root = graph.root_type(operation.kind if same else OperationType.QUERY)
    assert root is not None
    return _allows(graph, graph.node(root, fetch.subgraph), definition.selection_set)


def _inlined(document: DocumentNode) -> OperationDefinitionNode:
    """The operation of a document, its fragments in the places where they are spread."""
    fragments = {
        one.name.value: one
        for one in document.definitions
        if isinstance(one, FragmentDefinitionNode)
    }

    class Inline(Visitor):
        def enter_fragment_spread(self, node: FragmentSpreadNode, *_: Any) -> InlineFragmentNode:
            fragment = fragments[node.name.value]
            return InlineFragmentNode(
                type_condition=fragment.type_condition, selection_set=fragment.selection_set
            )

    (operation,) = (o for o in document.definitions if isinstance(o, OperationDefinitionNode))
    inlined = visit(operation, Inline())
    assert isinstance(inlined, OperationDefinitionNode)
    return inlined


def _allows(
    graph: QueryGraph,
    node: Node,
    selection_set: SelectionSetNode | None,
    provided: Provided = NOTHING_PROVIDED,
    *,
    is_entity: bool = False,
) -> bool:
    for selection in selection_set.selections if selection_set else ():
        if isinstance(selection, InlineFragmentNode):
            on = selection.type_condition.name.value if selection.type_condition else node.type
            inside = provided if on == node.type else graph.provided_on(provided, on)
            below = graph.node(on, node.graph)
            allowed = _allows(graph, below, selection.selection_set, inside, is_entity=is_entity)
        else:
            assert isinstance(selection, FieldNode)
            allowed = _allows_field(graph, node, selection, provided, is_entity=is_entity)
        if not allowed:
            return False
    return True


def _allows_field(
    graph: QueryGraph, node: Node, field: FieldNode, provided: Provided, *, is_entity: bool
) -> bool:
    name = field.name.value
    if name == "__typename":
        return True
    if name == "_entities":
        return _allows(graph, node, field.selection_set, is_entity=True)
    edge = graph.edge(node, name)
    if edge is None or edge.rule.external:
        edge = graph.provided_edge(node, name) if name in provided.fields else None
    if edge is None or (edge.rule.requires and not is_entity):
        return False
    below = graph.provided_below(provided, name, edge.rule.provides)
    return edge.target is None or _allows(graph, edge.target, field.selection_set, below)


def _write(path: Path, figures: Mapping[str, Any]) -> None:
    known = json.loads(path.read_text()) if path.exists() else {}
    known.update(figures)
    lines = [f"  {json.dumps(name)}: {json.dumps(one)}" for name, one in sorted(known.items())]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def _audit(area: Area) -> dict[str, Size]:
    cases = {
        str(number): asked
        for number, case in enumerate(area.cases)
        if (asked := asked_of(area, case.query, case.variables)) is not None
    }
    return right_sizes("hive", area, cases)


def _random(area: Area) -> dict[str, Any]:
    operations = random_operations(area)
    return {
        "operations": checksum(operations),
        "hive": right_sizes("hive", area, operations),
        "apollo": right_sizes("apollo", area, operations),
    }


if __name__ == "__main__":
    chosen = [area for area in [*areas(), WORLD] if area.name in sys.argv[1:] or not sys.argv[1:]]
    _write(AUDIT, {area.name: _audit(area) for area in chosen if area is not WORLD})
    _write(RANDOM, {area.name: _random(area) for area in chosen})
