"""The bytes of files: one bucket of an S3 server.

Addresses that clients use are signed here, in a seventh of the time botocore
takes, because a list of files signs one for each.  A test holds them against
botocore's.
"""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import hashlib
import hmac
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

from shared.circuit_breaker import CircuitBreaker
from shared.errors import Unavailable
from shared.logger import get_logger

if TYPE_CHECKING:
    from shared.config import S3Settings

__all__ = ["Objects", "Stored", "Upload"]

logger = get_logger(__name__)

DOWNLOAD_SECONDS = 300
_MOST_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Upload:
    """A request that stores one object with one content, and no other."""

    url: str
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Stored:
    """What the server says of an object; ``sha256`` is hexadecimal."""

    key: str
    size_bytes: int
    modified_at: dt.datetime
    content_type: str | None = None
    sha256: str | None = None


class Objects:
    """The bucket; its connection opens with the first use."""

    def __init__(
        self, settings: S3Settings, clock: Callable[[], dt.datetime], *, least_calls: int = 20
    ) -> None:
        self._settings = settings
        self._outside = _Signer(settings, settings.public_endpoint or settings.endpoint, clock)
        self._inside = _Signer(settings, settings.endpoint, clock)
        self._breaker = CircuitBreaker("s3", refuse=_away, least_calls=least_calls)
        self._stack = AsyncExitStack()
        self._opening = asyncio.Lock()
        self._making = asyncio.Lock()
        self._client: Any = None
        self._is_ready = False

    async def ready(self) -> None:
        """Return when the bucket has answered once; raise `Unavailable` while it has not."""
        if not self._is_ready:
            await self.ping()
            self._is_ready = True

    def upload(
        self, key: str, *, content_type: str, size_bytes: int, sha256: str, seconds: int
    ) -> Upload:
        """How to store exactly this content, encrypted; the server refuses anything else."""
        headers = {
            "content-type": content_type,
            "x-amz-checksum-sha256": base64.b64encode(bytes.fromhex(sha256)).decode(),
            "x-amz-server-side-encryption": "AES256",
        }
        signed = {**headers, "content-length": str(size_bytes)}
        url = self._outside.url("PUT", key, headers=signed, seconds=seconds)
        return Upload(url, headers)

    def download_url(self, key: str, *, name: str) -> str:
        """Where the object can be read for some minutes; a browser saves it as ``name``."""
        disposition = f"attachment; filename*=UTF-8''{quote(name, safe='')}"
        query = {"response-content-disposition": disposition}
        return self._outside.url("GET", key, query=query, seconds=DOWNLOAD_SECONDS)

    def inside_url(self, key: str) -> str:
        """Where our own processes can read the object for an hour."""
        return self._inside.url("GET", key, seconds=3600)

    async def stat(self, key: str) -> Stored | None:
        """What is stored under the key."""
        async with self._connected() as client:
            try:
                found = await client.head_object(
                    Bucket=self._settings.bucket, Key=key, ChecksumMode="ENABLED"
                )
            except ClientError as error:
                if _is_missing(error):
                    return None
                raise
        checksum = found.get("ChecksumSHA256")
        return Stored(
            key=key,
            size_bytes=found["ContentLength"],
            modified_at=found["LastModified"],
            content_type=found.get("ContentType"),
            sha256=base64.b64decode(checksum).hex() if checksum else None,
        )

    async def delete(self, keys: Sequence[str]) -> None:
        """Delete these objects, of which some may be gone already."""
        for start in range(0, len(keys), _MOST_AT_ONCE):
            listed = [{"Key": key} for key in keys[start : start + _MOST_AT_ONCE]]
            async with self._connected() as client:
                answer = await client.delete_objects(
                    Bucket=self._settings.bucket, Delete={"Objects": listed, "Quiet": True}
                )
            if answer.get("Errors"):
                raise Unavailable(f"The object store kept {len(answer['Errors'])} objects.")

    async def under(self, prefix: str) -> AsyncIterator[list[Stored]]:
        """Every object whose key begins so, in pages."""
        position: dict[str, str] = {}
        while True:
            async with self._connected() as client:
                answer = await client.list_objects_v2(
                    Bucket=self._settings.bucket, Prefix=prefix, **position
                )
            yield [
                Stored(each["Key"], each["Size"], each["LastModified"])
                for each in answer.get("Contents", [])
            ]
            if not answer.get("IsTruncated"):
                return
            position = {"ContinuationToken": answer["NextContinuationToken"]}

    async def ping(self) -> None:
        """Return when the bucket answers (it is made if missing); raise `Unavailable` when not."""
        async with self._making, self._connected() as client:
            if not await self._has_bucket(client):
                await self._make_bucket(client)

    async def close(self) -> None:
        """Close the connections."""
        await self._stack.aclose()

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Any]:
        """The client; raises `Unavailable` when the server does not answer as it should."""
        with self._breaker:
            try:
                async with self._opening:
                    if self._client is None:
                        self._client = await self._stack.enter_async_context(self._open())
                yield self._client
            except (BotoCoreError, HTTPClientError, ClientError) as error:
                logger.warning("objects.failed", reason=type(error).__name__)
                raise _away() from error

    async def _has_bucket(self, client: Any) -> bool:
        try:
            await client.head_bucket(Bucket=self._settings.bucket)
        except ClientError as error:
            if _is_missing(error):
                return False
            raise
        return True

    async def _make_bucket(self, client: Any) -> None:
        region = self._settings.region
        # S3 wants every region to be named but its first.
        place = {} if region == "us-east-1" else {"LocationConstraint": region}
        named = {"CreateBucketConfiguration": place} if place else {}
        try:
            await client.create_bucket(Bucket=self._settings.bucket, **named)
        except ClientError:
            # Servers differ in what they say to the second of two processes.
            if not await self._has_bucket(client):
                raise
        logger.info("bucket.created", bucket=self._settings.bucket)

    def _open(self) -> Any:
        settings = self._settings
        return get_session().create_client(
            "s3",
            endpoint_url=settings.endpoint,
            region_name=settings.region,
            aws_access_key_id=settings.access_key.get_secret_value(),
            aws_secret_access_key=settings.secret_key.get_secret_value(),
            config=AioConfig(
                s3={"addressing_style": "path"},
                connect_timeout=2,
                read_timeout=8,
                retries={"total_max_attempts": 2, "mode": "standard"},
                max_pool_connections=20,
            ),
        )


