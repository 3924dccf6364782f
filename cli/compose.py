"""Makes each subgraph's `schema.graphql` and, of all of them, `supergraph.graphql`."""

from __future__ import annotations

import importlib
import importlib.util
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from click import ClickException
from graphql import GraphQLSyntaxError, Source, get_location, parse
from graphql.language import (
    ObjectTypeDefinitionNode,
    ObjectTypeExtensionNode,
    TypeDefinitionNode,
    TypeExtensionNode,
)

from cli import node

COMPOSER = Path(__file__).parent / "composition" / "compose.mjs"
HEADER = "# Made by `./nexus compose`. Do not edit.\n\n"

MENDING = {
    "INVALID_FIELD_SHARING": "give the field @shareable in every subgraph that resolves it, "
    "or keep it in one of them",
    "FIELD_TYPE_MISMATCH": "give the field the same type everywhere (nullability may differ)",
    "FIELD_ARGUMENT_TYPE_MISMATCH": "give the argument the same type everywhere",
    "TYPE_KIND_MISMATCH": "define the type with the same kind everywhere, or rename one of them",
    "KEY_INVALID_FIELDS": "name only fields that the type has in the @key's fields",
    "REQUIRES_INVALID_FIELDS": "name only fields that the type has, marked @external, in @requires",
    "REQUIRES_FIELDS_MISSING_EXTERNAL": "mark the required fields @external in this subgraph",
    "PROVIDES_INVALID_FIELDS": "name only fields that the type has in @provides",
    "PROVIDES_FIELDS_MISSING_EXTERNAL": "mark the provided fields @external in this subgraph",
    "EXTERNAL_UNUSED": "remove the @external field, or use it in a @key, @requires or @provides",
    "EXTERNAL_MISSING_ON_BASE": "define the field in the subgraph that owns it, or drop @external",
    "EXTERNAL_TYPE_MISMATCH": "give the @external field the type that its owner gives it",
    "EXTENSION_WITH_NO_BASE": "define the type in one subgraph, or correct the name",
    "ENUM_VALUE_MISMATCH": "list the same values everywhere: the enum is used as input and output",
    "INTERFACE_FIELD_NO_IMPLEM": "add the field to every type that implements the interface",
    "OVERRIDE_FROM_SELF_ERROR": "name the other subgraph, the one that had the field before",
    "OVERRIDE_SOURCE_HAS_OVERRIDE": "override the field from one side only",
    "SATISFIABILITY_ERROR": "give the type a @key that both subgraphs know, "
    "or make the field @shareable and resolve it in both",
    "NO_QUERIES": "give at least one subgraph a field of Query",
    "REQUIRED_ARGUMENT_MISSING_IN_SOME_SUBGRAPH": "add the argument everywhere or make it optional",
    "REFERENCED_INACCESSIBLE": "make the field @inaccessible too, or its type accessible",
}
OTHERWISE = "the code is explained in the Apollo Federation documentation, under composition errors"


@dataclass(frozen=True, slots=True)
class Subgraph:
    """One entry of the supergraph's configuration."""

    name: str
    url: str
    schema: Path
    module: str | None


@dataclass(frozen=True, slots=True)
class Stale:
    """A generated file and what it should hold."""

    path: Path
    text: str


def compose(configuration: Path, output: Path) -> list[Stale]:
    """The generated files that are missing or out of date; nothing is written.

    Raises `ClickException` when the subgraphs do not compose; it names subgraph, file and line.
    """
    stale, texts = [], {}
    subgraphs = read(configuration)
    for subgraph in subgraphs:
        texts[subgraph.name] = text = _sdl(subgraph)
        if not subgraph.schema.exists() or subgraph.schema.read_text() != text:
            stale.append(Stale(subgraph.schema, text))
    supergraph = _composed(subgraphs, texts)
    if not output.exists() or output.read_text() != supergraph:
        stale.append(Stale(output, supergraph))
    return stale


def read(configuration: Path) -> list[Subgraph]:
    """The subgraphs of a file in Rover's format."""
    try:
        document = yaml.safe_load(configuration.read_text())
        entries = document["subgraphs"].items()
        return [_entry(name, entry, configuration.resolve().parent) for name, entry in entries]
    except OSError as error:
        raise ClickException(f"{configuration}: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise ClickException(f"{configuration} is not YAML: {error}") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise ClickException(
            f"{configuration} is not in Rover's format: every subgraph needs a routing_url"
            f" and a schema with a file ({error})"
        ) from error


