"""Operations on one object, and DeleteObjects."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, unquote

from moto.iam.access_control import PermissionResult
from moto.s3.utils import ARCHIVE_STORAGE_CLASSES, STORAGE_CLASS, metadata_from_headers

from local_aws.http import FileSlice, Response
from local_aws.s3.call import Call
from local_aws.s3.conditions import check_copy_source, check_read, check_write, matches
from local_aws.s3.content import algorithm_of, byte_range, checksum_of, receive
from local_aws.s3.errors import S3Error, malformed_xml, no_such_key, precondition_failed
from local_aws.s3.keys import BodyFile, DeleteMarker, FileKey, bodies, copy_file, discard_doomed
from local_aws.s3.store import Checksum, Event, Store
from local_aws.s3.wire import http_date, read, respond

# Answers of up to this size are read and sent at once; larger ones the kernel sends from the file.
_SMALL = 1 << 16
_OVERRIDES = {
    "response-content-type": "Content-Type",
    "response-content-language": "Content-Language",
    "response-expires": "Expires",
    "response-cache-control": "Cache-Control",
    "response-content-disposition": "Content-Disposition",
    "response-content-encoding": "Content-Encoding",
}
# Headers as S3 spells them; moto keeps some in lower case.
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


# ------------------------------------------------------------------------------------------ reading


def get_object(store: Store, c: Call) -> Response:
    """GetObject and HeadObject."""
    for _ in range(100):
        found = store.version(c.bucket, c.key, c.query.get("versionId"))
        if isinstance(found, DeleteMarker):
            headers = [("x-amz-delete-marker", "true"), ("x-amz-version-id", found.version_id)]
            if c.query.get("versionId"):
                headers.append(("Last-Modified", http_date(found.last_modified)))
                raise S3Error(
                    405,
                    "MethodNotAllowed",
                    "The specified method is not allowed against this resource.",
                    headers,
                    Method=c.request.method,
                    ResourceType="DeleteMarker",
                )
            raise no_such_key(c.key, headers)
        if found is None:
            raise no_such_key(c.key)
        try:
            return _send(c, found)
        except FileNotFoundError:
            # Replaced between finding and opening it: the next look finds the newer one.
            continue
    raise S3Error(503, "SlowDown", "Please reduce your request rate.")


def _send(c: Call, found: FileKey) -> Response:
    if found.storage_class in ARCHIVE_STORAGE_CLASSES and found._expiry is None and c.request.method == "GET":
        raise S3Error(
            403,
            "InvalidObjectState",
            "The operation is not valid for the object's storage class",
            StorageClass=str(found.storage_class),
        )
    check_read(c.headers, found)
    headers = {
        _canonical(name): str(value)
        for name, value in {**found.response_dict, **found.metadata}.items()
        if value is not None
    }
    if found.version_id != "null":
        headers["x-amz-version-id"] = found.version_id
    headers["Accept-Ranges"] = "bytes"
    headers.update({_OVERRIDES[name]: value for name, value in c.query.items() if name in _OVERRIDES})
    start, end, status = _asked_part(c, found.size, headers)
    if status == 200 and c.headers.get("x-amz-checksum-mode", "").upper() == "ENABLED":
        headers.update(_checksum_headers(found))
    headers["Content-Length"] = str(end - start)
    listed = list(headers.items())
    if c.request.method == "HEAD":
        return Response(status, listed)
    if end - start <= _SMALL:
        with found.body.open("rb") as f:
            f.seek(start)
            return Response(status, listed, f.read(end - start))
    body = FileSlice(str(found.body), start, end - start, found.body.open("rb", buffering=0))
    return Response(status, listed, body)


def _asked_part(c: Call, size: int, headers: dict[str, str]) -> tuple[int, int, int]:
    """Start and end of the bytes that are asked for, and the status; Content-Range goes into the headers."""
    part = c.query.get("partNumber")
    if part and part != "1":
        raise S3Error(
            416,
            "InvalidPartNumber",
            "The requested partnumber is not satisfiable",
            ActualPartCount="1",
            PartNumberRequested=part,
        )
    if "range" in c.headers:
        asked = byte_range(c.headers["range"], size)
        if asked is not None:
            start, end = asked
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
            return start, end, 206
    elif part:
        headers["Content-Range"] = f"bytes 0-{max(size - 1, 0)}/{size}"
        return 0, size, 206
    return 0, size, 200


def _checksum_headers(found: FileKey) -> dict[str, str]:
    if not (found.checksum_algorithm and found.checksum_value):
        return {}
    parts = f"-{found.checksum_parts}" if found.checksum_type == "COMPOSITE" else ""
    return {
        f"x-amz-checksum-{found.checksum_algorithm.lower()}": f"{found.checksum_value}{parts}",
        "x-amz-checksum-type": found.checksum_type or "FULL_OBJECT",
    }


def _canonical(name: str) -> str:
    return _NAMES.get(name.lower(), name)


# ------------------------------------------------------------------------------------------ writing


def put_object(store: Store, c: Call) -> Response:
    check_key(c.key)
    storage = c.headers.get("x-amz-storage-class")
    if storage is not None and storage not in STORAGE_CLASS:
        raise S3Error(
            400,
            "InvalidStorageClass",
            "The storage class you specified is not valid",
            StorageClassRequested=storage,
        )
    check_write(c.headers, c.bucket, c.key)
    algorithm = algorithm_of(c.headers)
    body, etag, value = receive(c.request, algorithm)
    checksum = Checksum(algorithm, value)
    try:
        with store.lock(c.bucket.name):
            check_write(c.headers, c.bucket, c.key)
            new = store.put(
                c.bucket,
                c.key,
                body,
                etag,
                kept_headers(c),
                Event.OBJECT_CREATED_PUT_EVENT,
                checksum=checksum,
                tags=tags_of(c.headers),
            )
    except S3Error:
        body.path.unlink(missing_ok=True)
        raise
    return respond("PutObject", {"ETag": new.etag, **written(new), **checksum_members(checksum)})


def check_key(key: str) -> None:
    size = len(key.encode())
    if size > 1024:
        raise S3Error(400, "KeyTooLongError", "Your key is too long", Size=str(size), MaxSizeAllowed="1024")


def kept_headers(c: Call) -> dict[str, str]:
    """Headers that say what to keep with an object; presigned URLs have them in the query. Metadata keeps
    the spelling of its names apart from case."""
    headers = dict(c.headers)
    headers.update({k: v for k, v in c.query.items() if k.lower().startswith("x-amz-meta-")})
    encoding = headers.get("content-encoding")
    if encoding is not None and "aws-chunked" in encoding:
        rest = ",".join(e.strip() for e in encoding.split(",") if e.strip() != "aws-chunked")
        headers.pop("content-encoding")
        if rest:
            headers["content-encoding"] = rest
    return {_canonical(k): v for k, v in headers.items() if k not in ("content-length", "content-md5")}


def tags_of(headers: dict[str, str]) -> dict[str, str]:
    tags = dict(parse_qsl(headers.get("x-amz-tagging", ""), keep_blank_values=True))
    if len(tags) > 10:
        raise S3Error(400, "BadRequest", "Object tags cannot be greater than 10")
    return tags


def written(new: FileKey) -> dict[str, Any]:
    """What an answer says of a new version, apart from its ETag."""
    return {
        "VersionId": new.version_id if new.version_id != "null" else None,
        "ServerSideEncryption": new.encryption or None,
        "SSEKMSKeyId": (new.kms_key_id or None) if new.encryption else None,
    }


def checksum_members(checksum: Checksum) -> dict[str, Any]:
    """ChecksumCRC32 and its like, and ChecksumType, of an answer."""
    if not (checksum.algorithm and checksum.value):
        return {}
    return {f"Checksum{checksum.algorithm.upper()}": checksum.value, "ChecksumType": checksum.kind}


# ------------------------------------------------------------------------------------------ copying


def copy_source(store: Store, c: Call) -> tuple[FileKey, str | None]:
    """The object that x-amz-copy-source names, and the version that it names, if it meets the conditions on it."""
    text, _, version = c.headers["x-amz-copy-source"].partition("?versionId=")
    name, _, key = unquote(text).lstrip("/").partition("/")
    bucket = store.bucket(name)
    if bucket is None:
        raise S3Error(404, "NoSuchBucket", "The specified bucket does not exist", BucketName=name)
    found = store.version(bucket, key, version or None)
    if isinstance(found, DeleteMarker) and version:
        raise S3Error(
            400,
            "InvalidRequest",
            "The source of a copy request may not specifically refer to a delete marker by version id.",
        )
    if not isinstance(found, FileKey):
        raise no_such_key(key)
    check_copy_source(c.headers, found)
    return found, version or None


def copy_object(store: Store, c: Call) -> Response:
    check_key(c.key)
    with bodies().pinned():
        source, version = copy_source(store, c)
        replace = c.headers.get("x-amz-metadata-directive", "COPY").upper() == "REPLACE"
        _refuse_copy_to_itself(c, source, version, replace=replace)
        path = bodies().new()
        copy_file(source.body, path)
        checksum = Checksum(
            source.checksum_algorithm, source.checksum_value, source.checksum_type, source.checksum_parts
        )
        if wanted := c.headers.get("x-amz-checksum-algorithm"):
            checksum = Checksum(wanted, checksum_of(path, wanted))
        headers = {
            k: v
            for k, v in c.headers.items()
            if k.startswith(("x-amz-storage", "x-amz-server-side", "x-amz-acl", "x-amz-website"))
        }
        metadata = dict(metadata_from_headers(c.headers)) if replace else dict(source.metadata)
        retag = c.headers.get("x-amz-tagging-directive", "COPY").upper() == "REPLACE"
        tags = tags_of(c.headers) if retag else store.tags(source.arn)
        with store.lock(c.bucket.name):
            try:
                check_write(c.headers, c.bucket, c.key)
            except S3Error:
                path.unlink(missing_ok=True)
                raise
            new = store.put(
                c.bucket,
                c.key,
                BodyFile(path, source.size),
                # A copy is one object again, unless nobody looked at its bytes: then it keeps the tag it had.
                source.etag.strip('"'),
                headers,
                Event.OBJECT_CREATED_COPY_EVENT,
                checksum=checksum,
                metadata=metadata,
                tags=tags,
            )
    result = {
        **written(new),
        "CopySourceVersionId": source.version_id if source.version_id != "null" else None,
        "LastModified": new.last_modified,
        "ETag": new.etag,
        **checksum_members(checksum),
    }
    return respond("CopyObject", result)


def _refuse_copy_to_itself(c: Call, source: FileKey, version: str | None, *, replace: bool) -> None:
    changing = ("x-amz-storage-class", "x-amz-server-side-encryption", "x-amz-website-redirect-location")
    same = source.bucket_name == c.bucket.name and source.name == c.key
    if same and not version and not replace and not any(h in c.headers for h in changing):
        raise S3Error(
            400,
            "InvalidRequest",
            "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.",
        )


# ----------------------------------------------------------------------------------------- deleting


def delete_object(store: Store, c: Call) -> Response:
    with store.lock(c.bucket.name):
        if "if-match" in c.headers:
            current = store.version(c.bucket, c.key, c.query.get("versionId"))
            if not isinstance(current, FileKey):
                raise no_such_key(c.key)
            if not matches(c.headers["if-match"], current.etag):
                raise precondition_failed("If-Match")
        return respond("DeleteObject", store.remove(c.bucket, c.key, c.query.get("versionId")), 204)


def delete_objects(store: Store, c: Call) -> Response:
    asked = read("DeleteObjects", c.request.data())
    objects = asked.get("Objects", [])
    if not 1 <= len(objects) <= 1000:
        raise malformed_xml()
    deleted: list[dict[str, Any]] = []
    errors: list[dict[str, Any]] = []
    # One lock order everywhere: the bucket's, then the index's.
    with store.lock(c.bucket.name), store.state.transaction():
        for one in objects:
            key, version = one.get("Key", ""), one.get("VersionId")
            refusal = _refusal(c, key, one.get("ETag"))
            if refusal is not None:
                errors.append({"Key": key, "Code": refusal[0], "Message": refusal[1]})
                continue
            gone = store.remove(c.bucket, key, version)
            entry: dict[str, Any] = {"Key": key, "VersionId": version}
            if gone.get("DeleteMarker"):
                entry |= {"DeleteMarker": True, "DeleteMarkerVersionId": gone["VersionId"]}
            deleted.append(entry)
    discard_doomed()
    quiet = asked.get("Quiet", False)
    return respond("DeleteObjects", {"Deleted": [] if quiet else deleted, "Errors": errors})


def _refusal(c: Call, key: str, etag: str | None) -> tuple[str, str] | None:
    """Code and message, where an object may not be deleted or is not the one that the client knows."""
    if c.bucket.policy is not None:
        arn = f"arn:{c.bucket.partition}:s3:::{c.bucket.name}/{key}"
        if c.bucket.get_permission("s3:DeleteObject", arn) == PermissionResult.DENIED:
            return "AccessDenied", "Access Denied"
    if etag is not None:
        current = c.bucket.keys.get(key)
        if not isinstance(current, FileKey) or not matches(etag, current.etag):
            failed = precondition_failed("If-Match")
            return failed.code, failed.message
    return None
