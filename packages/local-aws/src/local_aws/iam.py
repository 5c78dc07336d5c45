"""IAM in front of every service: what a key may do is what its identity's policies say.

With ``--enforce-iam``, a request that is signed with the access key of an IAM user or of an assumed role, both
made with this server's own IAM and STS, may do what that identity's policies allow, and nothing else; so may the
queries that it starts. Any other key stays the account's administrator. Nothing is configured twice: the policies
are those that PutRolePolicy, AttachUserPolicy or a CloudFormation template left in moto's IAM.

Decided are identity-based policies: Allow and Deny, (Not)Action and (Not)Resource with ``*`` and ``?``, and
conditions of the operators below. Policies of resources, boundaries, session policies and policy variables are
not looked at. A request whose actions are not known here is refused, with a text that says so: a permission that
nobody checked would look like one that nobody needs.

Which actions a request needs is AWS's word:
https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html,
https://docs.aws.amazon.com/athena/latest/ug/fine-grained-access-to-glue-resources.html,
https://docs.aws.amazon.com/service-authorization/latest/reference/reference.html
"""

from __future__ import annotations

import fnmatch
import json
import re
import threading
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote
from xml.sax.saxutils import escape

from moto.core import DEFAULT_ACCOUNT_ID
from moto.glue.models import glue_backends
from moto.iam.access_control import CreateAccessKeyFailure, create_access_key
from moto.iam.models import iam_backends
from moto.s3.models import FakeKey, s3_backends
from moto.sns.models import sns_backends
from moto.sqs.models import sqs_backends

from local_aws.athena.catalog import Catalog, Partition, Table
from local_aws.athena.errors import QueryError
from local_aws.http import Request, Response, query_parameters
from local_aws.objects import ObjectInfo, ObjectStore
from local_aws.services import region_of, service_of

ACCOUNT = DEFAULT_ACCOUNT_ID
# Different uses that are remembered; a program needs far fewer.
LEDGER = 100_000


@dataclass(frozen=True)
class Access:
    """One thing that a request does: an action on a resource, with what conditions may ask for."""

    action: str
    resource: str
    context: tuple[tuple[str, str], ...] = ()


class Denied(Exception):
    """No policy allows it, or one forbids it."""

    def __init__(self, caller: str, access: Access, why: str) -> None:
        self.access = access
        super().__init__(
            f"User: {caller} is not authorized to perform: {access.action} on resource: {access.resource} because {why}"
        )


# ------------------------------------------------------------------------------------------ policies


def _matches(pattern: str, value: str, *, ignore_case: bool = False) -> bool:
    return _pattern(pattern, ignore_case).fullmatch(value) is not None


@lru_cache(maxsize=4096)
def _pattern(pattern: str, ignore_case: bool) -> re.Pattern[str]:
    # IAM has * and ? only; in fnmatch a bracket would begin a set.
    text = fnmatch.translate(pattern.replace("[", "[[]"))
    return re.compile(text, re.DOTALL | (re.IGNORECASE if ignore_case else 0))


# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
_OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "StringEquals": lambda wanted, value: wanted == value,
    "StringEqualsIgnoreCase": lambda wanted, value: wanted.lower() == value.lower(),
    "StringLike": _matches,
    "ArnEquals": _matches,
    "ArnLike": _matches,
    "Bool": lambda wanted, value: wanted.lower() == value.lower(),
}
_NEGATIVE = {
    "StringNotEquals": "StringEquals",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotLike": "StringLike",
    "ArnNotEquals": "ArnEquals",
    "ArnNotLike": "ArnLike",
}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _condition_holds(operator: str, keys: Mapping[str, Any], context: Mapping[str, str]) -> bool:
    if_exists = operator.endswith("IfExists")
    operator = operator.removesuffix("IfExists")
    for key, wanted in keys.items():
        value = context.get(key.lower())
        if operator == "Null":
            if (value is None) != (str(_list(wanted)[0]).lower() == "true"):
                return False
            continue
        negative = operator in _NEGATIVE
        test = _OPERATORS.get(_NEGATIVE.get(operator, operator))
        if test is None:
            raise ValueError(
                f"local_aws does not know the condition operator {operator}; it knows {', '.join([*_OPERATORS, *_NEGATIVE, 'Null'])}"
            )
        if value is None:
            if not (if_exists or negative):
                return False
            continue
        if (
            any(test(str(one).lower() if isinstance(one, bool) else str(one), value) for one in _list(wanted))
            == negative
        ):
            return False
    return True


