"""What a request to S3 needs.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from urllib.parse import unquote

from moto.s3.models import FakeKey, s3_backends

from local_aws.http import Request, query_parameters
from local_aws.iam.callers import ACCOUNT
from local_aws.iam.kms import reading, writing
from local_aws.iam.policies import Access, Unknown
from local_aws.s3.service import own_parameters
from local_aws.services import region_of

_BUCKET_PARTS = {
    "accelerate": "AccelerateConfiguration",
    "acl": "BucketAcl",
    "cors": "BucketCORS",
    "encryption": "EncryptionConfiguration",
    "lifecycle": "LifecycleConfiguration",
    "location": "BucketLocation",
    "logging": "BucketLogging",
    "notification": "BucketNotification",
    "ownershipControls": "BucketOwnershipControls",
    "policy": "BucketPolicy",
    "publicAccessBlock": "BucketPublicAccessBlock",
    "tagging": "BucketTagging",
    "versioning": "BucketVersioning",
    "website": "BucketWebsite",
}
_LISTING = {
    *("list-type", "prefix", "delimiter", "max-keys", "continuation-token", "start-after", "encoding-type"),
    *("fetch-owner", "marker", "key-marker", "version-id-marker", "upload-id-marker", "max-uploads"),
}


def bucket_arn(bucket: str) -> str:
    return f"arn:aws:s3:::{bucket}"


def accesses(r: Request) -> Iterator[Access]:
    if ".s3" in r.headers.get("host", ""):
        raise Unknown  # the bucket is in the host's name; SDKs with an endpoint of their own put it in the path
    bucket, _, key = unquote(r.path).lstrip("/").partition("/")
    q, region = query_parameters(r.query), region_of(r)
    own = own_parameters(q)
    if not bucket:
        yield Access("s3:ListAllMyBuckets", "*")
    elif not key:
        yield from _s3_bucket(r, q, own, bucket)
    else:
        yield from _s3_object(r, q, own, bucket, key, region)


def _s3_bucket(r: Request, q: dict[str, str], own: set[str], bucket: str) -> Iterator[Access]:
    arn = bucket_arn(bucket)
    asked = (("s3:prefix", q.get("prefix", "")),)
    part = next((one for one in _BUCKET_PARTS if one in own), None)
    if r.method == "POST" and own == {"delete"}:
        for one in ET.fromstring(r.data()).iterfind("{*}Object"):  # noqa: S314  # a local client's request
            name = one.findtext("{*}Key") or ""
            action = "s3:DeleteObjectVersion" if one.findtext("{*}VersionId") else "s3:DeleteObject"
            yield Access(action, f"{arn}/{name}")
    elif r.method == "GET" and "versions" in own:
        yield Access("s3:ListBucketVersions", arn, asked)
    elif r.method == "GET" and "uploads" in own:
        yield Access("s3:ListBucketMultipartUploads", arn)
    elif r.method in ("GET", "HEAD") and own <= _LISTING:
        yield Access("s3:ListBucket", arn, asked if r.method == "GET" else ())
    elif part is not None:
        verb = "Get" if r.method == "GET" else "Put"
        if part == "policy" and r.method == "DELETE":
            verb = "Delete"
        yield Access(f"s3:{verb}{_BUCKET_PARTS[part]}", arn)
    elif r.method in ("PUT", "DELETE") and not own:
        yield Access("s3:CreateBucket" if r.method == "PUT" else "s3:DeleteBucket", arn)
    else:
        raise Unknown


def _s3_object(
    r: Request, q: dict[str, str], own: set[str], bucket: str, key: str, region: str
) -> Iterator[Access]:
    arn = f"{bucket_arn(bucket)}/{key}"
    version = "Version" if "versionId" in own else ""
    part = own - {"versionId", "partNumber"}
    if r.method in ("GET", "HEAD") and not part:
        yield Access(f"s3:GetObject{version}", arn)
        yield from reading(bucket, region)
    elif r.method == "GET" and part == {"uploadId"}:
        yield Access("s3:ListMultipartUploadParts", arn)
    elif part == {"tagging"}:
        verb = {"GET": "Get", "PUT": "Put", "DELETE": "Delete"}[r.method]
        yield Access(f"s3:{verb}Object{version}Tagging", arn)
    elif part == {"acl"}:
        yield Access(f"s3:{'Get' if r.method == 'GET' else 'Put'}Object{version}Acl", arn)
    elif r.method == "DELETE" and part == {"uploadId"}:
        yield Access("s3:AbortMultipartUpload", arn)
    elif r.method == "DELETE" and not part:
        yield Access(f"s3:DeleteObject{version}", arn)
        yield from _conditional(r, arn)
    elif r.method in ("PUT", "POST") and part <= {"uploadId", "uploads"}:
        if "x-amz-copy-source" in r.headers:
            yield from _copy_source(r.headers, arn, region, whole=not part)
        yield Access("s3:PutObject", arn)
        yield from _conditional(r, arn)
        if r.headers.get("x-amz-tagging"):
            yield Access("s3:PutObjectTagging", arn)
        yield from writing(bucket, region, multipart=bool(part))
    else:
        raise Unknown


def _conditional(r: Request, arn: str) -> Iterator[Access]:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html: a write on the
    condition of an ETag tells what that is."""
    if "if-match" in r.headers:
        yield Access("s3:GetObject", arn)


def _copy_source(headers: dict[str, str], target: str, region: str, *, whole: bool) -> Iterator[Access]:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html: tags are copied, and need their own."""
    path, _, q = headers["x-amz-copy-source"].partition("?")
    bucket, _, key = unquote(path).lstrip("/").partition("/")
    version_id = query_parameters(q).get("versionId")
    version = "Version" if version_id else ""
    source = f"{bucket_arn(bucket)}/{key}"
    yield Access(f"s3:GetObject{version}", source)
    yield from reading(bucket, region)
    if (
        whole
        and headers.get("x-amz-tagging-directive", "COPY") == "COPY"
        and _tagged(bucket, key, version_id)
    ):
        yield Access(f"s3:GetObject{version}Tagging", source)
        yield Access("s3:PutObjectTagging", target)


def _tagged(bucket: str, key: str, version_id: str | None) -> bool:
    backend = s3_backends[ACCOUNT]["aws"]
    found = backend.buckets.get(bucket)
    versions = found.keys.getlist(key, []) if found is not None else []
    chosen = [one for one in versions if isinstance(one, FakeKey) and version_id in (None, one.version_id)]
    return bool(chosen and backend.tagger.get_tag_dict_for_resource(chosen[-1].arn))
