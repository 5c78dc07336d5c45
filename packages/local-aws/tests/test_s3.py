"""S3's objects, as boto3 sees them: conditions, versions, keys, pages, ranges, parts, events."""

from __future__ import annotations

import base64
import concurrent.futures
import hashlib
import http.client
import io
import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

Client = Callable[[str], Any]


@pytest.fixture
def s3(client: Client) -> Any:
    return client("s3")


@pytest.fixture
def versioned(s3: Any, lake: str) -> str:
    s3.put_bucket_versioning(Bucket=lake, VersioningConfiguration={"Status": "Enabled"})
    return lake


def code(call: Callable[..., Any], **arguments: Any) -> tuple[str, int]:
    """Error code and HTTP status with which a call is refused."""
    with pytest.raises(ClientError) as e:
        call(**arguments)
    return e.value.response["Error"]["Code"], e.value.response["ResponseMetadata"]["HTTPStatusCode"]


def body(s3: Any, bucket: str, key: str, **more: Any) -> bytes:
    return bytes(s3.get_object(Bucket=bucket, Key=key, **more)["Body"].read())


@pytest.mark.supports("S3", "Objects: put, get, head, delete, metadata, tags, content headers, checksums")
def test_put_and_get(s3: Any, lake: str) -> None:
    s3.put_object(
        Bucket=lake, Key="a", Body=b"hello", ContentType="text/x", Metadata={"One": "1", "two_b": "2"},
        Tagging="k=v+w&x=", CacheControl="no-cache", ChecksumAlgorithm="SHA256",
    )  # fmt: skip
    got = s3.get_object(Bucket=lake, Key="a", ChecksumMode="ENABLED")
    assert got["Body"].read() == b"hello"
    assert got["ContentType"] == "text/x"
    assert got["CacheControl"] == "no-cache"
    assert got["Metadata"] == {"one": "1", "two_b": "2"}
    assert got["ETag"] == f'"{hashlib.md5(b"hello").hexdigest()}"'
    assert got["ChecksumSHA256"]
    assert s3.head_object(Bucket=lake, Key="a")["ContentLength"] == 5
    assert {t["Key"]: t["Value"] for t in s3.get_object_tagging(Bucket=lake, Key="a")["TagSet"]} == {
        "k": "v w",
        "x": "",
    }
    s3.delete_object(Bucket=lake, Key="a")
    assert code(s3.get_object, Bucket=lake, Key="a") == ("NoSuchKey", 404)
    assert code(s3.head_object, Bucket=lake, Key="a") == ("404", 404)
    assert s3.delete_object(Bucket=lake, Key="a")["ResponseMetadata"]["HTTPStatusCode"] == 204


def test_damaged_upload_is_refused(s3: Any, lake: str) -> None:
    assert code(
        s3.put_object, Bucket=lake, Key="a", Body=b"hello", ContentMD5="1B2M2Y8AsgTpgAmY7PhCfg=="
    ) == ("BadDigest", 400)
    assert code(s3.put_object, Bucket=lake, Key="a", Body=b"hello", ChecksumCRC32="AAAAAA==") == (
        "BadDigest",
        400,
    )
    assert code(s3.head_object, Bucket=lake, Key="a") == ("404", 404)


@pytest.mark.supports("S3", "Keys with spaces, + % quotes & < and Unicode, in every operation")
@pytest.mark.parametrize(
    "key", ["a b/c+d%20e", "q'uo\"te&<x>?#;=", "Zürich/東京/😀.json", "a//b/../c", "trailing/"]
)
def test_keys(s3: Any, lake: str, key: str) -> None:
    s3.put_object(Bucket=lake, Key=key, Body=b"x")
    assert body(s3, lake, key) == b"x"
    assert [o["Key"] for o in s3.list_objects_v2(Bucket=lake)["Contents"]] == [key]
    assert [o["Key"] for o in s3.list_objects(Bucket=lake, Prefix=key[:3])["Contents"]] == [key]
    s3.copy_object(Bucket=lake, Key="copy/" + key, CopySource={"Bucket": lake, "Key": key})
    assert [v["Key"] for v in s3.list_object_versions(Bucket=lake, Prefix="copy/")["Versions"]] == [
        "copy/" + key
    ]
    deleted = s3.delete_objects(Bucket=lake, Delete={"Objects": [{"Key": key}, {"Key": "copy/" + key}]})
    assert sorted(d["Key"] for d in deleted["Deleted"]) == sorted([key, "copy/" + key])
    assert s3.list_objects_v2(Bucket=lake)["KeyCount"] == 0


