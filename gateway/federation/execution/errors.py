"""From a subgraph's errors to the client's: real paths, a code, the subgraph's name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from gateway.federation.execution.positions import Position, ResponsePath
    from gateway.federation.execution.representations import Batch

__all__ = [
    "DOWNSTREAM_ERROR",
    "accounts_for",
    "asked_at",
    "client_error",
    "entity_errors",
    "root_errors",
    "undo_aliases",
]

DOWNSTREAM_ERROR = "DOWNSTREAM_SERVICE_ERROR"

Error = dict[str, Any]


def client_error(
    message: str,
    *,
    code: str,
    subgraph: str | None = None,
    path: ResponsePath | None = None,
    extensions: Mapping[str, Any] | None = None,
) -> Error:
    """Return one error of a response; `path` is left out if it is unknown or empty."""
    error: Error = {"message": message}
    if path:
        error["path"] = path
    error["extensions"] = {**(extensions or {}), "code": code}
    if subgraph is not None:
        error["extensions"]["serviceName"] = subgraph
    return error


def root_errors(
    errors: Iterable[Mapping[str, Any]],
    *,
    subgraph: str,
    aliases: Mapping[str, str],
    positions: Sequence[Position],
    data: dict[str, Any],
) -> Iterator[Error]:
    """Yield a root fetch's errors, each once for every root object it adds to.

    At the root of the response their paths are the client's already.
    """
    places = [path for position in positions for path, _ in position.located(data)]
    for error in errors:
        rest = _path_of(error)
        for place in places if rest else [positions[0].prefix()]:
            yield _translate(error, subgraph, undo_aliases([*place, *rest], aliases))


def entity_errors(
    errors: Iterable[Mapping[str, Any]],
    *,
    subgraph: str,
    aliases: Mapping[str, str],
    calls: Mapping[str, tuple[Sequence[Position], Batch]],
    data: dict[str, Any],
) -> Iterator[Error]:
    """Yield an entity fetch's errors, each once for every place its entity has in the response.

    ``calls`` maps the response key of each `_entities` call to where its
    results go.  What does not say which entity it is about may be about any.
    """
    places: dict[str, list[list[ResponsePath]]] = {}
    for error in errors:
        alias, index, rest = _entity_path(_path_of(error))
        found: list[ResponsePath] = []
        if alias in calls and index is not None:
            if alias not in places:
                places[alias] = _places(*calls[alias], data)
            if index < len(places[alias]):
                found = [[*place, *rest] for place in places[alias][index]]
        if not found:
            found = asked_at([calls[alias]] if alias in calls else calls.values())
        for path in found:
            yield _translate(error, subgraph, undo_aliases(path, aliases))


def asked_at(
    calls: Iterable[tuple[Sequence[Position], Batch]], *, start: int = 0
) -> list[ResponsePath]:
    """Return where `_entities` calls ask for something, as far as that has no index.

    Only the representations from ``start`` on count.
    """
    paths: list[ResponsePath] = []
    for positions, batch in calls:
        for position, indexes in zip(positions, batch.indexes, strict=True):
            path = position.prefix()
            if path not in paths and any(index >= start for index in indexes):
                paths.append(path)
    return paths


def accounts_for(errors: Iterable[Mapping[str, Any]], alias: str, count: int) -> bool:
    """Return whether an error says why there are only so many results under ``alias``."""
    for error in errors:
        told, index, _ = _entity_path(_path_of(error))
        if told in ("", alias) and (index is None or index >= count):
            return True
    return False


def _path_of(error: Mapping[str, Any]) -> ResponsePath:
    path = error.get("path")
    return list(path) if isinstance(path, list | tuple) else []


def _entity_path(path: ResponsePath) -> tuple[str, int | None, ResponsePath]:
    match path:
        case [str(alias), int(index), *rest]:
            return alias, index, rest
        case [str(alias), *_]:
            return alias, None, []
        case _:
            return "", None, []


def _places(
    positions: Sequence[Position], batch: Batch, data: dict[str, Any]
) -> list[list[ResponsePath]]:
    """Return the response paths of each representation's objects."""
    places: list[list[ResponsePath]] = [[] for _ in batch.values]
    for position, indexes, objects in zip(positions, batch.indexes, batch.objects, strict=True):
        index_of = {id(one): index for index, one in zip(indexes, objects, strict=True)}
        for path, one in position.located(data):
            index = index_of.get(id(one))
            if index is not None:
                places[index].append(path)
    return places


def undo_aliases(path: ResponsePath, aliases: Mapping[str, str]) -> ResponsePath:
    """Return the path with the field's name where the plan invented a response key."""
    if not aliases:
        return path
    return [aliases.get(step, step) if isinstance(step, str) else step for step in path]


def _translate(error: Mapping[str, Any], subgraph: str, path: ResponsePath) -> Error:
    message, extensions = error.get("message"), error.get("extensions")
    if not isinstance(extensions, dict):
        extensions = {}
    code = extensions.get("code")
    return client_error(
        message if isinstance(message, str) else "The subgraph reported an error.",
        code=code if isinstance(code, str) else DOWNSTREAM_ERROR,
        subgraph=subgraph,
        path=path,
        extensions=extensions,
    )
