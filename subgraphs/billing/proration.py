"""Periods of a month, and what is left of one."""

from __future__ import annotations

import calendar
import datetime as dt

__all__ = ["a_month_after", "unused"]


def a_month_after(start: dt.datetime) -> dt.datetime:
    """The same time a month later; the last day of a month where there is no such day."""
    year, month = (start.year + 1, 1) if start.month == 12 else (start.year, start.month + 1)
    day = min(start.day, calendar.monthrange(year, month)[1])
    return start.replace(year=year, month=month, day=day)


def unused(price: int, *, start: dt.datetime, end: dt.datetime, now: dt.datetime) -> int:
    """The part of the price of the period from start to end that lies after now.

    Counted in whole seconds and rounded half to even.
    """
    period = (end - start) // dt.timedelta(seconds=1)
    left = min(max((end - now) // dt.timedelta(seconds=1), 0), period)
    whole, rest = divmod(price * left, period)
    return whole + (2 * rest > period or (2 * rest == period and whole % 2 == 1))
