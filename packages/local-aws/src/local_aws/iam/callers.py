"""Who signed a request."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from moto.core import DEFAULT_ACCOUNT_ID
from moto.iam.access_control import CreateAccessKeyFailure, create_access_key
from moto.iam.models import iam_backends

from local_aws.http import Request, query_parameters

ACCOUNT = DEFAULT_ACCOUNT_ID


@dataclass(frozen=True)
class Caller:
    """An IAM user or an assumed role."""

    arn: str
    documents: tuple[str, ...]


def caller_of(request: Request) -> Caller | None:
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
