"""The `_entities` field of a federation subgraph, answered type by type.

    @strawberry.federation.type(keys=["id", "slug"])
    class Organization:
        id: strawberry.ID
        slug: str

        @batched_reference
        @classmethod
        async def organizations(
            cls, keys: Sequence[OrganizationKey], info: strawberry.Info
        ) -> list[Organization | None | NexusError]:
            ...  # one item per key, in their order

`serve_entities(schema)` replaces Strawberry's own resolver of `_entities`,
which changes the caller's variables and lets one bad representation fail all.
Representations are grouped by type; each type's reference resolver is awaited
once; an unknown ``__typename`` or a malformed key is the error of that entity
alone.

What ``keys`` holds is decided by its annotation:

- a dataclass (or a Strawberry type): its attributes are read from the
  representation by their GraphQL names, parsed by the types of the entity's
  fields; an attribute without a default must be there.  With several keys, or
  with fields of ``@requires``, give the others the default ``None``.
- a mapping, or no annotation: the parsed representation by GraphQL names.
- anything else (``Sequence[strawberry.ID]``): the value of the only key.

A type without a batched reference resolver is resolved as by Strawberry: by
its ``resolve_reference``, or else by making the type from its representation.
"""

from __future__ import annotations

import dataclasses
import inspect
import sys
import typing
from asyncio import gather
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import strawberry
from graphql import (
    GraphQLError,
    GraphQLID,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLString,
    GraphQLUnionType,
    get_named_type,
    get_nullable_type,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
    is_object_type,
    parse,
)
from graphql.language import FieldNode, OperationDefinitionNode, SelectionSetNode
from strawberry.federation.schema_directives import Key
from strawberry.types.base import get_object_definition
from strawberry.utils.inspect import get_func_args

from shared.execution.batch import BatchFunction, checked_items, load

if TYPE_CHECKING:
    from graphql import GraphQLResolveInfo
    from strawberry.schema.name_converter import NameConverter
    from strawberry.types.base import StrawberryObjectDefinition

__all__ = ["BatchedReference", "batched_reference", "serve_entities"]

Representation = Mapping[str, Any]
Build = Callable[[Mapping[str, Any]], object]
Parse = Callable[[Any], Any]

# Names that are often imported for the type checker only.
_ANNOTATION_NAMES = {"Sequence": Sequence, "Mapping": Mapping, "Any": Any, "strawberry": strawberry}


# --- the decorator ------------------------------------------------------------------------


