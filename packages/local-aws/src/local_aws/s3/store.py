"""Buckets and objects: moto's backend, the index on disk, and the bodies' files, changed together."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from moto.core import DEFAULT_ACCOUNT_ID
from moto.s3 import notifications
from moto.s3.models import FakeBucket, MultipartDict, S3Backend, get_canned_acl, s3_backends
from moto.s3.utils import metadata_from_headers

from local_aws.objects import NoSuchBucket, ObjectInfo
from local_aws.s3.content import etag_of
from local_aws.s3.errors import S3Error
from local_aws.s3.keys import BodyFile, DeleteMarker, FileKey, KeyStore, bodies, discard_doomed
from local_aws.state import State, dumps, loads

Event = notifications.S3NotificationEvent


@dataclass
class Part:
    """An uploaded part."""

    number: int
    body: BodyFile
    etag: str
    checksum: str | None
    modified: datetime


@dataclass
class Upload:
    """A multipart upload in progress. `headers` and `tags` are the object's."""

    id: str
    bucket: str
    key: str
    headers: dict[str, str]
    tags: dict[str, str]
    algorithm: str | None
    kind: str | None
    started: datetime
    parts: dict[int, Part] = field(default_factory=dict)


@dataclass(frozen=True)
class Checksum:
    """An object's checksum. kind: FULL_OBJECT, or COMPOSITE of `parts` parts; value None: nobody computed one."""

    algorithm: str | None = None
    value: str | None = None
    kind: str | None = "FULL_OBJECT"
    parts: int | None = None


NO_CHECKSUM = Checksum()


