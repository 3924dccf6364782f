"""From merged data to the client's response: its keys, its order, its nulls.

Compiled from the client's operation and the API schema to one generated Python
function per selection on a type.  The functions only note *that* something had
to become null; `nulls` finds out where and why, which is rare and may be slow.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from graphql import (
    GraphQLCompositeType,
    GraphQLEnumType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLOutputType,
    GraphQLSchema,
    is_abstract_type,
    is_composite_type,
    is_object_type,
)

from gateway.federation.operation.selection import INTROSPECTION_FIELDS, Field, Fragment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from gateway.federation.operation.selection import Operation, Selection

    # (merged value, notes) -> what the client gets; a note is added for each unforeseen null.
    Project = Callable[[Any, list[int]], Any]
    Sets = tuple[tuple[Selection, ...], ...]

__all__ = ["Projection", "collect_fields", "compile_projection", "compile_selection", "needs_type"]

_MOST_KEYS = 100
"""What has more keys is written as several functions, each compiled in a millisecond or two."""


@dataclass(frozen=True, slots=True)
class Projection:
    """A compiled projection: `project` gives the response's data and whether nulls need reasons.

    ``scope`` has the functions, which find one another there.
    """

    root: Project
    scope: dict[str, Any]

    def project(self, data: dict[str, Any]) -> tuple[dict[str, Any] | None, bool]:
        """Return the client's data, made afresh, and whether `nulls` has something to find."""
        notes: list[int] = []
        result: dict[str, Any] | None = self.root(data, notes)
        return result, bool(notes)


def compile_projection(
    schema: GraphQLSchema, supergraph_schema: GraphQLSchema, operation: Operation
) -> Projection:
    """Return the projection of an operation by the API schema.

    What only the supergraph's schema knows is inaccessible: it becomes null
    without a word, so that nothing tells a client of its existence.
    """
    root = schema.get_root_type(operation.kind)
    assert root is not None
    return compile_selection(schema, supergraph_schema, root, (operation.selections,))


def compile_selection(
    schema: GraphQLSchema,
    supergraph_schema: GraphQLSchema,
    type_: GraphQLCompositeType,
    sets: Sets,
) -> Projection:
    """Return the projection of what is selected on one type."""
    compiler = _Compiler(schema, supergraph_schema)
    return Projection(compiler.load(compiler.composite_function(type_, sets)), compiler.scope)


def collect_fields(schema: GraphQLSchema, sets: Sets, type_name: str) -> dict[str, list[Field]]:
    """Return the fields that apply to a runtime type, by response key, in the client's order."""
    fields: dict[str, list[Field]] = {}
    for selections in sets:
        for one in _applicable(schema, selections, type_name):
            fields.setdefault(one.key, []).append(one)
    return fields


def _applicable(
    schema: GraphQLSchema, selections: Sequence[Selection], type_name: str
) -> Iterator[Field]:
    for one in selections:
        if isinstance(one, Field):
            yield one
        elif _applies(schema, one, type_name):
            yield from _applicable(schema, one.selections, type_name)


def _applies(schema: GraphQLSchema, fragment: Fragment, type_name: str) -> bool:
    if fragment.on == type_name:
        return True
    condition, runtime = schema.type_map[fragment.on], schema.type_map[type_name]
    return (
        is_abstract_type(condition)
        and is_object_type(runtime)
        and schema.is_sub_type(condition, runtime)
    )


def needs_type(sets: Sets) -> bool:
    """Return whether a selection on an abstract type depends on the runtime type.

    What does not can be answered for an object of unknown type, which is all a
    subgraph with an `@interfaceObject` may ever give.
    """
    return any(
        isinstance(one, Fragment) or one.name == "__typename"
        for selections in sets
        for one in selections
    )


