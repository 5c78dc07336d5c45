"""S3's object operations, in front of moto's.

moto holds each body in memory on its way in and out, deep-copies whole buckets to list versions, and looks
at conditions and writes without a lock between. These operations work on the same buckets and keys
(`s3_keys`) but stream, and check and write as one step. What is not here (bucket configuration, tagging,
ACLs, object lock, select, forms, ...) goes to moto.

The reference is https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import itertools
import logging
import os
import re
import threading
import uuid
import xml.etree.ElementTree as ET
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import parse_qsl, quote, unquote
from xml.sax.saxutils import escape

from moto.core import DEFAULT_ACCOUNT_ID
from moto.core.utils import utcnow
from moto.iam.access_control import PermissionResult
from moto.s3 import notifications
from moto.s3.models import FakeBucket, FakeTableStorageBucket, S3Backend, get_canned_acl, s3_backends
from moto.s3.utils import ARCHIVE_STORAGE_CLASSES, STORAGE_CLASS, metadata_from_headers

from local_aws.http import FileSlice, Request, Response, query_parameters
from local_aws.objects import NoSuchBucket, ObjectInfo
from local_aws.s3_keys import BodyFile, DeleteMarker, FileKey, KeyStore, bodies, copy_file, discard_doomed
from local_aws.state import State, dumps, loads

log = logging.getLogger("local_aws.s3")

Event = notifications.S3NotificationEvent
MIN_PART = int(os.environ.get("S3_UPLOAD_PART_MIN_SIZE", 5 * 1024 * 1024))
BLOCK = 1 << 20
NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"


class S3Error(Exception):
    """An error answer of S3."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        headers: list[tuple[str, str]] | None = None,
        **fields: str,
    ) -> None:
        self.status, self.code, self.message = status, code, message
        self.headers = headers or []
        self.fields = fields
        super().__init__(f"{code}: {message}")


def no_such_key(key: str) -> S3Error:
    return S3Error(404, "NoSuchKey", "The specified key does not exist.", Key=key)


def precondition_failed(condition: str) -> S3Error:
    return S3Error(
        412,
        "PreconditionFailed",
        "At least one of the pre-conditions you specified did not hold",
        Condition=condition,
    )


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
    """A multipart upload in progress."""

    id: str
    bucket: str
    key: str
    headers: dict[str, str]
    algorithm: str | None
    kind: str | None
    started: datetime
    parts: dict[int, Part] = field(default_factory=dict)


class _Hashing:
    """A body's MD5 and, where asked for, its checksum, while it is written."""

    def __init__(self, algorithm: str | None) -> None:
        self.md5 = hashlib.md5(usedforsecurity=False)
        self.algorithm = algorithm
        self._crc = 0
        self._hash = {"SHA1": hashlib.sha1, "SHA256": hashlib.sha256}.get(algorithm or "", lambda: None)()

    def update(self, block: bytes) -> None:
        self.md5.update(block)
        if self.algorithm == "CRC32":
            self._crc = zlib.crc32(block, self._crc)
        elif self._hash is not None:
            self._hash.update(block)

    def checksum(self) -> str | None:
        """Base64 of the checksum; None for an algorithm that Python has not (CRC32C, CRC64NVME)."""
        if self.algorithm == "CRC32":
            return base64.b64encode(self._crc.to_bytes(4, "big")).decode()
        return base64.b64encode(self._hash.digest()).decode() if self._hash is not None else None


def _checksum_of(path: Path, algorithm: str) -> str | None:
    hashing = _Hashing(algorithm)
    with path.open("rb") as body:
        while block := body.read(1 << 20):
            hashing.update(block)
    return hashing.checksum()


class _AwsChunked:
    """Decodes aws-chunked content; trailers are there at the end.

    https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html
    """

    def __init__(self, source: Any) -> None:
        self._source = _Buffered(source)
        self._left = 0
        self._done = False
        self.trailers: dict[str, str] = {}

    def read(self, size: int) -> bytes:
        if self._done:
            return b""
        if not self._left:
            line = self._source.readline()
            self._left = int(line.split(b";")[0].strip() or b"0", 16)
            if not self._left:
                self._done = True
                while line := self._source.readline().strip():
                    name, _, value = line.decode("latin-1").partition(":")
                    self.trailers[name.strip().lower()] = value.strip()
                return b""
        block = self._source.read(min(size, self._left))
        self._left -= len(block)
        if not self._left:
            self._source.readline()
        return block


class _Buffered:
    def __init__(self, source: Any) -> None:
        self._source = source
        self._buffer = b""

    def _fill(self) -> bool:
        block = self._source.read(1 << 17)
        self._buffer += block
        return bool(block)

    def readline(self) -> bytes:
        while b"\n" not in self._buffer:
            if not self._fill():
                line, self._buffer = self._buffer, b""
                return line
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line + b"\n"

    def read(self, size: int) -> bytes:
        if not self._buffer and not self._fill():
            raise S3Error(
                400,
                "IncompleteBody",
                "You did not provide the number of bytes specified by the Content-Length HTTP header",
            )
        block, self._buffer = self._buffer[:size], self._buffer[size:]
        return block


