"""The facts that the storage subgraph publishes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from shared.events import Fact

__all__ = ["FileDeleted", "FileUploaded"]


@dataclass(frozen=True, slots=True)
class FileUploaded(Fact):
    """The bytes of a file are there; ``owner_id`` is a user's or an organization's."""

    topic: ClassVar[str] = "storage.file.uploaded"

    file_id: str
    owner_kind: str
    owner_id: str
    size_bytes: int

    def key(self) -> str:
        return self.owner_id


@dataclass(frozen=True, slots=True)
class FileDeleted(Fact):
    """A file is gone, or an upload was given up."""

    topic: ClassVar[str] = "storage.file.deleted"

    file_id: str
    owner_kind: str
    owner_id: str
    size_bytes: int

    def key(self) -> str:
        return self.owner_id
