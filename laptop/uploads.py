"""Putting files into the lake's landing prefix in an order that S3 can tell afterwards."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from boto3.s3.transfer import TransferConfig

from medlaunch.declaration import Dataset
from medlaunch.lake import LandingKey, landing_key, landing_prefix, parse_landing_key

Put = Callable[["LocalFile"], None]
Clock = Callable[[], float]
WaitUntil = Callable[[float], None]

_KEY_BYTES = 1024


class CannotUpload(ValueError):
    """A file or folder that cannot be uploaded, and why."""


@dataclass(frozen=True)
class LocalFile:
    """A file to upload: ``mtime_ns`` is its modification time, ``size`` in bytes."""

    path: Path
    dataset: Dataset
    key: str
    mtime_ns: int
    size: int

    @property
    def competes_in(self) -> str:
        """Within it the order of uploads means something: the folder that is its slice, or else its dataset with its kin."""
        prefix = landing_prefix(self.dataset.name)
        if self.dataset.slice_of_folder is None:
            return landing_prefix(self.dataset.name.split("/", 1)[0])
        return prefix + self.key.removeprefix(prefix).split("/", 1)[0]

    @cached_property
    def is_data(self) -> bool:
        """Whether the pipeline will read it."""
        return isinstance(parse_landing_key(self.dataset, self.key, self.size), LandingKey)


def find_files(folder: Path, dataset: Dataset, should_hold: str = "<YYYY-MM-DD>/<files>") -> list[LocalFile]:
    """All files below ``folder``, in the order in which they are to be uploaded.

    Each keeps its path below the folder as its key, whatever it is: the pipeline decides what is data.

    Raises:
        CannotUpload: if there is no file, or one whose name cannot be a key.
    """
    if not folder.is_dir():
        raise CannotUpload(f"{folder} is not a folder. It should hold {should_hold}.")
    files = []
    for parent, _, names in os.walk(folder):
        for name in names:
            path = Path(parent, name)
            status = path.stat()
            key = landing_prefix(dataset.name) + path.relative_to(folder).as_posix()
            files.append(LocalFile(path, dataset, _checked(key, path), status.st_mtime_ns, status.st_size))
    if not files:
        raise CannotUpload(f"There is no file in {folder}. It should hold {should_hold}.")
    return in_order(files)


def one_file(path: Path, dataset: Dataset, folder: str, name: str | None = None) -> LocalFile:
    """One file as an upload into a folder, under its own or another name.

    Raises:
        CannotUpload: if it is no file, or the folder is no slice.
    """
    try:
        if dataset.slice_of_folder is not None:
            dataset.slice_of_folder(folder)
    except ValueError as error:
        raise CannotUpload(f"SNAPSHOT: {error}. Write it as in 2026-11-01.") from error
    if not path.is_file():
        raise CannotUpload(f"FILE={str(path)!r} is not a file.")
    status = path.stat()
    key = landing_key(dataset.name, f"{folder}/{name or path.name}")
    return LocalFile(path, dataset, _checked(key, path), status.st_mtime_ns, status.st_size)


def _checked(key: str, path: Path) -> str:
    try:
        size = len(key.encode())
    except UnicodeEncodeError as error:
        raise CannotUpload(
            f"The name of {str(path)!r} is not valid UTF-8, which S3 keys have to be. Rename it."
        ) from error
    if size > _KEY_BYTES:
        raise CannotUpload(
            f"The key of {path} would have {size} bytes; S3 allows {_KEY_BYTES}. Shorten its name."
        )
    return key


def in_order(files: Iterable[LocalFile]) -> list[LocalFile]:
    """The order of upload: by modification time, at equal times by key."""
    return sorted(files, key=lambda one: (one.mtime_ns, one.key))


def must_wait(file: LocalFile, same_second: Iterable[LocalFile]) -> bool:
    """Whether a file must not get the same LastModified as those that were uploaded just before it.

    S3 keeps LastModified to the second, and of files with the same one the greater key counts as the later.
    So an older file with a greater key would win over this one. Among files that are not data nothing wins.
    """
    return file.is_data and any(
        earlier.competes_in == file.competes_in
        and earlier.key > file.key
        and earlier.mtime_ns != file.mtime_ns
        and earlier.is_data
        for earlier in same_second
    )


def upload(
    files: Iterable[LocalFile], put: Put, clock: Clock = time.time, wait_until: WaitUntil | None = None
) -> Iterator[LocalFile]:
    """Upload files one after the other, in the given order; yields each when it is there.

    Where a file has to wait for the next second, those that do not compete with it go before it.

    ``clock`` is S3's clock in seconds, of which S3 keeps whole ones; ``wait_until`` waits for a time of it.
    """
    wait = wait_until or _sleep_until
    waiting = list(files)
    same_second: list[LocalFile] = []
    second = -1
    while waiting:
        if int(clock()) > second:
            same_second = []
        held: set[str] = set()
        for file in waiting:
            if file.competes_in not in held:
                if not must_wait(file, same_second):
                    break
                held.add(file.competes_in)
        else:
            wait(second + 1)
            continue
        put(file)
        # S3 took its time while put() ran. If the second has changed meanwhile, what was uploaded before it
        # still counts as this file's neighbour, which costs a wait at most.
        second = max(second, int(clock()))
        same_second.append(file)
        waiting.remove(file)
        yield file


def _sleep_until(moment: float) -> None:
    while (left := moment - time.time()) > 0:
        time.sleep(left)


def put_with(s3: Any, bucket: str) -> Put:
    """Uploads a file to a bucket under its key (in parts, if it is large)."""
    # In this thread: Ctrl-C would wait for others.
    config = TransferConfig(use_threads=False)
    return lambda file: s3.upload_file(str(file.path), bucket, file.key, Config=config)
