"""Large answers made small for clients that accept it: zstd, or else gzip.

Only whole answers of operations that ran are compressed, never a stream and never
a refusal.  That such an answer may hold both a secret and what the request said
(BREACH) helps no other site: it cannot make a browser ask, see `refuse_forgery`.
"""

from __future__ import annotations

import asyncio
import sys
import zlib
from collections.abc import Callable
from functools import lru_cache
from typing import Literal

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

__all__ = ["Coding", "accepted_coding", "compress"]

Coding = Literal["zstd", "gzip"]

_LONGEST_HEADER = 1024
# Longer bodies would hold up the loop; both compressors let go of the interpreter.
_OFF_THE_LOOP = 100_000
# At JSON zstd's fastest level beats gzip's best, in a tenth of its time.
_COMPRESSORS: dict[Coding, Callable[[bytes], bytes]] = {
    "zstd": lambda body: zstd.compress(body, 1),
    "gzip": lambda body: zlib.compress(body, 4, zlib.MAX_WBITS + 16),
}


@lru_cache(maxsize=256)
def accepted_coding(accept_encoding: str) -> Coding | None:
    """What a client with this ``Accept-Encoding`` header likes best of what there is."""
    liked: dict[str, float] = {}
    for item in accept_encoding[:_LONGEST_HEADER].lower().split(","):
        name, *parameters = (part.strip() for part in item.split(";"))
        liked[name] = _quality(parameters)
    others = liked.get("*", 0.0)
    best = max(_COMPRESSORS, key=lambda coding: liked.get(coding, others))
    return best if liked.get(best, others) > 0 else None


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0


async def compress(body: bytes, coding: Coding) -> bytes:
    """The body in this coding."""
    compressor = _COMPRESSORS[coding]
    if len(body) > _OFF_THE_LOOP:
        return await asyncio.to_thread(compressor, body)
    return compressor(body)
