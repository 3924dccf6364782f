"""Plans as JSON: out in Apollo's form, in from Apollo's and from Hive Router's.

What Apollo's form has no place for is added under names of its own: ``id``,
``dependsOn`` and ``deferred`` of a fetch, ``isKey`` of a required field, ``paths``
of a Flatten node with several, and ``BatchFetch`` for a document with several
`_entities` calls.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from gateway.federation.plan import (
    AT,
    AT_ONCE,
    Entities,
    Fetch,
    Gate,
    KeyRenamer,
    QueryPlan,
    RequireField,
    RequireFragment,
    ValueSetter,
)
from gateway.federation.plan_tree import path_strings, waves

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from gateway.federation.plan import Part, Path, PathStep, RequireSelection

    Json = dict[str, Any]

__all__ = ["plan_from_json", "plan_to_json"]


def plan_to_json(plan: QueryPlan) -> Json:
    """Return the plan as plain values for a JSON encoder."""
    fetches = plan.fetches
    written: Json = {"kind": "QueryPlan"}
    if plan.key_aliases:
        written["keyAliases"] = dict(plan.key_aliases)
    if fetches and fetches[0].kind == "subscription":
        written["node"] = {"kind": "Subscription", "primary": _fetch_out(fetches[0])}
        if len(fetches) > 1:
            written["node"]["rest"] = _tree_out(fetches[1:])
    elif fetches:
        written["node"] = _tree_out(fetches)
    return written


def _tree_out(fetches: Sequence[Fetch]) -> Json:
    levels = [[_fetch_out(fetch) for fetch in level] for level in waves(fetches)]
    return _group_out("Sequence", [_group_out("Parallel", level) for level in levels])


def _group_out(kind: str, nodes: list[Json]) -> Json:
    return nodes[0] if len(nodes) == 1 else {"kind": kind, "nodes": nodes}


def _fetch_out(fetch: Fetch) -> Json:
    batch = len(fetch.entities) > 1 or any(len(one.paths) > 1 for one in fetch.entities)
    node: Json = {
        "kind": "BatchFetch" if batch else "Fetch",
        "id": str(fetch.id),
        "serviceName": fetch.subgraph,
        "operationKind": fetch.kind,
        "operation": fetch.document,
        "variableUsages": [name for name, _ in fetch.variables],
    }
    renamed = {name: client for name, client in fetch.variables if name != client}
    if renamed:
        node["variableNames"] = renamed
    if fetch.operation_name:
        node["operationName"] = fetch.operation_name
    if fetch.depends_on:
        node["dependsOn"] = [str(one) for one in fetch.depends_on]
    if fetch.part != AT_ONCE:
        index, name = fetch.part
        node["deferred"] = {"index": index, "name": name}
    if fetch.output_rewrites:
        node["outputRewrites"] = [_renamer_out(one) for one in fetch.output_rewrites]
    if batch:
        aliases = [_entities_out(one) for one in fetch.entities]
        return {**node, "entityBatch": {"aliases": aliases}}
    for one in fetch.entities:
        call = _entities_out(one)
        (path,) = call.pop("paths")
        for name, usual in (("alias", "_entities"), ("representationsVariableName", _VARIABLE)):
            if call[name] == usual:
                del call[name]
        return {"kind": "Flatten", "path": path, "node": {**node, **call}}
    match [path_strings(path) for path in fetch.at]:
        case []:
            return node
        case [path]:
            return {"kind": "Flatten", "path": path, "node": node}
        case paths:
            return {"kind": "Flatten", "paths": paths, "node": node}


_VARIABLE = "representations"


def _entities_out(entities: Entities) -> Json:
    call: Json = {
        "alias": entities.alias,
        "representationsVariableName": entities.variable,
        "paths": [path_strings(path) for path in entities.paths],
        "requires": _requires_out(entities.requires),
    }
    if entities.input_rewrites:
        call["inputRewrites"] = [
            {"kind": "ValueSetter", "path": _steps_out(one.path), "setValueTo": one.value}
            for one in entities.input_rewrites
        ]
    if entities.output_rewrites:
        call["outputRewrites"] = [_renamer_out(one) for one in entities.output_rewrites]
    return call


def _renamer_out(one: KeyRenamer) -> Json:
    return {"kind": "KeyRenamer", "path": _steps_out(one.path), "renameKeyTo": one.key}


def _steps_out(path: Path) -> list[str]:
    return [
        f"... on {','.join(sorted(step.types))}" if isinstance(step, Gate) else step
        for step in path
    ]


def _requires_out(selections: Sequence[RequireSelection]) -> list[Json]:
    written: list[Json] = []
    for one in selections:
        if isinstance(one, RequireFragment):
            inner = _requires_out(one.selections)
            written.append({"kind": "InlineFragment", "typeCondition": one.on, "selections": inner})
            continue
        item: Json = {"kind": "Field", "name": one.name}
        if one.key != one.name:
            item["alias"] = one.key
        if one.selections:
            item["selections"] = _requires_out(one.selections)
        if one.is_key:
            item["isKey"] = True
        if one.may_be_null:
            item["mayBeNull"] = True
        written.append(item)
    return written


def plan_from_json(
    written: Mapping[str, Any],
    *,
    conditions: Mapping[str, bool] | None = None,
    keys: Mapping[str, Mapping[str, frozenset[str]]] | None = None,
) -> QueryPlan:
    """Return the plan a reference planner wrote.

    `conditions` are the values of the variables its Condition nodes test.
    `keys` are the key fields of each type by subgraph: only our own form says
    which required fields are part of a key.  Raises ValueError for a node this
    engine cannot run.
    """
    reader = _Reader(conditions or {}, keys or {})
    node = written.get("node")
    if node:
        reader.read(node, after=())
    return QueryPlan(tuple(reader.fetches), dict(written.get("keyAliases", {})))


@dataclass(slots=True)
class _Reader:
    conditions: Mapping[str, bool]
    keys: Mapping[str, Mapping[str, frozenset[str]]]
    fetches: list[Fetch] = field(default_factory=list)
    ids: dict[str, int] = field(default_factory=dict)

    def read(
        self, node: Json, after: tuple[int, ...], paths: Sequence[Sequence[Any]] = ((),)
    ) -> tuple[int, ...]:
        """Read a node that comes after some fetches; return those that come after it."""
        match node["kind"]:
            case "Sequence":
                ids: tuple[int, ...] = ()
                for inner in node["nodes"]:
                    done = self.read(inner, after, paths)
                    ids, after = ids + done, after + done
                return ids
            case "Parallel":
                return tuple(
                    one for inner in node["nodes"] for one in self.read(inner, after, paths)
                )
            case "Flatten":
                inside = node.get("paths") or [node["path"]]
                below = [(*outer, *inner) for outer in paths for inner in inside]
                return self.read(node["node"], after, below)
            case "Condition":
                chosen = "ifClause" if self.conditions[node["condition"]] else "elseClause"
                return self.read(node[chosen], after, paths) if node.get(chosen) else ()
            case "Subscription":
                first = self.read(node["primary"], after, paths)
                rest = node.get("rest")
                return first + (self.read(rest, after + first, paths) if rest else ())
            case "Fetch" | "BatchFetch":
                return (self._fetch(node, after, paths),)
            case kind:
                raise ValueError(f"cannot run a plan with a {kind} node")

    def _fetch(self, node: Json, after: tuple[int, ...], paths: Sequence[Sequence[Any]]) -> int:
        number = len(self.fetches)
        if "id" in node:
            self.ids[str(node["id"])] = number
        if "dependsOn" in node or "id" in node:
            after = tuple(self.ids[one] for one in node.get("dependsOn", ()))
        names = node.get("variableNames", {})
        rewrites = _renamers(node)
        fetch = Fetch(
            id=number,
            subgraph=node["serviceName"],
            kind=node.get("operationKind") or "query",
            document=node["operation"],
            operation_name=node.get("operationName"),
            variables=tuple(
                (name, names.get(name, name)) for name in node.get("variableUsages") or ()
            ),
            output_rewrites=rewrites,
            depends_on=tuple(sorted(set(after))),
            part=_part(node.get("deferred")),
        )
        if node["kind"] == "BatchFetch":
            calls = tuple(
                self._entities(one, one["paths"], fetch.subgraph)
                for one in node["entityBatch"]["aliases"]
            )
            fetch = replace(fetch, entities=calls)
        elif node.get("requires"):
            calls = (self._entities(node, paths, fetch.subgraph),)
            fetch = replace(fetch, entities=calls, output_rewrites=())
        else:
            fetch = replace(fetch, at=tuple(_path(path) for path in paths if path))
        self.fetches.append(fetch)
        return number

    def _entities(self, node: Json, paths: Iterable[Sequence[Any]], subgraph: str) -> Entities:
        return Entities(
            paths=tuple(_path(path) for path in paths),
            requires=self._requires(node["requires"], None, subgraph),
            alias=node.get("alias", "_entities"),
            variable=node.get("representationsVariableName", _VARIABLE),
            input_rewrites=tuple(
                ValueSetter(_path(one["path"]), one["setValueTo"])
                for one in map(_unwrapped, node.get("inputRewrites") or ())
            ),
            output_rewrites=_renamers(node),
        )

    def _requires(
        self,
        items: Iterable[Json],
        type_name: str | None,
        subgraph: str,
        *,
        below_key: bool = False,
    ) -> tuple[RequireSelection, ...]:
        found: list[RequireSelection] = []
        key_fields = self.keys.get(type_name or "", {}).get(subgraph, frozenset())
        for item in items:
            inner = item.get("selections") or ()
            if item["kind"] == "InlineFragment":
                on = item["typeCondition"]
                # Keys are fields of the entity itself: only the outermost fragment names it.
                outermost = on if type_name is None else ""
                selections = self._requires(inner, outermost, subgraph, below_key=below_key)
                found.append(RequireFragment(on, selections))
                continue
            name = item["name"]
            key = item.get("alias") or name
            # Those of other planners say nothing of keys: what is below one may be null.
            known = below_key or key in key_fields
            may_be_null = bool(item.get("mayBeNull")) or below_key
            selections = self._requires(inner, "", subgraph, below_key=known)
            is_key = bool(item.get("isKey")) or known
            found.append(RequireField(name, key, selections, is_key, may_be_null))
        return tuple(found)


def _part(written: Json | None) -> Part:
    return (written["index"], written["name"]) if written else AT_ONCE


def _renamers(node: Json) -> tuple[KeyRenamer, ...]:
    return tuple(
        KeyRenamer(_path(one["path"]), one["renameKeyTo"])
        for one in map(_unwrapped, node.get("outputRewrites") or ())
    )


def _unwrapped(rewrite: Json) -> Json:
    """Return a rewrite's fields; Hive Router puts them under the rewrite's kind."""
    if len(rewrite) == 1:
        (inner,) = rewrite.values()
        if isinstance(inner, dict):
            return inner
    return rewrite


def _path(written: Iterable[Any]) -> Path:
    steps: list[PathStep] = []
    for one in written:
        match one:
            case {"TypeCondition": names} | {"TypenameEquals": names}:
                steps.append(Gate(frozenset(names)))
            case {"Field": name} | {"Key": name}:
                steps.append(name)
            case str() if one.startswith("... on "):
                steps.append(Gate(frozenset(one.removeprefix("... on ").split(","))))
            case str():
                head, _, gate = one.partition("|")
                if head:
                    steps.append(AT if head == AT else head)
                if gate:
                    steps.append(Gate(frozenset(gate.strip("[]").split(","))))
            case _:
                raise ValueError(f"unknown step of a path: {one!r}")
    return tuple(steps)
