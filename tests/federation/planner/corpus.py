"""Operations and their plans, written down; `python -m tests.federation.planner.corpus` anew.

A file in `plans/` for each supergraph there is a corpus for.  A line with `# `
is an operation (or its variables, or the labels that are true); below it is the
plan in a line for each fetch, with all that the executor reads of it.  The cases
of a conformance area come by themselves; to add an operation, add its line.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from graphql import GraphQLSchema

from gateway.federation.deferral import in_parts
from gateway.federation.operation.prepare import InvalidRequest, parse_and_validate, prepare
from gateway.federation.operation.selection import Operation
from gateway.federation.plan import (
    AT_ONCE,
    Entities,
    Fetch,
    KeyRenamer,
    QueryPlan,
    RequireField,
    RequireSelection,
)
from gateway.federation.plan_tree import path_strings
from gateway.federation.planner import PlanningError, plan
from gateway.federation.supergraph import Supergraph
from tests.federation.areas import areas
from tests.federation.planner.planned import FOLDER as SMALL
from tests.federation.planner.planned import subgraph_schema
from tests.federation.world import WORLD

__all__ = [
    "Question",
    "corpora",
    "labels_of",
    "operation_of",
    "plans_file",
    "questions",
    "schema_of",
    "supergraph",
    "written",
    "written_plan",
]

FOLDER = Path(__file__).parent / "plans"


@dataclass(frozen=True)
class Question:
    """An operation to plan; ``labels`` are those that are true."""

    source: str
    variables: str = "{}"
    labels: str = "[]"


def corpora() -> list[str]:
    """The names of all supergraphs: the conformance areas, the planner's own, the world."""
    small = sorted(f"planner-{one.name}" for one in SMALL.iterdir())
    return [*(area.name for area in areas()), *small, "world"]


def plans_file(name: str) -> Path:
    """Where the plans of a supergraph are written down."""
    return FOLDER / f"{name}.txt"


@cache
def supergraph(name: str) -> Supergraph:
    """The supergraph of a corpus."""
    return Supergraph.from_sdl(_file(name).read_text())


def _file(name: str) -> Path:
    if name == "world":
        return WORLD.supergraph_file
    if name.startswith("planner-"):
        return SMALL / name.removeprefix("planner-") / "supergraph.graphql"
    return next(one for one in areas() if one.name == name).supergraph_file


def schema_of(name: str, subgraph: str) -> GraphQLSchema:
    """What a subgraph of a corpus validates documents against."""
    if name.startswith("planner-"):
        return subgraph_schema(name.removeprefix("planner-"), subgraph)
    area = next(one for one in (*areas(), WORLD) if name in (one.name, one.name.strip("./")))
    return next(one for one in area.subgraphs if one.name == subgraph).schema


def questions(name: str) -> list[Question]:
    """The operations of a corpus, in order and each once."""
    cases = [
        Question(" ".join(case.query.split()), json.dumps(case.variables))
        for area in areas()
        if area.name == name
        for case in area.cases
    ]
    file = plans_file(name)
    return list(dict.fromkeys([*cases, *(_read(file.read_text()) if file.exists() else ())]))


def _read(text: str) -> Iterator[Question]:
    for block in text.split("\n\n"):
        lines = [line.removeprefix("# ") for line in block.splitlines() if line.startswith("# ")]
        if lines:
            given = dict(line.split(" ", 1) for line in lines[1:])
            yield Question(lines[0], **given)


def written(name: str) -> str:
    """The plans of a corpus as its file has them."""
    return "\n".join(f"{_head(one)}\n{_answer(name, one)}\n" for one in questions(name))


def _head(question: Question) -> str:
    lines = [question.source]
    if question.variables != "{}":
        lines.append(f"variables {question.variables}")
    if question.labels != "[]":
        lines.append(f"labels {question.labels}")
    return "\n".join(f"# {line}" for line in lines)


def _answer(name: str, question: Question) -> str:
    try:
        return written_plan(planned(supergraph(name), question))
    except (InvalidRequest, PlanningError) as error:
        return f"{type(error).__name__}: {error}"


def planned(graph: Supergraph, question: Question) -> QueryPlan:
    """The plan of a question."""
    return plan(graph, operation_of(graph, question), labels=labels_of(question))


def operation_of(graph: Supergraph, question: Question) -> Operation:
    """What is to be planned; its fields say which deferred part they are for."""
    prepared = prepare(graph.api_schema, parse_and_validate(graph.api_schema, question.source))
    operation, _, _ = in_parts(graph, prepared, prepared.coerce(json.loads(question.variables)))
    return operation


def labels_of(question: Question) -> dict[str, bool]:
    """The labels that are true."""
    return dict.fromkeys(json.loads(question.labels), True)


def written_plan(plan: QueryPlan) -> str:
    """All of a plan, a line for each fetch."""
    lines = [_fetch(fetch) for fetch in plan.fetches]
    if plan.key_aliases:
        lines.append(f"aliases {json.dumps(dict(plan.key_aliases))}")
    return "\n".join(lines) or "nothing"


def _fetch(fetch: Fetch) -> str:
    parts: list[Any] = [fetch.id, fetch.subgraph, *([fetch.kind] if fetch.kind != "query" else [])]
    if fetch.part != AT_ONCE:
        parts += ["deferred", fetch.part[1]]
    if fetch.depends_on:
        parts += ["after", *fetch.depends_on]
    parts.append(fetch.document)
    parts += [f"${inner}=${client}" for inner, client in fetch.variables]
    parts += [f"at {'.'.join(path_strings(path))}" for path in fetch.at]
    parts += [_entities(one) for one in fetch.entities]
    parts += _renamers(fetch.output_rewrites)
    return " ".join(str(part) for part in parts)


def _entities(entities: Entities) -> str:
    paths = [".".join(path_strings(path)) for path in entities.paths]
    setters = [f"{'.'.join(path_strings(s.path))}:={s.value}" for s in entities.input_rewrites]
    renamers = _renamers(entities.output_rewrites)
    asked = f"${entities.variable} at {' and '.join(paths)}: {_required(entities.requires)}"
    return " ".join([f"| {entities.alias}", asked, *setters, *renamers])


def _renamers(renamers: Sequence[KeyRenamer]) -> list[str]:
    return [f"{'.'.join(path_strings(one.path))}->{one.key}" for one in renamers]


def _required(selections: Sequence[RequireSelection]) -> str:
    """The selections of a representation; a part of the key has a mark, ? if it may be null."""
    return " ".join(map(_require, selections))


def _require(selection: RequireSelection) -> str:
    inner = f"{{{_required(selection.selections)}}}" if selection.selections else ""
    if not isinstance(selection, RequireField):
        return f"{selection.on}{inner}"
    name = (
        selection.name if selection.name == selection.key else f"{selection.key}:{selection.name}"
    )
    mark = "" if not selection.is_key else "?" if selection.may_be_null else "!"
    return f"{name}{mark}{inner}"


if __name__ == "__main__":
    for found in corpora():
        if text := written(found):
            plans_file(found).write_text(text)