def _applies(statement: Mapping[str, Any], access: Access) -> bool:
    if "Action" in statement:
        named = any(_matches(one, access.action, ignore_case=True) for one in _list(statement["Action"]))
    else:
        named = not any(
            _matches(one, access.action, ignore_case=True) for one in _list(statement["NotAction"])
        )
    if not named:
        return False
    if "NotResource" in statement:
        meant = not any(_matches(one, access.resource) for one in _list(statement["NotResource"]))
    else:
        meant = any(_matches(one, access.resource) for one in _list(statement.get("Resource", [])))
    context = {key.lower(): value for key, value in access.context}
    return meant and all(
        _condition_holds(operator, keys, context) for operator, keys in statement.get("Condition", {}).items()
    )


@lru_cache(maxsize=256)
def _statements(document: str) -> tuple[Mapping[str, Any], ...]:
    return tuple(_list(json.loads(document)["Statement"]))


def decide(documents: Iterable[str], access: Access) -> tuple[list[str], str]:
    """The Sids of the statements that allow an access, and, if there are none or one forbids it, why not.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
    """
    allowing = []
    for document in documents:
        for statement in _statements(document):
            if _applies(statement, access):
                if statement["Effect"] == "Deny":
                    return (
                        [],
                        f"with an explicit deny in an identity-based policy ({statement.get('Sid', 'no Sid')})",
                    )
                allowing.append(statement.get("Sid", ""))
    return allowing, "" if allowing else f"no identity-based policy allows the {access.action} action"


# ----------------------------------------------------------------------------------------- identities


@dataclass(frozen=True)
class Caller:
    """An IAM user or an assumed role."""

    arn: str
    documents: tuple[str, ...]


def _caller(request: Request) -> Caller | None:
    """Who signed a request; None for a key that IAM does not know, which is the administrator's.

    Raises PermissionError for a key of IAM with a session token that is not its own.
    """
    signed = re.search(r"Credential=([^/,]+)/", request.headers.get("authorization", ""))
    q = query_parameters(request.query) if signed is None else {}
    key = (
        signed.group(1)
        if signed
        else q.get("X-Amz-Credential", "").split("/")[0] or q.get("AWSAccessKeyId", "")
    )
    token = request.headers.get("x-amz-security-token") or q.get("X-Amz-Security-Token")
    if not key:
        return None
    try:
        found = create_access_key(
            ACCOUNT, "aws", unquote(key), {"X-Amz-Security-Token": token} if token else {}
        )
    except CreateAccessKeyFailure as error:
        if error.reason == "InvalidToken":
            raise PermissionError("The security token included in the request is invalid") from None
        return None
    return Caller(found.arn, tuple(_document(one) for one in found.collect_policies()))


def _document(policy: Any) -> str:
    """The text of a policy in any of the three shapes in which moto's IAM hands them out."""
    if isinstance(policy, dict):
        policy = policy["policy_document"]
    if isinstance(policy, str):
        return policy
    backend = iam_backends[ACCOUNT]["aws"]
    managed = backend.managed_policies[policy.arn]
    return next(one.document for one in managed.versions if one.is_default)


# ------------------------------------------------------------------------------------ what a request does

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


class Unknown(Exception):
    """Nobody told this module what a request needs."""


def bucket_arn(bucket: str) -> str:
    return f"arn:aws:s3:::{bucket}"


def _bucket_key(bucket: str) -> str | None:
    """The KMS key that a bucket encrypts with by default, as an ARN; None if with none."""
    found: Any = s3_backends[ACCOUNT]["aws"].buckets.get(bucket)
    rules = _list((getattr(found, "encryption", None) or {}).get("Rule") or [])
    for rule in rules:
        default = rule.get("ApplyServerSideEncryptionByDefault") or {}
        if default.get("SSEAlgorithm") in ("aws:kms", "aws:kms:dsse"):
            return default.get("KMSMasterKeyID") or None
    return None


