"""Which values the compiled code may take as they are.

Compiled rows know ordinary values only.  Exceptions, awaitables, callables and
the like are `Odd`: the general path then completes the same values again, one
by one, as graphql-core does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import GeneratorType, NoneType
from typing import Any, Final

from graphql import Undefined

__all__ = ["MAX_INLINE_ITEMS", "Odd", "admission", "is_mapping_class", "is_ordinary", "listed"]

# Longer lists are completed by the general path, which lets the event loop run between.
MAX_INLINE_ITEMS: Final = 1000


_NO_VALUES: Final = frozenset({NoneType, type(Undefined), GeneratorType})
_TELLING: Final = ("__await__", "__aiter__", "__call__", "__getattr__")


class Odd(Exception):
    """A value is not what its type promises."""


def is_ordinary(cls: type) -> bool:
    """Whether instances of a class are values, and nothing to await, raise or call."""
    return not (
        cls in _NO_VALUES
        or issubclass(cls, Exception)
        or any(name in vars(base) for base in cls.__mro__ for name in _TELLING)
    )


def is_mapping_class(cls: type) -> bool:
    """Whether instances of a class are read by key rather than by attribute."""
    return issubclass(cls, Mapping)


def admission(classes: set[type], *, mappings: bool) -> Callable[[Any], bool]:
    """A check that adds the class of an ordinary value to ``classes``, or raises `Odd`."""

    def admit(value: Any) -> bool:
        cls = type(value)
        if not is_ordinary(cls) or (not mappings and is_mapping_class(cls)):
            raise Odd
        classes.add(cls)
        return True

    return admit


def listed(value: Any) -> list[Any] | tuple[Any, ...]:
    """``value``, if it is a list that can be walked twice; raises `Odd` otherwise."""
    if (type(value) is list or type(value) is tuple) and len(value) <= MAX_INLINE_ITEMS:
        items: list[Any] | tuple[Any, ...] = value
        return items
    raise Odd
