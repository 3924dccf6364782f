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
    "not_negative",
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


Factors = tuple[Formula, ...]


@dataclass(frozen=True, slots=True)
class _Sum:
    """A number and products, each with its coefficient; no two have the same factors."""

    known: Number
    products: tuple[tuple[Factors, Number], ...]

    def at(self, variables: Mapping[str, Any]) -> Number:
        total = self.known
        for factors, result in self.products:
            for factor in factors:
                result = min(result * factor.at(variables), MOST)  # noqa: PLW2901
            total += result
        return min(total, MOST)


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
    """The length that a value asks for: its number, or how many it lists.

    A negative number asks for none in particular: subgraphs may take it for all.
    """
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    if isinstance(value, list):
        return len(value)
    return value if type(value) is int and value >= 0 else None


def add(*costs: Cost) -> Cost:
    """The sum."""
    known: Number = 0
    products: dict[Factors, Number] = {}
    for one in costs:
        if isinstance(one, int | float):
            known = min(known + one, MOST)
            continue
        own, terms = (one.known, one.products) if isinstance(one, _Sum) else (0, (((one,), 1),))
        known = min(known + own, MOST)
        for factors, times_ in terms:
            products[factors] = min(products.get(factors, 0) + times_, MOST)
    return _Sum(known, tuple(products.items())) if products else known


def times(*costs: Cost) -> Cost:
    """The product."""
    known: Number = 1
    factors: list[Formula] = []
    for one in costs:
        if isinstance(one, int | float):
            known = min(known * one, MOST)
        elif isinstance(one, _Sum) and len(one.products) == 1 and not one.known:
            ((inner, coefficient),) = one.products
            known = min(known * coefficient, MOST)
            factors += inner
        else:
            factors.append(one)
    return _Sum(0, ((tuple(factors), known),)) if known and factors else known


def largest(*costs: Cost) -> Cost:
    """The largest of costs that are not negative; zero if there are none."""
    known: Number = max((one for one in costs if isinstance(one, int | float)), default=0)
    options = tuple(dict.fromkeys(one for one in costs if not isinstance(one, int | float)))
    if not options:
        return known
    return options[0] if len(options) == 1 and not known else _Largest(known, options)


def not_negative(cost: Cost) -> Cost:
    """The cost, or zero if that is more."""
    return max(0, cost) if isinstance(cost, int | float) else _Largest(0, (cost,))
