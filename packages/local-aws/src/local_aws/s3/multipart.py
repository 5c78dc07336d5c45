"""Multipart uploads: https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html"""

from __future__ import annotations

import base64
import hashlib
import itertools
import os
import re
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote

from moto.core.utils import utcnow

from local_aws.http import Response
from local_aws.s3.call import Call
from local_aws.s3.conditions import check_write
from local_aws.s3.content import BLOCK, Hashing, algorithm_of, append, receive
from local_aws.s3.errors import S3Error, malformed_xml
from local_aws.s3.keys import BodyFile, bodies, copy_file, discard_doomed
from local_aws.s3.operations import check_key, checksum_members, copy_source, kept_headers, written
from local_aws.s3.store import NO_CHECKSUM, Checksum, Event, Part, Store, Upload
from local_aws.s3.wire import read, respond
from local_aws.state import dumps

MIN_PART = int(os.environ.get("S3_UPLOAD_PART_MIN_SIZE", 5 * 1024 * 1024))


def _upload(store: Store, c: Call) -> Upload:
    upload_id = c.query["uploadId"]
    found = store.uploads.get(upload_id)
    if found is None or found.bucket != c.bucket.name or found.key != c.key:
        raise S3Error(
            404,
            "NoSuchUpload",
            "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.",
            UploadId=upload_id,
        )
    return found


def create_multipart_upload(store: Store, c: Call) -> Response:
    check_key(c.key)
    algorithm = c.headers.get("x-amz-checksum-algorithm")
    kind = c.headers.get("x-amz-checksum-type") or (
        ("FULL_OBJECT" if algorithm == "CRC64NVME" else "COMPOSITE") if algorithm else None
    )
    upload = Upload(
        uuid.uuid4().hex + uuid.uuid4().hex,
        c.bucket.name,
        c.key,
        kept_headers(c),
        dict(parse_qsl(c.headers.get("x-amz-tagging", ""))),
        algorithm.upper() if algorithm else None,
        kind,
        utcnow(),
    )
    with store.state.transaction() as db:
        db.execute("INSERT INTO uploads VALUES (?, ?)", (upload.id, dumps(upload)))
    store.uploads[upload.id] = upload
    result = {
        "Bucket": c.bucket.name,
        "Key": c.key,
        "UploadId": upload.id,
        "ChecksumAlgorithm": algorithm,
        "ChecksumType": kind if algorithm else None,
    }
    return respond("CreateMultipartUpload", result)


def upload_part(store: Store, c: Call) -> Response:
    """UploadPart and UploadPartCopy."""
    upload = _upload(store, c)
    asked = c.query["partNumber"]
    number = int(asked) if asked.isdigit() else 0
    if not 1 <= number <= 10_000:
        raise S3Error(
            400,
            "InvalidArgument",
            "Part number must be an integer between 1 and 10000, inclusive",
            ArgumentName="partNumber",
            ArgumentValue=asked,
        )
    algorithm = algorithm_of(c.headers) or upload.algorithm
    copied = "x-amz-copy-source" in c.headers
    if copied:
        body, etag = _copied_part(store, c)
        checksum = None
    else:
        body, etag, checksum = receive(c.request, algorithm)
    part = Part(number, body, etag, checksum, utcnow())
    with store.lock(c.bucket.name):
        if upload.id not in store.uploads:
            body.path.unlink(missing_ok=True)
            _upload(store, c)
        old = upload.parts.get(number)
        with store.state.transaction() as db:
            db.execute(
                "INSERT OR REPLACE INTO parts VALUES (?, ?, ?, ?)",
                (upload.id, number, body.path.name, dumps(part)),
            )
        upload.parts[number] = part
    if old is not None:
        bodies().discard(old.body.path)
    if copied:
        return respond("UploadPartCopy", {"LastModified": part.modified, "ETag": f'"{etag}"'})
    computed = checksum_members(Checksum(algorithm, checksum, kind=None))
    return respond("UploadPart", {"ETag": f'"{etag}"', **computed})


def _copied_part(store: Store, c: Call) -> tuple[BodyFile, str]:
    with bodies().pinned():
        source, _ = copy_source(store, c)
        start, end = 0, source.size
        if "x-amz-copy-source-range" in c.headers:
            m = re.fullmatch(r"bytes=(\d+)-(\d+)", c.headers["x-amz-copy-source-range"])
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