class S3:
    """Buckets and objects: moto's backend, the index, and HTTP."""

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
            saved = loads(blob)
            bucket: FakeBucket = object.__new__(FakeBucket)  # type: ignore[type-abstract]
            bucket.__dict__.update(saved["bucket"])
            bucket.keys = KeyStore()
            from moto.s3.models import MultipartDict

            bucket.multiparts = MultipartDict()
            self.backend.buckets[name] = bucket
            s3_backends.bucket_accounts[name] = (bucket.partition, bucket.account_id)
            if saved["tags"]:
                self.backend.tagger.tag_resource(
                    bucket.arn, [{"Key": k, "Value": v} for k, v in saved["tags"].items()]
                )
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
                if saved["tags"]:
                    self.backend.tagger.tag_resource(
                        entry.arn, [{"Key": k, "Value": v} for k, v in saved["tags"].items()]
                    )
            versions.setdefault(name, {}).setdefault(key, []).append(entry)
        for name, keys in versions.items():
            owner = self.backend.buckets.get(name)
            if owner is not None:
                _keys(owner).load(keys)
        for _, blob in self.state.rows("SELECT id, state FROM uploads"):
            upload: Upload = loads(blob)
            self.uploads[upload.id] = upload
        for name, number, body, blob in self.state.rows("SELECT upload, number, body, state FROM parts"):
            known.add(body)
            part: Part = loads(blob)
            path = bodies().folder / body[:2] / body
            self.uploads[name].parts[number] = replace(part, body=BodyFile(path, part.body.size))
        for folder in bodies().folder.iterdir():
            if folder.is_dir():
                for path in folder.iterdir():
                    if path.name not in known:
                        path.unlink()

    def save_bucket(self, name: str) -> None:
        """Writes a bucket's configuration, or removes all of a bucket that is gone."""
        bucket = self.bucket(name)
        with self.state.transaction() as db:
            if bucket is None:
                db.execute("DELETE FROM buckets WHERE name = ?", (name,))
                db.execute("DELETE FROM objects WHERE bucket = ?", (name,))
                return
            fields = {k: v for k, v in bucket.__dict__.items() if k not in ("keys", "multiparts")}
            tags = self.backend.tagger.get_tag_dict_for_resource(bucket.arn)
            db.execute(
                "INSERT OR REPLACE INTO buckets VALUES (?, ?)",
                (name, dumps({"bucket": fields, "tags": tags})),
            )

    def _row(self, bucket: str, version: Any) -> tuple[Any, ...]:
        tags = (
            self.backend.tagger.get_tag_dict_for_resource(version.arn) if isinstance(version, FileKey) else {}
        )
        body = version.body.name if isinstance(version, FileKey) else None
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
            while _keys(found).changed:
                with contextlib.suppress(KeyError):
                    self.save_key(name, _keys(found).changed.pop())
        discard_doomed()

    def _commit(self, bucket: FakeBucket, key: str, new: Any | None, removed: list[Any]) -> None:
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
        _keys(bucket).replace(key, versions)
        for r in removed:
            if isinstance(r, FileKey):
                if new is None or r.version_id != new.version_id:
                    self.backend.tagger.delete_all_tags_for_resource(r.arn)
                r.dispose()
        if not self.state.nested:
            discard_doomed()

    # ------------------------------------------------------------------------------------- store

    @contextlib.contextmanager
    def pinned(self) -> Iterator[None]:
        with bodies().pinned():
            yield

    def has_bucket(self, bucket: str) -> bool:
        return self.bucket(bucket) is not None

    def objects(self, bucket: str, prefix: str) -> list[ObjectInfo]:
        found = self.bucket(bucket)
        if found is None:
            raise NoSuchBucket(bucket)
        out = []
        with self.lock(bucket):
            keys = _keys(found)
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

    def put_file(self, bucket: str, key: str, path: Path) -> None:
        self.put_files(bucket, [(key, path)])

    def put_files(self, bucket: str, files: list[tuple[str, Path]]) -> None:
        found = self.bucket(bucket)
        if found is None:
            raise NoSuchBucket(bucket)
        moved = []
        for key, path in files:
            target = bodies().new()
            try:
                path.rename(target)
            except OSError:
                import shutil

                shutil.move(path, target)
            size = target.stat().st_size
            moved.append((key, BodyFile(target, size), _file_etag(target, size)))
        with self.lock(bucket), self.state.transaction():
            for key, body, etag in moved:
                self._store(found, key, body, etag, {}, None, None, Event.OBJECT_CREATED_PUT_EVENT)
        discard_doomed()

    def put_bytes(self, bucket: str, key: str, data: bytes) -> None:
        found = self.bucket(bucket)
        if found is None:
            raise NoSuchBucket(bucket)
        path = bodies().new()
        path.write_bytes(data)
        etag = hashlib.md5(data, usedforsecurity=False).hexdigest()
        with self.lock(bucket):
            self._store(
                found, key, BodyFile(path, len(data)), etag, {}, None, None, Event.OBJECT_CREATED_PUT_EVENT
            )

    def delete(self, bucket: str, keys: list[str]) -> None:
        found = self.bucket(bucket)
        if found is None:
            raise NoSuchBucket(bucket)
        for key in keys:
            self._delete(found, key, None)

    # ------------------------------------------------------------------------------------ writing

    def _store(
        self,
        bucket: FakeBucket,
        key: str,
        body: BodyFile,
        etag: str,
        headers: dict[str, str],
        algorithm: str | None,
        checksum: str | None,
        event: notifications.S3NotificationEvent,
        *,
        metadata: dict[str, Any] | None = None,
        tags: dict[str, str] | None = None,
        checksum_type: str | None = "FULL_OBJECT",
        checksum_parts: int | None = None,
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
            checksum_value=checksum,
            checksum_type=checksum_type if checksum else None,
            checksum_parts=checksum_parts,
        )
        new.checksum_algorithm = algorithm
        new.set_metadata(metadata if metadata is not None else metadata_from_headers(headers))
        acl = headers.get("x-amz-acl")
        new.set_acl(get_canned_acl(acl) if acl else bucket.acl)
        new.website_redirect_location = headers.get("x-amz-website-redirect-location")
        existing = bucket.keys.getlist(key, [])
        removed = [] if enabled else [v for v in existing if v.version_id == "null"]
        if not enabled and bucket.versioning_status is None:
            removed = list(existing)
        self.backend.tagger.delete_all_tags_for_resource(new.arn)
        if tags:
            self.backend.tagger.tag_resource(new.arn, [{"Key": k, "Value": v} for k, v in tags.items()])
        self._commit(bucket, key, new, removed)
        self._notify(bucket, event, new)
        return new

    def _notify(self, bucket: FakeBucket, event: notifications.S3NotificationEvent, key: Any) -> None:
        if bucket.notification_configuration is not None:
            notifications.send_event(bucket.account_id, event, bucket, key)
            self.notified()

    def _delete(self, bucket: FakeBucket, key: str, version_id: str | None) -> dict[str, str]:
        """Deletes a version, or the object (by a marker where the bucket keeps versions)."""
        with self.lock(bucket.name):
            versions = bucket.keys.getlist(key, [])
            if version_id is not None:
                found = next((v for v in versions if v.version_id == version_id), None)
                if found is None:
                    return {"x-amz-version-id": version_id}
                self._commit(bucket, key, None, [found])
                if isinstance(found, FileKey):
                    self._notify(bucket, Event.OBJECT_REMOVED_DELETE_EVENT, found)
                out = {"x-amz-version-id": version_id}
                if not isinstance(found, FileKey):
                    out["x-amz-delete-marker"] = "true"
                return out
            if bucket.versioning_status is None:
                if versions:
                    self._commit(bucket, key, None, list(versions))
                    self._notify(bucket, Event.OBJECT_REMOVED_DELETE_EVENT, versions[-1])
                return {}
            suspended = bucket.versioning_status != "Enabled"
            marker = DeleteMarker(key, "null" if suspended else uuid.uuid4().hex)
            removed = [v for v in versions if v.version_id == "null"] if suspended else []
            self._commit(bucket, key, marker, removed)
            self._notify(bucket, Event.OBJECT_REMOVED_DELETE_MARKER_CREATED_EVENT, marker)
            return {"x-amz-version-id": marker.version_id, "x-amz-delete-marker": "true"}

    # --------------------------------------------------------------------------------------- HTTP

    def handle(self, request: Request) -> Response | None:
        """Answers an S3 request, or leaves it (None) to moto."""
        path = unquote(request.path)
        name, _, key = path.lstrip("/").partition("/")
        if not name:
            return None
        q = query_parameters(request.query)
        bucket = self.bucket(name)
        if (
            bucket is None
            or isinstance(bucket, FakeTableStorageBucket)
            or bucket.object_lock_enabled
            or bucket.logging
        ):
            return None
        try:
            operation = self._operation(request, q, key)
            if operation is None:
                return None
            self._permitted(bucket, request, key)
            return operation(request, bucket, key, q)
        except S3Error as e:
            return self._error(e, request, path)

    def _operation(
        self, r: Request, q: dict[str, str], key: str
    ) -> Callable[[Request, FakeBucket, str, dict[str, str]], Response] | None:
        own = {
            k
            for k in q
            if not k.lower().startswith(
                ("x-amz-", "response-", "x-id", "awsaccesskeyid", "signature", "expires")
            )
        }
        if not key:
            if r.method == "GET" and own <= {
                "list-type",
                "prefix",
                "delimiter",
                "max-keys",
                "continuation-token",
                "start-after",
                "encoding-type",
                "fetch-owner",
                "marker",
            }:
                return self._list
            if (
                r.method == "GET"
                and "versions" in own
                and own
                <= {
                    "versions",
                    "prefix",
                    "delimiter",
                    "max-keys",
                    "key-marker",
                    "version-id-marker",
                    "encoding-type",
                }
            ):
                return self._list_versions
            if r.method == "GET" and "uploads" in own:
                return self._list_uploads
            if r.method == "POST" and own == {"delete"}:
                return self._delete_objects
            return None
        if any(h.startswith(("x-amz-grant", "x-amz-object-lock")) for h in r.headers):
            return None
        if r.method in ("GET", "HEAD"):
            if own <= {"versionId", "partNumber"}:
                return self._get_object
            return self._list_parts if r.method == "GET" and "uploadId" in own else None
        if r.method == "PUT":
            if own == {"uploadId", "partNumber"}:
                return self._upload_part
            if not own:
                return self._copy_object if "x-amz-copy-source" in r.headers else self._put_object
        if r.method == "POST":
            if own == {"uploads"}:
                return self._create_upload
            if own == {"uploadId"}:
                return self._complete_upload
        if r.method == "DELETE":
            if own == {"uploadId"}:
                return self._abort_upload
            if own <= {"versionId"}:
                return self._delete_object
        return None

    def _permitted(self, bucket: FakeBucket, r: Request, key: str) -> None:
        if bucket.policy is None:
            return
        action = {"GET": "Get", "HEAD": "Get", "PUT": "Put", "POST": "Put", "DELETE": "Delete"}.get(
            r.method, "Get"
        )
        resource = f"arn:{bucket.partition}:s3:::{bucket.name}"
        checked = (f"s3:{action}Object", f"{resource}/{key}") if key else ("s3:ListBucket", resource)
        if bucket.get_permission(*checked) == PermissionResult.DENIED:
            raise S3Error(
                403, "AccessDenied", f"Access Denied by the bucket's policy: {checked[0]} on {checked[1]}"
            )

    def _error(self, e: S3Error, r: Request, path: str) -> Response:
        if r.method == "HEAD" or e.status == 304:
            return Response(e.status, [*e.headers, ("x-amz-request-id", uuid.uuid4().hex)])
        fields = "".join(f"<{k}>{escape(v)}</{k}>" for k, v in e.fields.items())
        body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{e.code}</Code><Message>{escape(e.message)}</Message>{fields}<Resource>{escape(path)}</Resource><RequestId>{uuid.uuid4().hex}</RequestId></Error>'
        return _xml(body, e.status, e.headers)

    # ------------------------------------------------------------------------------------- objects

    def _version(self, bucket: FakeBucket, key: str, version_id: str | None) -> Any:
        versions = bucket.keys.getlist(key, [])
        if version_id is not None:
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
        return versions[-1] if versions else None

    def _get_object(self, r: Request, bucket: FakeBucket, key: str, q: dict[str, str]) -> Response:
        for _ in range(100):
            found = self._version(bucket, key, q.get("versionId"))
            if isinstance(found, DeleteMarker):
                headers = [("x-amz-delete-marker", "true"), ("x-amz-version-id", found.version_id)]
                if q.get("versionId"):
                    headers.append(("Last-Modified", _http_date(found.last_modified)))
                    raise S3Error(
                        405,
                        "MethodNotAllowed",
                        "The specified method is not allowed against this resource.",
                        headers,
                        Method=r.method,
                        ResourceType="DeleteMarker",
                    )
                raise S3Error(404, "NoSuchKey", "The specified key does not exist.", headers, Key=key)
            if found is None:
                raise no_such_key(key)
            try:
                return self._send(r, found, q)
            except FileNotFoundError:
                # Replaced between finding and opening it: the next look finds the newer one.
                continue
        raise S3Error(503, "SlowDown", "Please reduce your request rate.")

    def _send(self, r: Request, found: FileKey, q: dict[str, str]) -> Response:
        if found.storage_class in ARCHIVE_STORAGE_CLASSES and found._expiry is None and r.method == "GET":
            raise S3Error(
                403,
                "InvalidObjectState",
                "The operation is not valid for the object's storage class",
                StorageClass=str(found.storage_class),
            )
        _check_read(r.headers, found)
        headers: dict[str, str] = {}
        for name, value in {**found.response_dict, **found.metadata}.items():
            if value is not None:
                headers[_canonical(name)] = str(value)
        if found.version_id != "null":
            headers["x-amz-version-id"] = found.version_id
        headers["Accept-Ranges"] = "bytes"
        for name, value in q.items():
            if name in _OVERRIDES:
                headers[_OVERRIDES[name]] = value
        size = found.size
        start, end, status = 0, size, 200
        if q.get("partNumber") and q["partNumber"] != "1":
            raise S3Error(
                416,
                "InvalidPartNumber",
                "The requested partnumber is not satisfiable",
                ActualPartCount="1",
                PartNumberRequested=q["partNumber"],
            )
        if "range" in r.headers:
            part = _range(r.headers["range"], size)
            if part is not None:
                start, end = part
                status = 206
                headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
        elif q.get("partNumber"):
            status = 206
            headers["Content-Range"] = f"bytes 0-{max(size - 1, 0)}/{size}"
        if (
            status == 200
            and r.headers.get("x-amz-checksum-mode", "").upper() == "ENABLED"
            and found.checksum_algorithm
            and found.checksum_value
        ):
            value = (
                found.checksum_value
                if found.checksum_type != "COMPOSITE"
                else f"{found.checksum_value}-{found.checksum_parts}"
            )
            headers[f"x-amz-checksum-{found.checksum_algorithm.lower()}"] = value
            headers["x-amz-checksum-type"] = found.checksum_type or "FULL_OBJECT"
        headers["Content-Length"] = str(end - start)
        listed = list(headers.items())
        if r.method == "HEAD":
            return Response(status, listed)
        if end - start <= 1 << 16:
            with found.body.open("rb") as f:
                f.seek(start)
                return Response(status, listed, f.read(end - start))
        return Response(
            status, listed, FileSlice(str(found.body), start, end - start, found.body.open("rb", buffering=0))
        )

    def _receive(self, r: Request, algorithm: str | None) -> tuple[BodyFile, str, str | None]:
        """Streams a request's body into a file and checks it. Returns file, MD5 and checksum."""
        encoded = "aws-chunked" in r.headers.get("content-encoding", "") or r.headers.get(
            "x-amz-content-sha256", ""
        ).startswith("STREAMING-")
        source: Any = _AwsChunked(r.body) if encoded else r.body
        path = bodies().new()
        hashing = _Hashing(algorithm)
        size = 0
        try:
            with path.open("wb", buffering=0) as f:
                while block := source.read(BLOCK):
                    hashing.update(block)
                    f.write(block)
                    size += len(block)
            expected_size = r.headers.get("x-amz-decoded-content-length") if encoded else None
            if expected_size is not None and int(expected_size) != size:
                raise S3Error(
                    400,
                    "IncompleteBody",
                    f"You did not provide the number of bytes specified by the Content-Length HTTP header: {size} of {expected_size}",
                )
            digest = hashing.md5
            sent_md5 = r.headers.get("content-md5")
            if sent_md5 and sent_md5 != base64.b64encode(digest.digest()).decode():
                raise S3Error(
                    400, "BadDigest", "The Content-MD5 you specified did not match what we received."
                )
            sent = None
            if algorithm:
                name = f"x-amz-checksum-{algorithm.lower()}"
                sent = r.headers.get(name) or (source.trailers.get(name) if encoded else None)
            computed = hashing.checksum()
            if sent and computed and sent != computed:
                raise S3Error(
                    400, "BadDigest", f"The {algorithm} you specified did not match the calculated checksum."
                )
            return BodyFile(path, size), digest.hexdigest(), sent or computed
        except BaseException:
            path.unlink(missing_ok=True)
            raise

    def _put_object(self, r: Request, bucket: FakeBucket, key: str, q: dict[str, str]) -> Response:
        _check_key(key)
        storage = r.headers.get("x-amz-storage-class")
        if storage is not None and storage not in STORAGE_CLASS:
            raise S3Error(
                400,
                "InvalidStorageClass",
                "The storage class you specified is not valid",
                StorageClassRequested=storage,
            )
        _check_write(r.headers, bucket, key)
        algorithm = _algorithm(r.headers)
        body, etag, checksum = self._receive(r, algorithm)
        try:
            with self.lock(bucket.name):
                _check_write(r.headers, bucket, key)
                new = self._store(
                    bucket,
                    key,
                    body,
                    etag,
                    _put_headers(r, q),
                    algorithm,
                    checksum,
                    Event.OBJECT_CREATED_PUT_EVENT,
                    tags=_tags(r.headers),
                )
        except S3Error:
            body.path.unlink(missing_ok=True)
            raise
        headers = _written(new)
        if algorithm and checksum:
            headers += [
                (f"x-amz-checksum-{algorithm.lower()}", checksum),
                ("x-amz-checksum-type", "FULL_OBJECT"),
            ]
        return Response(200, headers)

    def _source(self, r: Request) -> tuple[FileKey, str | None]:
        """The object that x-amz-copy-source names, if it meets the conditions on it."""
        text = r.headers["x-amz-copy-source"]
        text, _, version = text.partition("?versionId=")
        name, _, key = unquote(text).lstrip("/").partition("/")
        bucket = self.bucket(name)
        if bucket is None:
            raise S3Error(404, "NoSuchBucket", "The specified bucket does not exist", BucketName=name)
        found = self._version(bucket, key, version or None)
        if isinstance(found, DeleteMarker):
            if version:
                raise S3Error(
                    400,
                    "InvalidRequest",
                    "The source of a copy request may not specifically refer to a delete marker by version id.",
                )
            raise no_such_key(key)
        if found is None:
            raise no_such_key(key)
        h = r.headers
        if "x-amz-copy-source-if-match" in h and not _matches(h["x-amz-copy-source-if-match"], found.etag):
            raise precondition_failed("x-amz-copy-source-If-Match")
        if "x-amz-copy-source-if-none-match" in h and _matches(
            h["x-amz-copy-source-if-none-match"], found.etag
        ):
            raise precondition_failed("x-amz-copy-source-If-None-Match")
        modified = _seconds(found.last_modified)
        if (
            "x-amz-copy-source-if-unmodified-since" in h
            and "x-amz-copy-source-if-match" not in h
            and modified > _date(h["x-amz-copy-source-if-unmodified-since"])
        ):
            raise precondition_failed("x-amz-copy-source-If-Unmodified-Since")
        if "x-amz-copy-source-if-modified-since" in h and modified <= _date(
            h["x-amz-copy-source-if-modified-since"]
        ):
            raise precondition_failed("x-amz-copy-source-If-Modified-Since")
        return found, version or None

    def _copy_object(self, r: Request, bucket: FakeBucket, key: str, q: dict[str, str]) -> Response:
        _check_key(key)
        with bodies().pinned():
            source, version = self._source(r)
            replace = r.headers.get("x-amz-metadata-directive", "COPY").upper() == "REPLACE"
            changes = replace or any(
                h in r.headers
                for h in (
                    "x-amz-storage-class",
                    "x-amz-server-side-encryption",
                    "x-amz-website-redirect-location",
                )
            )
            if source.bucket_name == bucket.name and source.name == key and not changes and not version:
                raise S3Error(
                    400,
                    "InvalidRequest",
                    "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.",
                )
            path = bodies().new()
            copy_file(source.body, path)
            algorithm, checksum = source.checksum_algorithm, source.checksum_value
            kind, parts = source.checksum_type, source.checksum_parts
            if wanted := r.headers.get("x-amz-checksum-algorithm"):
                algorithm, checksum, kind, parts = wanted, _checksum_of(path, wanted), "FULL_OBJECT", None
            headers = {
                k: v
                for k, v in r.headers.items()
                if k.startswith(("x-amz-storage", "x-amz-server-side", "x-amz-acl", "x-amz-website"))
            }
            metadata = dict(metadata_from_headers(r.headers)) if replace else dict(source.metadata)
            retag = r.headers.get("x-amz-tagging-directive", "COPY").upper() == "REPLACE"
            tags = _tags(r.headers) if retag else self.backend.tagger.get_tag_dict_for_resource(source.arn)
            # A copy is one object again, unless nobody looked at its bytes: then it keeps the tag it had.
            etag = source.etag.strip('"')
            with self.lock(bucket.name):
                try:
                    _check_write(r.headers, bucket, key)
                except S3Error:
                    path.unlink(missing_ok=True)
                    raise
                new = self._store(
                    bucket,
                    key,
                    BodyFile(path, source.size),
                    etag,
                    headers,
                    algorithm,
                    checksum,
                    Event.OBJECT_CREATED_COPY_EVENT,
                    metadata=metadata,
                    tags=tags,
                    checksum_type=kind,
                    checksum_parts=parts,
                )
        out = _written(new)
        if source.version_id != "null":
            out.append(("x-amz-copy-source-version-id", source.version_id))
        shown = (
            f"<Checksum{algorithm}>{checksum}</Checksum{algorithm}><ChecksumType>{kind}</ChecksumType>"
            if algorithm and checksum
            else ""
        )
        return _xml(
            f'<?xml version="1.0" encoding="UTF-8"?>\n<CopyObjectResult xmlns="{NAMESPACE}"><LastModified>{new.last_modified_ISO8601}</LastModified><ETag>{escape(new.etag)}</ETag>{shown}</CopyObjectResult>',
            200,
            [h for h in out if h[0] != "ETag"],
        )

    def _delete_object(self, r: Request, bucket: FakeBucket, key: str, q: dict[str, str]) -> Response:
        with self.lock(bucket.name):
            if "if-match" in r.headers:
                current = self._version(bucket, key, q.get("versionId"))
                if not isinstance(current, FileKey):
                    raise no_such_key(key)
                if not _matches(r.headers["if-match"], current.etag):
                    raise precondition_failed("If-Match")
            return Response(204, list(self._delete(bucket, key, q.get("versionId")).items()))

    def _delete_objects(self, r: Request, bucket: FakeBucket, key: str, q: dict[str, str]) -> Response:
        root = _parse(r.data())
        quiet = (_child(root, "Quiet") or "").lower() == "true"
        objects = [e for e in root if _tag(e) == "Object"]
        if not objects or len(objects) > 1000:
            raise S3Error(
                400,
                "MalformedXML",
                "The XML you provided was not well-formed or did not validate against our published schema",
            )
        out = []
        # One lock order everywhere: the bucket's, then the index's.
        with self.lock(bucket.name), self.state.transaction():
            for e in objects:
                name, version, etag = _child(e, "Key") or "", _child(e, "VersionId"), _child(e, "ETag")
                if (
                    bucket.policy is not None
                    and bucket.get_permission(
                        "s3:DeleteObject", f"arn:{bucket.partition}:s3:::{bucket.name}/{name}"
                    )
                    == PermissionResult.DENIED
                ):
                    out.append(
                        f"<Error><Key>{escape(name)}</Key><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
                    )
                    continue
                with self.lock(bucket.name):
                    if etag is not None:
                        current = bucket.keys.get(name)
                        if not isinstance(current, FileKey) or not _matches(etag, current.etag):
                            out.append(
                                f"<Error><Key>{escape(name)}</Key><Code>PreconditionFailed</Code><Message>At least one of the pre-conditions you specified did not hold</Message></Error>"
                            )
                            continue
                    headers = self._delete(bucket, name, version)
                if not quiet:
                    text = f"<Deleted><Key>{escape(name)}</Key>"
                    if version is not None:
                        text += f"<VersionId>{escape(version)}</VersionId>"
                    if headers.get("x-amz-delete-marker"):
                        text += f"<DeleteMarker>true</DeleteMarker><DeleteMarkerVersionId>{headers['x-amz-version-id']}</DeleteMarkerVersionId>"
                    out.append(text + "</Deleted>")
        discard_doomed()
        return _xml(
            f'<?xml version="1.0" encoding="UTF-8"?>\n<DeleteResult xmlns="{NAMESPACE}">{"".join(out)}</DeleteResult>'
        )

    # ------------------------------------------------------------------------------------- listing

    def _list(self, r: Request, bucket: FakeBucket, key: str, q: dict[str, str]) -> Response:
        second = q.get("list-type") == "2"
        prefix, delimiter = q.get("prefix", ""), q.get("delimiter", "")
        limit = _max_keys(q)
        encode = _encoder(q)
        if second:
            after = q.get("start-after")
            token = q.get("continuation-token")
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
        else:
            after = q.get("marker") or None
        with self.lock(bucket.name):
            entries, truncated = self._walk(bucket, prefix, delimiter, after, limit)
        parts = []
        last = ""
        for name, found in entries:
            last = name
            if found is None:
                parts.append(f"<CommonPrefixes><Prefix>{encode(name)}</Prefix></CommonPrefixes>")
                continue
            checksum = (
                f"<ChecksumAlgorithm>{found.checksum_algorithm}</ChecksumAlgorithm>"
                if found.checksum_algorithm
                else ""
            )
            owner = _OWNER if not second or q.get("fetch-owner") == "true" else ""
            parts.append(
                f"<Contents><Key>{encode(name)}</Key><LastModified>{found.last_modified_ISO8601}</LastModified><ETag>{escape(found.etag)}</ETag>{checksum}"
                f"<Size>{found.size}</Size><StorageClass>{found.storage_class}</StorageClass>{owner}</Contents>"
            )
        head = f"<Name>{bucket.name}</Name><Prefix>{encode(prefix)}</Prefix><MaxKeys>{limit}</MaxKeys>"
        if delimiter:
            head += f"<Delimiter>{encode(delimiter)}</Delimiter>"
        if q.get("encoding-type"):
            head += "<EncodingType>url</EncodingType>"
        head += f"<IsTruncated>{'true' if truncated else 'false'}</IsTruncated>"
        if second:
            head += f"<KeyCount>{len(entries)}</KeyCount>"
            if q.get("continuation-token"):
                head += f"<ContinuationToken>{escape(q['continuation-token'])}</ContinuationToken>"
            if q.get("start-after"):
                head += f"<StartAfter>{encode(q['start-after'])}</StartAfter>"
            if truncated:
                head += f"<NextContinuationToken>{base64.urlsafe_b64encode(last.encode()).decode()}</NextContinuationToken>"
        else:
            head += f"<Marker>{encode(q.get('marker', ''))}</Marker>"
            if truncated:
                head += f"<NextMarker>{encode(last)}</NextMarker>"
        return _xml(
            f'<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="{NAMESPACE}">{head}{"".join(parts)}</ListBucketResult>'
        )

    def _walk(
        self, bucket: FakeBucket, prefix: str, delimiter: str, after: str | None, limit: int
    ) -> tuple[list[tuple[str, FileKey | None]], bool]:
        """Names (with None: common prefixes) after `after`, in order, and whether there are more."""
        keys = _keys(bucket)
        out: list[tuple[str, FileKey | None]] = []
        if limit == 0:
            return out, False
        i = keys.between(prefix, after)
        if after is not None and delimiter and after.startswith(prefix):
            cut = after.find(delimiter, len(prefix))
            if cut >= 0 and after.endswith(delimiter):
                # The page before ended with this common prefix.
                i = max(i, keys.between(after[: cut + len(delimiter)] + chr(0x10FFFF), None))
        while i < len(keys.names):
            name = keys.names[i]
            if not name.startswith(prefix):
                break
            cut = name.find(delimiter, len(prefix)) if delimiter else -1
            if cut >= 0:
                common = name[: cut + len(delimiter)]
                following = keys.between(common + chr(0x10FFFF), None)
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

    def _list_versions(self, r: Request, bucket: FakeBucket, key: str, q: dict[str, str]) -> Response:
        prefix, delimiter, limit, encode = (
            q.get("prefix", ""),
            q.get("delimiter", ""),
            _max_keys(q),
            _encoder(q),
        )
        marker, version_marker = q.get("key-marker") or None, q.get("version-id-marker") or None
        parts: list[str] = []
        commons: list[str] = []
        count, truncated = 0, False
        last: tuple[str, str] = ("", "")
        with self.lock(bucket.name):
            keys = _keys(bucket)
            i = keys.between(prefix, None)
            if marker is not None:
                i = max(i, keys.between(marker, None) if version_marker else keys.between(marker, marker))
            while i < len(keys.names) and not truncated:
                name = keys.names[i]
                if not name.startswith(prefix):
                    break
                cut = name.find(delimiter, len(prefix)) if delimiter else -1
                if cut >= 0:
                    common = name[: cut + len(delimiter)]
                    i = max(keys.between(common + chr(0x10FFFF), None), i + 1)
                    if marker is not None and marker == common:
                        continue
                    if count == limit:
                        truncated = True
                        break
                    commons.append(common)
                    count += 1
                    last = (common, "")
                    continue
                versions = list(reversed(keys.getlist(name, [])))
                skip = name == marker and version_marker is not None
                for n, v in enumerate(versions):
                    if skip:
                        skip = v.version_id != version_marker
                        continue
                    if count == limit:
                        truncated = True
                        break
                    count += 1
                    last = (name, v.version_id)
                    common_fields = f"<Key>{encode(name)}</Key><VersionId>{v.version_id}</VersionId><IsLatest>{'true' if n == 0 else 'false'}</IsLatest><LastModified>{v.last_modified_ISO8601}</LastModified>"
                    if isinstance(v, FileKey):
                        parts.append(
                            f"<Version>{common_fields}<ETag>{escape(v.etag)}</ETag><Size>{v.size}</Size><StorageClass>{v.storage_class}</StorageClass>{_OWNER}</Version>"
                        )
                    else:
                        parts.append(f"<DeleteMarker>{common_fields}{_OWNER}</DeleteMarker>")
                i += 1
        head = f"<Name>{bucket.name}</Name><Prefix>{encode(prefix)}</Prefix><KeyMarker>{encode(marker or '')}</KeyMarker><VersionIdMarker>{escape(version_marker or '')}</VersionIdMarker><MaxKeys>{limit}</MaxKeys><IsTruncated>{'true' if truncated else 'false'}</IsTruncated>"
        if q.get("encoding-type"):
            head += "<EncodingType>url</EncodingType>"
        if delimiter:
            head += f"<Delimiter>{encode(delimiter)}</Delimiter>"
        if truncated:
            head += f"<NextKeyMarker>{encode(last[0])}</NextKeyMarker>"
            if last[1]:
                head += f"<NextVersionIdMarker>{last[1]}</NextVersionIdMarker>"
        tail = "".join(f"<CommonPrefixes><Prefix>{encode(c)}</Prefix></CommonPrefixes>" for c in commons)
        return _xml(
            f'<?xml version="1.0" encoding="UTF-8"?>\n<ListVersionsResult xmlns="{NAMESPACE}">{head}{"".join(parts)}{tail}</ListVersionsResult>'
        )

    # ----------------------------------------------------------------------------------- multipart

    def _upload(self, q: dict[str, str], bucket: FakeBucket, key: str) -> Upload:
        found = self.uploads.get(q["uploadId"])
        if found is None or found.bucket != bucket.name or found.key != key:
            raise S3Error(
                404,
                "NoSuchUpload",
                "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.",
                UploadId=q["uploadId"],
            )
        return found

    def _create_upload(self, r: Request, bucket: FakeBucket, key: str, q: dict[str, str]) -> Response:
        _check_key(key)
        algorithm = r.headers.get("x-amz-checksum-algorithm")
        kind = r.headers.get("x-amz-checksum-type") or (
            ("FULL_OBJECT" if algorithm == "CRC64NVME" else "COMPOSITE") if algorithm else None
        )
        upload = Upload(
            uuid.uuid4().hex + uuid.uuid4().hex,
            bucket.name,
            key,
            _put_headers(r, q),
            algorithm.upper() if algorithm else None,
            kind,
            utcnow(),
        )
        upload.headers["\0tagging"] = r.headers.get("x-amz-tagging", "")
        with self.state.transaction() as db:
            db.execute("INSERT INTO uploads VALUES (?, ?)", (upload.id, dumps(upload)))
        self.uploads[upload.id] = upload
        headers = (
            [("x-amz-checksum-algorithm", algorithm), ("x-amz-checksum-type", kind or "")]
            if algorithm
            else []
        )
        return _xml(
            f'<?xml version="1.0" encoding="UTF-8"?>\n<InitiateMultipartUploadResult xmlns="{NAMESPACE}"><Bucket>{bucket.name}</Bucket><Key>{escape(key)}</Key><UploadId>{upload.id}</UploadId></InitiateMultipartUploadResult>',
            200,
            headers,
        )

    def _upload_part(self, r: Request, bucket: FakeBucket, key: str, q: dict[str, str]) -> Response:
        upload = self._upload(q, bucket, key)
        number = int(q["partNumber"]) if q["partNumber"].isdigit() else 0
        if not 1 <= number <= 10_000:
            raise S3Error(
                400,
                "InvalidArgument",
                "Part number must be an integer between 1 and 10000, inclusive",
                ArgumentName="partNumber",
                ArgumentValue=q["partNumber"],
            )
        algorithm = _algorithm(r.headers) or upload.algorithm
        copied = "x-amz-copy-source" in r.headers
        if copied:
            body, etag = self._copied_part(r)
            checksum = None
        else:
            body, etag, checksum = self._receive(r, algorithm)
        part = Part(number, body, etag, checksum, utcnow())
        with self.lock(bucket.name):
            if upload.id not in self.uploads:
                body.path.unlink(missing_ok=True)
                self._upload(q, bucket, key)
            old = upload.parts.get(number)
            with self.state.transaction() as db:
                db.execute(
                    "INSERT OR REPLACE INTO parts VALUES (?, ?, ?, ?)",
                    (upload.id, number, body.path.name, dumps(part)),
                )
            upload.parts[number] = part
        if old is not None:
            bodies().discard(old.body.path)
        if copied:
            return _xml(
                f'<?xml version="1.0" encoding="UTF-8"?>\n<CopyPartResult xmlns="{NAMESPACE}"><LastModified>{_iso(part.modified)}</LastModified><ETag>&quot;{etag}&quot;</ETag></CopyPartResult>'
            )
        headers = [("ETag", f'"{etag}"')]
        if algorithm and checksum:
            headers.append((f"x-amz-checksum-{algorithm.lower()}", checksum))
        return Response(200, headers)

    def _copied_part(self, r: Request) -> tuple[BodyFile, str]:
        with bodies().pinned():
            source, _ = self._source(r)
            start, end = 0, source.size
            if "x-amz-copy-source-range" in r.headers:
                m = re.fullmatch(r"bytes=(\d+)-(\d+)", r.headers["x-amz-copy-source-range"])
                if m is None or int(m.group(2)) >= source.size or int(m.group(1)) > int(m.group(2)):
                    raise S3Error(
                        400,
                        "InvalidArgument",
                        f"Range specified is not valid for source object of size: {source.size}",
                    )
                start, end = int(m.group(1)), int(m.group(2)) + 1
            path = bodies().new()
            digest = hashlib.md5(usedforsecurity=False)
            with source.body.open("rb") as f, path.open("wb") as out:
                f.seek(start)
                left = end - start
                while left:
                    block = f.read(min(BLOCK, left))
                    digest.update(block)
                    out.write(block)
                    left -= len(block)
            return BodyFile(path, end - start), digest.hexdigest()

    def _complete_upload(self, r: Request, bucket: FakeBucket, key: str, q: dict[str, str]) -> Response:
        root = _parse(r.data())
        listed = [
            (int(_child(e, "PartNumber") or 0), (_child(e, "ETag") or "").strip('"'))
            for e in root
            if _tag(e) == "Part"
        ]
        upload = self._upload(q, bucket, key)
        if not listed:
            raise S3Error(
                400,
                "MalformedXML",
                "The XML you provided was not well-formed or did not validate against our published schema",
            )
        if any(a >= b for (a, _), (b, _) in itertools.pairwise(listed)):
            raise S3Error(
                400,
                "InvalidPartOrder",
                "The list of parts was not in ascending order. The parts list must be specified in order by part number.",
            )
        parts = []
        for number, etag in listed:
            part = upload.parts.get(number)
            if part is None or part.etag != etag:
                raise S3Error(
                    400,
                    "InvalidPart",
                    "One or more of the specified parts could not be found. The part might not have been uploaded, or the specified entity tag might not have matched the part's entity tag.",
                    PartNumber=str(number),
                )
            parts.append(part)
        for part in parts[:-1]:
            if part.body.size < MIN_PART:
                raise S3Error(
                    400,
                    "EntityTooSmall",
                    "Your proposed upload is smaller than the minimum allowed size",
                    ProposedSize=str(part.body.size),
                    MinSizeAllowed=str(MIN_PART),
                    PartNumber=str(part.number),
                )
        _check_write(r.headers, bucket, key)
        path, hashing = self._joined(parts, upload)
        size = sum(p.body.size for p in parts)
        tags_md5 = hashlib.md5(b"".join(bytes.fromhex(p.etag) for p in parts), usedforsecurity=False)
        etag = f"{tags_md5.hexdigest()}-{len(parts)}"
        checksum, count = self._upload_checksum(upload, parts, hashing)
        headers = {k: v for k, v in upload.headers.items() if k != "\0tagging"}
        try:
            with self.lock(bucket.name):
                with self.state.transaction():
                    self._upload(q, bucket, key)
                    _check_write(r.headers, bucket, key)
                    self._forget(upload)
                    new = self._store(
                        bucket,
                        key,
                        BodyFile(path, size),
                        etag,
                        headers,
                        upload.algorithm if checksum else None,
                        checksum,
                        Event.OBJECT_CREATED_COMPLETE_MULTIPART_UPLOAD_EVENT,
                        tags=dict(parse_qsl(upload.headers.get("\0tagging", ""))),
                        checksum_type=upload.kind,
                        checksum_parts=count,
                    )
                del self.uploads[upload.id]
                discard_doomed()
        except S3Error:
            path.unlink(missing_ok=True)
            raise
        for part in upload.parts.values():
            bodies().discard(part.body.path)
        return _xml(
            f'<?xml version="1.0" encoding="UTF-8"?>\n<CompleteMultipartUploadResult xmlns="{NAMESPACE}"><Location>http://{r.headers.get("host", "")}/{bucket.name}/{quote(key)}</Location><Bucket>{bucket.name}</Bucket><Key>{escape(key)}</Key><ETag>{escape(new.etag)}</ETag></CompleteMultipartUploadResult>',
            200,
            [h for h in _written(new) if h[0] != "ETag"],
        )

    def _joined(self, parts: list[Part], upload: Upload) -> tuple[Path, _Hashing | None]:
        path = bodies().new()
        full = (
            _Hashing(upload.algorithm)
            if upload.kind == "FULL_OBJECT" and upload.algorithm in ("CRC32", "SHA1", "SHA256")
            else None
        )
        if len(parts) == 1 and full is None:
            copy_file(parts[0].body.path, path)
            return path, None
        with path.open("wb", buffering=0) as out:
            for part in parts:
                with part.body.path.open("rb", buffering=0) as f:
                    if full is None:
                        _append(f, out, part.body.size)
                    else:
                        while block := f.read(BLOCK):
                            full.update(block)
                            out.write(block)
        return path, full

    def _upload_checksum(
        self, upload: Upload, parts: list[Part], full: _Hashing | None
    ) -> tuple[str | None, int | None]:
        if upload.algorithm is None:
            return None, None
        if full is not None:
            return full.checksum(), None
        if upload.kind != "COMPOSITE" or any(p.checksum is None for p in parts):
            return None, None
        whole = _Hashing(upload.algorithm)
        whole.update(b"".join(base64.b64decode(p.checksum or "") for p in parts))
        return whole.checksum(), len(parts)

    def _abort_upload(self, r: Request, bucket: FakeBucket, key: str, q: dict[str, str]) -> Response:
        with self.lock(bucket.name):
            upload = self._upload(q, bucket, key)
            self._forget(upload)
            del self.uploads[upload.id]
        for part in upload.parts.values():
            bodies().discard(part.body.path)
        return Response(204)

    def _forget(self, upload: Upload) -> None:
        """Removes an upload from the index."""
        with self.state.transaction() as db:
            db.execute("DELETE FROM uploads WHERE id = ?", (upload.id,))
            db.execute("DELETE FROM parts WHERE upload = ?", (upload.id,))

    def _list_parts(self, r: Request, bucket: FakeBucket, key: str, q: dict[str, str]) -> Response:
        upload = self._upload(q, bucket, key)
        limit = min(int(q.get("max-parts") or 1000), 1000)
        after = int(q.get("part-number-marker") or 0)
        parts = [p for n, p in sorted(upload.parts.items()) if n > after]
        page = parts[:limit]
        body = "".join(
            f"<Part><PartNumber>{p.number}</PartNumber><LastModified>{_iso(p.modified)}</LastModified><ETag>&quot;{p.etag}&quot;</ETag><Size>{p.body.size}</Size></Part>"
            for p in page
        )
        following = f"<NextPartNumberMarker>{page[-1].number}</NextPartNumberMarker>" if page else ""
        return _xml(
            f'<?xml version="1.0" encoding="UTF-8"?>\n<ListPartsResult xmlns="{NAMESPACE}"><Bucket>{bucket.name}</Bucket><Key>{escape(key)}</Key><UploadId>{upload.id}</UploadId><PartNumberMarker>{after}</PartNumberMarker>{following}<MaxParts>{limit}</MaxParts><IsTruncated>{"true" if len(parts) > limit else "false"}</IsTruncated>{body}</ListPartsResult>'
        )

    def _list_uploads(self, r: Request, bucket: FakeBucket, key: str, q: dict[str, str]) -> Response:
        prefix = q.get("prefix", "")
        found = sorted(
            (u for u in self.uploads.values() if u.bucket == bucket.name and u.key.startswith(prefix)),
            key=lambda u: (u.key, u.started),
        )
        body = "".join(
            f"<Upload><Key>{escape(u.key)}</Key><UploadId>{u.id}</UploadId><StorageClass>STANDARD</StorageClass><Initiated>{_iso(u.started)}</Initiated></Upload>"
            for u in found[:1000]
        )
        return _xml(
            f'<?xml version="1.0" encoding="UTF-8"?>\n<ListMultipartUploadsResult xmlns="{NAMESPACE}"><Bucket>{bucket.name}</Bucket><Prefix>{escape(prefix)}</Prefix><MaxUploads>1000</MaxUploads><IsTruncated>{"true" if len(found) > 1000 else "false"}</IsTruncated>{body}</ListMultipartUploadsResult>'
        )


