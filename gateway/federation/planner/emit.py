"""From fetches to the plan: documents as text, numbers, variables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from graphql import (
    ListValueNode,
    ObjectValueNode,
    ValueNode,
    VariableDefinitionNode,
    VariableNode,
    print_ast,
)

from gateway.federation.operation.selection import Operation
from gateway.federation.plan import (
    Entities,
    Fetch,
    KeyRenamer,
    QueryPlan,
    RequireFragment,
    ValueSetter,
)
from gateway.federation.planner.conflicts import separate
from gateway.federation.planner.fetches import Call, SelectionSet, Work
from gateway.federation.planner.graph import QueryGraph
from gateway.federation.planner.keys import Keys

__all__ = ["emit"]


def emit(
    graph: QueryGraph,
    works: Sequence[Work],
    keys: Keys,
    operation: Operation,
) -> QueryPlan:
    """The plan of fetches that are already in order."""
    numbers = {work: number for number, work in enumerate(works)}
    fetches = tuple(_fetch(graph, work, numbers, keys, operation) for work in works)
    return QueryPlan(fetches, dict(keys.aliases))


def _fetch(
    graph: QueryGraph,
    work: Work,
    numbers: Mapping[Work, int],
    keys: Keys,
    operation: Operation,
) -> Fetch:
    for output in _outputs(work):
        _tidy(output)
    # Those of a mutation may not be for the queries below it.
    directives = operation.directives if work.kind == operation.kind.value else ()
    names = _Names(work, operation.variables, directives)
    renamers: tuple[KeyRenamer, ...] = ()
    entities: tuple[Entities, ...] = ()
    if work.root is not None:
        renamers = separate(graph, work.graph, work.root, keys)
        body = _print_set(work.root)
    else:
        entities = tuple(_entities(graph, work, call, keys, names) for call in work.calls)
        body = "{" + " ".join(map(_print_call, entities, work.calls)) + "}"
    return Fetch(
        id=numbers[work],
        subgraph=work.graph,
        kind=work.kind,
        document=_header(work, entities, names, operation.variables, directives) + body,
        variables=tuple((name, name) for name in names.used),
        entities=entities,
        at=tuple(work.at),
        output_rewrites=renamers,
        depends_on=tuple(sorted(numbers[before] for before in work.after)),
        part=work.part,
    )


def _outputs(work: Work) -> list[SelectionSet]:
    return [call.output for call in work.calls] if work.root is None else [work.root]


def _tidy(selections: SelectionSet) -> None:
    """Drop, in place, what a fragment selects that is selected before it anyway."""
    for inner in list(selections.on.values()):
        for key, selected in list(inner.fields.items()):
            outer = selections.fields.get(key)
            if outer is not None and outer.below is None and outer.is_same_field(selected):
                del inner.fields[key]
        _tidy(inner)
        if not inner.fields and not inner.on:
            del selections.on[inner.type]
    for selected in selections.fields.values():
        if selected.below is not None:
            _tidy(selected.below)


class _Names:
    """The variables a fetch uses, and free names for its representations."""

    def __init__(
        self,
        work: Work,
        variables: Mapping[str, VariableDefinitionNode],
        directives: Sequence[tuple[str, ValueNode]],
    ) -> None:
        seen = {name for output in _outputs(work) for name in _variables(output)}
        seen |= {name for _, value in directives for name in _variables_in(value)}
        self.used = tuple(name for name in variables if name in seen)
        self._several = len(work.calls) > 1
        self._number = 0

    def representations(self) -> tuple[str, str]:
        """The alias and the variable of the next call."""
        alias = f"_e{self._number}" if self._several else "_entities"
        variable = "representations"
        if self._several:
            variable = f"representations{self._number}"
        while variable in self.used:
            variable = f"_{variable}"
        self._number += 1
        return alias, variable


def _entities(graph: QueryGraph, work: Work, call: Call, keys: Keys, names: _Names) -> Entities:
    alias, variable = names.representations()
    return Entities(
        paths=tuple(call.paths),
        requires=tuple(RequireFragment(type_, inputs) for type_, inputs in call.inputs.items()),
        alias=alias,
        variable=variable,
        input_rewrites=tuple(_setters(call)),
        output_rewrites=separate(graph, work.graph, call.output, keys),
    )


def _setters(call: Call) -> Iterator[ValueSetter]:
    # Calls for several types are never renamed, so one setter is all there is.
    for name in call.renames.values():
        yield ValueSetter(("__typename",), name)


def _header(
    work: Work,
    entities: Iterable[Entities],
    names: _Names,
    variables: Mapping[str, VariableDefinitionNode],
    directives: Sequence[tuple[str, ValueNode]],
) -> str:
    definitions = [f"${call.variable}:[_Any!]!" for call in entities]
    definitions += [_definition(variables[name]) for name in names.used]
    if not definitions and not directives:
        return "" if work.kind == "query" else work.kind
    defined = f"({','.join(definitions)})" if definitions else ""
    return f"{work.kind}{defined}{_print_arguments(directives)}"


def _definition(node: VariableDefinitionNode) -> str:
    default = "" if node.default_value is None else f"={print_ast(node.default_value)}"
    return f"${node.variable.name.value}:{print_ast(node.type)}{default}"


def _print_call(entities: Entities, call: Call) -> str:
    alias = "" if entities.alias == "_entities" else f"{entities.alias}:"
    return f"{alias}_entities(representations:${entities.variable}){_print_set(call.output)}"


def _print_set(selections: SelectionSet) -> str:
    """A selection set as compact text; ``__typename`` comes first."""
    parts: list[str] = []
    for key, selected in selections.fields.items():
        alias = "" if key == selected.name else f"{key}:"
        below = "" if selected.below is None else _print_set(selected.below)
        text = f"{alias}{selected.name}{_print_arguments(selected.arguments)}{below}"
        if text == "__typename":
            parts.insert(0, text)
        else:
            parts.append(text)
    parts += [f"...on {type_}{_print_set(inner)}" for type_, inner in selections.on.items()]
    return "{" + " ".join(parts) + "}"


def _print_arguments(arguments: Sequence[tuple[str, ValueNode]]) -> str:
    if not arguments:
        return ""
    own = [f"{name}:{print_ast(value)}" for name, value in arguments if not name.startswith("@")]
    return (f"({','.join(own)})" if own else "") + "".join(_print_directives(arguments))


def _print_directives(arguments: Iterable[tuple[str, ValueNode]]) -> Iterator[str]:
    for name, value in arguments:
        if name.startswith("@"):
            assert isinstance(value, ObjectValueNode)
            yield name + _print_arguments([(one.name.value, one.value) for one in value.fields])


def _variables(selections: SelectionSet) -> Iterator[str]:
    for selected in selections.fields.values():
        for _, value in selected.arguments:
            yield from _variables_in(value)
        if selected.below is not None:
            yield from _variables(selected.below)
    for inner in selections.on.values():
        yield from _variables(inner)


def _variables_in(value: ValueNode) -> Iterator[str]:
    if isinstance(value, VariableNode):
        yield value.name.value
    elif isinstance(value, ListValueNode):
        for item in value.values or ():
            yield from _variables_in(item)
    elif isinstance(value, ObjectValueNode):
        for node in value.fields or ():
            yield from _variables_in(node.value)