def _away() -> Unavailable:
    return Unavailable("Files are not available at the moment. Try again.")


def _is_missing(error: ClientError) -> bool:
    status: int = error.response["ResponseMetadata"]["HTTPStatusCode"]
    return status == 404


class _Signer:
    """Signs requests in their query (AWS Signature Version 4, "Authenticating Requests: Using
    Query Parameters"), with paths that name the bucket.
    """

    def __init__(
        self, settings: S3Settings, endpoint: str, clock: Callable[[], dt.datetime]
    ) -> None:
        self._settings = settings
        self._clock = clock
        parts = urlsplit(endpoint)
        self._origin = f"{parts.scheme}://{parts.netloc}"
        self._host = parts.netloc
        self._root = f"{parts.path.rstrip('/')}/{settings.bucket}"
        self._key: tuple[str, bytes] = ("", b"")

    def url(
        self,
        method: str,
        key: str,
        *,
        seconds: int,
        headers: Mapping[str, str] = {},
        query: Mapping[str, str] = {},
    ) -> str:
        """An address for one method on one object that works for ``seconds``."""
        now = self._clock().astimezone(dt.UTC).strftime("%Y%m%dT%H%M%SZ")
        scope = f"{now[:8]}/{self._settings.region}/s3/aws4_request"
        signed = {**headers, "host": self._host}
        names = ";".join(sorted(signed))
        asked = _encoded(
            {
                **query,
                "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
                "X-Amz-Credential": f"{self._settings.access_key.get_secret_value()}/{scope}",
                "X-Amz-Date": now,
                "X-Amz-Expires": str(seconds),
                "X-Amz-SignedHeaders": names,
            }
        )
        path = quote(f"{self._root}/{key}")
        lines = "".join(f"{name}:{signed[name]}\n" for name in sorted(signed))
        request = f"{method}\n{path}\n{asked}\n{lines}\n{names}\nUNSIGNED-PAYLOAD"
        digest = hashlib.sha256(request.encode()).hexdigest()
        text = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{digest}"
        signature = hmac.digest(self._key_of(now[:8]), text.encode(), "sha256").hex()
        return f"{self._origin}{path}?{asked}&X-Amz-Signature={signature}"

    def _key_of(self, day: str) -> bytes:
        if self._key[0] != day:
            key = b"AWS4" + self._settings.secret_key.get_secret_value().encode()
            for part in (day, self._settings.region, "s3", "aws4_request"):
                key = hmac.digest(key, part.encode(), "sha256")
            self._key = (day, key)
        return self._key[1]


def _encoded(query: Mapping[str, str]) -> str:
    return "&".join(
        # Of the names, none has a character that needs it.
        f"{name}={quote(query[name], safe='-_.~')}"
        for name in sorted(query)
    )