# ----------------------------------------------------------------------------------------- details

_OWNER = "<Owner><ID>75aa57f09aa0c8caeab4f8c24e99d10f8e7faeebf76c078efc7c6caea54ba06a</ID><DisplayName>webfile</DisplayName></Owner>"
_OVERRIDES = {
    "response-content-type": "Content-Type",
    "response-content-language": "Content-Language",
    "response-expires": "Expires",
    "response-cache-control": "Cache-Control",
    "response-content-disposition": "Content-Disposition",
    "response-content-encoding": "Content-Encoding",
}
_NAMES = {
    n.lower(): n
    for n in (
        "ETag",
        "Content-Type",
        "Content-Encoding",
        "Content-Language",
        "Content-Disposition",
        "Cache-Control",
        "Expires",
        "Last-Modified",
        "Content-Length",
    )
}


def _keys(bucket: FakeBucket) -> KeyStore:
    assert isinstance(bucket.keys, KeyStore)
    return bucket.keys


def _canonical(name: str) -> str:
    return _NAMES.get(name.lower(), name)


def _info(key: FileKey) -> ObjectInfo:
    return ObjectInfo(str(key.name), key.size, str(key.body), key.etag)


def _file_etag(path: Path, size: int) -> str:
    """An ETag like that of a multipart upload in parts of 64 MB, which is how engines write large files."""
    part = 64 << 20
    digests: list[bytes] = []
    with path.open("rb", buffering=0) as f:
        while True:
            digest, left = hashlib.md5(usedforsecurity=False), part
            while left and (block := f.read(min(BLOCK, left))):
                digest.update(block)
                left -= len(block)
            if left == part and digests:
                break
            digests.append(digest.digest())
            if left:
                break
    if size <= part:
        return digests[0].hex()
    return f"{hashlib.md5(b''.join(digests), usedforsecurity=False).hexdigest()}-{len(digests)}"


