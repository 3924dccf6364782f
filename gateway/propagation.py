"""Which of a client's headers reach which subgraph, and which of theirs the client, by rule."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from gateway.context import RequestContext, remembered

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = [
    "NEVER",
    "Insert",
    "Propagate",
    "Propagation",
    "Remove",
    "Return",
    "ReturnPropagation",
    "ReturnedHeaders",
    "Tell",
]

# They belong to one connection or describe one body; passing them on would be wrong.
NEVER = frozenset(
    {
        "accept",
        "accept-encoding",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "expect",
        "host",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "sec-websocket-extensions",
        "sec-websocket-key",
        "sec-websocket-protocol",
        "sec-websocket-version",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)


@dataclass(frozen=True, slots=True)
class Propagate:
    """Pass on the headers whose whole name matches ``pattern``, perhaps under another name.

    ``default`` is sent when a rule for one name finds nothing.
    """

    pattern: str
    rename: str | None = None
    default: str | None = None


@dataclass(frozen=True, slots=True)
class Insert:
    """Send a header with a fixed value."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Remove:
    """Take away what earlier rules let through."""

    pattern: str


@dataclass(frozen=True, slots=True)
class Tell:
    """Send a claim of the caller's verified token, and never what the client says under ``name``.

    A text is sent as it is if a header can hold it, anything else as JSON.
    """

    claim: str
    name: str


Rule = Propagate | Insert | Remove | Tell
_NO_CLAIMS: Mapping[str, Any] = {}


class Propagation:
    """Rules for all subgraphs, then those of one subgraph, applied in order."""

    def __init__(
        self, rules: tuple[Rule, ...], by_subgraph: Mapping[str, tuple[Rule, ...]] | None = None
    ) -> None:
        own = by_subgraph or {}
        self._rules = _with_told_names(rules)
        self._by_subgraph = {
            name: _with_told_names((*rules, *those)) for name, those in own.items()
        }
        # Which rule let a value through matters: several may send theirs under one name.
        numbered = enumerate((*rules, *(rule for those in own.values() for rule in those)))
        self._telling = [(n, rule) for n, rule in numbered if isinstance(rule, Propagate | Tell)]

    @classmethod
    def named(cls, *names: str) -> Propagation:
        """Pass on exactly these headers."""
        return cls(tuple(Propagate(re.escape(name)) for name in names))

    def to_subgraph(
        self, headers: Mapping[str, str], subgraph: str, claims: Mapping[str, Any] = _NO_CLAIMS
    ) -> dict[str, str]:
        """The headers for one subgraph; the client's names must be in lower case."""
        sent: dict[str, str] = {}
        rules, told = self._by_subgraph.get(subgraph, self._rules)
        for rule in rules:
            if isinstance(rule, Insert):
                sent[rule.name.lower()] = rule.value
            elif isinstance(rule, Remove):
                for name in [name for name in sent if re.fullmatch(rule.pattern, name)]:
                    del sent[name]
            elif isinstance(rule, Tell):
                sent.pop(rule.name.lower(), None)
                sent.update(_told(rule, claims))
            else:
                found = _matching(rule, headers).items()
                sent.update({name: value for name, value in found if name not in told})
        return sent

    @property
    def names(self) -> frozenset[str] | None:
        """The headers of clients that subgraphs may see; None if that depends on the client."""
        rules = [rule for _, rule in self._telling if isinstance(rule, Propagate)]
        names = [_only_name(rule.pattern) for rule in rules]
        return None if None in names else frozenset(name for name in names if name is not None)

    def audience(
        self, headers: Mapping[str, str], claims: Mapping[str, Any] = _NO_CLAIMS
    ) -> frozenset[tuple[int, str, str]]:
        """Everything of a client that any subgraph may see."""
        return frozenset(
            (number, name, value)
            for number, rule in self._telling
            for name, value in (
                _told(rule, claims) if isinstance(rule, Tell) else _matching(rule, headers)
            ).items()
        )


def _told(rule: Tell, claims: Mapping[str, Any]) -> dict[str, str]:
    value = claims.get(rule.claim)
    if value is None:
        return {}
    if not (isinstance(value, str) and value.isascii() and value.isprintable()):
        value = json.dumps(value, separators=(",", ":"))
    return {rule.name.lower(): value}


def _matching(rule: Propagate, headers: Mapping[str, str]) -> dict[str, str]:
    only = _only_name(rule.pattern)
    if only is None:
        names = [name for name in headers if _is_meant(rule.pattern, name)]
    else:
        names = [only] if only in headers else []
    if rule.rename:
        found = {rule.rename.lower(): headers[name] for name in names if name not in NEVER}
    else:
        found = {name: headers[name] for name in names if name not in NEVER}
    if not found and rule.default is not None:
        return {(rule.rename or rule.pattern).replace("\\", "").lower(): rule.default}
    return found


@lru_cache(maxsize=4096)
def _is_meant(pattern: str, name: str) -> bool:
    return re.fullmatch(pattern, name) is not None


@lru_cache(maxsize=4096)
def _only_name(pattern: str) -> str | None:
    """The one name that a pattern stands for, if it is made of a name."""
    name = pattern.replace("\\", "")
    return name if re.escape(name) == pattern else None


def _with_told_names(rules: tuple[Rule, ...]) -> tuple[tuple[Rule, ...], frozenset[str]]:
    """The rules, and the names under which they tell claims: those a client may not say."""
    return rules, frozenset(rule.name.lower() for rule in rules if isinstance(rule, Tell))


Keep = Literal["first", "last", "append"]
_MOST_RETURNED = 100


@dataclass(frozen=True, slots=True)
class Return:
    """Pass a header of subgraphs on to the client; ``keep`` says which, if several sent it."""

    name: str
    keep: Keep


class ReturnPropagation:
    """Rules about the headers of subgraphs' answers: all subgraphs', then those of one.

    Headers that belong to one connection or body are never passed on.
    """

    def __init__(
        self, rules: tuple[Return, ...], by_subgraph: Mapping[str, tuple[Return, ...]]
    ) -> None:
        self._rules = rules
        self._by_subgraph = by_subgraph

    def __bool__(self) -> bool:
        return bool(self._rules or any(self._by_subgraph.values()))

    def take(
        self, context: RequestContext, subgraph: str, headers: Sequence[tuple[str, str]]
    ) -> None:
        """Keep what the rules name of one answer, whose headers have names in lower case."""
        for rule in (*self._rules, *self._by_subgraph.get(subgraph, ())):
            name = rule.name.lower()
            found = [value for known, value in headers if known == name and name not in NEVER]
            kept = context.returned_headers.setdefault(name, []) if found else []
            if rule.keep == "append":
                # A socket, and a stream, has answers without end and no headers any more.
                kept.extend(found[: max(0, _MOST_RETURNED - len(kept))])
            elif found and (rule.keep == "last" or not kept):
                kept[:] = found


class ReturnedHeaders:
    """ASGI middleware: adds what `ReturnPropagation` kept for the request."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def adding(message: Message) -> None:
            context = remembered(scope)
            if message["type"] == "http.response.start" and context is not None:
                added = [
                    (name.encode("latin-1"), value.encode("latin-1"))
                    for name, values in context.returned_headers.items()
                    for value in values
                ]
                message = {**message, "headers": [*message["headers"], *added]}
            await send(message)

        await self._app(scope, receive, adding)
