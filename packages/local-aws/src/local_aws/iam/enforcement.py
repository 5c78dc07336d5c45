"""Requests are decided here, and what was decided is remembered."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from typing import Any
from urllib.parse import parse_qsl, unquote
from xml.sax.saxutils import escape

from local_aws.http import Request, Response
from local_aws.iam import objects, services, simulation
from local_aws.iam.callers import Caller, caller_of
from local_aws.iam.objects import bucket_arn
from local_aws.iam.policies import Access, Denied, Unknown, decide
from local_aws.services import region_of, service_of

# Different uses that are remembered; a program needs far fewer.
LEDGER = 100_000


class Iam:
    """Decides, and remembers what was decided."""

    def __init__(self, athena: services.Athena) -> None:
        self._athena = athena
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
            caller = caller_of(request)
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
            return list(objects.accesses(request))
        operation = request.headers.get("x-amz-target", "").rpartition(".")[2]
        if operation:
            body = json.loads(request.data() or b"{}")
            if service == "glue":
                return list(services.glue(operation, body, region))
            if service == "athena":
                return list(services.athena(operation, body, region, self._athena))
            if service == "sqs":
                return list(services.sqs(operation, body, region))
            raise Unknown
        form = dict(parse_qsl(request.data().decode(), keep_blank_values=True))
        if service == "sns":
            return list(services.sns(form, region))
        if service == "iam" and simulation.simulates(form):
            return [Access(f"iam:{form['Action']}", form.get("PolicySourceArn", "*"))]
        if service == "sts" and form.get("Action") == "GetCallerIdentity":
            return []  # needs no permission
        raise Unknown


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