def _append(source: BinaryIO | Any, target: BinaryIO | Any, size: int) -> None:
    """Copies inside the kernel, without the interpreter's lock."""
    left = size
    while left:
        try:
            moved = os.copy_file_range(source.fileno(), target.fileno(), min(left, 1 << 28))
        except (OSError, AttributeError):
            while block := source.read(BLOCK):
                target.write(block)
            return
        if not moved:
            return
        left -= moved


def _written(new: FileKey) -> list[tuple[str, str]]:
    headers = [("ETag", new.etag)]
    if new.version_id != "null":
        headers.append(("x-amz-version-id", new.version_id))
    if new.encryption:
        headers.append(("x-amz-server-side-encryption", new.encryption))
        if new.kms_key_id:
            headers.append(("x-amz-server-side-encryption-aws-kms-key-id", new.kms_key_id))
    return headers


def _put_headers(r: Request, q: dict[str, str]) -> dict[str, str]:
    """Headers that say what to keep with an object; presigned URLs have them in the query. Metadata keeps
    the spelling of its names apart from case."""
    headers = dict(r.headers)
    headers.update({k: v for k, v in q.items() if k.lower().startswith("x-amz-meta-")})
    encoding = headers.get("content-encoding")
    if encoding is not None and "aws-chunked" in encoding:
        rest = ",".join(e.strip() for e in encoding.split(",") if e.strip() != "aws-chunked")
        headers.pop("content-encoding")
        if rest:
            headers["content-encoding"] = rest
    return {
        _canonical(k) if k in _NAMES else k: v
        for k, v in headers.items()
        if k not in ("content-length", "content-md5")
    }


