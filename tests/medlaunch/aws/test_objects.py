"""Streams, listings, copies and exact-version deletes against a real S3 API."""

from __future__ import annotations

import gzip
import io
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.request import Request, urlopen

import boto3
import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from urllib3 import HTTPResponse

from medlaunch.aws.objects import (
    CLIENT_CONFIG,
    Copy,
    ObjectChanged,
    ObjectWriter,
    copy_object,
    copy_objects,
    current_version,
    delete_prefix,
    delete_version,
    get_json,
    list_objects,
    open_object,
    replace_json,
    split_s3_url,
)

KEYS = [
    "plain",
    "with space",
    "a+b",
    "100%",
    "it's",
    'say "hi"',
    "naïve/Δοκιμή/試験",
    "a&b=c?d#e",
    "x//y",
    "~(*)!",
]


@pytest.mark.parametrize("key", KEYS)
def test_any_key_is_written_listed_copied_read_and_deleted(s3, bucket: str, key: str) -> None:  # type: ignore[no-untyped-def]
    with ObjectWriter(s3, bucket, key) as target:
        target.write(b"one\n")
        target.write(b"two\n")
    (stored,) = list_objects(s3, bucket, "")
    assert (stored.key, stored.size) == (key, 8)
    assert copy_object(s3, bucket, Copy(key, f"copy/{key}", 8, stored.etag))
    with open_object(s3, bucket, f"copy/{key}", stored.etag) as source:
        assert list(source) == [b"one\n", b"two\n"]
        version = source.version_id
    assert delete_version(s3, bucket, f"copy/{key}", stored.etag, version)
    assert [one.key for one in list_objects(s3, bucket, "")] == [key]


def test_listings_go_through_every_page(s3, bucket: str) -> None:  # type: ignore[no-untyped-def]
    keys = [f"many/{number:05d}" for number in range(1203)]
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=b"")
    assert [stored.key for stored in list_objects(s3, bucket, "many/")] == keys
    assert delete_prefix(s3, bucket, "many/") == 1203
    assert list(list_objects(s3, bucket, "")) == []


def test_a_large_object_is_written_in_parts_and_appears_only_when_whole(s3, bucket: str) -> None:  # type: ignore[no-untyped-def]
    chunk = bytes(range(256)) * 4096 * 5  # 5 MiB
    with ObjectWriter(s3, bucket, "large") as target:
        for _ in range(9):
            target.write(chunk)
        assert list(list_objects(s3, bucket, "")) == []
    with open_object(s3, bucket, "large") as source:
        for _ in range(9):
            assert source.read(len(chunk)) == chunk
        assert source.read() == b""


@pytest.mark.parametrize("size", [10, 20 * 1024**2])
def test_a_writer_that_fails_leaves_nothing(s3, bucket: str, size: int) -> None:  # type: ignore[no-untyped-def]
    def fail() -> None:
        with ObjectWriter(s3, bucket, "broken") as target:
            target.write(b"x" * size)
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fail()
    assert list(list_objects(s3, bucket, "")) == []
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)


def test_a_version_that_changed_is_not_read_copied_or_deleted(s3, bucket: str) -> None:  # type: ignore[no-untyped-def]
    s3.put_object(Bucket=bucket, Key="k", Body=b"old")
    (old,) = list_objects(s3, bucket, "k")
    version = current_version(s3, bucket, "k", old.etag)
    s3.put_object(Bucket=bucket, Key="k", Body=b"new")
    with pytest.raises(ObjectChanged, match="k is no longer the version"):
        open_object(s3, bucket, "k", old.etag)
    with pytest.raises(ObjectChanged):
        current_version(s3, bucket, "k", old.etag)
    with pytest.raises(ObjectChanged):
        copy_object(s3, bucket, Copy("k", "c", 3, old.etag))
    # By its id the old version is still there, and removing it leaves the new one alone.
    copy_object(s3, bucket, Copy("k", "c", 3, old.etag, version))
    with open_object(s3, bucket, "c") as source:
        assert source.read() == b"old"
    assert delete_version(s3, bucket, "k", old.etag, version)
    with open_object(s3, bucket, "k") as source:
        assert source.read() == b"new"
    with pytest.raises(ObjectChanged):
        open_object(s3, bucket, "gone", "0" * 32)


def test_without_versioning_only_the_same_content_is_deleted(s3, unversioned_bucket: str) -> None:  # type: ignore[no-untyped-def]
    bucket = unversioned_bucket
    s3.put_object(Bucket=bucket, Key="k", Body=b"old")
    (old,) = list_objects(s3, bucket, "k")
    with open_object(s3, bucket, "k", old.etag) as source:
        assert source.version_id is None
    s3.put_object(Bucket=bucket, Key="k", Body=b"new")
    assert not delete_version(s3, bucket, "k", old.etag, None)
    (new,) = list_objects(s3, bucket, "k")
    assert delete_version(s3, bucket, "k", new.etag, None)
    assert list(list_objects(s3, bucket, "")) == []