@pytest.mark.supports(
    "S3", "Conditional requests: If-Match and If-None-Match on get, put, delete, copy, complete"
)
def test_conditions(s3: Any, lake: str) -> None:
    etag = s3.put_object(Bucket=lake, Key="a", Body=b"1", IfNoneMatch="*")["ETag"]
    assert code(s3.put_object, Bucket=lake, Key="a", Body=b"2", IfNoneMatch="*") == (
        "PreconditionFailed",
        412,
    )
    assert code(s3.put_object, Bucket=lake, Key="a", Body=b"2", IfMatch='"0"') == ("PreconditionFailed", 412)
    assert code(s3.put_object, Bucket=lake, Key="b", Body=b"2", IfMatch=etag) == ("NoSuchKey", 404)
    assert body(s3, lake, "a", IfMatch=etag) == b"1"
    assert code(s3.get_object, Bucket=lake, Key="a", IfMatch='"0"') == ("PreconditionFailed", 412)
    assert code(s3.get_object, Bucket=lake, Key="a", IfNoneMatch=etag)[1] == 304
    newer = s3.put_object(Bucket=lake, Key="a", Body=b"2", IfMatch=etag.strip('"'))["ETag"]
    assert code(s3.delete_object, Bucket=lake, Key="a", IfMatch=etag) == ("PreconditionFailed", 412)
    source = {"Bucket": lake, "Key": "a"}
    assert code(s3.copy_object, Bucket=lake, Key="c", CopySource=source, CopySourceIfMatch=etag) == (
        "PreconditionFailed",
        412,
    )
    assert code(s3.copy_object, Bucket=lake, Key="c", CopySource=source, CopySourceIfNoneMatch=newer) == (
        "PreconditionFailed",
        412,
    )
    s3.copy_object(Bucket=lake, Key="c", CopySource=source, CopySourceIfMatch=newer)
    assert body(s3, lake, "c") == b"2"
    s3.delete_object(Bucket=lake, Key="a", IfMatch=newer)
    assert s3.list_objects_v2(Bucket=lake)["KeyCount"] == 1


def test_only_one_of_many_conditional_puts_wins(client: Client, aws_url: str, lake: str) -> None:
    s3 = client("s3")

    def put(i: int) -> bool:
        try:
            s3.put_object(Bucket=lake, Key="lock", Body=str(i).encode(), IfNoneMatch="*")
        except ClientError as e:
            if e.response["Error"]["Code"] != "PreconditionFailed":
                raise
            return False
        return True

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        won = list(pool.map(put, range(40)))
    assert won.count(True) == 1
    assert body(s3, lake, "lock") == str(won.index(True)).encode()


@pytest.mark.supports(
    "S3", "Versioned buckets: versions, delete markers, deletes and copies of exact versions"
)
def test_versions(s3: Any, versioned: str) -> None:
    first = s3.put_object(Bucket=versioned, Key="k", Body=b"1")["VersionId"]
    second = s3.put_object(Bucket=versioned, Key="k", Body=b"2")["VersionId"]
    marker = s3.delete_object(Bucket=versioned, Key="k")
    assert marker["DeleteMarker"] is True
    assert code(s3.get_object, Bucket=versioned, Key="k") == ("NoSuchKey", 404)
    assert code(s3.get_object, Bucket=versioned, Key="k", VersionId=marker["VersionId"]) == (
        "MethodNotAllowed",
        405,
    )
    assert s3.list_objects_v2(Bucket=versioned)["KeyCount"] == 0
    listed = s3.list_object_versions(Bucket=versioned)
    assert [(v["VersionId"], v["IsLatest"], v["Size"]) for v in listed["Versions"]] == [
        (second, False, 1),
        (first, False, 1),
    ]
    assert [(m["VersionId"], m["IsLatest"]) for m in listed["DeleteMarkers"]] == [(marker["VersionId"], True)]
    assert body(s3, versioned, "k", VersionId=first) == b"1"
    s3.copy_object(
        Bucket=versioned, Key="old", CopySource={"Bucket": versioned, "Key": "k", "VersionId": first}
    )
    assert body(s3, versioned, "old") == b"1"
    s3.put_object(Bucket=versioned, Key="k", Body=b"3", IfNoneMatch="*")
    s3.delete_object(Bucket=versioned, Key="k", VersionId=second)
    assert code(s3.get_object, Bucket=versioned, Key="k", VersionId=second) == ("NoSuchVersion", 404)
    assert body(s3, versioned, "k") == b"3"
    # Without its marker, the object is back.
    s3.delete_object(Bucket=versioned, Key="gone")
    only = s3.list_object_versions(Bucket=versioned, Prefix="gone")["DeleteMarkers"][0]
    s3.delete_object(Bucket=versioned, Key="gone", VersionId=only["VersionId"])
    assert "DeleteMarkers" not in s3.list_object_versions(Bucket=versioned, Prefix="gone")