def _tags(headers: dict[str, str]) -> dict[str, str]:
    tags = dict(parse_qsl(headers.get("x-amz-tagging", ""), keep_blank_values=True))
    if len(tags) > 10:
        raise S3Error(400, "BadRequest", "Object tags cannot be greater than 10")
    return tags


def _algorithm(headers: dict[str, str]) -> str | None:
    named = headers.get("x-amz-sdk-checksum-algorithm") or headers.get(
        "x-amz-trailer", ""
    ).lower().removeprefix("x-amz-checksum-")
    if named:
        return named.upper()
    for name in ("crc32", "crc32c", "crc64nvme", "sha1", "sha256"):
        if f"x-amz-checksum-{name}" in headers:
            return name.upper()
    return None


def _matches(condition: str, etag: str) -> bool:
    mine = etag.strip('"')
    return any(c.strip().removeprefix("W/").strip('"') in ("*", mine) for c in condition.split(","))


def _check_write(headers: dict[str, str], bucket: FakeBucket, key: str) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html"""
    current = bucket.keys.get(key)
    exists = isinstance(current, FileKey)
    if "if-none-match" in headers:
        if headers["if-none-match"].strip() != "*":
            raise S3Error(
                501,
                "NotImplemented",
                "A header you provided implies functionality that is not implemented",
                Header="If-None-Match",
            )
        if exists:
            raise precondition_failed("If-None-Match")
    if "if-match" in headers:
        if not exists:
            raise no_such_key(key)
        if not _matches(headers["if-match"], current.etag):
            raise precondition_failed("If-Match")


def _check_read(h: dict[str, str], key: FileKey) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-reads.html"""
    modified = _seconds(key.last_modified)
    if "if-match" in h:
        if not _matches(h["if-match"], key.etag):
            raise precondition_failed("If-Match")
    elif "if-unmodified-since" in h and modified > _date(h["if-unmodified-since"]):
        raise precondition_failed("If-Unmodified-Since")
    if "if-none-match" in h:
        unchanged = _matches(h["if-none-match"], key.etag)
    else:
        unchanged = "if-modified-since" in h and modified <= _date(h["if-modified-since"])
    if unchanged:
        raise S3Error(
            304,
            "NotModified",
            "Not Modified",
            [("ETag", key.etag), ("Last-Modified", key.last_modified_RFC1123)],
        )


