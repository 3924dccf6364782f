"""Documents that clients name instead of sending them.

Trusted documents are known beforehand, from a manifest; with them the gateway
can refuse every other text.  Automatic persisted queries are kept when a client
first sends the text with its hash.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import orjson
from prometheus_client import Counter

from gateway.cache import LruCache
from shared.config import ConfigurationError
from shared.errors import NexusError
from shared.logger import get_logger

if TYPE_CHECKING:
    from shared.protocols.service import GraphQLRequest

__all__ = ["DocumentStore", "Documents", "MemoryStore", "read_manifests"]

logger = get_logger(__name__)

Mode = Literal["off", "log", "enforce"]

_UNTRUSTED = Counter(
    "graphql_untrusted_documents_total", "Texts that the manifest lacks.", ("mode",)
)

_SHA256 = re.compile("[0-9a-f]{64}")


class _Refused(NexusError):
    status = 400


class PersistedQueryNotFound(_Refused):
    """Clients send the text with the hash when they read this."""

    code = "PERSISTED_QUERY_NOT_FOUND"
    message = "PersistedQueryNotFound"


class PersistedQueryNotSupported(_Refused):
    """Clients send only texts from when they read this."""

    code = "PERSISTED_QUERY_NOT_SUPPORTED"
    message = "PersistedQueryNotSupported"


class PersistedQueryMismatch(_Refused):
    """The hash is not the text's."""

    code = "PERSISTED_QUERY_HASH_MISMATCH"
    message = "The hash is not the SHA-256 of the query."


class UnknownDocument(_Refused):
    """The manifest has no such id."""

    code = "PERSISTED_QUERY_NOT_IN_LIST"
    message = "No document has this id."


class UntrustedDocument(_Refused):
    """The manifest has no such text."""

    code = "QUERY_NOT_IN_SAFELIST"
    message = "Only documents that were registered beforehand are answered."


class IdAndBody(_Refused):
    """A trusted id and a text contradict each other."""

    code = "CANNOT_SEND_PQ_ID_AND_BODY"
    message = "Send either the document's id or its text."


class DocumentStore(Protocol):
    """Where automatic persisted queries are kept."""

    async def get(self, digest: str) -> str | None:
        """The text with this SHA-256."""
        ...

    async def put(self, digest: str, text: str) -> None:
        """Keep a text."""
        ...


class MemoryStore:
    """Keeps texts in this process, bounded."""

    def __init__(self, *, entries: int = 2_000, characters: int = 10_000_000) -> None:
        self._texts: LruCache[str, str] = LruCache(entries=entries, weight=characters)

    async def get(self, digest: str) -> str | None:
        """The text with this SHA-256."""
        return self._texts.get(digest)

    async def put(self, digest: str, text: str) -> None:
        """Keep a text."""
        self._texts.put(digest, text, weight=len(text))


@dataclass(frozen=True, slots=True)
class Documents:
    """Finds the text of a request.

    ``trusted`` maps ids to texts.  ``mode`` says what becomes of a text that is
    not among them: ``off`` serves it, ``log`` serves and logs it, ``enforce`` refuses it.
    ``automatic`` keeps what clients register; None turns that off.
    """

    trusted: Mapping[str, str] = field(default_factory=dict)
    mode: Mode = "off"
    automatic: DocumentStore | None = field(default_factory=MemoryStore)
    _by_digest: Mapping[str, str] = field(init=False)

    def __post_init__(self) -> None:
        by_digest = {_digest(text): text for text in self.trusted.values()}
        object.__setattr__(self, "_by_digest", by_digest)

    async def text_of(self, request: GraphQLRequest) -> str:
        """The text; raises a `NexusError` that says why there is none."""
        if request.document_id is not None:
            return self._named(request.document_id, request.query)
        named = _persisted_hash(request.extensions)
        if named is None:
            text = request.query
        else:
            trusted = self.trusted.get(named) or self._by_digest.get(named.lower())
            if trusted is not None:
                if request.query and request.query != trusted:
                    raise PersistedQueryMismatch
                return trusted
            text = await self._registered(named.lower(), request.query)
        self._check(text)
        return text

    def _named(self, document_id: str, text: str) -> str:
        trusted = self.trusted.get(document_id)
        if trusted is None:
            raise UnknownDocument
        if text:
            raise IdAndBody
        return trusted

    async def _registered(self, digest: str, text: str) -> str:
        if self.automatic is None:
            raise PersistedQueryNotSupported
        if not text:
            known = _SHA256.fullmatch(digest)
            found = await self.automatic.get(digest) if known else None
            if found is None:
                raise PersistedQueryNotFound
            return found
        if _digest(text) != digest:
            raise PersistedQueryMismatch
        self._check(text)
        await self.automatic.put(digest, text)
        return text

    def _check(self, text: str) -> None:
        if self.mode == "off" or _digest(text) in self._by_digest:
            return
        _UNTRUSTED.labels(self.mode).inc()
        if self.mode == "enforce":
            raise UntrustedDocument
        logger.warning("graphql.untrusted_document", digest=_digest(text))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _persisted_hash(extensions: Mapping[str, Any]) -> str | None:
    persisted = extensions.get("persistedQuery")
    found = persisted.get("sha256Hash") if isinstance(persisted, dict) else None
    return found if isinstance(found, str) else None


def read_manifests(paths: Iterable[Path]) -> dict[str, str]:
    """Ids and texts of manifests: Apollo's, or Relay's and others' plain ``{id: text}``.

    Raises `ConfigurationError` for a file that is neither, or cannot be read.
    """
    found: dict[str, str] = {}
    for path in paths:
        try:
            found.update(_manifest(orjson.loads(path.read_bytes())))
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise ConfigurationError(
                f"cannot read the trusted documents {path}: {type(error).__name__}: {error}"
            ) from error
    return found


def _manifest(content: object) -> dict[str, str]:
    if not isinstance(content, dict):
        raise TypeError("not a manifest of documents")
    operations = content.get("operations")
    if isinstance(operations, list):
        content = {each["id"]: each["body"] for each in operations}
    if not all(isinstance(text, str) for text in content.values()):
        raise TypeError("not a manifest of documents")
    return content
