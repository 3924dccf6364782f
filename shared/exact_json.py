"""JSON whose integers may be of any size, as those of a custom scalar are.

orjson reads what needs more than 64 bits as a float, and refuses to write it; it
also refuses to write what nests more than 254 deep, which `loads` reads.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
import orjson

__all__ = ["NotJSON", "dumps", "loads"]

_decode = msgspec.json.Decoder().decode


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
        # Slower, but with all that `loads` can read.
        return msgspec.json.encode(value, enc_hook=partial(_known, default))


def _known(default: Callable[[Any], Any] | None, value: Any) -> Any:
    if isinstance(value, orjson.Fragment):
        return msgspec.Raw(orjson.dumps(value))
    if default is None:
        raise TypeError(f"{type(value).__name__} is nothing that JSON has.")
    return default(value)