def _check_key(key: str) -> None:
    if len(key.encode()) > 1024:
        raise S3Error(
            400, "KeyTooLongError", "Your key is too long", Size=str(len(key.encode())), MaxSizeAllowed="1024"
        )


def _range(header: str, size: int) -> tuple[int, int] | None:
    """Start and end (exclusive) of a single byte range; None for what S3 ignores."""
    m = re.fullmatch(r"bytes=(\d*)-(\d*)", header.strip())
    if m is None or not (m.group(1) or m.group(2)):
        return None
    if m.group(1):
        start = int(m.group(1))
        end = min(int(m.group(2)) + 1, size) if m.group(2) else size
        if m.group(2) and int(m.group(2)) < start:
            return None
        if start >= size:
            raise S3Error(
                416,
                "InvalidRange",
                "The requested range is not satisfiable",
                [("Content-Range", f"bytes */{size}")],
                RangeRequested=header,
                ActualObjectSize=str(size),
            )
        return start, end
    length = int(m.group(2))
    if not length or not size:
        raise S3Error(
            416,
            "InvalidRange",
            "The requested range is not satisfiable",
            [("Content-Range", f"bytes */{size}")],
            RangeRequested=header,
            ActualObjectSize=str(size),
        )
    return max(0, size - length), size


def _max_keys(q: dict[str, str]) -> int:
    value = q.get("max-keys") or "1000"
    if not re.fullmatch(r"\d+", value):
        raise S3Error(
            400,
            "InvalidArgument",
            "Provided max-keys not an integer or within integer range",
            ArgumentName="max-keys",
            ArgumentValue=value,
        )
    return min(int(value), 1000)


