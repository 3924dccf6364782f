"""Watches where the supergraph comes from, and puts a new one in place of the old.

A supergraph that cannot be served is refused and reported; the old one stays.
The plans that ran most recently are made on the new one before the swap.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import aiohttp
from prometheus_client import Counter, Gauge

from gateway.federation.supergraph import Supergraph, SupergraphError
from shared.logger import get_logger

if TYPE_CHECKING:
    from gateway.pipeline import Pipeline
    from gateway.runtime import Runtime

__all__ = ["FileSource", "Reloading", "Source", "SourceUnavailable", "UrlSource", "source_of"]

logger = get_logger(__name__)

_RELOADS = Counter(
    "supergraph_reloads_total", "New supergraphs, by what became of them.", ("result",)
)
_STALE = Gauge("supergraph_refused", "1 while the newest supergraph is one that was refused.")


class SourceUnavailable(Exception):
    """The supergraph cannot be read; the message says why."""


class Source(Protocol):
    """Where a supergraph comes from."""

    async def read(self) -> str | None:
        """The SDL, or None when it is what was read last; raises `SourceUnavailable`."""
        ...


class FileSource:
    """A file; it is read again when its time or size has changed."""

    def __init__(self, path: Path) -> None:
        self._path = path
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
            text = self._path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SourceUnavailable(f"cannot read the supergraph {self._path}: {error}") from error
        self._seen = seen
        return text


class UrlSource:
    """An address, asked with the ETag of what it gave last."""

    def __init__(self, url: str, *, timeout_seconds: float = 10.0) -> None:
        self._url = url
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        self._etag: str | None = None
        self._text: str | None = None

    async def read(self) -> str | None:
        """The SDL, or None when it has not changed."""
        headers = {"if-none-match": self._etag} if self._etag else {}
        try:
            async with (
                aiohttp.ClientSession(timeout=self._timeout) as session,
                session.get(self._url, headers=headers) as response,
            ):
                if response.status == 304:
                    return None
                response.raise_for_status()
                text = await response.text()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise SourceUnavailable(
                f"cannot read the supergraph {self._url}: {type(error).__name__}"
            ) from error
        self._etag = response.headers.get("etag")
        if text == self._text:
            return None
        self._text = text
        return text


def source_of(location: str) -> Source:
    """The source at a path or an http(s) address."""
    if location.startswith(("http://", "https://")):
        return UrlSource(location)
    return FileSource(Path(location))


class Reloading:
    """Keeps a pipeline on the newest supergraph of a source that can be served."""

    def __init__(
        self,
        source: Source,
        make_runtime: Callable[[Supergraph], Runtime],
        *,
        interval_seconds: float = 1.0,
        warm_up: int = 200,
    ) -> None:
        self._source = source
        self._make_runtime = make_runtime
        self._interval_seconds = interval_seconds
        self._warm_up = warm_up

    async def first(self) -> Runtime:
        """The runtime to start with; raises `SourceUnavailable` or `SupergraphError`."""
        text = await self._source.read()
        if text is None:
            raise SourceUnavailable("the supergraph was read before")
        return self._make_runtime(Supergraph.from_sdl(text))

    async def watch(self, pipeline: Pipeline) -> None:
        """Look for a new supergraph again and again; ends only by being cancelled."""
        while True:
            await asyncio.sleep(self._interval_seconds)
            try:
                await self.look(pipeline)
            except Exception:
                # A bug met by one supergraph must not end the watching.
                logger.exception("supergraph.not_swapped")

    async def look(self, pipeline: Pipeline) -> bool:
        """Swap the runtime if there is a new supergraph; returns whether it did."""
        try:
            text = await self._source.read()
            if text is None:
                return False
            supergraph = await asyncio.to_thread(Supergraph.from_sdl, text)
        except (SourceUnavailable, SupergraphError) as error:
            self._refused(error)
            return False
        previous = pipeline.runtime
        if supergraph.hash == previous.supergraph.hash:
            return False
        runtime = self._make_runtime(supergraph)
        made = await runtime.warm_up(previous, most=self._warm_up)
        pipeline.swap(runtime)
        _STALE.set(0)
        _RELOADS.labels("swapped").inc()
        logger.info("supergraph.swapped", hash=supergraph.hash[:12], plans=made)
        return True

    def _refused(self, error: Exception) -> None:
        _STALE.set(1)
        _RELOADS.labels("refused").inc()
        logger.error("supergraph.refused", reason=str(error))