def _entry(name: str, entry: Mapping[str, object], folder: Path) -> Subgraph:
    schema = entry["schema"]
    if not isinstance(schema, Mapping):
        raise TypeError(f"{name}: schema is {schema!r}")
    module = f"subgraphs.{name}.schema"
    ours = importlib.util.find_spec(f"subgraphs.{name}") is not None
    return Subgraph(
        name=name,
        url=str(entry["routing_url"]),
        schema=folder / str(schema["file"]),
        module=module if ours else None,
    )


def _sdl(subgraph: Subgraph) -> str:
    """What the subgraph's code says its schema is; for a foreign subgraph, what its file says."""
    if subgraph.module is None:
        try:
            return subgraph.schema.read_text()
        except OSError as error:
            raise ClickException(
                f"subgraph {subgraph.name}: {_shown(subgraph.schema)}: {error.strerror}"
            ) from error
    schema = importlib.import_module(subgraph.module).schema
    return f"{HEADER}{schema.as_str().strip()}\n"


def _composed(subgraphs: Sequence[Subgraph], texts: Mapping[str, str]) -> str:
    for subgraph in subgraphs:
        _check_syntax(subgraph, texts[subgraph.name])
    request = [
        {"name": subgraph.name, "url": subgraph.url, "typeDefs": texts[subgraph.name]}
        for subgraph in subgraphs
    ]
    answer = json.loads(node.run(COMPOSER, stdin=json.dumps(request)))
    if "errors" in answer:
        told = [_told(error, subgraphs, texts) for error in answer["errors"]]
        raise ClickException("\n\n".join(["the subgraphs do not compose.", *told]))
    return f"{HEADER}{answer['supergraphSdl'].strip()}\n"


def _check_syntax(subgraph: Subgraph, text: str) -> None:
    try:
        parse(Source(text, _shown(subgraph.schema)))
    except GraphQLSyntaxError as error:
        line = error.locations[0].line if error.locations else 1
        raise ClickException(
            f"subgraph {subgraph.name}: {_shown(subgraph.schema)}:{line}: {error.message}"
        ) from error


def _told(error: Mapping[str, str], subgraphs: Sequence[Subgraph], texts: Mapping[str, str]) -> str:
    """One composition error for a person: what, where, and how to mend it."""
    message, code = error["message"], error.get("code") or "COMPOSITION_ERROR"
    named = [
        subgraph
        for subgraph in subgraphs
        if f'"{subgraph.name}"' in message or f"[{subgraph.name}]" in message
    ]
    places = [
        f"  subgraph {subgraph.name}: {_shown(subgraph.schema)}:{line}"
        for subgraph in named or subgraphs
        for line in _lines(texts[subgraph.name], message)
    ]
    return "\n".join(
        [f"{code}: {message}", *places, f"  to mend it: {MENDING.get(code, OTHERWISE)}"]
    )


def _lines(sdl: str, message: str) -> list[int]:
    """The lines on which a subgraph defines what a message names, the most exact first."""
    defined = dict(_definitions(sdl))
    quoted = re.findall(r'"([A-Za-z_][\w.]*)', message)
    exact = [defined[name] for name in quoted if "." in name and name in defined]
    types = [defined[name.split(".")[0]] for name in quoted if name.split(".")[0] in defined]
    return list(dict.fromkeys(exact or types))


def _definitions(sdl: str) -> Iterator[tuple[str, int]]:
    """`Type` and `Type.field` of a document, each with its line."""
    source = Source(sdl)
    for definition in parse(source).definitions:
        if not isinstance(definition, TypeDefinitionNode | TypeExtensionNode):
            continue
        name = definition.name
        assert name.loc is not None
        yield name.value, get_location(source, name.loc.start).line
        if isinstance(definition, ObjectTypeDefinitionNode | ObjectTypeExtensionNode):
            for field in definition.fields or ():
                assert field.name.loc is not None
                line = get_location(source, field.name.loc.start).line
                yield f"{name.value}.{field.name.value}", line


def _shown(path: Path) -> str:
    """The path as a person in the current directory would type it."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