def complete_multipart_upload(store: Store, c: Call) -> Response:
    asked = read("CompleteMultipartUpload", c.request.data()).get("Parts", [])
    listed = [(one.get("PartNumber", 0), one.get("ETag", "").strip('"')) for one in asked]
    upload = _upload(store, c)
    parts = _chosen(upload, listed)
    check_write(c.headers, c.bucket, c.key)
    path, hashing = _joined(parts, upload)
    digest = hashlib.md5(b"".join(bytes.fromhex(p.etag) for p in parts), usedforsecurity=False)
    try:
        with store.lock(c.bucket.name):
            with store.state.transaction():
                _upload(store, c)
                check_write(c.headers, c.bucket, c.key)
                _forget(store, upload)
                new = store.put(
                    c.bucket,
                    c.key,
                    BodyFile(path, sum(p.body.size for p in parts)),
                    f"{digest.hexdigest()}-{len(parts)}",
                    upload.headers,
                    Event.OBJECT_CREATED_COMPLETE_MULTIPART_UPLOAD_EVENT,
                    checksum=_checksum(upload, parts, hashing),
                    tags=upload.tags,
                )
            del store.uploads[upload.id]
            discard_doomed()
    except S3Error:
        path.unlink(missing_ok=True)
        raise
    for part in upload.parts.values():
        bodies().discard(part.body.path)
    result = {
        "Location": f"http://{c.headers.get('host', '')}/{c.bucket.name}/{quote(c.key)}",
        "Bucket": c.bucket.name,
        "Key": c.key,
        "ETag": new.etag,
        **written(new),
    }
    return respond("CompleteMultipartUpload", result)


def _chosen(upload: Upload, listed: list[tuple[int, str]]) -> list[Part]:
    """The parts that a CompleteMultipartUpload lists by number and ETag."""
    if not listed:
        raise malformed_xml()
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
    return parts


def _joined(parts: list[Part], upload: Upload) -> tuple[Path, Hashing | None]:
    """The parts as one body, and its checksum where the upload asks for one of the whole object."""
    path = bodies().new()
    full = (
        Hashing(upload.algorithm)
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
                    append(f, out, part.body.size)
                else:
                    while block := f.read(BLOCK):
                        full.update(block)
                        out.write(block)
    return path, full


def _checksum(upload: Upload, parts: list[Part], full: Hashing | None) -> Checksum:
    if full is not None:
        return Checksum(upload.algorithm, full.checksum(), upload.kind)
    if upload.algorithm is None or upload.kind != "COMPOSITE" or any(p.checksum is None for p in parts):
        return NO_CHECKSUM
    whole = Hashing(upload.algorithm)
    whole.update(b"".join(base64.b64decode(p.checksum or "") for p in parts))
    value = whole.checksum()
    return Checksum(upload.algorithm, value, upload.kind, len(parts)) if value else NO_CHECKSUM


def abort_multipart_upload(store: Store, c: Call) -> Response:
    with store.lock(c.bucket.name):
        upload = _upload(store, c)
        _forget(store, upload)
        del store.uploads[upload.id]
    for part in upload.parts.values():
        bodies().discard(part.body.path)
    return Response(204)


def _forget(store: Store, upload: Upload) -> None:
    """Removes an upload from the index."""
    with store.state.transaction() as db:
        db.execute("DELETE FROM uploads WHERE id = ?", (upload.id,))
        db.execute("DELETE FROM parts WHERE upload = ?", (upload.id,))


def list_parts(store: Store, c: Call) -> Response:
    upload = _upload(store, c)
    limit = min(int(c.query.get("max-parts") or 1000), 1000)
    after = int(c.query.get("part-number-marker") or 0)
    parts = [p for n, p in sorted(upload.parts.items()) if n > after]
    page = parts[:limit]
    result = {
        "Bucket": c.bucket.name,
        "Key": c.key,
        "UploadId": upload.id,
        "PartNumberMarker": after,
        "NextPartNumberMarker": page[-1].number if page else None,
        "MaxParts": limit,
        "IsTruncated": len(parts) > limit,
        "Parts": [
            {
                "PartNumber": p.number,
                "LastModified": p.modified,
                "ETag": f'"{p.etag}"',
                "Size": p.body.size,
            }
            for p in page
        ],
    }
    return respond("ListParts", result)


def list_multipart_uploads(store: Store, c: Call) -> Response:
    prefix = c.query.get("prefix", "")
    found = sorted(
        (u for u in store.uploads.values() if u.bucket == c.bucket.name and u.key.startswith(prefix)),
        key=lambda u: (u.key, u.started),
    )
    uploads: list[dict[str, Any]] = [
        {"Key": u.key, "UploadId": u.id, "StorageClass": "STANDARD", "Initiated": u.started}
        for u in found[:1000]
    ]
    result = {
        "Bucket": c.bucket.name,
        "Prefix": prefix,
        "MaxUploads": 1000,
        "IsTruncated": len(found) > 1000,
        "Uploads": uploads,
    }
    return respond("ListMultipartUploads", result)
