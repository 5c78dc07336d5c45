"""S3 objects as streams, listings and server-side copies, in constant memory.

Each function takes the boto3 client, so that the same code serves an Airflow task (client of the
connection) and a command line (client of the environment).
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import tenacity
from botocore.config import Config
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    HTTPClientError,
    IncompleteReadError,
    ReadTimeoutError,
    ResponseStreamingError,
)

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef, CopySourceTypeDef, HeadObjectOutputTypeDef

# Retries cover throttling and dropped connections before a body arrives ("standard" backs off with
# jitter); the pool lets server-side copies wait for their replies side by side.
POOL = 32
CLIENT_OPTIONS: dict[str, Any] = {
    "retries": {"mode": "standard", "max_attempts": 5},
    "max_pool_connections": POOL,
    "read_timeout": 60,
    "connect_timeout": 10,
}
CLIENT_CONFIG = Config(**CLIENT_OPTIONS)

_COPY_LIMIT = 5 * 1024**3  # larger objects need a multipart copy (S3 API reference, CopyObject)
# The API allows 10,000 parts: 80 GB, at twice this much memory.
_PART = 8 * 1024**2
_BUFFER = 1024**2
_REOPENED_BODIES = 4
_UNDECIDED = ("ConditionalRequestConflict", "409")
_CHANGED = ("PreconditionFailed", "412", "NoSuchKey", "NoSuchVersion", "404")
_BROKEN_BODY = (
    ConnectionClosedError,
    HTTPClientError,
    IncompleteReadError,
    ReadTimeoutError,
    ResponseStreamingError,
    ConnectionError,
    TimeoutError,
)

T = TypeVar("T")
R = TypeVar("R")


class ObjectChanged(Exception):
    """The object is no longer the version that was asked for (overwritten or deleted)."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object of a listing; ``etag`` without quotes, ``size`` in bytes."""

    key: str
    size: int
    etag: str
    last_modified: datetime


@dataclass(frozen=True, slots=True)
class StoredVersion:
    """One version of an object; ``size`` in bytes."""

    version_id: str
    size: int
    last_modified: datetime


def s3_client() -> S3Client:
    """An S3 client of the environment (outside Airflow)."""
    import boto3

    return boto3.client("s3", config=CLIENT_CONFIG)


def split_s3_url(url: str) -> tuple[str, str]:
    """``s3://bucket/key`` as (bucket, key).

    Raises:
        ValueError: if it is no such URL.
    """
    bucket, _, key = url.removeprefix("s3://").partition("/")
    if not url.startswith("s3://") or not bucket:
        raise ValueError(f"{url!r} is not of the form s3://bucket/key")
    return bucket, key


def list_objects(client: S3Client, bucket: str, prefix: str, start_after: str = "") -> Iterator[StoredObject]:
    """All objects below a prefix, through every page of the listing, in S3's key order.

    With ``start_after`` the listing begins behind that key; what comes before it costs nothing.
    """
    pages = client.get_paginator("list_objects_v2")
    for page in pages.paginate(Bucket=bucket, Prefix=prefix, StartAfter=start_after):
        for item in page.get("Contents", ()):
            yield StoredObject(item["Key"], item["Size"], item["ETag"].strip('"'), item["LastModified"])


class _Body(io.RawIOBase):
    """The body of one version of an object; a connection that breaks is taken up where it broke."""

    def __init__(
        self, client: S3Client, bucket: str, key: str, etag: str | None, start: int, end: int | None
    ):
        self._client, self._bucket, self._key = client, bucket, key
        self.etag = etag
        self._offset, self._end = start, end
        self._reopened = 0
        self.version_id: str | None = None
        self.metadata: dict[str, str] = {}
        self._open()

    def _open(self) -> None:
        request: dict[str, Any] = {"Bucket": self._bucket, "Key": self._key}
        if self.etag:
            request["IfMatch"] = f'"{self.etag}"'
        if self._offset or self._end is not None:
            request["Range"] = f"bytes={self._offset}-{'' if self._end is None else self._end - 1}"
        try:
            response = self._client.get_object(**request)
        except ClientError as error:
            if error_code(error) in _CHANGED:
                raise ObjectChanged(
                    f"s3://{self._bucket}/{self._key} is no longer the version that was claimed"
                ) from error
            raise
        self.etag = response["ETag"].strip('"')
        version = response.get("VersionId")
        self.version_id = None if version in (None, "null") else version
        self.metadata = response.get("Metadata", {})
        self._stream = response["Body"]

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while True:
            try:
                chunk = self._stream.read(len(buffer))
            except _BROKEN_BODY:
                self._reopened += 1
                if self._reopened > _REOPENED_BODIES:
                    raise
                self._stream.close()
                self._open()
                continue
            buffer[: len(chunk)] = chunk
            self._offset += len(chunk)
            return len(chunk)

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
        super().close()