def test_suspended_versioning_replaces_the_null_version(s3: Any, lake: str) -> None:
    s3.put_object(Bucket=lake, Key="k", Body=b"before")
    s3.put_bucket_versioning(Bucket=lake, VersioningConfiguration={"Status": "Enabled"})
    kept = s3.put_object(Bucket=lake, Key="k", Body=b"kept")["VersionId"]
    s3.put_bucket_versioning(Bucket=lake, VersioningConfiguration={"Status": "Suspended"})
    s3.put_object(Bucket=lake, Key="k", Body=b"after")
    versions = s3.list_object_versions(Bucket=lake)["Versions"]
    assert [v["VersionId"] for v in versions] == ["null", kept]
    assert body(s3, lake, "k", VersionId="null") == b"after"


@pytest.mark.supports("S3", "Listing: pages of 1,000, delimiters, markers, versions")
def test_pages(s3: Any, lake: str) -> None:
    keys = sorted([f"d/{i:04d}" for i in range(1203)] + [f"e/{i}/x" for i in range(5)] + ["f"])
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda k: s3.put_object(Bucket=lake, Key=k, Body=b""), keys))
    first = s3.list_objects_v2(Bucket=lake)
    assert (first["KeyCount"], first["IsTruncated"]) == (1000, True)
    for operation, field in (
        ("list_objects_v2", "Contents"),
        ("list_objects", "Contents"),
        ("list_object_versions", "Versions"),
    ):
        pages = s3.get_paginator(operation).paginate(Bucket=lake)
        assert [o["Key"] for page in pages for o in page[field]] == keys, operation
    small = s3.get_paginator("list_objects_v2").paginate(
        Bucket=lake, Delimiter="/", PaginationConfig={"PageSize": 1}
    )
    pages = list(small)
    assert [p["Prefix"] for page in pages for p in page.get("CommonPrefixes", [])] == ["d/", "e/"]
    assert [o["Key"] for page in pages for o in page.get("Contents", [])] == ["f"]
    after = s3.list_objects_v2(Bucket=lake, StartAfter="d/1201")["Contents"]
    assert after[0]["Key"] == "d/1202"
    for start in range(0, len(keys), 1000):
        s3.delete_objects(
            Bucket=lake, Delete={"Objects": [{"Key": k} for k in keys[start : start + 1000]], "Quiet": True}
        )
    assert s3.list_objects_v2(Bucket=lake)["KeyCount"] == 0


def test_ranges(s3: Any, lake: str) -> None:
    data = bytes(range(256)) * 1000
    s3.put_object(Bucket=lake, Key="r", Body=data)
    for text, expected in (
        ("bytes=0-9", data[:10]),
        ("bytes=255990-", data[255990:]),
        ("bytes=-5", data[-5:]),
        ("bytes=10-999999", data[10:]),
    ):
        got = s3.get_object(Bucket=lake, Key="r", Range=text)
        assert got["Body"].read() == expected
        assert got["ResponseMetadata"]["HTTPStatusCode"] == 206
        assert got["ContentRange"].endswith("/256000")
    assert code(s3.get_object, Bucket=lake, Key="r", Range="bytes=256000-") == ("InvalidRange", 416)


