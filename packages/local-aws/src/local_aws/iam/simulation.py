"""SimulatePrincipalPolicy and SimulateCustomPolicy, by the evaluation that decides of requests, too.

https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from moto.iam.models import iam_backends

from local_aws.http import Request, Response
from local_aws.iam.callers import ACCOUNT, documents_of
from local_aws.iam.policies import Access, decide

_OPERATIONS = ("SimulatePrincipalPolicy", "SimulateCustomPolicy")
# Who signs with a key that IAM does not know, as GetCallerIdentity calls it: the administrator.
_ADMINISTRATOR = re.compile(r"arn:aws:(sts|iam)::\d+:(user/moto|root)")
_EVERYTHING = '{"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}'


def form_of(request: Request) -> dict[str, str]:
    return dict(parse_qsl(request.data().decode(), keep_blank_values=True))


def simulates(form: dict[str, str]) -> bool:
    return form.get("Action") in _OPERATIONS


def answer(form: dict[str, str]) -> Response:
    operation = form["Action"]
    documents = _members(form, "PolicyInputList")
    if operation == "SimulatePrincipalPolicy":
        arn = form.get("PolicySourceArn", "")
        found = _documents(arn)
        if found is None:
            return _failure(404, "NoSuchEntity", f"The entity {arn} cannot be found.")
        documents += found
    try:
        results = "".join(_results(form, documents))
    except ValueError as error:
        return _failure(400, "InvalidInput", str(error))
    body = (
        f'<{operation}Response xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><{operation}Result>'
        f"<IsTruncated>false</IsTruncated><EvaluationResults>{results}</EvaluationResults>"
        f"</{operation}Result><ResponseMetadata><RequestId>{uuid.uuid4()}</RequestId></ResponseMetadata>"
        f"</{operation}Response>"
    )
    return Response(200, [("Content-Type", "text/xml")], body.encode())


def _results(form: dict[str, str], documents: list[str]) -> Iterator[str]:
    context = tuple(_context(form))
    for action in _members(form, "ActionNames"):
        for resource in _members(form, "ResourceArns") or ["*"]:
            allowing, why = decide(documents, Access(action, resource, context))
            decision = "allowed" if allowing else "explicitDeny" if "explicit deny" in why else "implicitDeny"
            matched = "".join(
                f"<member><SourcePolicyId>{escape(sid)}</SourcePolicyId></member>" for sid in allowing
            )
            yield (
                f"<member><EvalActionName>{escape(action)}</EvalActionName>"
                f"<EvalResourceName>{escape(resource)}</EvalResourceName><EvalDecision>{decision}</EvalDecision>"
                f"<MatchedStatements>{matched}</MatchedStatements><MissingContextValues/></member>"
            )


def _context(form: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Each key with its first value: conditions here are about one."""
    for key, name in form.items():
        m = re.fullmatch(r"ContextEntries\.member\.(\d+)\.ContextKeyName", key)
        if m is not None:
            yield name, form.get(f"ContextEntries.member.{m.group(1)}.ContextKeyValues.member.1", "")


def _members(form: dict[str, str], name: str) -> list[str]:
    numbered = [
        (int(m.group(1)), value)
        for key, value in form.items()
        if (m := re.fullmatch(rf"{name}\.member\.(\d+)", key)) is not None
    ]
    return [value for _, value in sorted(numbered)]


def _documents(arn: str) -> list[str] | None:
    """The policies of a user, group or role; None where there is no such."""
    backend = iam_backends[ACCOUNT]["aws"]
    kind, _, name = arn.rpartition(":")[2].partition("/")
    name = name.rpartition("/")[2]
    if kind == "user" and name in backend.users:
        return documents_of(backend, user=name)
    if kind == "group" and name in backend.groups:
        return documents_of(backend, group=name)
    if kind == "role" and any(role.name == name for role in backend.roles.values()):
        return documents_of(backend, role=name)
    return [_EVERYTHING] if _ADMINISTRATOR.fullmatch(arn) else None


def _failure(status: int, code: str, message: str) -> Response:
    body = (
        '<ErrorResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><Error><Type>Sender</Type>'
        f"<Code>{code}</Code><Message>{escape(message)}</Message></Error>"
        f"<RequestId>{uuid.uuid4()}</RequestId></ErrorResponse>"
    )
    return Response(status, [("Content-Type", "text/xml")], body.encode())
