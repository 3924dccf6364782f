"""Reading lists of many parents, and rows of many ids, by statements that are made once.

Making a statement costs SQLAlchemy several times what running it does, so these
are built where a repository is imported and get their values when they run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from sqlalchemy import ARRAY, Select, Uuid, any_, bindparam, func, select, true
from sqlalchemy import column as sql_column
from sqlalchemy.orm import aliased

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from sqlalchemy import BindParameter, ColumnElement
    from sqlalchemy.orm import InstrumentedAttribute

    from shared.db import ReadSession

__all__ = ["PerParent", "an_id", "is_any"]

Row = TypeVar("Row")

_NO_PARAMETERS: Mapping[str, Any] = {}


def an_id(name: str) -> BindParameter[Any]:
    """A parameter that takes an id."""
    return bindparam(name, type_=Uuid(as_uuid=False))


def _ids(name: str) -> BindParameter[Any]:
    """A parameter that takes a list of ids."""
    return bindparam(name, type_=ARRAY(Uuid(as_uuid=False)))


def is_any(column: InstrumentedAttribute[Any], name: str) -> ColumnElement[bool]:
    """Whether the column holds one of the ids in the parameter ``name``."""
    return column == any_(_ids(name))


class PerParent(Generic[Row]):
    """The first rows of every parent in the order of a key, by one statement.

    ``parent`` is the column that holds the parent's id (a UUID); ``where`` may
    name further parameters.  Each parent costs one descent of an index on
    (parent, key), however many rows it has.
    """

    def __init__(
        self,
        model: type[Row],
        *,
        parent: InstrumentedAttribute[Any],
        key: InstrumentedAttribute[Any],
        descending: bool = False,
        where: Iterable[ColumnElement[bool]] = (),
    ) -> None:
        after: BindParameter[Any] = bindparam("after", type_=key.type)
        rows = select(model).where(*where)
        self._parent = parent.key
        self._first = _lateral(model, rows, parent, key, descending=descending)
        self._next = _lateral(
            model,
            rows.where(key < after if descending else key > after),
            parent,
            key,
            descending=descending,
        )

    async def read(
        self,
        session: ReadSession,
        parents: Collection[str],
        *,
        limit: int,
        after: object = None,
        parameters: Mapping[str, Any] = _NO_PARAMETERS,
    ) -> dict[str, list[Row]]:
        """At most ``limit`` rows after the key ``after`` for each parent that has any."""
        if not parents:
            return {}
        values = {**parameters, "parents": list(set(parents)), "limit": limit}
        if after is None:
            found = await session.scalars(self._first, values)
        else:
            found = await session.scalars(self._next, {**values, "after": after})
        groups: dict[str, list[Row]] = {}
        for row in found:
            groups.setdefault(str(getattr(row, self._parent)), []).append(row)
        return groups


def _lateral(
    model: type[Row],
    rows: Select[Row],
    parent: InstrumentedAttribute[Any],
    key: InstrumentedAttribute[Any],
    *,
    descending: bool,
) -> Select[Row]:
    ids = (
        func.unnest(_ids("parents"))
        .table_valued(sql_column("id", Uuid), name="parents")
        .render_derived()
    )
    rows = rows.where(parent == ids.c.id).order_by(key.desc() if descending else key)
    found = aliased(model, rows.limit(bindparam("limit")).lateral("found"))
    order = getattr(found, key.key)
    statement = select(found).select_from(ids).join(found, true())
    return statement.order_by(order.desc() if descending else order)
