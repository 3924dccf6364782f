"""A ZIP that leaves while it is being made."""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
import zipfile
from pathlib import PurePosixPath
from typing import IO, Self

__all__ = ["Archive"]

_HIDDEN = re.compile(r'[\x00-\x1f\x7f<>:"|?*\\]')
_LONGEST_NAME = 200


class Archive:
    """Takes documents and files, and gives the bytes that are ready to be sent.

    It keeps nothing but the list of its entries, which a ZIP repeats at its end:
    an archive that was cut off has no such list, and no program opens it.  Use it
    in a ``with`` block, at whose end what was not taken is thrown away.
    """

    def __init__(self, now: dt.datetime) -> None:
        self._made = _Made()
        self._zip = zipfile.ZipFile(self._made, "w", zipfile.ZIP_DEFLATED)
        self._time = (now.year, now.month, now.day, now.hour, now.minute, now.second)
        self._names: set[str] = set()
        self._handle: IO[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # A ZIP insists on being closed, even one that nobody will read.
        if self._handle is not None:
            self._handle.close()
        self._zip.close()

    def document(self, path: str, text: str) -> bytes:
        """The entry of a text."""
        self._zip.writestr(self._entry(path), text.encode())
        return self._made.take()

    def file(self, path: str, size: int) -> Entry:
        """An entry to be filled."""
        entry = self._entry(path)
        entry.file_size = size
        self._handle = self._zip.open(entry, "w")
        return Entry(self._handle, self._made)

    def close(self) -> bytes:
        """The end; nothing can be added any more."""
        self._zip.close()
        return self._made.take()

    def _entry(self, path: str) -> zipfile.ZipInfo:
        # Also where that gains nothing: who reads a stream finds no end of a stored entry.
        entry = zipfile.ZipInfo(self._name(path), self._time)
        entry.compress_type = zipfile.ZIP_DEFLATED
        entry.external_attr = 0o600 << 16
        return entry

    def _name(self, path: str) -> str:
        """A name that stays below the folder it is unpacked in, and that no entry has yet."""
        parts = [_safe(part) for part in path.split("/")]
        wanted = PurePosixPath(*([part for part in parts if part] or ["unnamed"]))
        name, number = wanted, 1
        while _folded(name) in self._names:
            number += 1
            name = wanted.with_name(f"{wanted.stem} ({number}){wanted.suffix}")
        self._names.add(_folded(name))
        return str(name)


class Entry:
    """A file that is being written into an archive."""

    def __init__(self, handle: IO[bytes], made: _Made) -> None:
        self._handle = handle
        self._made = made
        self.written = 0

    def write(self, chunk: bytes) -> bytes:
        """What is ready of the archive."""
        self.written += len(chunk)
        self._handle.write(chunk)
        return self._made.take()

    def close(self) -> bytes:
        """The end of the entry."""
        self._handle.close()
        return self._made.take()


class _Made:
    """What the ZIP was written to since it was last asked: a file that cannot be seeked."""

    def __init__(self) -> None:
        self._chunks: list[bytes] = []

    def write(self, chunk: bytes) -> int:
        self._chunks.append(bytes(chunk))
        return len(chunk)

    def flush(self) -> None:
        """Everything is here already."""

    def close(self) -> None:
        """What was not taken can still be."""

    def take(self) -> bytes:
        made = b"".join(self._chunks)
        self._chunks.clear()
        return made


def _safe(part: str) -> str:
    shown = _HIDDEN.sub("_", part).strip().rstrip(". ")
    return shown[:_LONGEST_NAME]


def _folded(name: PurePosixPath) -> str:
    # Two names that differ only in case are one file on many computers.
    return unicodedata.normalize("NFC", str(name)).casefold()