def _encoder(q: dict[str, str]) -> Callable[[str], str]:
    return quote if q.get("encoding-type") == "url" else escape


def _seconds(moment: datetime) -> datetime:
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).replace(microsecond=0)


def _date(text: str) -> datetime:
    try:
        return _seconds(parsedate_to_datetime(text))
    except (TypeError, ValueError):
        try:
            return _seconds(datetime.fromisoformat(text))
        except ValueError as e:
            raise S3Error(400, "InvalidArgument", f"Not a date: {text}") from e


def _http_date(moment: datetime) -> str:
    return format_datetime(_seconds(moment), usegmt=True)


def _iso(moment: datetime) -> str:
    return f"{_seconds(moment):%Y-%m-%dT%H:%M:%S.000Z}"


def _xml(body: str, status: int = 200, headers: list[tuple[str, str]] | None = None) -> Response:
    return Response(status, [("Content-Type", "application/xml"), *(headers or [])], body.encode())


def _parse(data: bytes) -> ET.Element:
    try:
        return ET.fromstring(data)  # noqa: S314  # a local client's request
    except ET.ParseError as e:
        raise S3Error(
            400,
            "MalformedXML",
            "The XML you provided was not well-formed or did not validate against our published schema",
        ) from e


def _tag(e: ET.Element) -> str:
    return e.tag.rsplit("}", 1)[-1]


def _child(e: ET.Element, name: str) -> str | None:
    found = next((c for c in e if _tag(c) == name), None)
    return None if found is None else found.text or ""
