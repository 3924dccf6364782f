"""Why is it null? The reason of each null in a response that was not a subgraph's own answer."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from graphql import (
    FieldNode,
    GraphQLNonNull,
    InlineFragmentNode,
    OperationDefinitionNode,
    get_named_type,
    get_nullable_type,
    is_composite_type,
    is_list_type,
    parse,
)

from gateway.federation.execution.positions import keys_of
from gateway.federation.operation.selection import INTROSPECTION_FIELDS, Field
from gateway.unanswered import why_unanswered

if TYPE_CHECKING:
    from graphql import GraphQLNamedType, GraphQLOutputType, GraphQLSchema, SelectionSetNode

    from gateway.federation.execution import ExecutablePlan, FetchReport
    from gateway.federation.operation.selection import Selection
    from gateway.federation.plan import Fetch

    Keys = tuple[str, ...]
    Path = list[str | int]

__all__ = ["explain_nulls"]

_MOST = 200


def explain_nulls(
    executable: ExecutablePlan,
    data: Any,
    errors: Sequence[Mapping[str, Any]],
    reports: Sequence[FetchReport],
    originals: Mapping[int, Sequence[Any]],
    answers: Mapping[int, Mapping[str, Any] | None],
) -> list[dict[str, Any]]:
    """An entry for each null that something other than its subgraph's answer brought about.

    ``path`` is where the null is in ``data``; the reason's ``path`` is where it
    began, and ``bubbledThrough`` are the fields in between which may not be null.
    """
    nulls = _Nulls(executable, errors, reports, originals, answers)
    found = (nulls.explain(path) for path in islice(_nulls_in(data, []), _MOST))
    return [one for one in found if one is not None]


def _nulls_in(value: Any, path: Path) -> Iterator[Path]:
    if value is None:
        yield path
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _nulls_in(inner, [*path, key])
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _nulls_in(inner, [*path, index])


@dataclass(frozen=True, slots=True)
class _Reason:
    """An error, and the fetch it came from, if it came from one."""

    error: Mapping[str, Any]
    path: Path
    report: FetchReport | None


class _Nulls:
    def __init__(
        self,
        executable: ExecutablePlan,
        errors: Sequence[Mapping[str, Any]],
        reports: Sequence[FetchReport],
        originals: Mapping[int, Sequence[Any]],
        answers: Mapping[int, Mapping[str, Any] | None],
    ) -> None:
        self._executable = executable
        self._answers = answers
        self._schema = executable.supergraph.api_schema
        self._operation = executable.operation
        self._originals = originals
        aliases = executable.plan.key_aliases
        self._reports = {report.fetch.id: report for report in reports}
        self._called = {report.fetch.id: set(_brought(report.fetch, aliases)) for report in reports}
        self._brought = {
            fetch_id: {keys for _, keys in called} for fetch_id, called in self._called.items()
        }
        of_fetch = {id(error): report for report in reports for error in report.errors}
        self._reasons = [
            _Reason(error, list(error.get("path", ())), of_fetch.get(id(error)))
            for error in errors
            if error.get("path") or id(error) in of_fetch
        ]

    def explain(self, path: Path) -> dict[str, Any] | None:
        """What is known of a null there; None if it is a subgraph's own answer."""
        return self._told(path, path) or self._unanswered(path)

    def _told(self, path: Path, began: Path) -> dict[str, Any] | None:
        """What errors say of a null that began at a place; None if they say nothing."""
        reason = self._at_or_below(began) or self._of_its_fetch(began)
        if reason is None:
            return None
        extensions = reason.error.get("extensions", {})
        report = reason.report or self._bringing(reason.path)
        fetch = report.fetch if report is not None else None
        return {
            "path": path,
            "reason": {
                "path": reason.path,
                "fetch": fetch.id if fetch is not None else None,
                "subgraph": fetch.subgraph if fetch else extensions.get("serviceName"),
                "code": extensions.get("code"),
                "message": reason.error.get("message"),
                "original": self._original(fetch, reason.error),
            },
            "bubbledThrough": self._passed(path, reason.path),
        }

    def _unanswered(self, path: Path) -> dict[str, Any] | None:
        """What is known of a null that no error accounts for."""
        if not self._reports:
            return None
        keys, data = _keys(path), next(iter(self._reports.values())).data
        if any(name.partition(".")[2] in INTROSPECTION_FIELDS for _, name, _ in self._types(keys)):
            return None
        sources = [
            (step, call)
            for step in self._executable.steps
            for call in step.calls or (None,)
            if (call and call.builder.entities.alias, keys) in self._called.get(step.fetch.id, ())
        ]
        found = why_unanswered(self._executable, data, self._answers, sources, path)
        if found is None:
            return None
        if found.path != path and (before := self._told(path, found.path)) is not None:
            return before
        return {
            "path": path,
            "reason": {
                "path": found.path,
                "fetch": found.fetch.id if found.fetch else None,
                "subgraph": found.fetch.subgraph if found.fetch else None,
                "code": found.code,
                "message": found.message,
                "original": [],
            },
            "bubbledThrough": [],
        }

    def _original(self, fetch: Fetch | None, error: Mapping[str, Any]) -> list[Any]:
        """What the subgraph said, as it said it, or the exceptions that stood for an answer."""
        said = self._originals.get(fetch.id, ()) if fetch is not None else ()
        message = error.get("message")
        return [one for one in said if isinstance(one, str) or one.get("message") == message][:5]

    def _at_or_below(self, path: Path) -> _Reason | None:
        for one in self._reasons:
            if one.path[: len(path)] == path:
                return replace(one, path=self._beginning(path, one))
        return None

    def _beginning(self, path: Path, reason: _Reason) -> Path:
        """Where the null began: the error of a whole fetch stands above what that brings."""
        if reason.report is None:
            return reason.path
        brought = self._brought[reason.report.fetch.id]
        if _keys(reason.path) in brought:
            return reason.path
        return self._deepest(path, reason.path, brought) or reason.path

    def _of_its_fetch(self, path: Path) -> _Reason | None:
        """Why the fetch that should have brought this, or what may not be null in it, did not."""
        for fetch_id, brought in self._brought.items():
            began = path if _keys(path) in brought else self._deepest(path, path, brought)
            failed = self._failure(fetch_id, path) if began is not None else None
            if began is not None and failed is not None:
                return replace(failed, path=began)
        return None

    def _failure(self, fetch_id: int, path: Path) -> _Reason | None:
        report = self._reports[fetch_id]
        reasons = [one for one in self._reasons if one.report is report]
        for one in reasons:
            if path[: len(one.path)] == one.path:
                return one
        if report.sent:
            # Of several places that a fetch brings nothing to, its error names the first.
            return reasons[0] if reasons and not self._answers.get(fetch_id) else None
        # It had nothing to ask about, since one before it failed.
        before = (self._failure(each, path) for each in report.fetch.depends_on)
        return next((one for one in before if one is not None), None)

    def _deepest(self, path: Path, above: Path, brought: Collection[Keys]) -> Path | None:
        """A place below ``above`` that a fetch brings and whose null goes up to ``path``."""
        known = _keys(above)
        for keys in sorted(brought, key=len):
            if keys[: len(known)] == known and len(keys) > len(known):
                types = [type_ for depth, _, type_ in self._types(keys) if depth > len(_keys(path))]
                if all(map(_has_non_null, types)):
                    return [*above, *keys[len(known) :]]
        return None

    def _bringing(self, path: Path) -> FetchReport | None:
        brings = (each for each, brought in self._brought.items() if _keys(path) in brought)
        found = next(brings, None)
        return self._reports[found] if found is not None else None

    def _passed(self, path: Path, began: Path) -> list[str]:
        """The fields from where a null began up to where it is, the deepest first."""
        most = len(_keys(path))
        return [name for depth, name, _ in self._types(_keys(began)) if depth > most][::-1]

    def _types(self, keys: Keys) -> Iterator[tuple[int, str, GraphQLOutputType]]:
        """Each field on the way: its depth, from 1, its coordinate and its type."""
        parent: GraphQLNamedType = self._schema.type_map[self._operation.root_type]
        selections = self._operation.selections
        for depth, key in enumerate(keys, start=1):
            found = next(_fields(self._schema, parent, selections, key), None)
            if found is None:
                return
            parent, field = found
            assert is_composite_type(parent)
            definition = self._schema.get_field(parent, field.name)
            assert definition is not None
            yield depth, f"{parent.name}.{field.name}", definition.type
            parent, selections = get_named_type(definition.type), field.selections


