"""A copy of some of the lake's prefixes in a folder, with the same keys as paths."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

from medlaunch.aws.objects import list_objects

#: Where objects go whose keys cannot be paths beside the others.
ODD_KEYS = "_odd_keys"

_NAME_BYTES = 255
_PATH_BYTES = 900


def mirror_path(key: str) -> PurePosixPath:
    """The relative path of a key: the key itself, unless it would lead elsewhere or is no path.

    S3 keys may have parts such as ``..``, be empty between slashes, or be longer than names of files. Those
    go to ``_odd_keys/<hash>/<readable rest>``, which no two keys share.
    """
    parts = key.split("/")
    plain = (
        all(part not in ("", ".", "..") and len(part.encode()) <= _NAME_BYTES for part in parts)
        and parts[0] != ODD_KEYS
        and len(key.encode()) <= _PATH_BYTES
        and "\0" not in key
        and "\\" not in key
    )
    return PurePosixPath(key) if plain else odd_path(key)


def odd_path(key: str) -> PurePosixPath:
    digest = hashlib.sha256(key.encode()).hexdigest()[:16]
    readable = "".join(c if c.isalnum() or c in "-_. " else "_" for c in key)[-60:].strip(" .") or "object"
    return PurePosixPath(ODD_KEYS, digest, readable)


def mirror(s3: Any, bucket: str, prefixes: Iterable[str], folder: Path) -> dict[str, Path]:
    """Replace ``folder`` by a copy of all objects below the prefixes; returns key -> path.

    The folder is exchanged as a whole once everything has been copied, so it never holds half of a copy.
    """
    new = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    paths = {}
    for prefix in prefixes:
        for stored in list_objects(s3, bucket, prefix):
            if stored.key.endswith("/") and stored.size == 0:
                continue  # a folder marker
            relative = _download(s3, bucket, stored.key, new)
            paths[stored.key] = folder / relative
    old = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    new.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
    return paths


def _download(s3: Any, bucket: str, key: str, folder: Path) -> PurePosixPath:
    for relative in (mirror_path(key), odd_path(key)):
        target = folder / relative
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            # Never over another object: names may differ in S3 and be the same here.
            with target.open("xb") as file:
                s3.download_fileobj(bucket, key, file)
        except (FileExistsError, NotADirectoryError, IsADirectoryError):
            continue
        return relative
    raise FileExistsError(f"s3://{bucket}/{key} has no place in {folder}")
