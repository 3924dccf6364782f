"""From an operation to its blocks.

Collecting fields is graphql-core's own: it also evaluates ``@skip`` and
``@include``, so a plan holds for one set of values of the variables they use.
A selection set on an abstract type gets a block for each type that values turn
out to have, when the first such value is seen.
"""

from __future__ import annotations

from collections.abc import Mapping

import strawberry
from graphql import (
    FragmentDefinitionNode,
    GraphQLBoolean,
    GraphQLField,
    GraphQLID,
    GraphQLLeafType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLString,
    OperationDefinitionNode,
    SchemaMetaFieldDef,
    TypeMetaFieldDef,
    TypeNameMetaFieldDef,
    default_field_resolver,
    is_abstract_type,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
)
from graphql.execution.collect_fields import (
    FieldDetails,
    FragmentDetails,
    collect_fields,
    collect_subfields,
)
from graphql.execution.values import VariableValues

from shared.execution.plan import ABSTRACT, LEAF, LIST, OBJECT, Block, Field, Output
from shared.execution.resolvers import resolver_of
from shared.execution.rows import CompiledRows, split
from shared.execution.runtime_types import names_by_class, origin_of

__all__ = ["Planner", "Uncompilable"]


class Uncompilable(Exception):
    """The operation must run on graphql-core; the message says why."""


class Planner:
    """Makes the blocks of one operation, for one set of values of its conditions."""

    def __init__(
        self,
        schema: GraphQLSchema,
        source: GraphQLSchema | strawberry.Schema,
        operation: OperationDefinitionNode,
        fragments: Mapping[str, FragmentDefinitionNode],
        variables: VariableValues,
    ) -> None:
        self._schema = schema
        self._source = source
        self._operation = operation
        self._fragments = {name: FragmentDetails(node) for name, node in fragments.items()}
        self._variables = variables

    def root(self) -> Block:
        """The block of the operation's root type."""
        root_type = self._schema.get_root_type(self._operation.operation)
        if root_type is None:
            raise Uncompilable("the schema has no such root type")
        collected = collect_fields(
            self._schema, self._fragments, self._variables, root_type, self._operation
        )
        return _prepared(self._block(root_type, collected.grouped_field_set))

    def _sub_block(self, type_: GraphQLObjectType, details: list[FieldDetails]) -> Block:
        collected = collect_subfields(
            self._schema, self._fragments, self._variables, self._operation, type_, details
        )
        return self._block(type_, collected.grouped_field_set)

    def _block(self, type_: GraphQLObjectType, grouped: Mapping[str, list[FieldDetails]]) -> Block:
        fields: list[Field] = []
        empty: dict[str, str | None] = {}
        for order, (key, details) in enumerate(grouped.items()):
            definition = self._schema.get_field(type_, details[0].node.name.value)
            if definition is None:
                raise Uncompilable("a field that the schema does not have")
            if definition is SchemaMetaFieldDef or definition is TypeMetaFieldDef:
                raise Uncompilable("introspection")
            if definition is TypeNameMetaFieldDef:
                empty[key] = type_.name
            else:
                empty[key] = None
                fields.append(self._field(key, order, type_, definition, details))
        inline, rest = split(fields)
        by_default = any(
            field.definition.resolve in (None, default_field_resolver) for field in inline
        )
        rows = CompiledRows(type_, empty, inline, default_resolver=by_default)
        return Block(type_, empty, tuple(fields), rows, rest, origin_of(type_))

    def _field(
        self,
        key: str,
        order: int,
        parent_type: GraphQLObjectType,
        definition: GraphQLField,
        details: list[FieldDetails],
    ) -> Field:
        attribute, resolver = resolver_of(self._source, definition, details[0].node.name.value)
        return Field(
            key=key,
            order=order,
            definition=definition,
            nodes=[each.node for each in details],
            details=details,
            parent_type=parent_type,
            output=self._output(definition.type, details),
            attribute=attribute,
            resolver=resolver,
            blocks={},
            make_block=lambda type_: _prepared(self._sub_block(type_, details)),
        )

    def _output(self, type_: object, details: list[FieldDetails]) -> Output:
        if is_non_null_type(type_):
            output = self._output(type_.of_type, details)
            output.non_null = True
            return output
        if is_list_type(type_):
            return Output(type_, False, LIST, item=self._output(type_.of_type, details))
        if is_leaf_type(type_):
            return Output(type_, False, LEAF, exact=_exact(type_))
        if is_abstract_type(type_):
            return Output(type_, False, ABSTRACT, by_class=names_by_class(self._schema, type_))
        assert isinstance(type_, GraphQLObjectType)
        return Output(type_, False, OBJECT, block=self._sub_block(type_, details))


def _prepared(block: Block) -> Block:
    """Compile a block, and the blocks of the fields that its rows leave."""
    block.rows.prepare()
    for field in block.rest:
        output = field.output
        while output.item is not None:
            output = output.item
        if output.block is not None:
            _prepared(output.block)
    return block


def _exact(type_: GraphQLLeafType) -> type | None:
    for scalar, exact in ((GraphQLString, str), (GraphQLID, str), (GraphQLBoolean, bool)):
        if type_.coerce_output_value is scalar.coerce_output_value:
            return exact
    return None
