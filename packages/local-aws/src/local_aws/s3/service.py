"""S3 over HTTP: which operation a request asks for, and whether it is answered here."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from urllib.parse import unquote

from moto.iam.access_control import PermissionResult
from moto.s3.models import FakeTableStorageBucket

from local_aws.http import Request, Response, query_parameters
from local_aws.s3 import listing, multipart, operations
from local_aws.s3.call import Call
from local_aws.s3.errors import S3Error
from local_aws.s3.store import Store
from local_aws.s3.wire import refuse

Operation = Callable[[Store, Call], Response]

# Parameters of a query that choose no operation.
_INCIDENTAL = ("x-amz-", "response-", "x-id", "awsaccesskeyid", "signature", "expires")
_LISTING = {"prefix", "delimiter", "max-keys", "encoding-type"}
_LISTING_OBJECTS = _LISTING | {"marker"}
_LISTING_V2 = _LISTING | {"list-type", "continuation-token", "start-after", "fetch-owner"}
_LISTING_VERSIONS = _LISTING | {"versions", "key-marker", "version-id-marker"}


def own_parameters(query: dict[str, str]) -> set[str]:
    """The parameters that say what a request asks for, without those of signatures and overridden headers."""
    return {name for name in query if not name.lower().startswith(_INCIDENTAL)}


class S3(Store):
    """Answers S3's requests, or leaves them to moto."""

    def handle(self, request: Request) -> Response | None:
        """Answers an S3 request, or leaves it (None) to moto."""
        path = unquote(request.path)
        name, _, key = path.lstrip("/").partition("/")
        bucket = self.bucket(name) if name else None
        if (
            bucket is None
            or isinstance(bucket, FakeTableStorageBucket)
            or bucket.object_lock_enabled
            or bucket.logging
        ):
            return None
        call = Call(request, bucket, key, query_parameters(request.query))
        operation = _on_object(call) if key else _on_bucket(call)
        if operation is None:
            return None
        try:
            _permitted(call)
            return operation(self, call)
        except S3Error as e:
            request_id = uuid.uuid4().hex
            if request.method == "HEAD" or e.status == 304:
                return Response(e.status, [*e.headers, ("x-amz-request-id", request_id)])
            return refuse(e, path, request_id)


def _on_bucket(c: Call) -> Operation | None:
    method, own = c.request.method, own_parameters(c.query)
    if method == "POST" and own == {"delete"}:
        return operations.delete_objects
    if method != "GET":
        return None
    if "uploads" in own:
        return multipart.list_multipart_uploads
    if "versions" in own and own <= _LISTING_VERSIONS:
        return listing.list_object_versions
    if c.query.get("list-type") == "2" and own <= _LISTING_V2:
        return listing.list_objects_v2
    return listing.list_objects if own <= _LISTING_OBJECTS else None


def _on_object(c: Call) -> Operation | None:
    method, own = c.request.method, own_parameters(c.query)
    if any(h.startswith(("x-amz-grant", "x-amz-object-lock")) for h in c.headers):
        return None
    if method in ("GET", "HEAD") and own <= {"versionId", "partNumber"}:
        return operations.get_object
    if method == "DELETE" and own <= {"versionId"}:
        return operations.delete_object
    if method == "PUT" and not own:
        return operations.copy_object if "x-amz-copy-source" in c.headers else operations.put_object
    if method == "GET" and "uploadId" in own:
        return multipart.list_parts
    return {
        ("PUT", frozenset({"uploadId", "partNumber"})): multipart.upload_part,
        ("POST", frozenset({"uploads"})): multipart.create_multipart_upload,
        ("POST", frozenset({"uploadId"})): multipart.complete_multipart_upload,
        ("DELETE", frozenset({"uploadId"})): multipart.abort_multipart_upload,
    }.get((method, frozenset(own)))


def _permitted(c: Call) -> None:
    """Raises S3Error where the bucket's policy denies."""
    if c.bucket.policy is None:
        return
    verb = {"GET": "Get", "HEAD": "Get", "PUT": "Put", "POST": "Put", "DELETE": "Delete"}.get(
        c.request.method, "Get"
    )
    arn = f"arn:{c.bucket.partition}:s3:::{c.bucket.name}"
    action, resource = (f"s3:{verb}Object", f"{arn}/{c.key}") if c.key else ("s3:ListBucket", arn)
    if c.bucket.get_permission(action, resource) == PermissionResult.DENIED:
        raise S3Error(403, "AccessDenied", f"Access Denied by the bucket's policy: {action} on {resource}")