def _keys(path: Sequence[str | int]) -> Keys:
    return tuple(step for step in path if isinstance(step, str))


def _has_non_null(type_: GraphQLOutputType) -> bool:
    """Whether a null here, or in the list here, goes further up."""
    if isinstance(type_, GraphQLNonNull):
        return True
    inner = get_nullable_type(type_)
    return is_list_type(inner) and _has_non_null(inner.of_type)


def _fields(
    schema: GraphQLSchema,
    parent: GraphQLNamedType,
    selections: Sequence[Selection],
    key: str,
) -> Iterator[tuple[GraphQLNamedType, Field]]:
    for one in selections:
        if isinstance(one, Field):
            if one.key == key:
                yield parent, one
        else:
            yield from _fields(schema, schema.type_map[one.on], one.selections, key)


def _brought(fetch: Fetch, aliases: Mapping[str, str]) -> Iterator[tuple[str | None, Keys]]:
    """The places in the response, without list steps, at which a fetch brings something.

    Each with the response key of the `_entities` call that does, if one does.
    """
    (operation,) = parse(fetch.document, no_location=True).definitions
    assert isinstance(operation, OperationDefinitionNode)
    places: dict[str, list[Keys]] = {
        one.alias: [keys_of(path) for path in one.paths] for one in fetch.entities
    }
    for keys in _selected(operation.selection_set):
        starts = places.get(keys[0]) if places else [keys_of(path) for path in fetch.at or ((),)]
        rest = keys[1:] if places else keys
        for start in starts or ():
            if rest:
                brought = tuple(aliases.get(key, key) for key in (*start, *rest))
                yield (keys[0] if places else None), brought


def _selected(selection_set: SelectionSetNode, above: Keys = ()) -> Iterator[Keys]:
    for node in selection_set.selections:
        if isinstance(node, FieldNode):
            keys = (*above, node.alias.value if node.alias else node.name.value)
            yield keys
            if node.selection_set is not None:
                yield from _selected(node.selection_set, keys)
        elif isinstance(node, InlineFragmentNode):
            yield from _selected(node.selection_set, above)