@pytest.mark.supports("S3", "Multipart uploads and copies of parts")
def test_multipart(s3: Any, lake: str) -> None:
    data = uuid.uuid4().bytes * 700_000
    s3.upload_fileobj(
        io.BytesIO(data),
        lake,
        "big",
        Config=TransferConfig(multipart_threshold=1, multipart_chunksize=5 << 20),
    )
    head = s3.head_object(Bucket=lake, Key="big")
    assert head["ContentLength"] == len(data)
    assert head["ETag"].endswith('-3"')
    out = io.BytesIO()
    s3.download_fileobj(
        lake, "big", out, Config=TransferConfig(multipart_threshold=1 << 20, multipart_chunksize=1 << 20)
    )
    assert out.getvalue() == data
    upload = s3.create_multipart_upload(Bucket=lake, Key="two")["UploadId"]
    part = s3.upload_part_copy(
        Bucket=lake,
        Key="two",
        UploadId=upload,
        PartNumber=1,
        CopySource={"Bucket": lake, "Key": "big"},
        CopySourceRange="bytes=0-5242879",
    )["CopyPartResult"]
    last = s3.upload_part(Bucket=lake, Key="two", UploadId=upload, PartNumber=2, Body=b"end")
    assert [p["Size"] for p in s3.list_parts(Bucket=lake, Key="two", UploadId=upload)["Parts"]] == [
        5242880,
        3,
    ]
    parts = [{"PartNumber": 1, "ETag": part["ETag"]}, {"PartNumber": 2, "ETag": last["ETag"]}]
    wrong = [parts[0], {"PartNumber": 2, "ETag": '"00000000000000000000000000000000"'}]
    assert code(
        s3.complete_multipart_upload,
        Bucket=lake,
        Key="two",
        UploadId=upload,
        MultipartUpload={"Parts": wrong},
    ) == ("InvalidPart", 400)
    s3.complete_multipart_upload(Bucket=lake, Key="two", UploadId=upload, MultipartUpload={"Parts": parts})
    assert body(s3, lake, "two") == data[:5242880] + b"end"
    aborted = s3.create_multipart_upload(Bucket=lake, Key="three")["UploadId"]
    assert [u["Key"] for u in s3.list_multipart_uploads(Bucket=lake)["Uploads"]] == ["three"]
    s3.abort_multipart_upload(Bucket=lake, Key="three", UploadId=aborted)
    assert code(s3.upload_part, Bucket=lake, Key="three", UploadId=aborted, PartNumber=1, Body=b"") == (
        "NoSuchUpload",
        404,
    )


def test_copy_keeps_or_replaces_metadata(s3: Any, lake: str) -> None:
    s3.put_object(Bucket=lake, Key="a", Body=b"x", Metadata={"m": "1"}, Tagging="t=1")
    source = {"Bucket": lake, "Key": "a"}
    s3.copy_object(Bucket=lake, Key="b", CopySource=source)
    assert s3.head_object(Bucket=lake, Key="b")["Metadata"] == {"m": "1"}
    assert s3.get_object_tagging(Bucket=lake, Key="b")["TagSet"] == [{"Key": "t", "Value": "1"}]
    s3.copy_object(
        Bucket=lake,
        Key="c",
        CopySource=source,
        MetadataDirective="REPLACE",
        Metadata={"n": "2"},
        ContentType="a/b",
    )
    assert s3.head_object(Bucket=lake, Key="c")["Metadata"] == {"n": "2"}
    assert s3.head_object(Bucket=lake, Key="c")["ContentType"] == "a/b"
    assert code(s3.copy_object, Bucket=lake, Key="a", CopySource=source) == ("InvalidRequest", 400)
    assert code(s3.copy_object, Bucket=lake, Key="d", CopySource={"Bucket": lake, "Key": "none"}) == (
        "NoSuchKey",
        404,
    )
    # The copy has a body of its own.
    s3.delete_object(Bucket=lake, Key="a")
    assert body(s3, lake, "b") == b"x"


@pytest.mark.supports("S3", "Event notifications to SQS")
def test_notifications(client: Client, s3: Any, lake: str) -> None:
    sqs = client("sqs")
    url = sqs.create_queue(QueueName=f"q-{lake}")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    s3.put_bucket_notification_configuration(
        Bucket=lake,
        NotificationConfiguration={
            "QueueConfigurations": [
                {
                    "QueueArn": arn,
                    "Events": ["s3:ObjectCreated:*"],
                    "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": "landing/"}]}},
                }
            ]
        },
    )
    sqs.purge_queue(QueueUrl=url)
    s3.put_object(Bucket=lake, Key="landing/a b+c.json", Body=b"123")
    s3.put_object(Bucket=lake, Key="elsewhere", Body=b"123")
    s3.copy_object(Bucket=lake, Key="landing/copy", CopySource={"Bucket": lake, "Key": "elsewhere"})
    s3.upload_fileobj(
        io.BytesIO(b"x" * (6 << 20)), lake, "landing/big", Config=TransferConfig(multipart_threshold=5 << 20)
    )
    messages = [
        json.loads(m["Body"]) for m in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    ]
    seen = sorted((r["eventName"], r["s3"]["object"]["key"]) for m in messages for r in m.get("Records", []))
    assert seen == [
        ("ObjectCreated:CompleteMultipartUpload", "landing%2Fbig"),
        ("ObjectCreated:Copy", "landing%2Fcopy"),
        ("ObjectCreated:Put", "landing%2Fa+b%2Bc.json"),
    ]


