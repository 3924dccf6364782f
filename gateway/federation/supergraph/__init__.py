"""The supergraph as a model: join directives, the API schema, what each subgraph can print."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    GraphQLSyntaxError,
    build_ast_schema,
    introspection_types,
    is_abstract_type,
    parse,
    specified_scalar_types,
    validate_schema,
)

from gateway.federation.operation.prepare import forget_tokens
from gateway.federation.supergraph.api_schema import build_api_schema
from gateway.federation.supergraph.links import Feature, linked_features
from gateway.federation.supergraph.load import Model, load_model
from gateway.federation.supergraph.model import SubgraphInfo, TypeInfo

__all__ = ["SubgraphInfo", "Supergraph", "SupergraphError"]

_NEWEST = {
    "authenticated": (0, 1),
    "core": (0, 2),
    "cost": (0, 1),
    "inaccessible": (0, 2),
    "join": (0, 5),
    "link": (1, 0),
    "policy": (0, 1),
    "requiresScopes": (0, 1),
    "tag": (0, 3),
}
"""The specifications the engine honours, each up to this version."""

_JOIN_VERSIONS = frozenset((0, minor) for minor in range(1, 6))
_CRITICAL = frozenset({"SECURITY", "EXECUTION"})


class SupergraphError(ValueError):
    """The SDL is not a supergraph this gateway can serve; the message says why."""


@dataclass(frozen=True, slots=True, eq=False)
class Supergraph:
    """A supergraph ready to be planned against; immutable, compared by identity.

    ``schema`` has everything the composed SDL has, ``api_schema`` what clients
    see.  ``labels`` are the ``@override`` labels a request must decide on.
    """

    hash: str
    schema: GraphQLSchema
    api_schema: GraphQLSchema
    subgraphs: Mapping[str, SubgraphInfo]
    types: Mapping[str, TypeInfo]
    labels: frozenset[str]
    features: tuple[Feature, ...]
    _possible: Mapping[str, frozenset[str]]
    derived: dict[object, object] = field(default_factory=dict, repr=False)
    """What other modules compute from the supergraph once and keep with it."""

    @classmethod
    def from_sdl(cls, sdl: str) -> Supergraph:
        """Read composed SDL; raises `SupergraphError` when it cannot be served correctly."""
        try:
            document = _parsed(sdl)
            features = linked_features(document)
            join = _join_feature(features)
            _refuse_unsupported(features)
            schema = _schema(document)
            model = load_model(document, join, features)
            api_schema = build_api_schema(document, features)
        except (GraphQLError, ValueError, TypeError, KeyError) as error:
            message = getattr(error, "message", None) or str(error)
            raise SupergraphError(f"cannot read the supergraph: {message}") from error
        return cls(
            hash=hashlib.sha256(sdl.encode()).hexdigest(),
            schema=schema,
            api_schema=api_schema,
            subgraphs=model.subgraphs,
            types=model.types,
            labels=model.labels,
            features=features,
            _possible=_possible_types(schema, model),
        )

    def possible_types(self, name: str) -> frozenset[str]:
        """The object types a value of type ``name`` can have in any subgraph."""
        return self._possible.get(name, frozenset())

    def take_apart(self) -> None:
        """Free it, little by little, when nobody will use it any more.

        Its types all lead to one another, and the garbage collector, to find that out,
        would stop everything: for a second, if there are some ten thousand fields.
        """
        self.derived.clear()
        for schema in (self.schema, self.api_schema):
            for name, type_ in schema.type_map.items():
                if name not in specified_scalar_types and name not in introspection_types:
                    vars(type_).clear()


def _parsed(sdl: str) -> DocumentNode:
    if not sdl.strip():
        raise ValueError("it is empty")
    try:
        document = parse(sdl)
    except GraphQLSyntaxError as error:
        at = "".join(f"line {one.line}, column {one.column}: " for one in error.locations or ())
        raise ValueError(f"{at}{error.message}") from error
    forget_tokens(document)
    return document


def _join_feature(features: Sequence[Feature]) -> Feature:
    join = next((feature for feature in features if feature.spec == "join"), None)
    if join is None:
        raise ValueError("it does not link the join specification; compose it first")
    if join.version not in _JOIN_VERSIONS:
        raise ValueError(f"{join.url} is not supported; versions 0.1 to 0.5 are")
    return join


def _refuse_unsupported(features: Sequence[Feature]) -> None:
    """Ignoring a feature that guards data or changes answers would be a security hole."""
    unsupported = [f for f in features if f.purpose in _CRITICAL and not _is_supported(f)]
    if unsupported:
        named = ", ".join(f"{f.url} (for: {f.purpose})" for f in unsupported)
        raise ValueError(f"it needs features this gateway does not support: {named}")


def _is_supported(feature: Feature) -> bool:
    return feature.version is not None and feature.version <= _NEWEST.get(feature.spec, (0, 0))


def _schema(document: DocumentNode) -> GraphQLSchema:
    schema = build_ast_schema(document)
    if errors := validate_schema(schema):
        raise ValueError("; ".join(error.message for error in errors))
    return schema


def _possible_types(schema: GraphQLSchema, model: Model) -> dict[str, frozenset[str]]:
    possible: dict[str, frozenset[str]] = {}
    for name in model.types:
        type_ = schema.type_map[name]
        possible[name] = (
            frozenset(member.name for member in schema.get_possible_types(type_))
            if is_abstract_type(type_)
            else frozenset((name,))
        )
    return possible
