"""moto's S3 objects with their bodies in files, and its buckets with their keys in order.

moto keeps each body in a temporary file of the process, finds keys by looking at all of them, and tracks
every object it ever made. These subclasses take the places of its own (see install).
"""

from __future__ import annotations

import bisect
import shutil
import threading
from dataclasses import dataclass
from hashlib import md5
from pathlib import Path
from typing import Any

import moto.s3.models as models
from moto.s3.models import FakeDeleteMarker, FakeKey
from moto.s3.utils import _VersionedKeyStore

from local_aws.objects import Bodies


@dataclass
class BodyFile:
    """A finished body."""

    path: Path
    size: int


class _Place(threading.local):
    """Bodies of the objects that this thread removed, to be deleted when the index no longer names them."""

    def __init__(self) -> None:
        self.doomed: list[Path] = []


PLACE = _Place()


# Where bodies go; set by install. moto's constructors leave no way to pass it.
_installed: list[Bodies] = []


def bodies() -> Bodies:
    return _installed[0]


class FileKey(FakeKey):
    """An object version whose body is a file."""

    body: Path
    position: int = 0

    def __new__(cls, *args: Any, **kwargs: Any) -> FileKey:
        # BaseModel.__new__ would remember the instance for ever.
        return object.__new__(cls)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # The base class made itself an empty buffer in memory.
        self._value_buffer.close()
        del self._value_buffer

    @property
    def value(self) -> bytes:
        return self.body.read_bytes()

    @value.setter
    def value(self, new: Any) -> None:
        if isinstance(new, BodyFile):
            self.body, self.contentsize = new.path, new.size
            return
        data = new.encode() if isinstance(new, str) else bytes(new)
        previous = getattr(self, "body", None)
        path = bodies().new()
        path.write_bytes(data)
        self.body, self.contentsize = path, len(data)
        if previous is not None:
            PLACE.doomed.append(previous)

    @property
    def etag(self) -> str:
        if self._etag is None:
            digest = md5(usedforsecurity=False)
            with self.body.open("rb") as f:
                while block := f.read(1 << 20):
                    digest.update(block)
            self._etag = digest.hexdigest()
        return f'"{self._etag}"'

    def dispose(self, garbage: bool = False) -> None:
        if not garbage and not self.disposed:
            PLACE.doomed.append(self.body)
            self.disposed = True

    def __del__(self) -> None:
        """The body belongs to the index, not to this object's lifetime."""

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        for name in ("lock", "body", "multipart", "_value_buffer"):
            state.pop(name, None)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.multipart = None
        self.lock = threading.Lock()

    def __deepcopy__(self, memo: dict[int, Any]) -> FileKey:
        copied = object.__new__(FileKey)
        copied.__dict__.update(self.__dict__)
        return copied


class DeleteMarker(FakeDeleteMarker):
    """moto's delete marker without a reference to the object that it hides."""

    position: int = 0

    def __new__(cls, *args: Any, **kwargs: Any) -> DeleteMarker:
        return object.__new__(cls)

    def __init__(self, name: str, version_id: str) -> None:
        self.name = name
        self.key = self  # type: ignore[assignment]
        self.last_modified = models.utcnow()
        self._version_id = version_id
        # What send_event reads of a key.
        self.size = 0
        self.etag = ""

    def dispose(self) -> None:
        """There is no body."""


class KeyStore(_VersionedKeyStore):
    """A bucket's keys: versions by name, oldest first, and the names in order."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        # Names that moto itself has changed since they were last saved.
        self.changed: set[str] = set()

    def _added(self, key: str) -> None:
        self.changed.add(key)
        i = bisect.bisect_left(self.names, key)
        if i == len(self.names) or self.names[i] != key:
            self.names.insert(i, key)

    def __setitem__(self, key: str, value: Any) -> Any:
        super().__setitem__(key, value)
        self._added(key)

    def setlist(self, key: Any, list_: Any) -> Any:
        super().setlist(key, list_)
        self._added(key)

    def pop(self, key: str) -> None:  # type: ignore[override]
        super().pop(key)
        self._removed(key)

    def _removed(self, key: str) -> None:
        self.changed.add(key)
        i = bisect.bisect_left(self.names, key)
        if i < len(self.names) and self.names[i] == key:
            del self.names[i]

    def replace(self, key: str, versions: list[Any]) -> None:
        """Sets a key's versions; nothing is disposed of. The caller saves them."""
        if versions:
            dict.__setitem__(self, key, versions)
            self._added(key)
        elif key in self:
            dict.pop(self, key)
            self._removed(key)
        self.changed.discard(key)

    def load(self, versions: dict[str, list[Any]]) -> None:
        """Fills an empty store."""
        dict.update(self, versions)
        self.names = sorted(versions)
        self.changed.clear()

    def between(self, prefix: str, after: str | None) -> int:
        """Index in `names` of the first name that has the prefix (or follows) and is greater than `after`."""
        i = bisect.bisect_left(self.names, prefix)
        return max(i, bisect.bisect_right(self.names, after)) if after is not None else i


def install(place: Bodies) -> None:
    """From now on moto's S3 makes FileKeys and KeyStores."""
    _installed[:] = [place]
    models.FakeKey = FileKey  # type: ignore[misc]
    models._VersionedKeyStore = KeyStore  # type: ignore[misc,assignment]


def discard_doomed() -> None:
    """Deletes the bodies of objects that are gone from the index."""
    doomed, PLACE.doomed = PLACE.doomed, []
    for path in doomed:
        bodies().discard(path)


def copy_file(source: Path, target: Path) -> None:
    """A second name for a body where the file system allows it, else a copy."""
    try:
        target.hardlink_to(source)
    except OSError:
        shutil.copyfile(source, target)
