"""What has come of a file that is being fetched, as objects in staging: it outlives the process that fetches."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from medlaunch.aws.objects import ObjectChanged, ObjectWriter, delete_prefix, list_objects, open_object

if TYPE_CHECKING:
    from types import TracebackType

    from mypy_boto3_s3 import S3Client

#: User metadata of an object that was fetched: the SHA-256 of its content, in hex.
SHA256 = "medlaunch-sha256"
_PART = 16 * 1024**2
_CHUNK = 1024**2


class StagedParts:
    """Parts of one file below a prefix of its own, ``<prefix>/<version>/<number>``.

    As a context manager: what has come is stored when the block ends, also if it ends by an exception.
    """

    def __init__(self, client: S3Client, bucket: str, prefix: str):
        self._client, self._bucket, self._prefix = client, bucket, prefix.rstrip("/") + "/"
        self._buffer = bytearray()
        self._version: str | None = None
        self._keys: list[str] = []
        self._stored = 0
        for stored in list_objects(client, bucket, self._prefix):
            version = unquote(stored.key.removeprefix(self._prefix).rpartition("/")[0])
            if self._keys and version != self._version:  # two versions: a process ended while it forgot one
                self.restart(None)
                break
            self._version = version or None
            self._keys.append(stored.key)
            self._stored += stored.size

    @property
    def version(self) -> str | None:
        return self._version

    @property
    def size(self) -> int:
        return self._stored + len(self._buffer)

    def restart(self, version: str | None) -> None:
        """Forget all, and keep what comes of this version. Without a version nothing outlives the process."""
        self._buffer.clear()
        if self._keys or self._stored:
            delete_prefix(self._client, self._bucket, self._prefix)
        self._keys, self._stored, self._version = [], 0, version

    def append(self, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) >= _PART:
            self._store(bytes(memoryview(self._buffer)[:_PART]))
            del self._buffer[:_PART]

    def _store(self, data: bytes) -> None:
        key = f"{self._prefix}{quote(self._version or '', safe='')}/{len(self._keys):06d}"
        self._client.put_object(Bucket=self._bucket, Key=key, Body=data)
        self._keys.append(key)
        self._stored += len(data)

    def read(self) -> Iterator[bytes]:
        for key in self._keys:
            with open_object(self._client, self._bucket, key) as part:
                while chunk := part.read(_CHUNK):
                    yield chunk
        if self._buffer:
            yield bytes(self._buffer)

    def assemble(self, key: str, sha256: str) -> None:
        """Make what has come an object, all at once; it carries its SHA-256. The parts stay until they are forgotten.

        Raises:
            ObjectChanged: if it has another SHA-256, because another process wrote parts; no object appears.
        """
        digest = hashlib.sha256()
        with ObjectWriter(
            self._client, self._bucket, key, "application/octet-stream", metadata={SHA256: sha256}
        ) as target:
            for chunk in self.read():
                digest.update(chunk)
                target.write(chunk)
            if digest.hexdigest() != sha256:
                raise ObjectChanged(f"The parts below {self._prefix} changed while {key} was made of them")

    def __enter__(self) -> StagedParts:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._buffer and self._version is not None:
            self._store(bytes(self._buffer))
            self._buffer.clear()
