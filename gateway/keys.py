"""The public keys of an issuer of tokens: a JSON Web Key Set (RFC 7517) in a file or at an address.

Keys that were read once stay until newer ones are read, so an issuer that is down
takes nobody's access away.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import jwt
import orjson
from jwt import PyJWK
from prometheus_client import Counter

from shared.errors import Unavailable
from shared.logger import get_logger

__all__ = ["KeySet", "KeysUnavailable"]

logger = get_logger(__name__)

_LONGEST = 1_000_000
_MOST_KEYS = 200
_PAUSE_WITHOUT = 1.0
"""While there are no keys at all every token is refused, so they are asked for more often."""
_FAILED = Counter("authentication_keys_failed_total", "Attempts to read an issuer's keys in vain.")


class KeysUnavailable(Exception):
    """The keys cannot be read; the message says why."""


class KeySet:
    """The keys at a path or an http(s) address.

    They are read again every ``refresh_seconds``, meanwhile the old ones are used,
    and when a token names a key that is not among them, but never twice within
    ``pause_seconds``: made-up key ids cost an issuer nothing.
    """

    def __init__(
        self,
        location: Path | str,
        *,
        refresh_seconds: float = 600.0,
        pause_seconds: float = 30.0,
        timeout_seconds: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.location = location
        self.generation = 0
        self._refresh_seconds = refresh_seconds
        self._pause_seconds = pause_seconds
        self._timeout_seconds = timeout_seconds
        self._clock = clock
        self._keys: tuple[Mapping[str, Any], ...] = ()
        self._fresh_until = float("-inf")
        self._asked_at = float("-inf")
        self._reading: asyncio.Task[None] | None = None

    async def load(self) -> None:
        """Read the keys; raises `KeysUnavailable`."""
        self._asked_at = self._clock()
        keys = _parse(await self._read())
        self._fresh_until = self._clock() + self._refresh_seconds
        if keys != self._keys:
            self._keys = keys
            self.generation += 1

    async def check(self) -> None:
        """Return if there are keys; raises `Unavailable` after trying to read them."""
        if not self._keys:
            await self._again()
        if not self._keys:
            raise Unavailable("The keys that tokens are signed with cannot be read.")

    async def find(self, key_id: str | None, algorithm: str) -> Sequence[PyJWK]:
        """The keys that may have signed a token; raises `Unavailable` while there are none at all.

        A token that names no key may be signed with any that fits.
        """
        await self.check()
        found = self._matching(key_id, algorithm)
        if not found:
            await self._again()
            found = self._matching(key_id, algorithm)
        self.keep_fresh()
        return found

    def keep_fresh(self) -> None:
        """Begin to read the keys again if it is time; meanwhile the old ones are used."""
        if self._keys and self._clock() >= self._fresh_until:
            self._start()

    async def close(self) -> None:
        """Stop reading."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait({self._reading})

    async def _again(self) -> None:
        """Read the keys once more, unless that was done just now."""
        reading = self._start()
        if reading is not None:
            # One who stops waiting must not take it from the others.
            await asyncio.shield(reading)

    def _start(self) -> asyncio.Task[None] | None:
        """The attempt that is under way, a new one, or None if the last was just now."""
        if self._reading is not None and not self._reading.done():
            return self._reading
        pause = self._pause_seconds if self._keys else min(_PAUSE_WITHOUT, self._pause_seconds)
        if self._clock() - self._asked_at < pause:
            return None
        self._asked_at = self._clock()
        self._reading = asyncio.create_task(self._attempt())
        return self._reading

    async def _attempt(self) -> None:
        try:
            await self.load()
        except KeysUnavailable as error:
            _FAILED.inc()
            kept = len(self._keys)
            logger.warning("authentication.keys_unavailable", reason=str(error), kept=kept)

    def _matching(self, key_id: str | None, algorithm: str) -> list[PyJWK]:
        found = []
        for key in self._keys:
            if key_id is not None and key.get("kid") != key_id:
                continue
            if key.get("use", "sig") != "sig" or key.get("alg", algorithm) != algorithm:
                continue
            # Of another kind than the algorithm: an RSA key is never taken for a secret.
            with suppress(jwt.PyJWTError):
                found.append(PyJWK(dict(key), algorithm))
        return found

    async def _read(self) -> bytes:
        if isinstance(self.location, Path):
            return await asyncio.to_thread(_read_file, self.location)
        try:
            return await self._fetch(self.location)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise KeysUnavailable(f"cannot read {self.location}: {type(error).__name__}") from error

    async def _fetch(self, url: str) -> bytes:
        timeout = aiohttp.ClientTimeout(total=self._timeout_seconds)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(url, allow_redirects=False) as response,
        ):
            if response.status != 200:
                raise KeysUnavailable(f"{url} answered {response.status}")
            body = b""
            async for piece in response.content.iter_any():
                body += piece
                if len(body) > _LONGEST:
                    raise KeysUnavailable(f"{url} answered more than {_LONGEST} bytes")
            return body


def _read_file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_LONGEST)
    except OSError as error:
        raise KeysUnavailable(f"cannot read {path}: {error.strerror}") from error


def _parse(text: bytes) -> tuple[Mapping[str, Any], ...]:
    try:
        content = orjson.loads(text)
    except orjson.JSONDecodeError:
        content = None
    keys = content.get("keys") if isinstance(content, dict) else None
    if not isinstance(keys, list):
        raise KeysUnavailable('not a key set: {"keys": […]} was expected')
    return tuple(key for key in keys[:_MOST_KEYS] if isinstance(key, dict))