@dataclass(slots=True)
class _Compiler:
    """Writes functions into one scope; variants of abstract types only when data shows them."""

    schema: GraphQLSchema
    supergraph_schema: GraphQLSchema
    scope: dict[str, Any] = field(default_factory=lambda: {"unfit": _unfit})
    pending: list[str] = field(default_factory=list)
    names: dict[tuple[str, str, Sets], str] = field(default_factory=dict)
    """What is written already: equal selections on a type share a function."""
    list_functions: int = 0

    def load(self, name: str) -> Project:
        """Return a function by name, after defining all that has been written."""
        written, self.pending = self.pending, []
        # One by one: no other thread runs while Python compiles a text.
        for source in written:
            exec(compile(source, "<projection>", "exec"), self.scope)  # noqa: S102
        function: Project = self.scope[name]
        return function

    def composite_function(self, type_: GraphQLCompositeType, sets: Sets) -> str:
        """Return the name of the function for a value of a composite type."""
        if is_object_type(type_):
            return self.object_function(type_, sets)
        return self._abstract_function(type_, sets)

    def object_function(self, type_: GraphQLCompositeType, sets: Sets) -> str:
        """Return the name of the function for objects known to be of one type.

        Also written for an interface when nothing selected depends on the runtime type.
        """
        name, is_new = self._name("of", type_, sets)
        if is_new:
            self._write_object(name, type_, collect_fields(self.schema, sets, type_.name))
        return name

    def _name(self, kind: str, type_: GraphQLCompositeType, sets: Sets) -> tuple[str, bool]:
        key = (kind, type_.name, sets)
        known = self.names.get(key)
        if known is not None:
            return known, False
        name = self.names[key] = f"f{len(self.names)}"
        return name, True

    def _abstract_function(self, type_: GraphQLCompositeType, sets: Sets) -> str:
        name, is_new = self._name("any", type_, sets)
        if is_new:
            self.scope[f"{name}_variants"] = _Variants(self, type_, sets)
            self.pending.append(
                f"def {name}(one, notes):\n"
                " if type(one) is not dict: return unfit(one, notes)\n"
                " type_name = one.get('__typename')\n"
                " if type(type_name) is not str: type_name = None\n"
                f" return {name}_variants[type_name](one, notes)"
            )
        return name

    def _write_object(
        self, name: str, type_: GraphQLCompositeType, fields: dict[str, list[Field]]
    ) -> None:
        """Write one function; only names of the schema and response keys enter the source."""
        if len(fields) > _MOST_KEYS:
            self._write_parts(name, type_, fields)
            return
        lines = [
            f"def {name}(one, notes):",
            " if type(one) is not dict: return unfit(one, notes)",
            " get = one.get",
        ]
        entries: list[str] = []
        for number, (key, same) in enumerate(fields.items()):
            field_name = same[0].name
            if field_name == "__typename":
                entries.append(f"{key!r}: {type_.name!r}")
                continue
            if field_name in INTROSPECTION_FIELDS:
                entries.append(f"{key!r}: get({key!r})")
                continue
            definition = self.schema.get_field(type_, field_name)
            assert definition is not None
            sets = tuple(one.selections for one in same)
            value, check = self._value(definition.type, sets, f"v{number}", f"get({key!r})")
            lines += check
            entries.append(f"{key!r}: {value}")
        lines.append(f" return {{{', '.join(entries)}}}")
        self.pending.append("\n".join(lines))

    def _write_parts(
        self, name: str, type_: GraphQLCompositeType, fields: dict[str, list[Field]]
    ) -> None:
        """Write a function that puts together what those of its parts return."""
        lines = [f"def {name}(one, notes):", " whole = {}"]
        keys = list(fields)
        for start in range(0, len(keys), _MOST_KEYS):
            part = f"{name}_{start}"
            self._write_object(
                part, type_, {key: fields[key] for key in keys[start : start + _MOST_KEYS]}
            )
            lines += [
                f" part = {part}(one, notes)",
                " if part is None: return None",
                " whole.update(part)",
            ]
        self.pending.append("\n".join([*lines, " return whole"]))

    def _value(
        self, type_: GraphQLOutputType, sets: Sets, local: str, source: str
    ) -> tuple[str, list[str]]:
        """Return the expression of a field's value and the statements it needs before."""
        required = isinstance(type_, GraphQLNonNull)
        inner = type_.of_type if isinstance(type_, GraphQLNonNull) else type_
        function = self._function(inner, sets)
        expression = f"{function}({source}, notes)" if function else source
        if not required:
            return expression, []
        return local, [
            f" {local} = {expression}",
            f" if {local} is None:",
            "  notes.append(0)",
            "  return None",
        ]

    def _function(self, type_: GraphQLOutputType, sets: Sets) -> str | None:
        """Return the name of the function for a nullable value, or None if it goes out as it is."""
        if isinstance(type_, GraphQLList):
            return self._list_function(type_, sets)
        if is_composite_type(type_):
            return self.composite_function(type_, sets)
        if isinstance(type_, GraphQLEnumType):
            return self._enum_function(type_)
        return None

    def _list_function(self, type_: GraphQLList[Any], sets: Sets) -> str | None:
        item = type_.of_type
        required = isinstance(item, GraphQLNonNull)
        function = self._function(item.of_type if required else item, sets)
        if function is None and not required:
            return None
        self.list_functions += 1
        name = f"l{self.list_functions}"
        lines = [
            f"def {name}(many, notes):",
            " if type(many) is not list: return unfit(many, notes)",
        ]
        if function:
            lines.append(f" many = [{function}(one, notes) for one in many]")
        if required:
            lines += [" if None in many:", "  notes.append(0)", "  return None"]
        lines.append(" return many")
        self.pending.append("\n".join(lines))
        return name

    def _enum_function(self, type_: GraphQLEnumType) -> str:
        name = f"e_{type_.name}"
        if name not in self.scope:
            visible = frozenset(type_.values)
            self.scope[f"{name}_visible"] = visible
            self.scope[f"{name}_hidden"] = hidden_values(self.supergraph_schema, type_)
            self.scope[name] = None
            self.pending.append(
                f"def {name}(one, notes):\n"
                f" if type(one) is str:\n"
                f"  if one in {name}_visible: return one\n"
                f"  if one in {name}_hidden: return None\n"
                " return unfit(one, notes)"
            )
        return name


