"""The headers of a request, read once for all who look at them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import Scope

__all__ = ["headers_of"]

_KEY = "nexus.headers"


def headers_of(scope: Scope) -> Mapping[str, str]:
    """The headers by their names in lower case; of several with one name, the list they are.

    A proxy in front may have added its own beside the client's (RFC 9110, 5.3).
    """
    known: Mapping[str, str] | None = scope.get(_KEY)
    if known is not None:
        return known
    found: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        if name in found:
            separator = "; " if name == "cookie" else ", "
            value = found[name] + separator + value
        found[name] = value
    scope[_KEY] = found
    return found
