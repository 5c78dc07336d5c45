"""Conditions of requests: whether an object is still what its client believes it to be."""

from __future__ import annotations

from datetime import datetime
from email.utils import parsedate_to_datetime

from moto.s3.models import FakeBucket

from local_aws.s3.errors import S3Error, no_such_key, precondition_failed
from local_aws.s3.keys import FileKey
from local_aws.s3.wire import whole_seconds


def matches(condition: str, etag: str) -> bool:
    """Whether one of the ETags of a condition is this one; ``*`` is any."""
    mine = etag.strip('"')
    return any(c.strip().removeprefix("W/").strip('"') in ("*", mine) for c in condition.split(","))


def check_write(headers: dict[str, str], bucket: FakeBucket, key: str) -> None:
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
        if not matches(headers["if-match"], current.etag):
            raise precondition_failed("If-Match")


def check_read(headers: dict[str, str], key: FileKey) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-reads.html"""
    modified = whole_seconds(key.last_modified)
    if "if-match" in headers:
        if not matches(headers["if-match"], key.etag):
            raise precondition_failed("If-Match")
    elif "if-unmodified-since" in headers and modified > _date(headers["if-unmodified-since"]):
        raise precondition_failed("If-Unmodified-Since")
    if "if-none-match" in headers:
        unchanged = matches(headers["if-none-match"], key.etag)
    else:
        unchanged = "if-modified-since" in headers and modified <= _date(headers["if-modified-since"])
    if unchanged:
        raise S3Error(
            304,
            "NotModified",
            "Not Modified",
            [("ETag", key.etag), ("Last-Modified", key.last_modified_RFC1123)],
        )


def check_copy_source(headers: dict[str, str], source: FileKey) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html"""
    name = "x-amz-copy-source-if-"
    modified = whole_seconds(source.last_modified)
    if f"{name}match" in headers:
        if not matches(headers[f"{name}match"], source.etag):
            raise precondition_failed("x-amz-copy-source-If-Match")
    elif f"{name}unmodified-since" in headers and modified > _date(headers[f"{name}unmodified-since"]):
        raise precondition_failed("x-amz-copy-source-If-Unmodified-Since")
    if f"{name}none-match" in headers and matches(headers[f"{name}none-match"], source.etag):
        raise precondition_failed("x-amz-copy-source-If-None-Match")
    if f"{name}modified-since" in headers and modified <= _date(headers[f"{name}modified-since"]):
        raise precondition_failed("x-amz-copy-source-If-Modified-Since")


def _date(text: str) -> datetime:
    try:
        return whole_seconds(parsedate_to_datetime(text))
    except (TypeError, ValueError):
        try:
            return whole_seconds(datetime.fromisoformat(text))
        except ValueError as e:
            raise S3Error(400, "InvalidArgument", f"Not a date: {text}") from e
