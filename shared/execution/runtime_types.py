"""What the class of a value says about its GraphQL type, for Strawberry's own types.

Strawberry finds the type of a union's or interface's value by looking through
all types of the schema.  For instances of a Strawberry class that is neither
generic nor cast (`strawberry.cast`) the answer depends on the class alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from graphql import GraphQLAbstractType, GraphQLObjectType, GraphQLSchema
from strawberry.types.base import StrawberryObjectDefinition
from strawberry.types.cast import get_strawberry_type_cast

__all__ = ["is_cast", "names_by_class", "origin_of"]

# The functions with which Strawberry answers, unless a schema brings its own.
RESOLVE_INTERFACE: Final = (
    "GraphQLCoreConverter.from_interface.<locals>._get_resolve_type.<locals>.resolve_type"
)
RESOLVE_UNION: Final = "StrawberryUnion.get_type_resolver.<locals>._resolve_union_type"
IS_TYPE_OF: Final = "GraphQLCoreConverter.from_object.<locals>._get_is_type_of.<locals>.is_type_of"


def is_cast(value: Any) -> bool:
    """Whether a value says itself which type it is."""
    return get_strawberry_type_cast(value) is not None


def names_by_class(schema: GraphQLSchema, type_: GraphQLAbstractType) -> Mapping[type, str]:
    """The names of the object types of a union or interface, by the classes of values."""
    resolve = getattr(type_.resolve_type, "__qualname__", None)
    if resolve not in (RESOLVE_INTERFACE, RESOLVE_UNION):
        return {}
    names = {}
    for possible in schema.get_possible_types(type_):
        definition = _definition(possible)
        if definition is None:
            continue
        # Strawberry takes the name from the type here, and from the definition there.
        is_union = resolve == RESOLVE_UNION
        names[definition.origin] = possible.name if is_union else definition.name
    return names


def origin_of(type_: GraphQLObjectType) -> type | None:
    """The class whose instances are of a type, where the type's own check says no more."""
    if getattr(type_.is_type_of, "__qualname__", None) != IS_TYPE_OF:
        return None
    definition = _definition(type_)
    return None if definition is None else definition.origin


def _definition(type_: GraphQLObjectType) -> StrawberryObjectDefinition | None:
    """The Strawberry definition of a type that is not made from a generic one."""
    definition: StrawberryObjectDefinition = type_.extensions["strawberry-definition"]
    if definition.concrete_of is not None or definition.is_graphql_generic:
        return None
    own = vars(definition.origin).get("__strawberry_definition__")
    return definition if own is definition else None