class ObjectReader(io.BufferedReader):
    """A buffered stream over one version of an object; ``etag`` without quotes, ``version_id`` None without versioning."""

    def __init__(self, body: _Body):
        super().__init__(body, _BUFFER)
        self.etag = body.etag
        self.version_id = body.version_id
        self.metadata = body.metadata


def open_object(
    client: S3Client, bucket: str, key: str, etag: str | None = None, start: int = 0, end: int | None = None
) -> ObjectReader:
    """Read an object as a stream, or its bytes from ``start`` up to ``end``, at least one; with ``etag`` exactly that
    version's content.

    Raises:
        ObjectChanged: if the object is gone or has another ETag than asked for.
    """
    return ObjectReader(_Body(client, bucket, key, etag, start, end))


class ObjectWriter(io.RawIOBase):
    """Write an object as a stream in constant memory (multipart beyond 8 MiB).

    The object appears when the ``with`` block ends; if it ends by an exception, nothing appears. ``metadata`` is its
    user metadata, in ASCII.
    """

    def __init__(
        self,
        client: S3Client,
        bucket: str,
        key: str,
        content_type: str = "application/x-ndjson",
        metadata: Mapping[str, str] | None = None,
    ):
        self._client, self._bucket, self._key = client, bucket, key
        self._content_type, self._metadata = content_type, dict(metadata or {})
        self._buffer = bytearray()
        self._upload: str | None = None
        self._parts: list[CompletedPartTypeDef] = []
        self.size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._buffer += data
        self.size += len(data)
        while len(self._buffer) >= _PART:
            self._send(bytes(memoryview(self._buffer)[:_PART]))
            del self._buffer[:_PART]
        return len(data)

    def _send(self, data: bytes) -> None:
        if self._upload is None:
            started = self._client.create_multipart_upload(
                Bucket=self._bucket,
                Key=self._key,
                ContentType=self._content_type,
                Metadata=self._metadata,
            )
            self._upload = started["UploadId"]
        number = len(self._parts) + 1
        part = self._client.upload_part(
            Bucket=self._bucket, Key=self._key, UploadId=self._upload, PartNumber=number, Body=data
        )
        self._parts.append({"ETag": part["ETag"], "PartNumber": number})

    def commit(self) -> None:
        """Make the object appear; nothing can be written afterwards."""
        if self._upload is None:
            self._client.put_object(
                Bucket=self._bucket,
                Key=self._key,
                Body=bytes(self._buffer),
                ContentType=self._content_type,
                Metadata=self._metadata,
            )
        else:
            if self._buffer:
                self._send(bytes(self._buffer))
            self._client.complete_multipart_upload(
                Bucket=self._bucket,
                Key=self._key,
                UploadId=self._upload,
                MultipartUpload={"Parts": self._parts},
            )
        self._buffer.clear()
        super().close()

    def abort(self) -> None:
        """Leave nothing behind."""
        if self._upload is not None:
            self._client.abort_multipart_upload(Bucket=self._bucket, Key=self._key, UploadId=self._upload)
        self._buffer.clear()
        super().close()

    def __exit__(self, kind: Any, value: Any, trace: Any) -> None:
        if kind is None:
            self.commit()
        else:
            self.abort()


@dataclass(frozen=True, slots=True)
class Copy:
    """A server-side copy of one version (``etag``, ``version_id``) of an object of ``size`` bytes."""

    source: str
    target: str
    size: int
    etag: str | None = None
    version_id: str | None = None


_KEPT_HEADERS = ("ContentType", "ContentEncoding", "ContentDisposition", "ContentLanguage", "CacheControl")


