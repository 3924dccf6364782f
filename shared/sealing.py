"""Personal data as it lies on disk: encrypted, and found again by a keyed hash."""

from __future__ import annotations

import hashlib
import hmac
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

__all__ = ["Sealer"]

_VERSION = b"\x01"
_NONCE_BYTES = 12


class Sealer:
    """Seals texts of one purpose (`users.email`) with AES-256-GCM.

    Two seals of one text differ, so a sealed column cannot be searched;
    `index` gives a blind index to keep, and to make unique, beside it.  Keys
    are derived from the deployment's secret and the purpose: what is sealed for
    one column does not open as another.
    """

    def __init__(self, secret: str, *, purpose: str) -> None:
        self._purpose = purpose.encode()
        self._cipher = AESGCM(_derive(secret, b"seal:" + self._purpose))
        self._index_key = _derive(secret, b"index:" + self._purpose)

    def seal(self, text: str) -> bytes:
        """The text, encrypted."""
        nonce = os.urandom(_NONCE_BYTES)
        return _VERSION + nonce + self._cipher.encrypt(nonce, text.encode(), self._purpose)

    def open(self, sealed: bytes) -> str:
        """The text that was sealed; raises ValueError for what was not sealed here."""
        nonce, encrypted = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        if sealed[:1] != _VERSION:
            raise ValueError("sealed in a way that is not known here")
        try:
            return self._cipher.decrypt(nonce, encrypted, self._purpose).decode()
        except InvalidTag as error:
            raise ValueError("sealed with another secret, or damaged") from error

    def index(self, text: str) -> bytes:
        """The same 32 bytes for the same text, and nothing that leads back to it."""
        return hmac.digest(self._index_key, text.encode(), "sha256")


def _derive(secret: str, label: bytes) -> bytes:
    return hmac.digest(hashlib.sha256(secret.encode()).digest(), label, "sha256")
