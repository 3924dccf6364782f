"""Passwords: argon2id, computed off the event loop by at most two threads."""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from prometheus_client import Histogram

from shared.errors import BadUserInput, Unavailable

__all__ = ["Passwords", "check_password"]

T = TypeVar("T")

_LEAST, _MOST = 10, 200
_WAITING = 100

HASHING = Histogram(
    "password_hash_seconds",
    "Duration of a password's hash or check, with the wait for a thread.",
    buckets=(0.025, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
)


def check_password(value: str, *, field: str = "password") -> str:
    """The password as it is hashed; raises `BadUserInput`."""
    if not _LEAST <= len(value) <= _MOST or not _is_text(value):
        raise BadUserInput(f"A password has {_LEAST} to {_MOST} characters.", field=field)
    return _normal(value)


def _normal(value: str) -> str:
    # One password typed on two keyboards is one password: NIST SP 800-63B, 3.1.1.2.
    return unicodedata.normalize("NFKC", value)


def _is_text(value: str) -> bool:
    """Whether the value can be encoded; a lone half of a surrogate pair cannot."""
    return not any("\ud800" <= each <= "\udfff" for each in value)


class Passwords:
    """Hashes and checks passwords with argon2id's RFC 9106 low-memory parameters.

    Both raise `Unavailable` when too many are waiting for a thread.
    """

    def __init__(self) -> None:
        self._hasher = PasswordHasher()
        self._threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="argon2")
        self._waiting = 0
        # What a login with an unknown address is checked against, so that it takes as long.
        self._decoy = self._hasher.hash("nobody has this password")

    async def hash(self, password: str) -> str:
        """The hash to store of a password that `check_password` let through."""
        return await self._run(self._hasher.hash, password)

    async def matches(self, password: str, stored: str | None) -> bool:
        """Whether the password is right; takes its time also where there is none to compare."""
        acceptable = len(password) <= _MOST and _is_text(password)
        given = _normal(password) if acceptable else ""
        right = await self._run(self._verify, stored or self._decoy, given)
        return right and stored is not None

    def close(self) -> None:
        """Stop the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _verify(self, stored: str, password: str) -> bool:
        try:
            return self._hasher.verify(stored, password)
        except (VerificationError, InvalidHashError):
            return False

    async def _run(self, function: Callable[..., T], *args: str) -> T:
        if self._waiting >= _WAITING:
            raise Unavailable
        self._waiting += 1
        try:
            with HASHING.time():
                loop = asyncio.get_running_loop()
                return await loop.run_in_executor(self._threads, function, *args)
        finally:
            self._waiting -= 1