def copy_object(
    client: S3Client,
    bucket: str,
    copy: Copy,
    *,
    metadata: Mapping[str, str] | None = None,
    headers: Mapping[str, Any] | None = None,
    only_if_absent: bool = False,
) -> str | None:
    """Copy inside the bucket without moving the bytes.

    With ``metadata`` the copy gets these instead of the source's, and of ``headers`` (an answer of
    :func:`head_object`) what describes the content. With ``only_if_absent`` nothing is replaced.

    Returns the SHA-256 of the copy in base64 as S3 computed it; None above 5 GB, where S3 knows no
    checksum of the whole.

    Raises:
        ObjectChanged: if the source is gone or is another version than asked for, or if something is
            in the target's place and nothing may be replaced.
    """
    source: CopySourceTypeDef = {"Bucket": bucket, "Key": copy.source}
    if copy.version_id:
        source["VersionId"] = copy.version_id
    condition: dict[str, Any] = {"CopySourceIfMatch": f'"{copy.etag}"'} if copy.etag else {}
    if metadata is not None:
        kept = {name: (headers or {})[name] for name in _KEPT_HEADERS if name in (headers or {})}
        condition |= {"Metadata": dict(metadata), "MetadataDirective": "REPLACE", **kept}
    try:
        if copy.size >= _COPY_LIMIT:
            # Only the caller's look at the target protects it here: a copy in parts knows no such condition.
            client.copy(source, bucket, copy.target, ExtraArgs=condition)
            return None
        if only_if_absent:
            condition["IfNoneMatch"] = "*"
        response = client.copy_object(
            Bucket=bucket,
            Key=copy.target,
            CopySource=source,
            ChecksumAlgorithm="SHA256",
            **condition,
        )
    except ClientError as error:
        if error_code(error) in (*_CHANGED, *_UNDECIDED):
            raise ObjectChanged(f"s3://{bucket}/{copy.source} changed before it was copied") from error
        raise
    return response["CopyObjectResult"].get("ChecksumSHA256")


def in_parallel(work: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """Call ``work`` for each item on a pool of threads; results in the items' order.

    The first exception is raised after the calls under way have ended; the rest are not started.
    """
    with ThreadPoolExecutor(POOL) as pool:
        futures = [pool.submit(work, item) for item in items]
        try:
            return [future.result() for future in futures]
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def copy_objects(client: S3Client, bucket: str, copies: Iterable[Copy]) -> list[str | None]:
    """Copy many objects side by side; returns their checksums in the order of ``copies``."""
    return in_parallel(lambda copy: copy_object(client, bucket, copy), copies)


def delete_prefix(client: S3Client, bucket: str, prefix: str) -> int:
    """Delete all objects below a prefix; returns how many there were.

    Raises:
        ValueError: for a prefix that does not end with ``/``, which could name more than was meant.
    """
    if not prefix.endswith("/") or prefix == "/":
        raise ValueError(f"Refusing to delete {prefix!r}: a prefix to delete ends with '/'")
    keys = [stored.key for stored in list_objects(client, bucket, prefix)]
    for start in range(0, len(keys), 1000):
        batch = [{"Key": key} for key in keys[start : start + 1000]]
        answer = client.delete_objects(Bucket=bucket, Delete={"Objects": batch, "Quiet": True})  # type: ignore[typeddict-item]
        if errors := answer.get("Errors"):
            raise RuntimeError(
                f"Could not delete s3://{bucket}/{errors[0].get('Key')}: {errors[0].get('Message')}"
            )
    return len(keys)


def current_version(client: S3Client, bucket: str, key: str, etag: str) -> str | None:
    """The version id of the object while it still has this ETag; None in a bucket without versioning.

    Raises:
        ObjectChanged: if the object is gone or has another ETag.
    """
    try:
        version = client.head_object(Bucket=bucket, Key=key, IfMatch=f'"{etag}"').get("VersionId")
    except ClientError as error:
        if error_code(error) in _CHANGED:
            raise ObjectChanged(f"s3://{bucket}/{key} is no longer the version that was claimed") from error
        raise
    return None if version in (None, "null") else version


def delete_version(client: S3Client, bucket: str, key: str, etag: str, version_id: str | None) -> bool:
    """Delete exactly one version of an object; False if another version has taken its place.

    With versioning the version is removed by its id, so that a newer one is never touched. Without it
    S3's conditional delete (``If-Match``) does the same for the current object.
    """
    try:
        if version_id is not None:
            client.delete_object(Bucket=bucket, Key=key, VersionId=version_id)
            return True
        client.delete_object(Bucket=bucket, Key=key, IfMatch=f'"{etag}"')
    except ClientError as error:
        if error_code(error) in _CHANGED:
            return False
        raise
    return True


def head_object(client: S3Client, bucket: str, key: str) -> HeadObjectOutputTypeDef | None:
    """What S3 says of an object, its metadata among it; None where there is none."""
    try:
        return client.head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if error_code(error) in ("NoSuchKey", "404"):
            return None
        raise


def older_versions(client: S3Client, bucket: str, prefix: str) -> dict[tuple[str, str], list[StoredVersion]]:
    """What is under each version of the objects below a prefix, oldest first, by (key, version id).

    Removing a version by its id would bring the one under it back. Versions under a delete marker are left
    out: nothing brings them back. In a bucket without versioning there are none.
    """
    found: dict[tuple[str, str], list[StoredVersion]] = {}
    versions: dict[str, list[StoredVersion]] = {}
    marked: dict[str, datetime] = {}
    for page in client.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix):
        for marker in page.get("DeleteMarkers", ()):
            marked[marker["Key"]] = max(
                marked.get(marker["Key"], marker["LastModified"]), marker["LastModified"]
            )
        for item in page.get("Versions", ()):
            one = StoredVersion(item["VersionId"], item["Size"], item["LastModified"])
            versions.setdefault(item["Key"], []).append(one)  # newest first
    for key, stored in versions.items():
        for place, one in enumerate(stored):
            under = [
                older
                for older in stored[place + 1 :]
                if key not in marked or older.last_modified > marked[key]
            ]
            if under:
                found[(key, one.version_id)] = under[::-1]
    return found


