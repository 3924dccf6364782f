"""Nothing that our subgraphs can be asked falls back on graphql-core."""

from __future__ import annotations

import importlib
from typing import Any

import pytest
from graphql import (
    GraphQLSchema,
    get_named_type,
    is_abstract_type,
    is_leaf_type,
    is_required_argument,
    parse,
    validate,
)

from shared.execution import CompiledOperation, compile_operation


def everything(schema: GraphQLSchema, type_: Any, depth: int) -> str:
    """A selection set with all that can be asked without arguments."""
    if is_abstract_type(type_):
        possible = schema.get_possible_types(type_)
        parts = [f"... on {each} {everything(schema, each, depth)}" for each in possible]
        return f"{{ __typename {' '.join(parts)} }}"
    selected = ["__typename"]
    for name, field in type_.fields.items():
        if name.startswith("_") or any(map(is_required_argument, field.args.values())):
            continue
        inner = get_named_type(field.type)
        if is_leaf_type(inner):
            selected.append(f"{type_}_{name}: {name}")
        elif depth:
            selected.append(f"{type_}_{name}: {name} {everything(schema, inner, depth - 1)}")
    return f"{{ {' '.join(selected)} }}"


@pytest.mark.parametrize("name", ["billing", "orgs", "storage", "users"])
def test_a_subgraph_is_compiled(name: str) -> None:
    source = importlib.import_module(f"subgraphs.{name}.schema").schema
    schema = source._schema
    texts = [f"query {everything(schema, schema.query_type, 3)}"]
    entity = schema.type_map["_Entity"]
    texts.append(
        "query($of: [_Any!]!) { _entities(representations: $of) "
        f"{everything(schema, entity, 2)} }}"
    )
    for text in texts:
        document = parse(text)
        assert validate(schema, document) == []
        assert isinstance(compile_operation(source, document), CompiledOperation)