def _kms(action: str, key: str, region: str, service: str) -> Access:
    arn = key if key.startswith("arn:") else f"arn:aws:kms:{region}:{ACCOUNT}:key/{key}"
    return Access(f"kms:{action}", arn, (("kms:ViaService", f"{service}.{region}.amazonaws.com"),))


def _reading(bucket: str, region: str) -> Iterator[Access]:
    if key := _bucket_key(bucket):
        yield _kms("Decrypt", key, region, "s3")


def _writing(bucket: str, region: str, *, multipart: bool = False) -> Iterator[Access]:
    if key := _bucket_key(bucket):
        yield _kms("GenerateDataKey", key, region, "s3")
        if multipart:  # S3 reads the parts again to put them together
            yield _kms("Decrypt", key, region, "s3")


def _s3(r: Request) -> Iterator[Access]:
    if ".s3" in r.headers.get("host", ""):
        raise Unknown  # the bucket is in the host's name; SDKs with an endpoint of their own put it in the path
    bucket, _, key = unquote(r.path).lstrip("/").partition("/")
    q, region = query_parameters(r.query), region_of(r)
    own = {
        name
        for name in q
        if not name.lower().startswith(
            ("x-amz-", "response-", "x-id", "awsaccesskeyid", "signature", "expires")
        )
    }
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
        yield from _reading(bucket, region)
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
        yield from _writing(bucket, region, multipart=bool(part))
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
    yield from _reading(bucket, region)
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


def glue_arns(region: str, database: str | None = None, table: str | None = None) -> list[str]:
    """A resource of the catalog and its ancestors, for each of which Glue wants the permission."""
    root = f"arn:aws:glue:{region}:{ACCOUNT}"
    arns = [f"{root}:catalog"]
    if database is not None:
        arns.append(f"{root}:database/{database}")
        if table is not None:
            arns.append(f"{root}:table/{database}/{table}")
    return arns


def _catalog_key(operation: str, region: str) -> Iterator[Access]:
    """What an encrypted catalog needs: https://docs.aws.amazon.com/glue/latest/dg/encrypt-glue-data-catalog.html"""
    known = glue_backends[ACCOUNT][region].data_catalog_encryption_settings
    # moto keeps them under the CatalogId of the request, which is optional.
    settings: dict[str, Any] = known.get(ACCOUNT) or known.get(None) or {}  # type: ignore[call-overload]
    at_rest = settings.get("EncryptionAtRest") or {}
    if at_rest.get("CatalogEncryptionMode") == "SSE-KMS" and (key := at_rest.get("SseAwsKmsKeyId")):
        yield _kms("Decrypt", key, region, "glue")
        if not operation.startswith("Get"):
            yield _kms("Encrypt", key, region, "glue")
            yield _kms("GenerateDataKey", key, region, "glue")


def _glue(operation: str, body: dict[str, Any], region: str) -> Iterator[Access]:
    database = body.get("DatabaseName")
    table = body.get("TableName") or (body.get("TableInput") or {}).get("Name")
    if re.fullmatch(r"(Get|Create|Update|Delete)Database", operation):
        database = body.get("Name") or (body.get("DatabaseInput") or {}).get("Name")
    elif operation in ("GetTable", "DeleteTable"):
        table = body.get("Name")
    elif operation == "GetTables":
        table = "*"
    elif operation not in ("GetDatabases", "CreateTable", "UpdateTable") and "Partition" not in operation:
        raise Unknown
    for arn in glue_arns(region, database, table):
        yield Access(f"glue:{operation}", arn)
    yield from _catalog_key(operation, region)


def _sns(form: dict[str, str], region: str) -> Iterator[Access]:
    operation = form.get("Action", "")
    topic = form.get("TopicArn") or form.get("TargetArn") or "*"
    yield Access(f"sns:{operation}", topic)
    found: Any = sns_backends[ACCOUNT][region].topics.get(topic)
    if operation == "Publish" and (key := getattr(found, "kms_master_key_id", "")):
        yield _kms("GenerateDataKey", key, region, "sns")
        yield _kms("Decrypt", key, region, "sns")


