"""Subgraphs in memory, as strict as Apollo's: every document is validated before it runs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from graphql import (
    ExecutionResult,
    GraphQLArgument,
    GraphQLField,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLString,
    GraphQLUnionType,
    SchemaExtensionNode,
    build_ast_schema,
    execute_sync,
    is_object_type,
    parse,
    validate,
)
from graphql.language import DocumentNode, TypeDefinitionNode, TypeExtensionNode
from graphql.language import ast as nodes

from gateway.federation.transport import SubgraphError, SubgraphRequest, SubgraphResponse

__all__ = ["FED1", "FED2", "Call", "InMemory", "Resolvers", "Subgraph"]

FED2 = (
    'extend schema @link(url: "https://specs.apollo.dev/federation/v2.5", import: ['
    '"@key", "@external", "@requires", "@provides", "@shareable", "@override", "@inaccessible",'
    ' "@interfaceObject", "@extends", "@tag"])\n'
)
FED1 = ""

# (parent, **arguments) -> value; a plain value stands for itself.
Resolvers = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Subgraph:
    """One subgraph: its SDL, and what its fields and reference resolvers answer.

    A field without a resolver reads its parent's key.  The resolver
    ``__resolveReference`` takes a representation; a type without one takes the
    representation itself for the entity.
    """

    name: str
    sdl: str
    resolvers: Resolvers = field(default_factory=dict)

    @cached_property
    def schema(self) -> GraphQLSchema:
        """The executable schema, with `_entities`."""
        schema = build_ast_schema(_plain(parse(self.sdl)), assume_valid=True)
        for type_name, fields in self.resolvers.items():
            type_ = schema.type_map[type_name]
            for name, resolver in fields.items():
                if not name.startswith("__"):
                    type_.fields[name].resolve = _resolve(resolver)  # type: ignore[attr-defined]
        return _with_entities(schema, self._entities)

    def answer(self, document: str, variables: Mapping[str, Any]) -> ExecutionResult:
        """Answer one request; an invalid document is refused as a subgraph would."""
        parsed = parse(document)
        errors = validate(self.schema, parsed)
        if errors:
            return ExecutionResult(None, errors)
        return execute_sync(
            self.schema,
            parsed,
            variable_values=dict(variables),
            field_resolver=self.field_resolver,
        )

    @property
    def field_resolver(self) -> Callable[..., Any] | None:
        """What resolves the fields without a resolver; None reads the parent's key."""
        return None

    def _entities(
        self, _root: Any, _info: Any, *, representations: list[dict[str, Any]]
    ) -> list[Any]:
        return [self._entity(one) for one in representations]

    def _entity(self, representation: dict[str, Any]) -> Any:
        name = representation["__typename"]
        if name not in self.schema.type_map:
            raise ValueError(f"{self.name} has no entity type {name}")
        resolver = self.resolvers.get(name, {}).get("__resolveReference")
        try:
            found = resolver(representation) if resolver else dict(representation)
        except Exception as error:  # noqa: BLE001
            return error
        if isinstance(found, dict) and is_object_type(self.schema.type_map[name]):
            # As Apollo's library does: an object type's name is not the resolver's to say.
            found = {**found, "__typename": name}
        return found


def _resolve(resolver: Any) -> Callable[..., Any]:
    if not callable(resolver):
        return lambda _parent, _info, **_arguments: resolver
    return lambda parent, _info, **arguments: resolver(parent, **arguments)


def _plain(document: DocumentNode) -> DocumentNode:
    """Return the document with `extend type` of what it never defines as a definition."""
    defined = {
        one.name.value for one in document.definitions if isinstance(one, TypeDefinitionNode)
    }
    kept = []
    for one in document.definitions:
        if isinstance(one, SchemaExtensionNode):
            continue
        if isinstance(one, TypeExtensionNode) and one.name.value not in defined:
            defined.add(one.name.value)
            definition = getattr(nodes, type(one).__name__.replace("Extension", "Definition"))
            known = {key: getattr(one, key) for key in one.keys if key != "kind"}
            kept.append(definition(**known))
        else:
            kept.append(one)
    return DocumentNode(definitions=tuple(kept))


def _with_entities(schema: GraphQLSchema, resolve: Callable[..., Any]) -> GraphQLSchema:
    members = [
        type_ for type_ in schema.type_map.values() if is_object_type(type_) and _is_entity(type_)
    ]
    # A subgraph may have nothing but entities.
    query = schema.query_type or GraphQLObjectType("Query", {})
    # Types may lead back to the root, so it stays the same object.
    fields = query.fields
    fields["_service"] = GraphQLField(GraphQLString)
    if members:
        any_type = GraphQLScalarType("_Any")
        entity = GraphQLUnionType("_Entity", members)
        fields["_entities"] = GraphQLField(
            GraphQLNonNull(GraphQLList(entity)),
            args={
                "representations": GraphQLArgument(
                    GraphQLNonNull(GraphQLList(GraphQLNonNull(any_type)))
                )
            },
            resolve=resolve,
        )
    types = [one for one in schema.type_map.values() if not one.name.startswith("__")]
    return GraphQLSchema(
        query=query,
        mutation=schema.mutation_type,
        subscription=schema.subscription_type,
        types=types,
        directives=schema.directives,
    )


def _is_entity(type_: Any) -> bool:
    spellings = [type_.ast_node, *type_.extension_ast_nodes]
    return any(
        directive.name.value == "key"
        for node in spellings
        if node
        for directive in node.directives or ()
    )


@dataclass(frozen=True)
class Call:
    """One request a subgraph got."""

    subgraph: str
    document: str
    variables: Mapping[str, Any]


class InMemory:
    """The transport over subgraphs in memory; keeps what was asked and what was refused.

    Every other answer is the engine's to write into, which must make no difference.
    """

    def __init__(self, *subgraphs: Subgraph) -> None:
        self.subgraphs = {one.name: one for one in subgraphs}
        self.calls: list[Call] = []
        self.invalid: list[str] = []
        self.down: set[str] = set()

    async def execute(self, request: SubgraphRequest) -> SubgraphResponse:
        fetch = request.fetch
        if fetch.subgraph in self.down:
            raise SubgraphError("The subgraph is down.", code="DOWN")
        self.calls.append(Call(fetch.subgraph, fetch.document, dict(request.variables)))
        subgraph = self.subgraphs[fetch.subgraph]
        refused = validate(subgraph.schema, parse(fetch.document))
        self.invalid += [f"{fetch.subgraph}: {one.message}: {fetch.document}" for one in refused]
        result = subgraph.answer(fetch.document, request.variables)
        return SubgraphResponse(
            result.data,
            tuple(error.formatted for error in result.errors or ()),
            exclusive=len(self.calls) % 2 == 0,
        )

    async def subscribe(self, request: SubgraphRequest) -> AsyncIterator[SubgraphResponse]:
        """Yield the one event that asking the root field as a query would give."""
        answer = await self.execute(request)
        yield answer
