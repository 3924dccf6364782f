"""Limits on documents: counted while the text is parsed, before validation and any other work.

Fragments count each time they are spread, without being expanded: a document
cannot make the counting expensive.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    OperationDefinitionNode,
    parse,
)
from prometheus_client import Counter

from gateway.federation.operation.prepare import unreadable
from shared.logger import get_logger
from shared.protocols.reading import BodyLimit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from graphql import SelectionSetNode

__all__ = [
    "LIMITS",
    "LimitExceeded",
    "Limits",
    "body_limit",
    "check_variables",
    "note_exceeded",
    "read_document",
]

logger = get_logger(__name__)

_EXCEEDED = Counter(
    "graphql_limit_exceeded_total",
    "Requests over a limit, refused or only measured.",
    ("limit", "enforced"),
)


_WORDS = {
    "characters": "characters",
    "tokens": "tokens",
    "depth": "levels of depth",
    "aliases": "aliases",
    "root_fields": "root fields",
    "fields": "fields",
    "directives": "directives",
    "values": "values in variables",
}
LIMITS = frozenset(_WORDS) | {"body"}
"""The names of all limits that may be measured only."""
_BEYOND = 10


@dataclass(frozen=True, slots=True)
class Limits:
    """The most a document and its variables may hold.

    Documents over a limit that is among ``measured`` are counted and logged and
    then served; not even they get past ten times the characters, tokens or values.
    """

    characters: int = 100_000
    tokens: int = 5_000
    depth: int = 20
    aliases: int = 100
    root_fields: int = 20
    fields: int = 1_000
    directives: int = 50
    values: int = 10_000
    measured: frozenset[str] = frozenset()

    def ceiling(self, limit: str) -> int:
        """Where reading a text ends, whatever is only measured."""
        most: int = getattr(self, limit)
        return most * _BEYOND if limit in self.measured else most


class LimitExceeded(Exception):
    """The request is over a limit; ``code`` says which."""

    def __init__(self, limit: str, most: int) -> None:
        super().__init__(f"The request is over the limit of {most} {_WORDS[limit]}.")
        self.code = f"MAX_{limit.upper()}_LIMIT"


class _Counts(NamedTuple):
    """What one selection set holds, its fragments included; ``here`` counts its own fields."""

    depth: int = 0
    aliases: int = 0
    directives: int = 0
    fields: int = 0
    here: int = 0


def read_document(source: str, limits: Limits) -> DocumentNode:
    """The parsed text of a document within the limits.

    Raises `LimitExceeded`, and `InvalidRequest` for a text that is no document.
    """
    if len(source) > limits.ceiling("characters"):
        raise _exceeded("characters", limits.characters)
    most_tokens = limits.ceiling("tokens")
    try:
        document = parse(source, max_lexical_tokens=most_tokens, max_comments=most_tokens)
    except GraphQLError as error:
        limit = _hit(error.message)
        if limit is None:
            raise unreadable(error) from None
        raise _exceeded(limit, getattr(limits, limit)) from None
    try:
        counted = list(_count(document))
    except RecursionError:
        raise _exceeded("depth", limits.depth) from None
    counted += [("characters", len(source)), ("tokens", document.token_count)]
    for limit, count in counted:
        most: int = getattr(limits, limit)
        if count > most:
            if limit not in limits.measured:
                raise _exceeded(limit, most)
            note_exceeded(limit, most, enforced=False)
    return document


def check_variables(given: Mapping[str, Any], limits: Limits) -> None:
    """Return for variables within the limits; raise `LimitExceeded`.

    Each entry of a list and each field of an object counts.
    """
    count = 0
    pending: list[Any] = [given]
    while pending:
        one = pending.pop()
        count += len(one)
        if count > limits.ceiling("values"):
            raise _exceeded("values", limits.values)
        inner = one if type(one) is list else one.values()
        pending += [value for value in inner if type(value) is dict or type(value) is list]
    if count > limits.values:
        note_exceeded("values", limits.values, enforced=False)


def _hit(message: str) -> str | None:
    """The limit because of which the parser gave up."""
    if "nested too deeply" in message:
        return "depth"
    return "tokens" if message.endswith("Parsing aborted.") else None


def body_limit(most: int, limits: Limits) -> BodyLimit:
    """How many bytes a body may have; ``body`` among what is ``measured`` measures only."""
    measured = "body" in limits.measured
    return BodyLimit(most, measured, partial(note_exceeded, "body", most, enforced=not measured))


def _exceeded(limit: str, most: int) -> LimitExceeded:
    note_exceeded(limit, most, enforced=True)
    return LimitExceeded(limit, most)


def note_exceeded(limit: str, most: float, *, enforced: bool) -> None:
    """Tell metrics and log that a request was over a limit."""
    _EXCEEDED.labels(limit, str(enforced).lower()).inc()
    logger.warning("graphql.limit_exceeded", limit=limit, most=most, enforced=enforced)


def _count(document: DocumentNode) -> Iterator[tuple[str, int]]:
    """The highest count of any operation, per limit."""
    counter = _Counter(document)
    operations = [
        node for node in document.definitions if isinstance(node, OperationDefinitionNode)
    ]
    for operation in operations:
        counts = counter.count(operation.selection_set)
        yield "depth", counts.depth
        yield "aliases", counts.aliases
        yield "root_fields", counts.here
        yield "fields", counts.fields
        yield "directives", counts.directives + len(operation.directives or ())


class _Counter:
    """Counts selection sets; each fragment is counted once, however often it is spread."""

    def __init__(self, document: DocumentNode) -> None:
        self._fragments = {
            node.name.value: node
            for node in document.definitions
            if isinstance(node, FragmentDefinitionNode)
        }
        self._known: dict[str, _Counts] = {}

    def count(self, selection_set: SelectionSetNode | None) -> _Counts:
        depth = aliases = directives = fields = here = 0
        for node in selection_set.selections if selection_set else ():
            directives += len(node.directives or ())
            if isinstance(node, FieldNode):
                inner = self.count(node.selection_set)
                depth = max(depth, inner.depth + 1)
                aliases += 1 if node.alias else 0
                here += 1
                fields += 1
            elif isinstance(node, InlineFragmentNode):
                inner = self.count(node.selection_set)
                depth = max(depth, inner.depth)
                here += inner.here
            else:
                assert isinstance(node, FragmentSpreadNode)
                inner = self._spread(node.name.value)
                depth = max(depth, inner.depth)
                here += inner.here
            fields += inner.fields
            aliases += inner.aliases
            directives += inner.directives
        return _Counts(depth, aliases, directives, fields, here)

    def _spread(self, name: str) -> _Counts:
        if name not in self._known:
            # Counts nothing while it is being counted: validation refuses cycles.
            self._known[name] = _Counts()
            fragment = self._fragments.get(name)
            self._known[name] = self.count(fragment.selection_set) if fragment else _Counts()
        return self._known[name]
