"""Costs: numbers where nothing is open, formulas where they wait for a request's variables.

What is known is computed when a formula is made, so one that depends on no
variable is a number.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = [
    "MOST",
    "Cost",
    "Formula",
    "Given",
    "Input",
    "Number",
    "Size",
    "add",
    "evaluate",
    "largest",
    "length",
    "times",
]

Number = int | float

MOST = 2**53 - 1
"""What is more than this counts as this: JSON clients read larger numbers wrongly."""


class Formula(Protocol):
    """A cost that depends on variables."""

    def at(self, variables: Mapping[str, Any]) -> Number:
        """The cost under these coerced variables."""
        ...


Cost = Number | Formula


@dataclass(frozen=True, slots=True)
class _Sum:
    known: Number
    terms: tuple[Formula, ...]

    def at(self, variables: Mapping[str, Any]) -> Number:
        total = self.known
        for term in self.terms:
            total += term.at(variables)
        return min(total, MOST)


@dataclass(frozen=True, slots=True)
class _Product:
    known: Number
    factors: tuple[Formula, ...]

    def at(self, variables: Mapping[str, Any]) -> Number:
        result = self.known
        for factor in self.factors:
            result = min(result * factor.at(variables), MOST)
        return result


@dataclass(frozen=True, slots=True)
class _Largest:
    known: Number
    options: tuple[Formula, ...]

    def at(self, variables: Mapping[str, Any]) -> Number:
        return max(self.known, *(option.at(variables) for option in self.options))


@dataclass(frozen=True, slots=True)
class Given:
    """A slicing argument whose value comes with the request.

    ``path`` leads from the variable's value to the number, or to a list whose
    length counts.  ``otherwise`` holds for a variable that was not sent.
    """

    variable: str
    path: tuple[str, ...] = ()
    otherwise: int | None = None

    def value(self, variables: Mapping[str, Any]) -> int | None:
        """The length that is asked for; None if the caller leaves it open."""
        if self.variable not in variables:
            return self.otherwise
        return length(variables[self.variable], self.path)


@dataclass(frozen=True, slots=True)
class Size:
    """How long a list may get by its field's slicing arguments: the longest they allow.

    ``otherwise`` holds when no argument says anything.
    """

    arguments: tuple[int | Given, ...]
    otherwise: int

    def at(self, variables: Mapping[str, Any]) -> Number:
        """The length."""
        found: int | None = None
        for value in self.values(variables):
            if value is not None and (found is None or value > found):
                found = value
        return self.otherwise if found is None else found

    def values(self, variables: Mapping[str, Any]) -> Sequence[int | None]:
        """What each argument says."""
        return [one if isinstance(one, int) else one.value(variables) for one in self.arguments]


@dataclass(frozen=True, slots=True)
class Input:
    """What an argument's value costs, if that takes a look at the value."""

    value: Callable[[Mapping[str, Any]], Any]
    cost: Callable[[Any], Number]

    def at(self, variables: Mapping[str, Any]) -> Number:
        """The cost."""
        return self.cost(self.value(variables))


def evaluate(cost: Cost, variables: Mapping[str, Any]) -> Number:
    """What a cost comes to under coerced variables."""
    return cost if isinstance(cost, int | float) else cost.at(variables)


def length(value: object, path: Sequence[str]) -> int | None:
    """The length that a value asks for: its number, or how many it lists."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    if isinstance(value, list):
        return len(value)
    return max(0, value) if type(value) is int else None


def add(*costs: Cost) -> Cost:
    """The sum."""
    known, terms = _split(costs)
    total: Number = min(sum(known), MOST)
    if not terms:
        return total
    return terms[0] if len(terms) == 1 and not total else _Sum(total, terms)


def times(*costs: Cost) -> Cost:
    """The product."""
    known, factors = _split(costs)
    result: Number = 1
    for one in known:
        result = min(result * one, MOST)
    if not result or not factors:
        return result
    return factors[0] if len(factors) == 1 and result == 1 else _Product(result, factors)


def largest(*costs: Cost) -> Cost:
    """The largest, and at least zero."""
    known, options = _split(costs)
    most: Number = max(0, *known) if known else 0
    return _Largest(most, options) if options else most


def _split(costs: Sequence[Cost]) -> tuple[list[Number], tuple[Formula, ...]]:
    known = [one for one in costs if isinstance(one, int | float)]
    return known, tuple(one for one in costs if not isinstance(one, int | float))