def hidden_values(supergraph_schema: GraphQLSchema, type_: GraphQLEnumType) -> frozenset[str]:
    """Return the values of an enum that subgraphs may answer and clients may not see."""
    full = supergraph_schema.type_map[type_.name]
    assert isinstance(full, GraphQLEnumType)
    return frozenset(full.values) - frozenset(type_.values)


class _Variants(dict[str | None, "Project"]):
    """The functions of an abstract type's selections, by runtime type."""

    def __init__(self, compiler: _Compiler, type_: GraphQLCompositeType, sets: Sets) -> None:
        self._compiler = compiler
        self._type = type_
        self._sets = sets

    def __missing__(self, type_name: str | None) -> Project:
        compiler, type_ = self._compiler, self._type
        schema = compiler.schema
        runtime = schema.type_map.get(type_name) if type_name else None
        if runtime is None and type_name in compiler.supergraph_schema.type_map:
            return _hidden
        if runtime is not None and is_object_type(runtime):
            if not is_abstract_type(type_) or not schema.is_sub_type(type_, runtime):
                return _unfit
            name = compiler.object_function(runtime, self._sets)
        elif (runtime is None and type_name) or needs_type(self._sets):
            return _unfit
        else:
            name = compiler.object_function(type_, self._sets)
        self[type_name] = project = compiler.load(name)
        return project


def _unfit(value: Any, notes: list[int]) -> None:
    """Answer null for a value that is not what the schema says."""
    if value is not None:
        notes.append(0)


def _hidden(_value: Any, _notes: list[int]) -> None:
    """Answer null for an object of an inaccessible type."""