class Store:
    """All buckets of the account."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.uploads: dict[str, Upload] = {}
        self._locks: dict[str, threading.RLock] = {}
        self._guard = threading.Lock()
        # Called after a notification may have changed another service.
        self.notified: Callable[[], None] = lambda: None

    @property
    def backend(self) -> S3Backend:
        return s3_backends[DEFAULT_ACCOUNT_ID]["aws"]

    def bucket(self, name: str) -> FakeBucket | None:
        return self.backend.buckets.get(name)

    def lock(self, bucket: str) -> threading.RLock:
        with self._guard:
            return self._locks.setdefault(bucket, threading.RLock())

    # -------------------------------------------------------------------------------- persistence

    def load(self) -> None:
        """Brings back what the index knows, without reading a body; bodies nobody knows are deleted."""
        for name, blob in self.state.rows("SELECT name, state FROM buckets"):
            self._load_bucket(name, loads(blob))
        known = self._load_objects() | self._load_uploads()
        for folder in bodies().folder.iterdir():
            if folder.is_dir():
                for path in folder.iterdir():
                    if path.name not in known:
                        path.unlink()

    def _load_bucket(self, name: str, saved: dict[str, Any]) -> None:
        bucket: FakeBucket = object.__new__(FakeBucket)  # type: ignore[type-abstract]
        bucket.__dict__.update(saved["bucket"])
        bucket.keys = KeyStore()
        bucket.multiparts = MultipartDict()
        self.backend.buckets[name] = bucket
        s3_backends.bucket_accounts[name] = (bucket.partition, bucket.account_id)
        self._tag(bucket.arn, saved["tags"])

    def _load_objects(self) -> set[str]:
        """The names of the bodies of all objects."""
        versions: dict[str, dict[str, list[Any]]] = {}
        known: set[str] = set()
        for name, key, position, body, blob in self.state.rows(
            "SELECT bucket, key, position, body, state FROM objects ORDER BY bucket, key, position"
        ):
            saved = loads(blob)
            entry = saved["version"]
            entry.position = position
            if body is not None:
                known.add(body)
                entry.body = bodies().folder / body[:2] / body
                self._tag(entry.arn, saved["tags"])
            versions.setdefault(name, {}).setdefault(key, []).append(entry)
        for name, keys in versions.items():
            owner = self.backend.buckets.get(name)
            if owner is not None:
                keys_of(owner).load(keys)
        return known

    def _load_uploads(self) -> set[str]:
        """The names of the bodies of all parts."""
        known: set[str] = set()
        for _, blob in self.state.rows("SELECT id, state FROM uploads"):
            upload: Upload = loads(blob)
            self.uploads[upload.id] = upload
        for name, number, body, blob in self.state.rows("SELECT upload, number, body, state FROM parts"):
            known.add(body)
            part: Part = loads(blob)
            path = bodies().folder / body[:2] / body
            self.uploads[name].parts[number] = replace(part, body=BodyFile(path, part.body.size))
        return known

    def save_bucket(self, name: str) -> None:
        """Writes a bucket's configuration, or removes all of a bucket that is gone."""
        bucket = self.bucket(name)
        with self.state.transaction() as db:
            if bucket is None:
                db.execute("DELETE FROM buckets WHERE name = ?", (name,))
                db.execute("DELETE FROM objects WHERE bucket = ?", (name,))
                return
            fields = {k: v for k, v in bucket.__dict__.items() if k not in ("keys", "multiparts")}
            saved = dumps({"bucket": fields, "tags": self.tags(bucket.arn)})
            db.execute("INSERT OR REPLACE INTO buckets VALUES (?, ?)", (name, saved))

    def _row(self, bucket: str, version: Any) -> tuple[Any, ...]:
        has_body = isinstance(version, FileKey)
        tags = self.tags(version.arn) if has_body else {}
        body = version.body.name if has_body else None
        return (bucket, version.name, version.position, body, dumps({"version": version, "tags": tags}))

    def save_key(self, bucket: str, key: str) -> None:
        """Writes all versions of a key that moto changed."""
        found = self.bucket(bucket)
        versions = found.keys.getlist(key, []) if found is not None else []
        with self.state.transaction() as db:
            db.execute("DELETE FROM objects WHERE bucket = ? AND key = ?", (bucket, key))
            for i, version in enumerate(versions):
                version.position = i
                db.execute("INSERT INTO objects VALUES (?, ?, ?, ?, ?)", self._row(bucket, version))

    def after_moto(self, bucket: str | None, key: str | None, method: str) -> None:
        """Writes what a request that moto answered may have changed."""
        if bucket and method in ("PUT", "POST", "DELETE"):
            with self.lock(bucket), self.state.transaction():
                self.save_bucket(bucket)
                if key:
                    self.save_key(bucket, key)
        for name, found in list(self.backend.buckets.items()):
            while keys_of(found).changed:
                with contextlib.suppress(KeyError):
                    self.save_key(name, keys_of(found).changed.pop())
        discard_doomed()

    def commit(self, bucket: FakeBucket, key: str, new: Any | None, removed: list[Any]) -> None:
        """Replaces versions of a key: first in the index, then in memory, then their bodies."""
        versions = [v for v in bucket.keys.getlist(key, []) if all(v is not r for r in removed)]
        with self.state.transaction() as db:
            for r in removed:
                db.execute(
                    "DELETE FROM objects WHERE bucket = ? AND key = ? AND position = ?",
                    (bucket.name, key, r.position),
                )
            if new is not None:
                new.position = max((v.position for v in (*versions, *removed)), default=-1) + 1
                versions.append(new)
                db.execute("INSERT INTO objects VALUES (?, ?, ?, ?, ?)", self._row(bucket.name, new))
        keys_of(bucket).replace(key, versions)
        for r in removed:
            if isinstance(r, FileKey):
                if new is None or r.version_id != new.version_id:
                    self.backend.tagger.delete_all_tags_for_resource(r.arn)
                r.dispose()
        if not self.state.nested:
            discard_doomed()

    def tags(self, arn: str) -> dict[str, str]:
        return self.backend.tagger.get_tag_dict_for_resource(arn)

    def _tag(self, arn: str, tags: dict[str, str]) -> None:
        if tags:
            self.backend.tagger.tag_resource(arn, [{"Key": k, "Value": v} for k, v in tags.items()])

    # ------------------------------------------------------------------- S3 as the query engine sees it

    @contextlib.contextmanager
    def pinned(self) -> Iterator[None]:
        with bodies().pinned():
            yield

    def has_bucket(self, bucket: str) -> bool:
        return self.bucket(bucket) is not None

    def objects(self, bucket: str, prefix: str) -> list[ObjectInfo]:
        found = self._existing(bucket)
        out = []
        with self.lock(bucket):
            keys = keys_of(found)
            for i in range(keys.between(prefix, None), len(keys.names)):
                name = keys.names[i]
                if not name.startswith(prefix):
                    break
                current = keys[name]
                if isinstance(current, FileKey):
                    out.append(_info(current))
        return out

    def get(self, bucket: str, key: str) -> ObjectInfo | None:
        found = self.bucket(bucket)
        current = found.keys.get(key) if found is not None else None
        return _info(current) if isinstance(current, FileKey) else None

    def location(self, path: str) -> str | None:
        for name, found in list(self.backend.buckets.items()):
            with self.lock(name):
                for key, versions in keys_of(found)._iterlists():
                    if any(isinstance(v, FileKey) and str(v.body) == path for v in versions):
                        return f"s3://{name}/{key}"
        return None

    def put_file(self, bucket: str, key: str, path: Path) -> None:
        self.put_files(bucket, [(key, path)])

    def put_files(self, bucket: str, files: list[tuple[str, Path]]) -> None:
        found = self._existing(bucket)
        moved = []
        for key, path in files:
            target = bodies().new()
            try:
                path.rename(target)
            except OSError:
                shutil.move(path, target)
            size = target.stat().st_size
            moved.append((key, BodyFile(target, size), etag_of(target, size)))
        with self.lock(bucket), self.state.transaction():
            for key, body, etag in moved:
                self.put(found, key, body, etag, {}, Event.OBJECT_CREATED_PUT_EVENT)
        discard_doomed()

    def put_bytes(self, bucket: str, key: str, data: bytes) -> None:
        found = self._existing(bucket)
        path = bodies().new()
        path.write_bytes(data)
        etag = hashlib.md5(data, usedforsecurity=False).hexdigest()
        with self.lock(bucket):
            self.put(found, key, BodyFile(path, len(data)), etag, {}, Event.OBJECT_CREATED_PUT_EVENT)

    def delete(self, bucket: str, keys: list[str]) -> None:
        found = self._existing(bucket)
        for key in keys:
            self.remove(found, key, None)

    def _existing(self, bucket: str) -> FakeBucket:
        found = self.bucket(bucket)
        if found is None:
            raise NoSuchBucket(bucket)
        return found

    # ------------------------------------------------------------------------------- reading, writing

    def version(self, bucket: FakeBucket, key: str, version_id: str | None) -> Any:
        """A version (None: the current one), FileKey or DeleteMarker; None where there is no object."""
        versions = bucket.keys.getlist(key, [])
        if version_id is None:
            return versions[-1] if versions else None
        found = next((v for v in versions if v.version_id == version_id), None)
        if found is None:
            raise S3Error(
                404,
                "NoSuchVersion",
                "The specified version does not exist.",
                Key=key,
                VersionId=version_id,
            )
        return found

    def put(
        self,
        bucket: FakeBucket,
        key: str,
        body: BodyFile,
        etag: str,
        headers: dict[str, str],
        event: notifications.S3NotificationEvent,
        *,
        checksum: Checksum = NO_CHECKSUM,
        metadata: dict[str, Any] | None = None,
        tags: dict[str, str] | None = None,
    ) -> FileKey:
        """Makes a new version the current one. The caller holds the bucket's lock."""
        encryption = headers.get("x-amz-server-side-encryption")
        kms_key = headers.get("x-amz-server-side-encryption-aws-kms-key-id")
        bucket_key: Any = headers.get("x-amz-server-side-encryption-bucket-key-enabled")
        if bucket.encryption:
            rule = bucket.encryption["Rule"]
            default = rule["ApplyServerSideEncryptionByDefault"]
            bucket_key = bucket_key or rule.get("BucketKeyEnabled", False)
            kms_key = kms_key or default.get("KMSMasterKeyID")
            encryption = encryption or default["SSEAlgorithm"]
        enabled = bucket.versioning_status == "Enabled"
        new = FileKey(
            name=key,
            value=body,
            account_id=bucket.account_id,
            region_name=bucket.region_name,
            storage=headers.get("x-amz-storage-class", "STANDARD"),
            etag=etag,
            is_versioned=enabled,
            version_id=uuid.uuid4().hex if enabled else "null",
            bucket_name=bucket.name,
            encryption=encryption,
            kms_key_id=kms_key,
            bucket_key_enabled=bucket_key,
            checksum_value=checksum.value,
            checksum_type=checksum.kind if checksum.value else None,
            checksum_parts=checksum.parts,
        )
        new.checksum_algorithm = checksum.algorithm
        new.set_metadata(metadata if metadata is not None else metadata_from_headers(headers))
        acl = headers.get("x-amz-acl")
        new.set_acl(get_canned_acl(acl) if acl else bucket.acl)
        new.website_redirect_location = headers.get("x-amz-website-redirect-location")
        existing = bucket.keys.getlist(key, [])
        removed = [] if enabled else [v for v in existing if v.version_id == "null"]
        if not enabled and bucket.versioning_status is None:
            removed = list(existing)
        self.backend.tagger.delete_all_tags_for_resource(new.arn)
        self._tag(new.arn, tags or {})
        self.commit(bucket, key, new, removed)
        self._notify(bucket, event, new)
        return new

    def remove(self, bucket: FakeBucket, key: str, version_id: str | None) -> dict[str, Any]:
        """Deletes a version, or the object (by a marker where the bucket keeps versions).

        Returns VersionId and DeleteMarker of DeleteObject's answer.
        """
        with self.lock(bucket.name):
            versions = bucket.keys.getlist(key, [])
            if version_id is not None:
                found = next((v for v in versions if v.version_id == version_id), None)
                if found is None:
                    return {"VersionId": version_id}
                self.commit(bucket, key, None, [found])
                if isinstance(found, FileKey):
                    self._notify(bucket, Event.OBJECT_REMOVED_DELETE_EVENT, found)
                    return {"VersionId": version_id}
                return {"VersionId": version_id, "DeleteMarker": True}
            if bucket.versioning_status is None:
                if versions:
                    self.commit(bucket, key, None, list(versions))
                    self._notify(bucket, Event.OBJECT_REMOVED_DELETE_EVENT, versions[-1])
                return {}
            suspended = bucket.versioning_status != "Enabled"
            marker = DeleteMarker(key, "null" if suspended else uuid.uuid4().hex)
            removed = [v for v in versions if v.version_id == "null"] if suspended else []
            self.commit(bucket, key, marker, removed)
            self._notify(bucket, Event.OBJECT_REMOVED_DELETE_MARKER_CREATED_EVENT, marker)
            return {"VersionId": marker.version_id, "DeleteMarker": True}

    def _notify(self, bucket: FakeBucket, event: notifications.S3NotificationEvent, key: Any) -> None:
        if bucket.notification_configuration is not None:
            notifications.send_event(bucket.account_id, event, bucket, key)
            self.notified()


def keys_of(bucket: FakeBucket) -> KeyStore:
    assert isinstance(bucket.keys, KeyStore)
    return bucket.keys


def _info(key: FileKey) -> ObjectInfo:
    return ObjectInfo(str(key.name), key.size, str(key.body), key.etag)
