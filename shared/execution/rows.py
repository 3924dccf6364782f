"""Python source for the plain part of a block, and the functions made of it.

For ``users { id name owner { id } organizations { id } }`` over a schema where
organizations has a resolver, what is written and executed is:

    def rows(sources):  # User
        return [
            {
                'id': v if type(v := s.id) is str else id_1(v),
                'name': v if type(v := s.name) is str or v is None else string_2(v),
                'owner': None if (o1 := s.owner) is None else {
                    'id': v if type(v := o1.id) is str else id_1(v),
                } if type(o1) in ordinary or admit(o1) else None,
                'organizations': None,
            }
            for s in sources
        ]

A value of another type than the expected one goes through the type's own
coercion; whatever that cannot settle raises, and `CompiledRows` answers None:
the general path takes over.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from graphql import (
    GraphQLBoolean,
    GraphQLFloat,
    GraphQLID,
    GraphQLInt,
    GraphQLObjectType,
    GraphQLString,
    Undefined,
)
from strawberry.schema.schema_converter import CustomGraphQLEnumType

from shared.execution.odd import Odd, admission, is_mapping_class, listed
from shared.execution.plan import LEAF, LIST, OBJECT, Column, Field, Output
from shared.execution.runtime_types import is_cast

__all__ = ["CompiledRows", "is_inline", "split"]

INDENT: Final = "    "

# How a field is read from its parent.
ATTRIBUTE: Final = "attribute"  # Strawberry's default resolver
KEY: Final = "key"  # graphql-core's, for dictionaries
OPTIONAL: Final = "optional"  # graphql-core's, for other objects

# What a value of a built-in scalar must be, to be its own completed value.
TESTS: Final = {
    GraphQLString: "type({v}) is str",
    GraphQLID: "type({v}) is str",
    GraphQLInt: "type({v}) is int and -2147483648 <= {n} <= 2147483647",
    GraphQLFloat: "type({v}) is float and {n} - {n} == 0.0",
    GraphQLBoolean: "({v}) is True or {n} is False",
}


def split(fields: Sequence[Field]) -> tuple[list[Field], tuple[Field, ...]]:
    """The fields that rows complete, and the rest."""
    inline = [field for field in fields if is_inline(field)]
    return inline, tuple(field for field in fields if field not in inline)


def is_inline(field: Field) -> bool:
    """Whether a field, with all it selects, is read from plain attributes."""
    return field.attribute is not None and _is_inline(field.output)


def _is_inline(output: Output) -> bool:
    if output.item is not None:
        return _is_inline(output.item)
    if output.kind == OBJECT:
        assert output.block is not None
        block = output.block
        return not block.rest and (block.object_type.is_type_of is None or block.origin is not None)
    return output.kind == LEAF


class CompiledRows:
    """The plain part of a block, as a function compiled when it is first needed.

    With graphql-core's default resolver there are two: for dictionaries and
    for other objects.
    """

    __slots__ = ("_default", "_empty", "_functions", "_inline", "_type", "texts")

    def __init__(
        self,
        type_: GraphQLObjectType,
        empty: Mapping[str, Any],
        inline: Sequence[Field],
        *,
        default_resolver: bool,
    ) -> None:
        self._type = type_
        self._empty = empty
        self._inline = {field.key: field for field in inline}
        self._default = default_resolver
        self._functions: dict[str, Callable[[Sequence[Any]], Column]] = {}
        self.texts: list[str] = []

    def prepare(self) -> None:
        """Compile now what would be compiled for the first objects."""
        if not self._default:
            self._function(ATTRIBUTE)

    def __call__(self, sources: Sequence[Any]) -> list[Any] | None:
        """One dictionary per object; None if a value is not what its type promises."""
        try:
            kind = _kind(sources) if self._default else ATTRIBUTE
            return self._function(kind)(sources)
        except Exception:  # noqa: BLE001 - the general path finds out whose error it is
            return None

    def _function(self, kind: str) -> Callable[[Sequence[Any]], Column]:
        function = self._functions.get(kind)
        if function is None:
            writer = _Writer(kind)
            text = writer.function(self._type, self._empty, self._inline)
            self.texts.append(text)
            exec(compile(text, f"<rows of {self._type.name}>", "exec"), writer.names)
            function = self._functions[kind] = writer.names["rows"]
        return function


def _kind(sources: Sequence[Any]) -> str:
    classes = set(map(type, sources))
    if classes == {dict}:
        return KEY
    if any(map(is_mapping_class, classes)):
        raise Odd
    return OPTIONAL


class _Writer:
    """Writes the function of one block, and collects the names it uses."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        ordinary: set[type] = {dict} if kind == KEY else set()
        self.names: dict[str, Any] = {
            "ordinary": ordinary,
            "admit": admission(ordinary, mappings=kind == ATTRIBUTE),
            "listed": listed,
            "is_cast": is_cast,
            "refuse": _refuse,
        }
        if kind == KEY:
            self.names["admit"] = _refuse
        self.leaves: dict[int, str] = {}

    def function(
        self, type_: GraphQLObjectType, empty: Mapping[str, Any], inline: Mapping[str, Field]
    ) -> str:
        row = self._row(empty, inline, "s", 2)
        return (
            f"def rows(sources):  # {type_.name}\n"
            f"{INDENT}return [\n{INDENT * 2}{row}\n{INDENT * 2}for s in sources\n{INDENT}]\n"
        )

    def _row(
        self, empty: Mapping[str, Any], inline: Mapping[str, Field], source: str, depth: int
    ) -> str:
        if not empty:
            return "{}"
        pad = INDENT * (depth + 1)
        lines = []
        for key, constant in empty.items():
            field = inline.get(key)
            if field is None:
                value = repr(constant)
            else:
                value = self._value(field.output, self._read(field, source), depth + 1)
            lines.append(f"{pad}{key!r}: {value},\n")
        return "{\n" + "".join(lines) + INDENT * depth + "}"

    def _read(self, field: Field, source: str) -> str:
        attribute = field.attribute
        assert attribute is not None
        if self.kind == KEY:
            return f"{source}.get({attribute!r})"
        if self.kind == OPTIONAL:
            return f"getattr({source}, {attribute!r}, None)"
        return f"{source}.{attribute}"  # dataclasses see to it that it is a name

    def _value(self, output: Output, read: str, depth: int) -> str:
        if output.kind == LEAF:
            return self._leaf(output, read)
        name = f"o{depth}"
        if output.kind == LIST:
            return self._list(output, read, name, depth)
        return self._object(output, read, name, depth)

    def _list(self, output: Output, read: str, name: str, depth: int) -> str:
        assert output.item is not None
        item = f"i{depth}"
        pad = INDENT * depth
        of = name if not output.non_null else read
        items = (
            f"[\n{pad}{INDENT}{self._value(output.item, item, depth + 1)}\n"
            f"{pad}{INDENT}for {item} in listed({of})\n{pad}]"
        )
        return items if output.non_null else f"None if ({name} := {read}) is None else {items}"

    def _object(self, output: Output, read: str, name: str, depth: int) -> str:
        block = output.block
        assert block is not None
        bound = f"{name} := {read}"
        if read.isidentifier():
            name = bound = read
        row = self._row(block.empty, {field.key: field for field in block.fields}, name, depth)
        if block.origin is not None:
            known = self._class(block.origin)
            admitted = f"type({name}) is {known} and not is_cast({name}) or refuse({name})"
        else:
            admitted = f"type({name}) in ordinary or admit({name})"
        if output.non_null:
            return f"{row} if {admitted.replace(name, bound, 1)} else None"
        return f"None if ({bound}) is None else {row} if {admitted} else None"

    def _class(self, cls: type) -> str:
        name = f"{cls.__name__}_class"
        if self.names.setdefault(name, cls) is not cls:
            name = f"class_{len(self.names)}"
            self.names[name] = cls
        return name

    def _leaf(self, output: Output, read: str) -> str:
        simple = read.isidentifier()
        name = read if simple else "v"
        bound = read if simple else f"v := {read}"
        function = self._leaf_function(output.graphql_type)
        test = next(
            (test for scalar, test in TESTS.items() if _same(output.graphql_type, scalar)), None
        )
        if test is not None:
            nullable = "" if output.non_null else f" or {name} is None"
            return f"{name} if {test.format(v=bound, n=name)}{nullable} else {function}({name})"
        table = _enum_table(output.graphql_type)
        if table is None:
            value = f"{function}({read if output.non_null else name})"
            if output.non_null:
                return value
            return f"None if ({bound}) is None else {value}"
        self.names[f"{function}_class"] = output.graphql_type.wrapped_cls
        self.names[f"{function}_names"] = table
        named = f"{function}_names[{name}._value_]"
        if output.non_null:
            return f"{named} if type({bound}) is {function}_class else {function}({name})"
        value = f"{named} if type({name}) is {function}_class else {function}({name})"
        return f"None if ({bound}) is None else {value}"

    def _leaf_function(self, type_: Any) -> str:
        name = self.leaves.get(id(type_))
        if name is None:
            name = self.leaves[id(type_)] = f"{type_.name.lower()}_{len(self.leaves) + 1}"
            self.names[name] = _leaf_function(type_)
        return name


def _refuse(value: Any) -> bool:
    raise Odd


def _same(type_: Any, scalar: Any) -> bool:
    same: bool = type_.coerce_output_value is scalar.coerce_output_value
    return same


def _enum_table(type_: Any) -> dict[Any, str] | None:
    """Names by value of a Strawberry enum; None if it is another type, or cannot be a table."""
    if type(type_) is not CustomGraphQLEnumType:
        return None
    table: dict[Any, str] = {}
    try:
        for name, value in type_.values.items():
            table.setdefault(value.value, name)
    except TypeError:  # a value that cannot be hashed
        return None
    return table


def _leaf_function(type_: Any) -> Callable[[Any], Any]:
    coerce = type_.coerce_output_value
    ordinary: set[type] = set()
    admit = admission(ordinary, mappings=True)

    def leaf(value: Any) -> Any:
        if type(value) not in ordinary:
            admit(value)
        coerced = coerce(value)
        if coerced is None or coerced is Undefined:
            raise Odd
        return coerced

    return leaf
