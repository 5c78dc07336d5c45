"""Objects' bodies as files, so that they neither sit in memory nor cross HTTP to be queried."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class ObjectInfo:
    """An object's current version: its body is the file `path`, which never changes."""

    key: str
    size: int
    path: str
    etag: str


class NoSuchBucket(Exception):
    """The bucket does not exist."""


class ObjectStore(Protocol):
    """S3 as the query engine sees it."""

    def has_bucket(self, bucket: str) -> bool: ...

    def objects(self, bucket: str, prefix: str) -> list[ObjectInfo]:
        """Current objects below a prefix, by key. Raises NoSuchBucket."""
        ...

    def get(self, bucket: str, key: str) -> ObjectInfo | None: ...

    def put_file(self, bucket: str, key: str, path: Path) -> None:
        """Makes a file an object; the file is moved away. Raises NoSuchBucket."""
        ...

    def put_files(self, bucket: str, files: list[tuple[str, Path]]) -> None:
        """Makes files objects, by key: all of them appear at once, also for a server that is killed meanwhile."""
        ...

    def put_bytes(self, bucket: str, key: str, data: bytes) -> None: ...

    def delete(self, bucket: str, keys: list[str]) -> None: ...

    def location(self, path: str) -> str | None:
        """The s3:// location of the object whose body is a file; None for a file that is no object's."""
        ...

    def pinned(self) -> AbstractContextManager[None]:
        """While the context lasts, no body file disappears."""
        ...


class Bodies:
    """The folder of body files. A file is written once, then read or deleted."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._pins = 0
        self._doomed: list[Path] = []

    def new(self) -> Path:
        """A path for a new body; folders of 256 keep directories small."""
        name = uuid.uuid4().hex
        folder = self.folder / name[:2]
        folder.mkdir(exist_ok=True)
        return folder / name

    def discard(self, path: Path) -> None:
        with self._lock:
            if self._pins:
                self._doomed.append(path)
                return
        path.unlink(missing_ok=True)

    @contextmanager
    def pinned(self) -> Iterator[None]:
        """Keeps discarded bodies until the last reader is done: a query sees one state of its files."""
        with self._lock:
            self._pins += 1
        try:
            yield
        finally:
            doomed: list[Path] = []
            with self._lock:
                self._pins -= 1
                if not self._pins:
                    doomed, self._doomed = self._doomed, []
            for path in doomed:
                path.unlink(missing_ok=True)