def _sqs(operation: str, body: dict[str, Any], region: str) -> Iterator[Access]:
    name = body.get("QueueName") or str(body.get("QueueUrl", "")).rsplit("/", 1)[-1]
    action = operation.removesuffix("Batch")
    yield Access(f"sqs:{action}", f"arn:aws:sqs:{region}:{ACCOUNT}:{name}" if name else "*")
    found: Any = sqs_backends[ACCOUNT][region].queues.get(name)
    if key := getattr(found, "kms_master_key_id", None):
        if action in ("SendMessage", "ReceiveMessage"):
            yield _kms("Decrypt", key, region, "sqs")
        if action == "SendMessage":
            yield _kms("GenerateDataKey", key, region, "sqs")


class Iam:
    """Decides, and remembers what was decided.

    workgroup_of: the workgroup of a query execution in a region.
    """

    def __init__(self, workgroup_of: Callable[[str, str], str | None]) -> None:
        self._workgroup_of = workgroup_of
        self._ledger: dict[tuple[str, Access, tuple[str, ...]], None] = {}
        self._lock = threading.Lock()

    # ------------------------------------------------------------------------------------ deciding

    def check(self, caller: Caller, accesses: Iterable[Access]) -> None:
        """Raises Denied for the first access that the caller has not."""
        for access in accesses:
            sids, why = decide(caller.documents, access)
            with self._lock:
                if len(self._ledger) < LEDGER:
                    self._ledger[(caller.arn, access, tuple(sids))] = None
            if why:
                raise Denied(caller.arn, access, why)

    def ledger(self, *, forget: bool = False) -> list[dict[str, Any]]:
        """Each different access that a caller asked for: the Sids of the statements that allowed it, or none.

        forget: begin anew.
        """
        with self._lock:
            entries = list(self._ledger)
            if forget:
                self._ledger.clear()
        return [
            {"caller": caller, "action": access.action, "resource": access.resource, "allowed_by": list(sids)}
            for caller, access, sids in entries
        ]

    # ------------------------------------------------------------------------------------ requests

    def answer(self, request: Request, handle: Callable[[Request], Response]) -> Response:
        """Hands a request on if its caller may do what it does; queries that it starts run as the caller."""
        try:
            caller = _caller(request)
        except PermissionError as error:
            return _refusal(request, "InvalidClientTokenId", str(error))
        if caller is None:
            return handle(request)
        try:
            self.check(caller, self._accesses(request))
            token = current.set((self, caller))
            try:
                response = handle(request)
            finally:
                current.reset(token)
            if response.status == 404 and service_of(request) == "s3":
                self._hide_absence(caller, request)
        except Unknown:
            what = request.headers.get("x-amz-target") or f"{request.method} {request.path}?{request.query}"
            return _refusal(
                request, "AccessDenied", f"local_aws does not know which permissions {what} needs"
            )
        except Denied as error:
            return _refusal(request, "AccessDenied", str(error))
        return response

    def _hide_absence(self, caller: Caller, request: Request) -> None:
        """Who may not list a bucket is not told that an object is not there. A condition on s3:prefix does not
        hold here, because the request has no prefix.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
        """
        bucket, _, key = unquote(request.path).lstrip("/").partition("/")
        if key and request.method in ("GET", "HEAD"):
            self.check(caller, [Access("s3:ListBucket", bucket_arn(bucket))])

    def _accesses(self, request: Request) -> list[Access]:
        service, region = service_of(request), region_of(request)
        if service == "s3":
            return list(_s3(request))
        operation = request.headers.get("x-amz-target", "").rpartition(".")[2]
        if operation:
            body = json.loads(request.data() or b"{}")
            if service == "glue":
                return list(_glue(operation, body, region))
            if service == "athena":
                return list(self._athena(operation, body, region))
            if service == "sqs":
                return list(_sqs(operation, body, region))
            raise Unknown
        form = dict(parse_qsl(request.data().decode(), keep_blank_values=True))
        if service == "sns":
            return list(_sns(form, region))
        if service == "sts" and form.get("Action") == "GetCallerIdentity":
            return []  # needs no permission
        raise Unknown

    def _athena(self, operation: str, body: dict[str, Any], region: str) -> Iterator[Access]:
        if operation not in (
            *("StartQueryExecution", "GetQueryExecution", "StopQueryExecution"),
            *("BatchGetQueryExecution", "ListQueryExecutions", "GetWorkGroup"),
        ):
            raise Unknown
        queries = body.get("QueryExecutionIds") or [body.get("QueryExecutionId")]
        workgroups = {body.get("WorkGroup") or (one and self._workgroup_of(region, one)) for one in queries}
        for workgroup in workgroups:
            yield Access(
                f"athena:{operation}", f"arn:aws:athena:{region}:{ACCOUNT}:workgroup/{workgroup or 'primary'}"
            )