def test_copies_keep_their_order_and_say_which_failed(s3, bucket: str) -> None:  # type: ignore[no-untyped-def]
    for number in range(40):
        s3.put_object(Bucket=bucket, Key=f"from/{number:02d}", Body=b"%d" % number)
    copies = [Copy(f"from/{number:02d}", f"to/{number:02d}", 2) for number in range(40)]
    checksums = copy_objects(s3, bucket, copies)
    assert len(set(checksums)) == 40
    assert copy_objects(s3, bucket, copies) == checksums
    with pytest.raises(ObjectChanged, match="from/zz"):
        copy_objects(s3, bucket, [*copies, Copy("from/zz", "to/zz", 2)])


@pytest.mark.parametrize("prefix", ["", "/", "prod", "staging/x"])
def test_a_prefix_to_delete_ends_with_a_slash(s3, bucket: str, prefix: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match="ends with"):
        delete_prefix(s3, bucket, prefix)


@pytest.mark.parametrize("url", ["s3:/b/k", "b/k", "s3:///k", "https://b/k", ""])
def test_what_is_no_s3_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="s3://bucket/key"):
        split_s3_url(url)


class _CuttingProxy(BaseHTTPRequestHandler):
    """Passes requests on, but cuts every answer's body after so many bytes, a few times."""

    upstream = ""
    cut_after = 0
    cuts_left = 0

    def do_GET(self) -> None:
        cls = type(self)
        headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
        with urlopen(Request(cls.upstream + self.path, headers=headers)) as answer:
            body = answer.read()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("transfer-encoding", "connection"):
                    self.send_header(name, value)
            self.end_headers()
        if cls.cuts_left and len(body) > cls.cut_after:
            cls.cuts_left -= 1
            self.wfile.write(body[: cls.cut_after])
            self.wfile.flush()
            self.connection.shutdown(2)
        else:
            self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.mark.parametrize("cuts", [1, 3])
def test_a_body_that_breaks_off_is_taken_up_where_it_broke(s3, bucket: str, aws_url: str, cuts: int) -> None:  # type: ignore[no-untyped-def]
    content = gzip.compress(b"".join(b"%d\n" % number for number in range(200_000)), mtime=0)
    s3.put_object(Bucket=bucket, Key="k", Body=content)
    handler = type("Proxy", (_CuttingProxy,), {"upstream": aws_url, "cut_after": 100_000, "cuts_left": cuts})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        client = boto3.client(
            "s3", endpoint_url=f"http://127.0.0.1:{server.server_port}", config=CLIENT_CONFIG
        )
        with open_object(client, bucket, "k") as source:
            assert source.read() == content
        assert handler.cuts_left == 0  # type: ignore[attr-defined]
    finally:
        server.shutdown()
        server.server_close()


@given(st.lists(st.binary(max_size=50), max_size=20))
@hypothesis_settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None
)
def test_what_is_written_is_what_is_read(s3, bucket: str, chunks: list[bytes]) -> None:  # type: ignore[no-untyped-def]
    with ObjectWriter(s3, bucket, "any") as target:
        for chunk in chunks:
            target.write(chunk)
    with open_object(s3, bucket, "any") as source:
        assert io.BytesIO(source.read()).getvalue() == b"".join(chunks)


def undecided(times: int) -> Callable[..., AWSResponse | None]:
    """What S3 answers while somebody else writes the same key, so many times."""
    left = [times]

    def answer(request: AWSPreparedRequest, **_: Any) -> AWSResponse | None:
        if not left[0]:
            return None
        left[0] -= 1
        body = b"<Error><Code>ConditionalRequestConflict</Code><Message>At this moment</Message></Error>"
        return AWSResponse(
            request.url, 409, HTTPHeaders(), HTTPResponse(io.BytesIO(body), preload_content=False)
        )

    return answer


def test_a_document_replaces_the_version_that_was_read_and_no_other(s3: Any, bucket: str) -> None:
    replace_json(s3, bucket, "m.json", 1, None)
    first = s3.head_object(Bucket=bucket, Key="m.json")["ETag"]
    with pytest.raises(ObjectChanged, match="written by another client"):
        replace_json(s3, bucket, "m.json", 2, None)
    replace_json(s3, bucket, "m.json", 3, first)
    with pytest.raises(ObjectChanged):
        replace_json(s3, bucket, "m.json", 4, first)
    assert get_json(s3, bucket, "m.json", int) == 3


def test_while_somebody_else_writes_it_is_tried_again(s3: Any, bucket: str) -> None:
    twice = undecided(2)
    s3.meta.events.register("before-send.s3.PutObject", twice)
    try:
        replace_json(s3, bucket, "m.json", 1, None)
    finally:
        s3.meta.events.unregister("before-send.s3.PutObject", twice)
    assert get_json(s3, bucket, "m.json", int) == 1
