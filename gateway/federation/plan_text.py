"""A plan in Apollo's notation: what logs, snapshots and the explorer show."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from graphql import FieldNode, OperationDefinitionNode, parse, print_ast

from gateway.federation.plan import RequireField
from gateway.federation.plan_tree import path_strings, waves

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from graphql import SelectionSetNode

    from gateway.federation.plan import Entities, Fetch, Path, QueryPlan, RequireSelection

__all__ = ["print_plan"]


def print_plan(plan: QueryPlan) -> str:
    """Return the plan as text, the same for equal plans."""
    fetches = plan.fetches
    if fetches and fetches[0].kind == "subscription":
        primary = _block("Primary:", _fetch(fetches[0]))
        rest = _tree(fetches[1:])
        node = _block("Subscription", primary + (_block("Rest:", rest) if rest else []))
    else:
        node = _tree(fetches)
    return "\n".join(_block("QueryPlan", node)) if node else "QueryPlan {}"


def _tree(fetches: Sequence[Fetch]) -> list[str]:
    levels = [[_fetch(fetch) for fetch in level] for level in waves(fetches)]
    return _group("Sequence", [_group("Parallel", level) for level in levels])


def _group(name: str, nodes: Sequence[list[str]]) -> list[str]:
    if len(nodes) == 1:
        return nodes[0]
    return _block(name, [line for node in nodes for line in _ended(node)]) if nodes else []


def _ended(node: Sequence[str]) -> list[str]:
    return [*node[:-1], f"{node[-1]},"]


def _block(head: str, lines: Iterable[str]) -> list[str]:
    return [f"{head} {{".lstrip(), *(f"  {line}" for line in lines), "}"]


def _fetch(fetch: Fetch) -> list[str]:
    _, name = fetch.part
    deferred = f", deferred: {json.dumps(name)}" if name else ""
    head = f'(service: "{fetch.subgraph}"{deferred})'
    selection_set = _selection_set(fetch)
    if not fetch.entities:
        node = _block(f"Fetch{head}", _print(selection_set))
        return _block(f"Flatten({_paths(fetch.at)})", _ended(node)) if fetch.at else node
    if len(fetch.entities) == 1 and len(fetch.entities[0].paths) == 1:
        (entities,) = fetch.entities
        body = _question(entities, selection_set)
        return _block(f"Flatten({_paths(entities.paths)})", _ended(_block(f"Fetch{head}", body)))
    calls = []
    for entities in fetch.entities:
        body = _question(entities, selection_set)
        calls += _ended(_block(f"{entities.alias}({_paths(entities.paths, batch=True)})", body))
    return _block(f"BatchFetch{head}", calls)


def _paths(paths: Sequence[Path], *, batch: bool = False) -> str:
    written = [f'"{".".join(path_strings(path))}"' for path in paths]
    return f"paths: [{', '.join(written)}]" if batch or len(written) > 1 else f"path: {written[0]}"


def _question(entities: Entities, selection_set: SelectionSetNode) -> list[str]:
    asked = _block("", _requires(entities.requires))
    answered = {
        node.alias.value if node.alias else node.name.value: node.selection_set
        for node in selection_set.selections
        if isinstance(node, FieldNode)
    }
    below = answered.get(entities.alias)
    if below is None:
        raise ValueError(f"the document of the fetch has no {entities.alias}")
    return [*asked[:-1], "} =>", *_print(below)]


def _requires(selections: Sequence[RequireSelection]) -> list[str]:
    lines: list[str] = []
    for one in selections:
        if isinstance(one, RequireField):
            head = one.name if one.name == one.key else f"{one.key}: {one.name}"
            lines += _block(head, _requires(one.selections)) if one.selections else [head]
        else:
            lines += _block(f"... on {one.on}", _requires(one.selections))
    return lines


def _selection_set(fetch: Fetch) -> SelectionSetNode:
    (definition,) = parse(fetch.document, no_location=True).definitions
    assert isinstance(definition, OperationDefinitionNode)
    return definition.selection_set


def _print(selection_set: SelectionSetNode) -> list[str]:
    return print_ast(selection_set).split("\n")