#: Who asks, while a request or a query that it started runs; None for the administrator.
current: ContextVar[tuple[Iam, Caller] | None] = ContextVar("caller", default=None)


def _refusal(request: Request, code: str, message: str) -> Response:
    service = service_of(request)
    if request.headers.get("x-amz-target"):
        kind = "AccessDenied" if service == "sqs" else f"{code}Exception"
        body = json.dumps({"__type": kind, "Message": message, "message": message}).encode()
        return Response(400, [("Content-Type", "application/x-amz-json-1.1")], body)
    if request.method == "HEAD":
        return Response(403)
    text = f"<Code>{code}</Code><Message>{escape(message)}</Message>"
    if service == "s3":
        xml = f"<Error>{text}</Error>"
    else:
        if service == "sns" and code == "AccessDenied":
            text = text.replace("AccessDenied", "AuthorizationError", 1)
        xml = f"<ErrorResponse><Error><Type>Sender</Type>{text}</Error></ErrorResponse>"
    return Response(403, [("Content-Type", "application/xml")], f'<?xml version="1.0"?>\n{xml}'.encode())


# ---------------------------------------------------------------------------------------- Athena's side
# A query reads the catalog and S3 with the permissions of whoever started it.


@dataclass
class CallersStore:
    """S3 as a query's caller may use it."""

    store: ObjectStore
    iam: Iam
    caller: Caller
    region: str

    def _check(self, doing: str, accesses: Iterable[Access]) -> None:
        try:
            self.iam.check(self.caller, accesses)
        except Denied as error:
            raise QueryError("PERMISSION_DENIED", f"Access denied {doing}: {error}") from error

    def has_bucket(self, bucket: str) -> bool:
        self._check(f"to bucket {bucket}", [Access("s3:GetBucketLocation", bucket_arn(bucket))])
        return self.store.has_bucket(bucket)

    def objects(self, bucket: str, prefix: str) -> list[ObjectInfo]:
        where = f"on operation: ListObjects on s3://{bucket}/{prefix}"
        self._check(where, [Access("s3:ListBucket", bucket_arn(bucket), (("s3:prefix", prefix),))])
        found = self.store.objects(bucket, prefix)
        for one in found:
            self._check_read(bucket, one.key)
        return found

    def get(self, bucket: str, key: str) -> ObjectInfo | None:
        self._check_read(bucket, key)
        return self.store.get(bucket, key)

    def _check_read(self, bucket: str, key: str) -> None:
        self._check(
            f"on operation: GetObject on s3://{bucket}/{key}",
            [Access("s3:GetObject", f"{bucket_arn(bucket)}/{key}"), *_reading(bucket, self.region)],
        )

    def _check_write(self, bucket: str, key: str) -> None:
        # Athena writes in parts: https://docs.aws.amazon.com/athena/latest/ug/s3-permissions.html
        arn = f"{bucket_arn(bucket)}/{key}"
        self._check(
            f"when writing output to url: s3://{bucket}/{key}",
            [
                Access("s3:ListBucketMultipartUploads", bucket_arn(bucket)),
                *(
                    Access(action, arn)
                    for action in ("s3:PutObject", "s3:ListMultipartUploadParts", "s3:AbortMultipartUpload")
                ),
                *_writing(bucket, self.region, multipart=True),
            ],
        )

    def put_file(self, bucket: str, key: str, path: Path) -> None:
        self._check_write(bucket, key)
        self.store.put_file(bucket, key, path)

    def put_files(self, bucket: str, files: list[tuple[str, Path]]) -> None:
        for key, _ in files:
            self._check_write(bucket, key)
        self.store.put_files(bucket, files)

    def put_bytes(self, bucket: str, key: str, data: bytes) -> None:
        self._check_write(bucket, key)
        self.store.put_bytes(bucket, key, data)

    def delete(self, bucket: str, keys: list[str]) -> None:
        where = f"on operation: DeleteObject in s3://{bucket}"
        self._check(where, [Access("s3:DeleteObject", f"{bucket_arn(bucket)}/{key}") for key in keys])
        self.store.delete(bucket, keys)

    def pinned(self) -> AbstractContextManager[None]:
        return self.store.pinned()


