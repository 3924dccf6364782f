"""JSON whose integers may be of any size, as those of a custom scalar are.

orjson reads what needs more than 64 bits as a float, and refuses to write it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import orjson

__all__ = ["NotJSON", "dumps", "loads"]

_decode = msgspec.json.Decoder().decode
_LEAST, _MOST = -(2**63), 2**64 - 1


class NotJSON(ValueError):
    """The text is not JSON in UTF-8; the message says why."""


def loads(text: str | bytes) -> Any:
    """The value of a text; raises `NotJSON`."""
    try:
        return _decode(text)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise NotJSON(str(error)) from error
    except RecursionError as error:
        raise NotJSON("It is nested too deeply.") from error


def dumps(value: object, *, default: Callable[[Any], Any] | None = None) -> bytes:
    """The value as JSON; ``default`` is asked about types that JSON does not have."""
    try:
        return orjson.dumps(value, default=default)
    except TypeError:
        if default is None:
            return orjson.dumps(_spelled(value))
        return orjson.dumps(_spelled(value), default=lambda one: _spelled(default(one)))


def _spelled(value: Any) -> Any:
    """The value with its large integers written already."""
    if type(value) is int:
        return value if _LEAST <= value <= _MOST else orjson.Fragment(str(value))
    if isinstance(value, dict):
        return {key: _spelled(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_spelled(one) for one in value]
    return value
