"""Listing a bucket: ListObjects, ListObjectsV2, ListObjectVersions."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

from moto.s3.models import FakeBucket

from local_aws.http import Response
from local_aws.s3.call import Call
from local_aws.s3.errors import S3Error
from local_aws.s3.keys import DeleteMarker, FileKey
from local_aws.s3.store import Store, keys_of
from local_aws.s3.wire import respond

_OWNER = {
    "ID": "75aa57f09aa0c8caeab4f8c24e99d10f8e7faeebf76c078efc7c6caea54ba06a",
    "DisplayName": "webfile",
}
# Greater than any name that begins with what stands before it.
_LAST = chr(0x10FFFF)


def list_objects(store: Store, c: Call) -> Response:
    after = c.query.get("marker") or None
    result, entries, truncated, encode = _page(store, c, after, owner=True)
    result["Marker"] = encode(c.query.get("marker", ""))
    if truncated:
        result["NextMarker"] = encode(entries[-1])
    return respond("ListObjects", result)


def list_objects_v2(store: Store, c: Call) -> Response:
    after, token = c.query.get("start-after"), c.query.get("continuation-token")
    if token:
        try:
            after = base64.urlsafe_b64decode(token.encode()).decode()
        except (binascii.Error, ValueError) as e:
            raise S3Error(
                400,
                "InvalidArgument",
                "The continuation token provided is incorrect",
                ArgumentName="continuation-token",
            ) from e
    result, entries, truncated, encode = _page(store, c, after, owner=c.query.get("fetch-owner") == "true")
    result["KeyCount"] = len(entries)
    if token:
        result["ContinuationToken"] = token
    if c.query.get("start-after"):
        result["StartAfter"] = encode(c.query["start-after"])
    if truncated:
        result["NextContinuationToken"] = base64.urlsafe_b64encode(entries[-1].encode()).decode()
    return respond("ListObjectsV2", result)


def _page(
    store: Store, c: Call, after: str | None, *, owner: bool
) -> tuple[dict[str, Any], list[str], bool, Callable[[str], str]]:
    """What both listings have in common, the names on the page, whether there are more, and how names are encoded."""
    prefix, delimiter = c.query.get("prefix", ""), c.query.get("delimiter", "")
    limit, encode = _max_keys(c), _encoder(c)
    with store.lock(c.bucket.name):
        entries, truncated = _walk(c.bucket, prefix, delimiter, after, limit)
    # One entry at a time: a thousand dictionaries at once would set the garbage collector to work.
    contents = (_entry(encode(name), found, owner=owner) for name, found in entries if found is not None)
    prefixes = ({"Prefix": encode(name)} for name, found in entries if found is None)
    result = {
        "Name": c.bucket.name,
        "Prefix": encode(prefix),
        "MaxKeys": limit,
        "Delimiter": encode(delimiter) if delimiter else None,
        "EncodingType": "url" if c.query.get("encoding-type") else None,
        "IsTruncated": truncated,
        "Contents": contents,
        "CommonPrefixes": prefixes,
    }
    return result, [name for name, _ in entries], truncated, encode


def _entry(key: str, found: FileKey, *, owner: bool) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "Key": key,
        "LastModified": found.last_modified,
        "ETag": found.etag,
        "Size": found.size,
        "StorageClass": found.storage_class,
    }
    if found.checksum_algorithm:
        entry["ChecksumAlgorithm"] = [found.checksum_algorithm]
    if owner:
        entry["Owner"] = _OWNER
    return entry


def _walk(
    bucket: FakeBucket, prefix: str, delimiter: str, after: str | None, limit: int
) -> tuple[list[tuple[str, FileKey | None]], bool]:
    """Names (with None: common prefixes) after `after`, in order, and whether there are more."""
    keys = keys_of(bucket)
    out: list[tuple[str, FileKey | None]] = []
    if limit == 0:
        return out, False
    i = keys.between(prefix, after)
    if after is not None and delimiter and after.startswith(prefix):
        cut = after.find(delimiter, len(prefix))
        if cut >= 0 and after.endswith(delimiter):
            # The page before ended with this common prefix.
            i = max(i, keys.between(after[: cut + len(delimiter)] + _LAST, None))
    while i < len(keys.names):
        name = keys.names[i]
        if not name.startswith(prefix):
            break
        cut = name.find(delimiter, len(prefix)) if delimiter else -1
        if cut >= 0:
            common = name[: cut + len(delimiter)]
            following = keys.between(common + _LAST, None)
            if any(isinstance(keys[n], FileKey) for n in keys.names[i:following]):
                if len(out) == limit:
                    return out, True
                out.append((common, None))
            i = max(following, i + 1)
            continue
        current = keys[name]
        if isinstance(current, FileKey):
            if len(out) == limit:
                return out, True
            out.append((name, current))
        i += 1
    return out, False


def list_object_versions(store: Store, c: Call) -> Response:
    prefix, delimiter = c.query.get("prefix", ""), c.query.get("delimiter", "")
    limit, encode = _max_keys(c), _encoder(c)
    marker, version_marker = c.query.get("key-marker") or None, c.query.get("version-id-marker") or None
    result: dict[str, Any] = {
        "Name": c.bucket.name,
        "Prefix": encode(prefix),
        "KeyMarker": encode(marker or ""),
        "VersionIdMarker": version_marker or "",
        "MaxKeys": limit,
        "EncodingType": "url" if c.query.get("encoding-type") else None,
        "Delimiter": encode(delimiter) if delimiter else None,
    }
    found: list[tuple[str, Any, bool]] = []
    with store.lock(c.bucket.name):
        for one in _versions(c.bucket, prefix, delimiter, marker, version_marker):
            if len(found) > limit:
                break
            found.append(one)
    page, truncated = found[:limit], len(found) > limit
    last, last_version, _ = page[-1] if page else ("", None, False)
    result |= {
        "IsTruncated": truncated,
        "NextKeyMarker": encode(last) if truncated else None,
        "NextVersionIdMarker": last_version.version_id if truncated and last_version is not None else None,
        "Versions": (_version(encode(n), v, latest) for n, v, latest in page if isinstance(v, FileKey)),
        "DeleteMarkers": (
            _version(encode(n), v, latest) for n, v, latest in page if isinstance(v, DeleteMarker)
        ),
        "CommonPrefixes": ({"Prefix": encode(n)} for n, v, _ in page if v is None),
    }
    return respond("ListObjectVersions", result)


def _version(key: str, version: Any, latest: bool) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "Key": key,
        "VersionId": version.version_id,
        "IsLatest": latest,
        "LastModified": version.last_modified,
        "Owner": _OWNER,
    }
    if isinstance(version, FileKey):
        entry |= {"ETag": version.etag, "Size": version.size, "StorageClass": version.storage_class}
    return entry


def _versions(
    bucket: FakeBucket, prefix: str, delimiter: str, marker: str | None, version_marker: str | None
) -> Iterator[tuple[str, Any, bool]]:
    """Names in order, each with its versions, newest first, and whether that is the latest; common prefixes
    with None."""
    keys = keys_of(bucket)
    i = keys.between(prefix, None)
    if marker is not None:
        i = max(i, keys.between(marker, None) if version_marker else keys.between(marker, marker))
    while i < len(keys.names):
        name = keys.names[i]
        if not name.startswith(prefix):
            return
        cut = name.find(delimiter, len(prefix)) if delimiter else -1
        if cut >= 0:
            common = name[: cut + len(delimiter)]
            i = max(keys.between(common + _LAST, None), i + 1)
            if marker is None or marker != common:
                yield common, None, False
            continue
        skip = name == marker and version_marker is not None
        for n, version in enumerate(reversed(keys.getlist(name, []))):
            if skip:
                skip = version.version_id != version_marker
                continue
            yield name, version, n == 0
        i += 1


def _max_keys(c: Call) -> int:
    value = c.query.get("max-keys") or "1000"
    if not re.fullmatch(r"\d+", value):
        raise S3Error(
            400,
            "InvalidArgument",
            "Provided max-keys not an integer or within integer range",
            ArgumentName="max-keys",
            ArgumentValue=value,
        )
    return min(int(value), 1000)


def _encoder(c: Call) -> Callable[[str], str]:
    return quote if c.query.get("encoding-type") == "url" else str
