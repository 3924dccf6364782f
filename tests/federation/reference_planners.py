"""How large the plans of two reference planners are.

`python -m tests.federation.reference_planners` finds out anew, for the areas named or for all. It
asks the planners of Hive Router and of Apollo Gateway, from the packages that
`./nexus bench --peers` installs, and keeps the figures of those plans that are
right: every document valid where it is sent, no field asked of a subgraph that
only declares it or that needs more data for it, mutations in order, and the
same answer as ours.  With `--fresh N` it compares ours with theirs over N
random supergraphs, from a seed that can be given, and writes nothing.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import click
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
from tests.federation.random_supergraphs import (
    random_selections,
    random_supergraph,
    truth,
    written,
)
from tests.federation.subgraphs import InMemory
from tests.federation.suites import FOLDER, Area
from tests.federation.world import WORLD

__all__ = [
    "AUDIT",
    "MANY",
    "MANY_KEYS",
    "RANDOM",
    "Asked",
    "asked_of",
    "checksum",
    "many_keys",
    "random_operations",
    "size",
    "supergraph_of",
]

AUDIT = FOLDER / "reference_plans.json"
RANDOM = Path(__file__).parent / "random_plans.json"
MANY_KEYS = Path(__file__).parent / "random_supergraphs.json"
MANY = 60
"""How many random supergraphs the figures are of."""
EACH = 10
"""How many operations are tried over each."""
SECONDS = 20
"""How long a planner may take for some operations: it may never end."""
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


def asked_of(supergraph: Supergraph, source: str, variables: Mapping[str, Any]) -> Asked | None:
    """An operation over a supergraph; None if it is not valid or needs no fetch."""
    schema = supergraph.api_schema
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
    supergraph = supergraph_of(area.supergraph_file)
    schema = supergraph.api_schema
    found: dict[str, Asked] = {}
    for seed in range(SEEDS):
        for mutation in (False, True) if schema.mutation_type else (False,):
            random = Random(seed)  # noqa: S311
            source = random_operation(schema, random, mutation=mutation, arguments=VALUES)
            asked = asked_of(supergraph, source, {})
            if asked is not None:
                found[f"{seed}{'m' if mutation else ''}"] = asked
    return found


@dataclass(frozen=True)
class ManyKeys:
    """A random supergraph whose entities have many keys; operations over it, and their answers."""

    area: Area
    sdl: str
    supergraph: Supergraph
    operations: Mapping[str, Asked]
    answers: Mapping[str, Any]


def many_keys(seed: int) -> ManyKeys:
    """The random supergraph of a seed, with those of its operations that have a plan."""
    graph = random_supergraph(seed)
    supergraph = Supergraph.from_sdl(graph.sdl)
    operations: dict[str, Asked] = {}
    answers: dict[str, Any] = {}
    for number in range(EACH):
        selections = random_selections(graph, Random(number))  # noqa: S311
        asked = asked_of(supergraph, written(selections), {})
        assert asked is not None
        try:
            plan(supergraph, asked.operation)
        except PlanningError:
            continue
        operations[str(number)] = asked
        answers[str(number)] = truth(graph, selections)
    area = Area(str(seed), graph.subgraphs, ())
    return ManyKeys(area, graph.sdl, supergraph, operations, answers)


def size(planned: QueryPlan) -> Size:
    """How many fetches a plan has, and how many of them one after another."""
    return len(planned.fetches), len(waves(planned.fetches))


def checksum(operations: Mapping[str, Asked]) -> int:
    """Tells whether figures are still those of the operations."""
    return zlib.crc32("\n".join(asked.text for asked in operations.values()).encode())


def right_sizes(
    planner: str, area: Area, sdl: str, operations: Mapping[str, Asked]
) -> dict[str, Size]:
    """The size of each plan of a reference planner that is right."""
    supergraph = Supergraph.from_sdl(sdl)
    judge = _Judge(area, supergraph)
    plans = _plans(planner, supergraph, sdl, [asked.text for asked in operations.values()])
    return {
        name: size(planned)
        for (name, asked), planned in zip(operations.items(), plans, strict=True)
        if planned is not None and judge.is_right(asked, planned)
    }


def _plans(
    planner: str, supergraph: Supergraph, sdl: str, queries: Sequence[str]
) -> Iterator[QueryPlan | None]:
    keys = {
        name: {
            graph: frozenset(s.key for key in keys for s in key.fields if isinstance(s, Field))
            for graph, keys in type_.keys.items()
        }
        for name, type_ in supergraph.types.items()
    }
    left = list(queries)
    while left:
        told, failure = _told(json.dumps({"planner": planner, "sdl": sdl, "queries": left}))
        answers = [json.loads(line) for line in told.splitlines()]
        for answer in answers:
            yield plan_from_json(answer["plan"], keys=keys) if "plan" in answer else None
        left = left[len(answers) :]
        if left and not answers and "panicked" not in failure:
            raise RuntimeError(failure)
        if left:
            yield None
            left = left[1:]


def _told(request: str) -> tuple[str, str]:
    """What the script says of plans, and of its failure; a planner that does not end panicked."""
    try:
        done = subprocess.run(
            ["node", str(SCRIPT)],
            input=request,
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
        )
    except subprocess.TimeoutExpired as late:
        return (late.stdout or b"").decode(), "panicked: it does not end"
    return done.stdout, done.stderr


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
    supergraph = supergraph_of(area.supergraph_file)
    cases = {
        str(number): asked
        for number, case in enumerate(area.cases)
        if (asked := asked_of(supergraph, case.query, case.variables)) is not None
    }
    return right_sizes("hive", area, area.supergraph_file.read_text(), cases)


def _figures(area: Area, sdl: str, operations: Mapping[str, Asked]) -> dict[str, Any]:
    return {
        "operations": checksum(operations),
        "hive": right_sizes("hive", area, sdl, operations),
        "apollo": right_sizes("apollo", area, sdl, operations),
    }


def _random(area: Area) -> dict[str, Any]:
    return _figures(area, area.supergraph_file.read_text(), random_operations(area))


def _many_keys(seed: int) -> dict[str, Any]:
    found = many_keys(seed)
    return _figures(found.area, found.sdl, found.operations)


def compare(planner: str, seeds: Sequence[int]) -> Counter[str]:
    """How our plans differ from those of a reference planner that are right."""
    table: Counter[str] = Counter()
    for seed in seeds:
        found = many_keys(seed)
        sizes = right_sizes(planner, found.area, found.sdl, found.operations)
        for name, (fetches, levels) in sizes.items():
            asked = found.operations[name]
            ours = size(plan(found.supergraph, asked.operation))
            table["operations"] += 1
            table["fewer fetches"] += ours[0] < fetches
            table["more fetches"] += ours[0] > fetches
            table["fewer levels"] += ours[1] < levels
            table["more levels"] += ours[1] > levels
            if ours[0] > fetches or ours[1] > levels:
                click.echo(f"{planner} {seed}: {ours} for {(fetches, levels)}: {asked.text}")
    return table


@click.command()
@click.argument("names", nargs=-1)
@click.option("--fresh", default=0, help="Compare over so many random supergraphs.")
@click.option("--seed", default=10_000, help="The first of them.")
def main(names: Sequence[str], fresh: int, seed: int) -> None:
    """Write the figures of the areas NAMES, of `many-keys`, or of all."""
    if fresh:
        for planner in ("hive", "apollo"):
            table = compare(planner, range(seed, seed + fresh))
            counts = ", ".join(f"{count} {what}" for what, count in table.items())
            click.echo(f"ours beside {planner}: {counts}")
        return
    chosen = [area for area in [*areas(), WORLD] if area.name in names or not names]
    _write(AUDIT, {area.name: _audit(area) for area in chosen if area is not WORLD})
    _write(RANDOM, {area.name: _random(area) for area in chosen})
    if not names or "many-keys" in names:
        _write(MANY_KEYS, {str(seed): _many_keys(seed) for seed in range(MANY)})


if __name__ == "__main__":
    main()