class CallersCatalog(Catalog):
    """The Glue catalog as a query's caller may use it; the actions are those of AWS's page on Athena and Glue."""

    def __init__(self, catalog: Catalog, store: ObjectStore, iam: Iam, caller: Caller) -> None:
        self.__dict__.update(catalog.__dict__)
        # Iceberg tables keep their metadata on S3.
        self._store, self.iam, self.caller = store, iam, caller

    def _may(self, action: str, database: str | None = None, table: str | None = None) -> None:
        try:
            self.iam.check(
                self.caller,
                [
                    *(Access(f"glue:{action}", arn) for arn in glue_arns(self.region, database, table)),
                    *_catalog_key(action, self.region),
                ],
            )
        except Denied as error:
            raise QueryError("", f"Insufficient permissions to execute the query. {error}") from error

    def databases(self) -> list[dict[str, Any]]:
        self._may("GetDatabases")
        return super().databases()

    def has_database(self, name: str) -> bool:
        self._may("GetDatabase", name.lower())
        return super().has_database(name)

    def database(self, name: str) -> dict[str, Any]:
        self._may("GetDatabase", name.lower())
        return super().database(name)

    def create_database(
        self, name: str, description: str | None, location: str | None, parameters: dict[str, str]
    ) -> None:
        self._may("CreateDatabase", name)
        super().create_database(name, description, location, parameters)

    def drop_database(self, name: str) -> None:
        self._may("DeleteDatabase", name)
        super().drop_database(name)

    def set_database_properties(self, name: str, parameters: dict[str, str]) -> None:
        self._may("UpdateDatabase", name)
        super().set_database_properties(name, parameters)

    def tables(self, database: str) -> list[Table]:
        self._may("GetTables", database, "*")
        return super().tables(database)

    def find(self, database: str, name: str) -> Table | None:
        self._may("GetTable", database.lower(), name.lower())
        return super().find(database, name)

    def create_table(self, database: str, entry: dict[str, Any]) -> None:
        name = str(entry["Name"])
        self._may("GetDatabases", database)
        for action in ("GetTables", "GetPartitions", "CreateTable"):
            self._may(action, database, name)
        super().create_table(database, entry)

    def update_table(self, table: Table, entry: dict[str, Any]) -> None:
        self._may("UpdateTable", table.database, table.name)
        super().update_table(table, entry)

    def replace_table(self, table: Table, entry: dict[str, Any], version: str) -> None:
        self._may("UpdateTable", table.database, table.name)
        super().replace_table(table, entry, version)

    def drop_table(self, table: Table) -> None:
        for action in ("GetPartitions", "GetPartition", "DeletePartition") if table.partition_keys else ():
            self._may(action, table.database, table.name)
        self._may("DeleteTable", table.database, table.name)
        super().drop_table(table)

    def partitions(self, table: Table) -> list[Partition]:
        self._may("GetPartitions", table.database, table.name)
        return super().partitions(table)

    def add_partitions(
        self, table: Table, partitions: Iterable[Partition], *, replace: bool = False
    ) -> list[Partition]:
        for action in ("GetPartition", "BatchCreatePartition", *(["UpdatePartition"] if replace else [])):
            self._may(action, table.database, table.name)
        return super().add_partitions(table, partitions, replace=replace)

    def drop_partition(self, table: Table, partition: Partition) -> None:
        self._may("DeletePartition", table.database, table.name)
        super().drop_partition(table, partition)


def for_caller(catalog: Catalog, store: ObjectStore) -> tuple[Catalog, ObjectStore]:
    """The catalog and the store as whoever asks now may use them; themselves for the administrator."""
    asking = current.get()
    if asking is None:
        return catalog, store
    iam, caller = asking
    seen = CallersStore(store, iam, caller, catalog.region)
    return CallersCatalog(catalog, seen, iam, caller), seen
