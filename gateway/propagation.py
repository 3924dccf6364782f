"""Which of a client's headers reach which subgraph, by rule."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

__all__ = ["Insert", "Propagate", "Propagation", "Remove"]

# They belong to one connection or describe one body; passing them on would be wrong.
_NEVER = frozenset(
    {
        "accept",
        "accept-encoding",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "host",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
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


Rule = Propagate | Insert | Remove


class Propagation:
    """Rules for all subgraphs, then those of one subgraph, applied in order."""

    def __init__(
        self, rules: tuple[Rule, ...], by_subgraph: Mapping[str, tuple[Rule, ...]] | None = None
    ) -> None:
        self._rules = rules
        self._by_subgraph = by_subgraph or {}

    @classmethod
    def named(cls, *names: str) -> Propagation:
        """Pass on exactly these headers."""
        return cls(tuple(Propagate(re.escape(name)) for name in names))

    def to_subgraph(self, headers: Mapping[str, str], subgraph: str) -> dict[str, str]:
        """The headers for one subgraph; the client's names must be in lower case."""
        sent: dict[str, str] = {}
        for rule in (*self._rules, *self._by_subgraph.get(subgraph, ())):
            if isinstance(rule, Insert):
                sent[rule.name.lower()] = rule.value
            elif isinstance(rule, Remove):
                for name in [name for name in sent if re.fullmatch(rule.pattern, name)]:
                    del sent[name]
            else:
                sent.update(_matching(rule, headers))
        return sent

    def audience(self, headers: Mapping[str, str]) -> frozenset[tuple[str, str]]:
        """Everything of a client that any subgraph may see."""
        rules = [*self._rules, *(rule for own in self._by_subgraph.values() for rule in own)]
        return frozenset(
            item
            for rule in rules
            if isinstance(rule, Propagate)
            for item in _matching(rule, headers).items()
        )


def _matching(rule: Propagate, headers: Mapping[str, str]) -> dict[str, str]:
    found = {
        (rule.rename or name): value
        for name, value in headers.items()
        if name not in _NEVER and _is_meant(rule.pattern, name)
    }
    if not found and rule.default is not None:
        return {(rule.rename or rule.pattern).replace("\\", "").lower(): rule.default}
    return {name.lower(): value for name, value in found.items()} if rule.rename else found


@lru_cache(maxsize=4096)
def _is_meant(pattern: str, name: str) -> bool:
    return re.fullmatch(pattern, name) is not None