class BatchedReference:
    """The reference resolver of an entity, for many keys at once; made by `batched_reference`.

    Also gives the entity a ``resolve_reference``, for a schema that is served
    without `serve_entities`.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function: Any = getattr(function, "__func__", function)
        self.name: str = self.function.__qualname__
        parameters = inspect.signature(self.function).parameters
        if "keys" not in parameters:
            raise TypeError(f"Reference resolver '{self.name}' has no parameter 'keys'")
        if not inspect.iscoroutinefunction(self.function):
            raise TypeError(f"Reference resolver '{self.name}' must be an async function")
        self.takes_class = next(iter(parameters)) == "cls"
        self.takes_info = "info" in parameters
        self.annotation = parameters["keys"].annotation

    def __set_name__(self, owner: type, name: str) -> None:
        marked: Any = owner
        marked.__batched_reference__ = self
        marked.resolve_reference = classmethod(cast("Any", _resolve_one))

    def __get__(self, instance: object, owner: type) -> Any:
        """The function, as it was written: a class calls it like a class method."""
        return self.function.__get__(owner) if self.takes_class else self.function

    def many(self, owner: type, keys: list[Any], info: Any) -> Awaitable[Sequence[object]]:
        """The entities of ``keys``."""
        function = cast("BatchFunction", self.__get__(None, owner))
        return function(keys=keys, info=info) if self.takes_info else function(keys=keys)

    @property
    def key_class(self) -> Any:
        """What the annotation says one key is; None without an annotation."""
        annotation = self.annotation
        if annotation is inspect.Parameter.empty:
            return None
        if isinstance(annotation, str):
            module = vars(sys.modules[self.function.__module__])
            annotation = eval(annotation, {**_ANNOTATION_NAMES, **module})  # noqa: S307
        items = typing.get_args(annotation)
        if typing.get_origin(annotation) not in (list, Sequence) or not items:
            raise TypeError(f"'keys' of '{self.name}' must be a Sequence[...], not {annotation!r}")
        return items[0]


def batched_reference(function: Callable[..., Any], /) -> BatchedReference:
    """Make ``async def f(cls, keys, info) -> list[Entity | None]`` the reference resolver.

    The list has one item per key, in their order; an exception in it is the
    error of that key.
    """
    return BatchedReference(function)


def _reference_of(origin: type) -> BatchedReference | None:
    # Not `getattr`: it would bind the function.
    reference: BatchedReference | None = inspect.getattr_static(
        origin, "__batched_reference__", None
    )
    return reference


def _resolve_one(cls: type[Any], info: strawberry.Info, **representation: Any) -> Awaitable[Any]:
    """One entity, as Strawberry asks for it: read together with those asked for at once."""
    reference = _reference_of(cls)
    assert reference is not None
    schema = info.schema.schema_converter
    definition = get_object_definition(cls, strict=True)
    name = schema.config.name_converter.from_type(definition)
    graphql_type = cast("GraphQLObjectType", schema.type_map[name].implementation)
    entity = _entity(graphql_type, definition, schema.config.name_converter)

    def call(keys: list[Any], info: Any, arguments: Mapping[str, Any]) -> Any:
        return reference.many(cls, keys, info)

    key = entity.key({"__typename": name, **representation})
    return load(call, reference.name, key, info, {}, info._raw_info)


# --- the `_entities` field ----------------------------------------------------------------


def serve_entities(schema: strawberry.Schema) -> None:
    """Let ``schema`` answer `_entities` by the rules of this module.

    Call it once, after the schema is made.  A schema without entities is left
    as it is.
    """
    query = schema._schema.query_type
    field = query.fields.get("_entities") if query else None
    if field is None:
        return
    config = schema.config
    union = cast("GraphQLUnionType", get_named_type(field.type))
    entities = {
        each.name: _entity(each, each.extensions["strawberry-definition"], config.name_converter)
        for each in union.types
    }
    strawberry_field = field.extensions["strawberry-definition"]

    def resolve(
        _source: Any, info: GraphQLResolveInfo[Any], representations: Sequence[Any]
    ) -> list[Any] | Awaitable[list[Any]]:
        strawberry_info = config.info_class(_raw_info=info, _field=strawberry_field)
        return _resolve_entities(entities, representations, strawberry_info)

    field.resolve = resolve


def _resolve_entities(
    entities: Mapping[str, _Entity], representations: Sequence[Any], info: strawberry.Info
) -> list[Any] | Awaitable[list[Any]]:
    plain = _plain_keys(entities, representations)
    if plain is not None:
        return _read_one(*plain, info)
    results: list[Any] = [None] * len(representations)
    batches: dict[str, list[tuple[int, Any]]] = {}
    for index, representation in enumerate(representations):
        try:
            entity = _known(entities, representation)
            if entity.reference is None:
                results[index] = entity.resolve(representation, info)
            else:
                key = entity.key(representation)
                batches.setdefault(entity.name, []).append((index, key))
        except Exception as error:  # noqa: BLE001 - any error is that of this entity alone
            results[index] = error
    if not batches:
        return results
    return _read(entities, batches, results, info)


def _plain_keys(
    entities: Mapping[str, _Entity], representations: Sequence[Any]
) -> tuple[_Entity, list[Any]] | None:
    """The keys of representations of one type that hold one string each: most requests."""
    first = representations[0] if representations else None
    type_name = first.get("__typename") if type(first) is dict else None
    entity = entities.get(type_name) if type(type_name) is str else None
    if entity is None or entity.plain_key is None:
        return None
    name = entity.plain_key
    values: list[Any] = [
        each[name]
        for each in representations
        if type(each) is dict
        and len(each) == 2
        and each.get("__typename") == type_name
        and type(each.get(name)) is str
    ]
    if len(values) < len(representations):
        return None
    if entity.takes_value:
        return entity, values
    try:
        return entity, [entity.build({name: value}) for value in values]
    except LookupError:
        return None  # something else is asked for, too


async def _read_one(entity: _Entity, keys: list[Any], info: strawberry.Info) -> list[Any]:
    """The entities of one type; an error is that of each of them."""
    assert entity.reference is not None
    try:
        items = await entity.reference.many(entity.origin, keys, info)
        return list(checked_items(items, len(keys), entity.reference.name))
    except Exception as error:  # noqa: BLE001 - the error of each entity of this type
        return [error] * len(keys)


def _known(entities: Mapping[str, _Entity], representation: Any) -> _Entity:
    if type(representation) is not dict and not isinstance(representation, Mapping):
        raise GraphQLError("A representation must be an object")
    name = representation.get("__typename")
    if not isinstance(name, str):
        raise GraphQLError("A representation must have a '__typename'")
    entity = entities.get(name)
    if entity is None:
        raise GraphQLError(f"This subgraph has no entity type '{name}'")
    return entity


async def _read(
    entities: Mapping[str, _Entity],
    batches: Mapping[str, list[tuple[int, Any]]],
    results: list[Any],
    info: strawberry.Info,
) -> list[Any]:
    """Fill the results of all batched types, one await a type."""

    async def read(name: str, batch: list[tuple[int, Any]]) -> None:
        items = await _read_one(entities[name], [key for _, key in batch], info)
        for (index, _), item in zip(batch, items, strict=True):
            results[index] = item

    if len(batches) == 1:
        await read(*next(iter(batches.items())))
    else:
        await gather(*(read(name, batch) for name, batch in batches.items()))
    return results


# --- one entity type ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Entity:
    """What `_entities` needs to know of one type."""

    name: str
    origin: type
    keys: tuple[SelectionSetNode, ...]
    key_names: tuple[tuple[str, ...] | None, ...]  # of each key that has only leaves
    parsers: Mapping[str, Parse]
    reference: BatchedReference | None
    build: Build
    plain_key: str | None  # the field of the only key, if it holds one string
    takes_value: bool  # whether the reference resolver takes that string itself

    def key(self, representation: Representation) -> object:
        """The key as the reference resolver takes it; raises GraphQLError if malformed."""
        if self.keys and not self._has_key(representation):
            expected = " or ".join(f'"{_printed(key)}"' for key in self.keys)
            raise GraphQLError(f"A representation of '{self.name}' must have the key {expected}")
        parsed = _parsed(self.name, self.parsers, representation)
        try:
            return self.build(parsed)
        except LookupError as error:
            raise GraphQLError(
                f"A representation of '{self.name}' must have '{error.args[0]}'"
            ) from None

    def _has_key(self, representation: Representation) -> bool:
        for key, names in zip(self.keys, self.key_names, strict=True):
            if names is None:
                if _has(representation, key):
                    return True
            elif all(representation.get(name) is not None for name in names):
                return True
        return False

    def resolve(self, representation: Representation, info: strawberry.Info) -> object:
        """The entity of a type without a batched reference resolver, as by Strawberry."""
        resolver = getattr(self.origin, "resolve_reference", None)
        if resolver is None:
            return self.key(representation)
        arguments = {name: value for name, value in representation.items() if name != "__typename"}
        if "info" in get_func_args(resolver):
            arguments["info"] = info
        return resolver(**arguments)


def _entity(
    graphql_type: GraphQLObjectType, definition: StrawberryObjectDefinition, names: NameConverter
) -> _Entity:
    origin = definition.origin
    reference = _reference_of(origin)
    keys = tuple(
        _selection_set(str(directive.fields))
        for directive in definition.directives or ()
        if isinstance(directive, Key) and directive.resolvable is not False
    )
    key_class: Any = origin if reference is None else reference.key_class
    key_names = tuple(map(_leaf_names, keys))
    takes_value = not _is_made(key_class)
    return _Entity(
        name=graphql_type.name,
        origin=origin,
        keys=keys,
        key_names=key_names,
        parsers=_parsers(graphql_type),
        reference=reference,
        build=_key_builder(graphql_type, key_class, keys, names),
        plain_key=None if reference is None else _plain_key(graphql_type, key_names),
        takes_value=takes_value,
    )


def _plain_key(
    graphql_type: GraphQLObjectType, key_names: Sequence[tuple[str, ...] | None]
) -> str | None:
    if len(key_names) != 1 or key_names[0] is None or len(key_names[0]) != 1:
        return None
    (name,) = key_names[0]
    type_ = get_nullable_type(graphql_type.fields[name].type)
    return name if type_ in (GraphQLID, GraphQLString) else None


def _selection_set(fields: str) -> SelectionSetNode:
    operation = cast("OperationDefinitionNode", parse(f"{{{fields}}}").definitions[0])
    return operation.selection_set


def _leaf_names(key: SelectionSetNode) -> tuple[str, ...] | None:
    nodes = cast("Sequence[FieldNode]", key.selections)
    if any(node.selection_set for node in nodes):
        return None
    return tuple(node.name.value for node in nodes)


def _printed(key: SelectionSetNode) -> str:
    return " ".join(
        f"{node.name.value} {{ {_printed(node.selection_set)} }}"
        if node.selection_set
        else node.name.value
        for node in cast("Sequence[FieldNode]", key.selections)
    )


def _has(value: Any, key: SelectionSetNode) -> bool:
    """Whether ``value`` has all fields of ``key``, none of them null."""
    if isinstance(value, list):
        return all(_has(item, key) for item in value)
    if not isinstance(value, Mapping):
        return False
    for node in cast("Sequence[FieldNode]", key.selections):
        inner = value.get(node.name.value)
        if inner is None or (node.selection_set and not _has(inner, node.selection_set)):
            return False
    return True


# --- representations to Python ------------------------------------------------------------


def _parsers(graphql_type: GraphQLObjectType) -> Mapping[str, Parse]:
    """For each field of a type, what turns its value in a representation into Python."""
    return {name: _parser(field.type) for name, field in graphql_type.fields.items()}


def _parser(graphql_type: GraphQLOutputType) -> Parse:
    nullable = get_nullable_type(graphql_type)
    if nullable in (GraphQLID, GraphQLString):
        coerce = nullable.coerce_input_value
        if is_non_null_type(graphql_type):
            return lambda value: value if type(value) is str else coerce(_present(value))
        return lambda value: value if type(value) is str or value is None else coerce(value)
    if is_list_type(nullable):
        item = _parser(nullable.of_type)
        parse_value: Parse = lambda value: [item(each) for each in _list(value)]  # noqa: E731
    elif is_leaf_type(nullable):
        parse_value = nullable.coerce_input_value
    elif is_object_type(nullable):
        # Parsers of the inner type are made when they are first needed: types refer to
        # each other in circles.
        inner: dict[str, Mapping[str, Parse]] = {}

        def parse_value(value: Any) -> Any:
            if not inner:
                inner["parsers"] = _parsers(nullable)
            return _parsed(nullable.name, inner["parsers"], _mapping(value))
    else:
        parse_value = _same
    if is_non_null_type(graphql_type):
        return lambda value: parse_value(_present(value))
    return lambda value: None if value is None else parse_value(value)


def _same(value: Any) -> Any:
    return value


def _present(value: Any) -> Any:
    if value is None:
        raise ValueError("it must not be null")
    return value


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError("it must be a list")
    return value


def _mapping(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise TypeError("it must be an object")
    return value


def _parsed(
    type_name: str, parsers: Mapping[str, Parse], representation: Representation
) -> dict[str, Any]:
    """The known fields of a representation, as Python values; the others are left out."""
    parsed: dict[str, Any] = {}
    for name, value in representation.items():
        parser = parsers.get(name)
        if parser is None:
            continue
        try:
            parsed[name] = parser(value)
        except Exception as error:
            raise GraphQLError(
                f"A representation of '{type_name}' has an invalid '{name}': {error}"
            ) from error
    return parsed


def _key_builder(
    graphql_type: GraphQLObjectType,
    key_class: Any,
    keys: Sequence[SelectionSetNode],
    names: NameConverter,
) -> Build:
    if _is_made(key_class):
        if isinstance(key_class, type) and dataclasses.is_dataclass(key_class):
            return _dataclass_builder(graphql_type, key_class, names)
        return _same
    fields = [node.name.value for key in keys for node in cast("Any", key.selections)]
    if len(fields) != 1:
        raise TypeError(
            f"'{graphql_type.name}' has no single key: its reference resolver must take a"
            f" dataclass or a mapping, not {key_class!r}"
        )
    (field,) = fields
    return lambda parsed: parsed[field]


def _is_made(key_class: Any) -> bool:
    """Whether a key is made of a representation, rather than one of its values."""
    if key_class is None or key_class is Any:
        return True
    origin = typing.get_origin(key_class) or key_class
    return isinstance(origin, type) and (
        issubclass(origin, Mapping) or dataclasses.is_dataclass(origin)
    )


def _dataclass_builder(
    graphql_type: GraphQLObjectType, key_class: type, names: NameConverter
) -> Build:
    attributes = _attributes(graphql_type, key_class, names)

    def build(parsed: Mapping[str, Any]) -> object:
        arguments = {}
        for name, attribute in attributes.items():
            if name in parsed:
                arguments[attribute.name] = attribute.build(parsed[name])
            elif attribute.required:
                raise LookupError(name)
        return key_class(**arguments)

    return build


@dataclass(frozen=True, slots=True)
class _Attribute:
    """One attribute of a key class."""

    name: str
    required: bool
    build: Callable[[Any], Any]


def _attributes(
    graphql_type: GraphQLObjectType, key_class: type, names: NameConverter
) -> dict[str, _Attribute]:
    """The attributes of a key class, by the names of the GraphQL fields they are read from."""
    attributes = {}
    definition = get_object_definition(key_class)
    graphql_names = (
        {field.python_name: names.from_field(field) for field in definition.fields}
        if definition
        else {}
    )
    for field in dataclasses.fields(cast("Any", key_class)):
        if not field.init:
            continue
        name = graphql_names.get(field.name) or names.apply_naming_config(field.name)
        if name not in graphql_type.fields:
            name = field.name
        attributes[name] = _Attribute(
            name=field.name,
            required=field.default is dataclasses.MISSING
            and field.default_factory is dataclasses.MISSING,
            build=_value_builder(graphql_type, name, key_class, field.name, names),
        )
    return attributes


def _value_builder(
    graphql_type: GraphQLObjectType,
    name: str,
    key_class: type,
    attribute: str,
    names: NameConverter,
) -> Callable[[Any], Any]:
    """Turns the parsed value of one field into what the attribute holds: a nested key class."""
    field = graphql_type.fields.get(name)
    if field is None or not is_object_type(inner_type := get_named_type(field.type)):
        return _same
    inner_class = _nested_class(inner_type, key_class, attribute)
    if inner_class is None:
        return _same
    made: list[Build] = []  # made when first needed: a class may hold itself

    def build(value: Any) -> Any:
        if not made:
            made.append(_dataclass_builder(inner_type, inner_class, names))
        if isinstance(value, list):
            return [build(item) for item in value]
        return None if value is None else made[0](value)

    return build


def _nested_class(
    graphql_type: GraphQLObjectType, key_class: type, attribute: str
) -> type[Any] | None:
    if get_object_definition(key_class):
        origin: type[Any] = graphql_type.extensions["strawberry-definition"].origin
        return origin
    module = vars(sys.modules[key_class.__module__])
    hints = typing.get_type_hints(key_class, {**_ANNOTATION_NAMES, **module})
    for leaf in _leaves(hints[attribute]):
        if isinstance(leaf, type) and dataclasses.is_dataclass(leaf):
            return leaf
    return None


def _leaves(annotation: Any) -> list[Any]:
    arguments = typing.get_args(annotation)
    if not arguments:
        return [annotation]
    return [leaf for each in arguments for leaf in _leaves(each)]
