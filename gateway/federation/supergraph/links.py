"""Which specifications a supergraph links, and what their elements are called in it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from graphql import (
    ConstDirectiveNode,
    DocumentNode,
    SchemaDefinitionNode,
    SchemaExtensionNode,
    value_from_ast_untyped,
)

__all__ = ["Feature", "argument_values", "linked_features"]

_URL = re.compile(r"(?P<identity>.*?/[A-Za-z_][\w-]*)/v(?P<major>\d+)\.(?P<minor>\d+)/?$")
_APOLLO = "https://specs.apollo.dev/"


@dataclass(frozen=True, slots=True)
class Feature:
    """One linked specification; ``name`` is what this schema calls it.

    ``spec`` is the name Apollo gave it, or where it is described if somebody else
    wrote it: the same name means something else there.
    """

    url: str
    spec: str
    name: str
    version: tuple[int, int] | None
    purpose: str | None
    imports: Mapping[str, str]
    """Imported element (``@key`` or ``FieldSet``) to its local name, without the ``@``."""

    def directive(self, name: str) -> str:
        """The local name of the specification's directive ``@name``."""
        if imported := self.imports.get(f"@{name}"):
            return imported
        return self.name if name == self.spec else f"{self.name}__{name}"

    def type(self, name: str) -> str:
        """The local name of the specification's type ``name``."""
        return self.imports.get(name) or f"{self.name}__{name}"

    def owns_type(self, name: str) -> bool:
        """Whether a type of the schema comes from this specification."""
        return name.startswith(f"{self.name}__") or any(
            local == name for element, local in self.imports.items() if element[0] != "@"
        )

    def owns_directive(self, name: str) -> bool:
        """Whether a directive of the schema comes from this specification."""
        return (
            name == self.name
            or name.startswith(f"{self.name}__")
            or any(local == name for element, local in self.imports.items() if element[0] == "@")
        )


def linked_features(document: DocumentNode) -> tuple[Feature, ...]:
    """The specifications named by ``@link`` (or ``@core``) on the schema definition."""
    return tuple(
        _feature(values)
        for directive in _schema_directives(document)
        if (values := argument_values(directive)).keys() & {"url", "feature"}
    )


def argument_values(directive: ConstDirectiveNode) -> dict[str, object]:
    """The arguments of an applied directive as plain values; enum values become strings."""
    return {
        node.name.value: value_from_ast_untyped(node.value) for node in directive.arguments or ()
    }


def _schema_directives(document: DocumentNode) -> Iterator[ConstDirectiveNode]:
    for definition in document.definitions:
        if isinstance(definition, SchemaDefinitionNode | SchemaExtensionNode):
            yield from definition.directives or ()


def _feature(values: Mapping[str, object]) -> Feature:
    url = str(values.get("url") or values.get("feature"))
    match = _URL.match(url)
    identity = match["identity"] if match else url.rstrip("/")
    name = identity.rsplit("/", 1)[-1]
    purpose = values.get("for")
    return Feature(
        url=url,
        spec=name if identity == f"{_APOLLO}{name}" else identity,
        name=str(values.get("as") or name),
        version=(int(match["major"]), int(match["minor"])) if match else None,
        purpose=None if purpose is None else str(purpose),
        imports=dict(_imports(values.get("import"))),
    )


def _imports(value: object) -> Iterator[tuple[str, str]]:
    for item in value if isinstance(value, list) else ():
        name, alias = (item["name"], item.get("as")) if isinstance(item, dict) else (item, None)
        yield str(name), str(alias or name).removeprefix("@")