def get_bytes(client: S3Client, bucket: str, key: str) -> bytes | None:
    """A small object's content, or None where there is none."""
    try:
        with open_object(client, bucket, key) as source:
            return source.read()
    except ObjectChanged:
        return None


def exists(client: S3Client, bucket: str, key: str) -> bool:
    """Whether there is an object of that name now."""
    try:
        client.head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if error_code(error) in ("NoSuchKey", "404"):
            return False
        raise
    return True


def error_code(error: ClientError) -> str:
    return error.response.get("Error", {}).get("Code", "")


def put_json(client: S3Client, bucket: str, key: str, value: Any) -> None:
    """Write a value as one JSON document."""
    client.put_object(Bucket=bucket, Key=key, Body=msgspec.json.encode(value), ContentType="application/json")


def replace_json(client: S3Client, bucket: str, key: str, value: Any, etag: str | None) -> None:
    """Write a JSON document in the place of the version with that ETag, or where there was none (None).

    Raises:
        ObjectChanged: if another version is there; nothing is written.
    """
    body = msgspec.json.encode(value)
    condition: Any = {"IfNoneMatch": "*"} if etag is None else {"IfMatch": etag}
    # 409: another client writes at this moment, and which write wins is not known yet
    # (https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html)
    undecided = tenacity.Retrying(
        retry=tenacity.retry_if_exception(
            lambda error: isinstance(error, ClientError) and error_code(error) in _UNDECIDED
        ),
        stop=tenacity.stop_after_attempt(6),
        wait=tenacity.wait_random_exponential(multiplier=0.1, max=3),
        reraise=True,
    )
    try:
        undecided(
            client.put_object,
            Bucket=bucket,
            Key=key,
            Body=body,
            ContentType="application/json",
            **condition,
        )
    except ClientError as error:
        if error_code(error) in _CHANGED:
            raise ObjectChanged(f"s3://{bucket}/{key} was written by another client") from error
        raise


def get_json(client: S3Client, bucket: str, key: str, kind: type[T]) -> T:
    """Read what :func:`put_json` wrote.

    Raises:
        FileNotFoundError: naming the object that is missing.
    """
    content = get_bytes(client, bucket, key)
    if content is None:
        raise FileNotFoundError(f"s3://{bucket}/{key} does not exist; was the task that writes it cleared?")
    return msgspec.json.decode(content, type=kind)
