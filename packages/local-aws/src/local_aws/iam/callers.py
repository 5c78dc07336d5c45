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


def documents_of(backend: Any, *, user: str = "", group: str = "", role: str = "") -> list[str]:
    """The identity-based policies of a user with its groups, of a group or of a role."""
    if role:
        inline = [backend.get_role_policy(role, name)[1] for name in backend.list_role_policies(role)]
        attached, _ = backend.list_attached_role_policies(role)
    elif group:
        inline = [backend.get_group_policy(group, name) for name in backend.list_group_policies(group)]
        attached, _ = backend.list_attached_group_policies(group)
    else:
        inline = [backend.get_user_policy(user, name) for name in backend.list_user_policies(user)]
        attached, _ = backend.list_attached_user_policies(user)
        groups = [one.name for one in backend.get_groups_for_user(user)]
        return [_document(one) for one in (*inline, *attached)] + [
            document for name in groups for document in documents_of(backend, group=name)
        ]
    return [_document(one) for one in (*inline, *attached)]


def _document(policy: Any) -> str:
    """The text of a policy in any of the three shapes in which moto's IAM hands them out."""
    if isinstance(policy, dict):
        policy = policy["policy_document"]
    if isinstance(policy, str):
        return policy
    backend = iam_backends[ACCOUNT]["aws"]
    managed = backend.managed_policies[policy.arn]
    return next(one.document for one in managed.versions if one.is_default)
