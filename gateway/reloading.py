"""Watches where the supergraph comes from, and puts a new one in place of the old.

A supergraph that cannot be served is refused and reported; the old one stays.
The plans that ran most recently are made on the new one before the swap.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol
from urllib.parse import urljoin, urlsplit

import aiohttp
from prometheus_client import Counter, Gauge

from gateway.federation.supergraph import Supergraph, SupergraphError
from shared.logger import get_logger

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateway.pipeline import Pipeline
    from gateway.runtime import Runtime

__all__ = [
    "FileSource",
    "Reloading",
    "Source",
    "SourceUnavailable",
    "State",
    "UrlSource",
    "is_address",
    "read_now",
    "shown",
    "source_of",
]

logger = get_logger(__name__)

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS = 5

State = Literal["ok", "refused", "unavailable"]
"""What became of the newest supergraph; whatever it is, one is served."""

_RELOADS = Counter(
    "supergraph_reloads_total", "New supergraphs, by what became of them.", ("result",)
)
_STALE = Gauge(
    "supergraph_refused",
    "1 while the newest supergraph is one that was refused.",
    multiprocess_mode="livemax",
)


class SourceUnavailable(Exception):
    """The supergraph cannot be read; the message says why."""


class Source(Protocol):
    """Where a supergraph comes from."""

    async def read(self) -> str | None:
        """The SDL, or None when it is what was read last; raises `SourceUnavailable`."""
        ...


class FileSource:
    """A file; it is read again when its time or size has changed."""

    def __init__(self, path: Path, *, max_bytes: int = 20_000_000) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._seen: tuple[int, int] | None = None

    async def read(self) -> str | None:
        """The SDL, or None when the file has not changed."""
        return await asyncio.to_thread(self._read)

    def _read(self) -> str | None:
        try:
            stat = self._path.stat()
            seen = (stat.st_mtime_ns, stat.st_size)
            if seen == self._seen:
                return None
            if stat.st_size > self._max_bytes:
                raise SourceUnavailable(f"{self._path} has more than {self._max_bytes:,} bytes.")
            text = self._path.read_text(encoding="utf-8")
        except OSError as error:
            message = f"cannot read the supergraph {self._path}: {error.strerror}"
            raise SourceUnavailable(message) from error
        except UnicodeDecodeError as error:
            line = error.object.count(b"\n", 0, error.start) + 1
            message = f"cannot read the supergraph {self._path}: line {line} is not UTF-8 text."
            raise SourceUnavailable(message) from error
        self._seen = seen
        return text


class UrlSource:
    """An address, asked with the ETag of what it gave last."""

    def __init__(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        timeout_seconds: float = 10.0,
        max_bytes: int = 20_000_000,
    ) -> None:
        self._url = url
        self._headers = headers or {}
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        self._max_bytes = max_bytes
        self._etag: str | None = None
        self._seen = b""

    async def read(self) -> str | None:
        """The SDL, or None when it has not changed."""
        try:
            etag, content = await self._ask()
            text = content.decode()
        except (aiohttp.ClientError, TimeoutError, UnicodeDecodeError) as error:
            # Not the whole error: an address may hold a secret.
            raise SourceUnavailable(
                f"cannot read the supergraph at its address: {_why(error)}"
            ) from error
        self._etag = etag
        seen = hashlib.sha256(content).digest()
        if not content or seen == self._seen:
            return None
        self._seen = seen
        return text

    async def _ask(self) -> tuple[str | None, bytes]:
        """The tag and the content there is now; no content when it is what was read last."""
        known = {"if-none-match": self._etag} if self._etag else {}
        url, own = self._url, self._headers
        async with aiohttp.ClientSession(timeout=self._timeout) as session:
            for _ in range(_MOST_REDIRECTS):
                request = session.get(url, headers={**own, **known}, allow_redirects=False)
                async with request as response:
                    location = response.headers.get("location")
                    if response.status not in _REDIRECTS or location is None:
                        return await self._answer(response)
                    url = urljoin(url, location)
                    if urlsplit(url)[:2] != urlsplit(self._url)[:2]:
                        # A registry's key is for the registry, not for where it keeps its files.
                        own = {}
        raise aiohttp.ClientPayloadError("too many redirects")

    async def _answer(self, response: aiohttp.ClientResponse) -> tuple[str | None, bytes]:
        if response.status == 304 and self._etag:
            return self._etag, b""
        response.raise_for_status()
        content = bytearray()
        async for chunk in response.content.iter_chunked(2**16):
            content += chunk
            if len(content) > self._max_bytes:
                raise aiohttp.ClientPayloadError(f"more than {self._max_bytes} bytes")
        if response.status != 200 or not content:
            raise aiohttp.ClientPayloadError(f"HTTP status {response.status}, no supergraph")
        return response.headers.get("etag"), bytes(content)


def _why(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientResponseError):
        return f"HTTP status {error.status}"
    told = isinstance(error, aiohttp.ClientPayloadError)
    return str(error) if told else type(error).__name__


def source_of(location: str) -> Source:
    """The source at a path or an http(s) address."""
    return UrlSource(location) if is_address(location) else FileSource(Path(location))


def is_address(location: str) -> bool:
    """Whether it is the address of a supergraph, and not a path."""
    return location.startswith(("http://", "https://"))


def shown(location: str) -> str:
    """The location without what may be secret in an address: a password, or a parameter."""
    if not is_address(location):
        return location
    parts = urlsplit(location)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def read_now(source: Source) -> str:
    """What a source gives, for who cannot wait for it because nothing runs yet.

    Raises `SourceUnavailable`.
    """
    with ThreadPoolExecutor(1) as thread:
        text: str | None = thread.submit(lambda: asyncio.run(_read(source))).result()
    return _first(text)


async def _read(source: Source) -> str | None:
    return await source.read()


def _first(text: str | None) -> str:
    if text is None:
        raise SourceUnavailable("the supergraph was read before")
    return text


class Reloading:
    """Keeps a pipeline on the newest supergraph of a source that can be served.

    The one before is taken apart when its last request has ended: it must be nobody else's.

    A source that cannot be read is asked more and more rarely, up to every
    ``most_seconds``.
    """

    def __init__(
        self,
        source: Source,
        make_runtime: Callable[[Supergraph], Runtime],
        *,
        interval_seconds: float = 1.0,
        most_seconds: float = 60.0,
        warm_up: int = 200,
    ) -> None:
        self._source = source
        self._make_runtime = make_runtime
        self._interval_seconds = interval_seconds
        self._most_seconds = most_seconds
        self._warm_up = warm_up
        self._failures = 0
        self._refusal: str | None = None
        self._unavailable: str | None = None

    @property
    def state(self) -> State:
        """Whether what is served is the newest there is."""
        if self._unavailable is not None:
            return "unavailable"
        return "ok" if self._refusal is None else "refused"

    async def first(self) -> Runtime:
        """The runtime to start with; raises `SourceUnavailable` or `SupergraphError`."""
        return self._make_runtime(Supergraph.from_sdl(_first(await self._source.read())))

    async def watch(self, pipeline: Pipeline) -> None:
        """Look for a new supergraph again and again; ends only by being cancelled."""
        while True:
            await asyncio.sleep(self.pause())
            try:
                await self.look(pipeline)
            except Exception as error:
                # A bug met by one supergraph must not end the watching.
                logger.exception("supergraph.not_swapped")
                self._refused(error)

    def pause(self) -> float:
        """How many seconds to wait before the next look."""
        if not self._failures:
            return self._interval_seconds
        longest = max(self._interval_seconds, self._most_seconds)
        seconds = min(longest, self._interval_seconds * 2.0 ** min(self._failures, 30))
        return seconds * random.uniform(0.75, 1.0)  # noqa: S311 - jitter

    async def look(self, pipeline: Pipeline) -> bool:
        """Swap the runtime if there is a new supergraph; returns whether it did."""
        try:
            text = await self._source.read()
        except SourceUnavailable as error:
            self._failures += 1
            self._unread(str(error))
            return False
        self._failures, self._unavailable = 0, None
        if text is None:
            return False
        try:
            supergraph = await asyncio.to_thread(Supergraph.from_sdl, text)
            return await self._swap(pipeline, supergraph)
        except SupergraphError as error:
            self._refused(error)
            return False

    async def _swap(self, pipeline: Pipeline, supergraph: Supergraph) -> bool:
        previous = pipeline.runtime
        if supergraph.hash == previous.supergraph.hash:
            self._settled()
            return False
        runtime = self._make_runtime(supergraph)
        try:
            made = await runtime.warm_up(previous, most=self._warm_up)
        except BaseException:
            await runtime.close()
            raise
        pipeline.swap(runtime, with_supergraph=True)
        self._settled()
        _RELOADS.labels("swapped").inc()
        logger.info("supergraph.swapped", hash=supergraph.hash[:12], plans=made)
        return True

    def _unread(self, reason: str) -> None:
        """Report it, once for as long as it lasts."""
        if reason != self._unavailable:
            self._unavailable = reason
            _RELOADS.labels("unavailable").inc()
            logger.error("supergraph.unavailable", reason=reason)

    def _refused(self, error: Exception) -> None:
        self._refusal = str(error)
        _STALE.set(1)
        _RELOADS.labels("refused").inc()
        logger.error("supergraph.refused", reason=self._refusal)

    def _settled(self) -> None:
        self._refusal = None
        _STALE.set(0)
