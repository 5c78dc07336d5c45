"""moto's S3 with bodies in files instead of memory."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import moto.s3.models as s3
from moto.core import DEFAULT_ACCOUNT_ID
from moto.s3.exceptions import MissingBucket
from moto.s3.models import FakeKey, S3Backend, s3_backends

from local_aws.objects import Bodies, NoSuchBucket, ObjectInfo


class MotoObjects:
    """The ObjectStore over moto's S3 backend."""

    def __init__(self, bodies: Bodies) -> None:
        self.bodies = bodies

    @property
    def backend(self) -> S3Backend:
        return s3_backends[DEFAULT_ACCOUNT_ID]["aws"]

    @contextlib.contextmanager
    def pinned(self) -> Iterator[None]:
        with self.bodies.pinned():
            yield

    def has_bucket(self, bucket: str) -> bool:
        try:
            self.backend.get_bucket(bucket)
        except MissingBucket:
            return False
        return True

    def _info(self, key: FakeKey) -> ObjectInfo:
        return ObjectInfo(str(key.name), key.size, str(key._value_buffer.path), key.etag)  # type: ignore[attr-defined]

    def list(self, bucket: str, prefix: str) -> list[ObjectInfo]:
        try:
            keys = self.backend.get_bucket(bucket).keys
        except MissingBucket as e:
            raise NoSuchBucket(bucket) from e
        found = []
        for name in sorted(k for k in list(keys.keys()) if k.startswith(prefix)):
            key = keys.get(name)
            if isinstance(key, FakeKey):
                found.append(self._info(key))
        return found

    def get(self, bucket: str, key: str) -> ObjectInfo | None:
        try:
            found = self.backend.get_bucket(bucket).keys.get(key)
        except MissingBucket:
            return None
        return self._info(found) if isinstance(found, FakeKey) else None

    def put_file(self, bucket: str, key: str, path: Path) -> None:
        self.put_bytes(bucket, key, path.read_bytes())
        path.unlink()

    def put_bytes(self, bucket: str, key: str, data: bytes) -> None:
        try:
            self.backend.put_object(bucket, key, data)
        except MissingBucket as e:
            raise NoSuchBucket(bucket) from e

    def delete(self, bucket: str, keys: list[str]) -> None:
        for key in keys:
            self.backend.delete_object(bucket, key)


class _Body:
    """A FakeKey's buffer that is a file."""

    def __init__(self, bodies: Bodies) -> None:
        self.bodies = bodies
        self.path = bodies.new()
        self.path.touch()
        self._position = 0

    def seek(self, position: int, whence: int = 0) -> int:
        self._position = position if whence == 0 else self.path.stat().st_size + position
        return self._position

    def truncate(self) -> None:
        os.truncate(self.path, self._position)

    def write(self, data: bytes) -> None:
        with self.path.open("r+b") as f:
            f.seek(self._position)
            f.write(data)
        self._position += len(data)

    def read(self, size: int = -1) -> bytes:
        with self.path.open("rb") as f:
            f.seek(self._position)
            data = f.read(size)
        self._position += len(data)
        return data

    def close(self) -> None:
        self.bodies.discard(self.path)


def install(bodies: Bodies) -> None:
    """From now on moto's S3 keeps bodies in `bodies`."""

    class Tempfile:
        @staticmethod
        def SpooledTemporaryFile(*args: Any, **kwargs: Any) -> _Body:  # noqa: N802
            return _Body(bodies)

    s3.tempfile = Tempfile  # type: ignore[assignment]