@pytest.mark.supports("S3", "Presigned URLs, bucket policies that deny")
def test_presigned_and_denied(s3: Any, lake: str, aws_url: str) -> None:
    import urllib.request

    put = s3.generate_presigned_url("put_object", Params={"Bucket": lake, "Key": "a b"}, ExpiresIn=60)
    with urllib.request.urlopen(urllib.request.Request(put, data=b"signed", method="PUT")) as answer:
        assert answer.status == 200
    get = s3.generate_presigned_url("get_object", Params={"Bucket": lake, "Key": "a b"}, ExpiresIn=60)
    with urllib.request.urlopen(get) as answer:
        assert answer.read() == b"signed"
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:GetObject",
                "Resource": f"arn:aws:s3:::{lake}/secret/*",
            }
        ],
    }
    s3.put_bucket_policy(Bucket=lake, Policy=json.dumps(policy))
    s3.put_object(Bucket=lake, Key="secret/x", Body=b"1")
    assert code(s3.get_object, Bucket=lake, Key="secret/x") == ("AccessDenied", 403)
    assert body(s3, lake, "a b") == b"signed"


def test_missing_bucket(s3: Any) -> None:
    assert code(s3.get_object, Bucket="no-such-bucket-here", Key="k") == ("NoSuchBucket", 404)
    assert code(s3.put_object, Bucket="no-such-bucket-here", Key="k", Body=b"") == ("NoSuchBucket", 404)
    assert code(s3.list_objects_v2, Bucket="no-such-bucket-here") == ("NoSuchBucket", 404)


def test_a_bucket_with_objects_is_not_deleted(s3: Any, lake: str) -> None:
    s3.put_object(Bucket=lake, Key="k", Body=b"")
    assert code(s3.delete_bucket, Bucket=lake) == ("BucketNotEmpty", 409)
    s3.delete_object(Bucket=lake, Key="k")
    s3.delete_bucket(Bucket=lake)
    assert lake not in [b["Name"] for b in s3.list_buckets()["Buckets"]]


def test_connections_stay_open_even_after_a_refused_upload(aws_url: str) -> None:
    connection = http.client.HTTPConnection(aws_url.removeprefix("http://"))
    connection.connect()
    socket = connection.sock
    for _ in range(3):
        connection.request(
            "PUT",
            "/no-such-bucket-here/k",
            body=b"x" * 100_000,
            headers={"Authorization": "AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/s3/aws4_request"},
        )
        answer = connection.getresponse()
        assert answer.status == 404
        answer.read()
    connection.request("GET", "/_local_aws/health")
    assert json.loads(connection.getresponse().read())["status"] == "healthy"
    assert connection.sock is socket
    connection.close()


def test_expect_without_a_body_is_told_to_go_on(s3: Any, lake: str) -> None:
    """botocore waits for 100 Continue even with nothing to send; the connection stays usable after it."""
    for i in range(3):
        s3.put_object(Bucket=lake, Key=f"empty/{i}", Body=b"")
        assert body(s3, lake, f"empty/{i}") == b""
    assert code(s3.put_object, Bucket=lake, Key="empty/0", Body=b"", IfNoneMatch="*") == (
        "PreconditionFailed",
        412,
    )
    assert s3.list_objects_v2(Bucket=lake)["KeyCount"] == 3


def test_a_copy_gets_the_checksum_that_was_asked_for(s3: Any, lake: str) -> None:
    s3.put_object(Bucket=lake, Key="a", Body=b"hello", ChecksumAlgorithm="CRC32")
    copied = s3.copy_object(
        Bucket=lake, Key="b", CopySource={"Bucket": lake, "Key": "a"}, ChecksumAlgorithm="SHA256"
    )
    expected = base64.b64encode(hashlib.sha256(b"hello").digest()).decode()
    assert copied["CopyObjectResult"]["ChecksumSHA256"] == expected
    assert s3.head_object(Bucket=lake, Key="b", ChecksumMode="ENABLED")["ChecksumSHA256"] == expected
