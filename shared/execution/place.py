"""Where the values of a column stand in the response.

Breadth-first execution completes a column of values at once: the same field of
many parents, the items of many lists.  A place knows, for the k-th value of
its column, the response path; it is worked out only for errors, and for the
resolvers that ask.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate
from typing import TYPE_CHECKING

from graphql.pyutils import Path

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.execution.plan import Field, Output

__all__ = ["FieldPlace", "ItemPlace", "Order", "Place", "RootPlace", "SomePlace"]

# The positions of a path in the document: what errors are sorted by.
Order = tuple[int, ...]
Position = tuple["Place", int]


class Place:
    """The positions of a column of values."""

    __slots__ = ()
    # How values at this place are completed; None where the place is that of its parent.
    output: Output | None = None
    # The field whose values these are, or are parts of.
    field: Field

    def up(self, k: int) -> Position | None:
        """The position that holds the k-th one; None at the root."""
        raise NotImplementedError

    def path(self, k: int) -> Path | None:
        """The response path of the k-th position; None at the root."""
        raise NotImplementedError

    def order(self, k: int) -> Order:
        """The k-th position in document order."""
        raise NotImplementedError


class RootPlace(Place):
    """The one position of the response's data."""

    __slots__ = ()

    def up(self, k: int) -> Position | None:
        return None

    def path(self, k: int) -> Path | None:
        return None

    def order(self, k: int) -> Order:
        return ()


class FieldPlace(Place):
    """A field's values, one for each parent (or each of ``parents``)."""

    __slots__ = ("field", "output", "parent", "parents")

    def __init__(self, parent: Place, parents: Sequence[int] | None, field: Field) -> None:
        self.parent = parent
        self.parents = parents
        self.field = field
        self.output: Output = field.output

    def up(self, k: int) -> Position | None:
        return self.parent, k if self.parents is None else self.parents[k]

    def path(self, k: int) -> Path | None:
        above = self.parent.path(k if self.parents is None else self.parents[k])
        return Path(above, self.field.key, self.field.parent_type.name)

    def order(self, k: int) -> Order:
        above = self.parent.order(k if self.parents is None else self.parents[k])
        return (*above, self.field.order)


class SomePlace(Place):
    """Some positions of another place: the values that are objects of one type."""

    __slots__ = ("parent", "picks")

    def __init__(self, parent: Place, picks: Sequence[int]) -> None:
        self.parent = parent
        self.picks = picks

    def up(self, k: int) -> Position | None:
        return self.parent, self.picks[k]

    def path(self, k: int) -> Path | None:
        return self.parent.path(self.picks[k])

    def order(self, k: int) -> Order:
        return self.parent.order(self.picks[k])


class ItemPlace(Place):
    """The items of many lists, one list after the other."""

    __slots__ = ("ends", "field", "lists", "output", "parent", "picks")

    def __init__(
        self, parent: Place, picks: Sequence[int], lists: Sequence[Sequence[object]], output: Output
    ) -> None:
        self.parent = parent
        self.field = parent.field
        self.picks = picks  # which positions of the parent hold the lists
        self.lists = lists
        self.output: Output = output
        self.ends: list[int] | None = None

    def _owner(self, k: int) -> tuple[int, int]:
        """The position of the list in the parent, and the index in the list."""
        if self.ends is None:
            self.ends = list(accumulate(map(len, self.lists)))
        number = bisect_right(self.ends, k)
        start = self.ends[number - 1] if number else 0
        return self.picks[number], k - start

    def up(self, k: int) -> Position | None:
        return self.parent, self._owner(k)[0]

    def path(self, k: int) -> Path | None:
        owner, index = self._owner(k)
        return Path(self.parent.path(owner), index, None)

    def order(self, k: int) -> Order:
        owner, index = self._owner(k)
        return (*self.parent.order(owner), index)
