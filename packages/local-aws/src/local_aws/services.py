"""moto's other services: which requests go there, and how their state is kept."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import logging
import re
import threading
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import moto.backends
from moto.core import DEFAULT_ACCOUNT_ID
from moto.core.base_backend import BackendDict
from moto.glue.models import FakeDatabase, FakeTable, glue_backends
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

from local_aws.athena.catalog import forget_versions
from local_aws.http import Handler, Request, Response, query_parameters, wsgi
from local_aws.s3.service import S3
from local_aws.state import State, dumps, loads

log = logging.getLogger("local_aws")

# Kept by themselves, or nothing to keep.
_SEPARATE = {"s3", "glue", "athena", "moto_api", "instance_metadata", "s3control", "sts"}
# Services whose requests are signed with a name other than moto's.
_SIGNED_AS = {
    "monitoring": "cloudwatch",
    "states": "stepfunctions",
    "email": "ses",
    "elasticloadbalancing": "elbv2",
    "elasticfilesystem": "efs",
    "elasticmapreduce": "emr",
}
# Seconds between a change and its being saved.
DELAY = 0.5


class Glue:
    """Writes the Glue catalog through: a database or a table at a time."""

    def __init__(self, state: State) -> None:
        self.state = state
        self._lock = threading.Lock()
        # Held while a table is replaced.
        self.updating = threading.RLock()

    def load(self) -> None:
        for region, database, name, blob in self.state.rows(
            "SELECT region, database, name, state FROM glue ORDER BY region, database, name"
        ):
            backend = glue_backends[DEFAULT_ACCOUNT_ID][region]
            saved = loads(blob)
            if not database:
                backend.__dict__.update(saved)
            elif not name:
                entry = object.__new__(FakeDatabase)
                entry.__dict__.update(saved)
                entry.tables = {}
                backend.databases[database] = entry
            elif database in backend.databases:
                table = object.__new__(FakeTable)
                table.__dict__.update(saved)
                backend.databases[database].tables[name] = table

    def names(self, region: str) -> set[str]:
        """The databases that there are, and those that were when they were saved last."""
        saved = self.state.rows("SELECT database FROM glue WHERE region = ? AND database <> ''", region)
        return {*glue_backends[DEFAULT_ACCOUNT_ID][region].databases, *(row[0] for row in saved)}

    def save(self, region: str, database: str | None, table: str | None) -> None:
        """Writes what changed. Without a database: all that is no database."""
        backend = glue_backends[DEFAULT_ACCOUNT_ID][region]
        with self._lock, self.state.transaction() as db:
            if database is None:
                rest = {k: v for k, v in backend.__dict__.items() if k != "databases"}
                blob = _pickled(lambda: rest)
                if blob is not None:
                    db.execute("INSERT OR REPLACE INTO glue VALUES (?, '', '', ?)", (region, blob))
                return
            found = backend.databases.get(database)
            if found is None:
                db.execute("DELETE FROM glue WHERE region = ? AND database = ?", (region, database))
                return
            if table is None:
                fields = {k: v for k, v in found.__dict__.items() if k != "tables"}
                db.execute(
                    "INSERT OR REPLACE INTO glue VALUES (?, ?, '', ?)", (region, database, dumps(fields))
                )
                return
            entry = found.tables.get(table)
            if entry is None:
                db.execute(
                    "DELETE FROM glue WHERE region = ? AND database = ? AND name = ?",
                    (region, database, table),
                )
                return
            blob = _pickled(lambda: entry.__dict__)
            if blob is not None:
                db.execute("INSERT OR REPLACE INTO glue VALUES (?, ?, ?, ?)", (region, database, table, blob))

    def search(self, region: str, request: dict[str, Any]) -> dict[str, Any]:
        """SearchTables, which moto lacks: tables whose names, columns, comments or properties hold a text.

        https://docs.aws.amazon.com/glue/latest/webapi/API_SearchTables.html. Raises NotImplementedError for filters
        and orders that are not supported.
        """
        for name in ("Filters", "SortCriteria"):
            if request.get(name):
                raise NotImplementedError(f"{name} of SearchTables is not supported")
        text = str(request.get("SearchText") or "").strip('"').lower()
        found = []
        for database in list(glue_backends[DEFAULT_ACCOUNT_ID][region].databases.values()):
            for table in list(database.tables.values()):
                entry = {k: v for k, v in table.as_dict().items() if k != "VersionId"}
                searched = json.dumps(entry, default=str).lower()
                if text in searched:
                    found.append({**entry, "DatabaseName": database.name, "CatalogId": DEFAULT_ACCOUNT_ID})
        start, size = int(request.get("NextToken") or 0), int(request.get("MaxResults") or 100)
        answer: dict[str, Any] = {"TableList": found[start : start + size]}
        if start + size < len(found):
            answer["NextToken"] = str(start + size)
        return answer

    def update_table(self, request: Request, handle: Handler) -> Response:
        """UpdateTable with its optimistic lock, the VersionId, which moto does not look at.

        Iceberg's commits rest on it: https://iceberg.apache.org/docs/latest/aws/#optimistic-locking
        """
        body = json.loads(request.data() or b"{}")
        backend = glue_backends[DEFAULT_ACCOUNT_ID][region_of(request)]
        database = backend.databases.get(body.get("DatabaseName") or "")
        name = (body.get("TableInput") or {}).get("Name") or ""
        with self.updating:
            entry = database.tables.get(name) if database is not None else None
            version = body.get("VersionId")
            if entry is not None and version and str(entry.as_dict()["VersionId"]) != str(version):
                error = {
                    "__type": "ConcurrentModificationException",
                    "Message": "Update table failed due to concurrent modifications.",
                }
                return Response(400, _JSON, json.dumps(error).encode())
            response = handle(request)
            if entry is not None and response.status < 400 and body.get("SkipArchive"):
                forget_versions(entry)
            return response

    def after(self, region: str, operation: str, body: bytes) -> None:
        """Saves what an API call changed, before it is answered."""
        if operation.startswith(("Get", "List", "BatchGet", "Search", "Query", "Check", "Describe")):
            return
        try:
            request = json.loads(body or b"{}")
        except ValueError:
            return
        database = request.get("DatabaseName")
        if "Database" in operation:
            database = request.get("Name") or (request.get("DatabaseInput") or {}).get("Name")
            if database:
                self.save(region, database, None)
            return
        if database and ("Table" in operation or "Partition" in operation):
            names = {
                request.get("TableName"),
                request.get("Name"),
                (request.get("TableInput") or {}).get("Name"),
                *(request.get("TablesToDelete") or []),
            }
            for name in names:
                if name:
                    self.save(region, database, name)
            return
        self.save(region, None, None)


def _pickled(value: Callable[[], Any]) -> bytes | None:
    """Pickles what other threads may be changing."""
    for attempt in range(5):
        try:
            return dumps(value())
        except RuntimeError as e:
            # "dictionary changed size during iteration"
            if attempt == 4:
                log.warning("state not saved: %s", e)
        except Exception as e:
            log.warning("state not saved: %s: %s", type(e).__name__, e)
            return None
    return None


class Backends:
    """Saves all other services' backends shortly after they changed."""

    def __init__(self, state: State) -> None:
        self.state = state
        self._changed: set[str] = set()
        self._digests: dict[tuple[str, str, str], bytes] = {}
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._loop, name="local_aws-state", daemon=True)

    def load(self) -> None:
        for service, account, region, blob in self.state.rows(
            "SELECT service, account, region, state FROM backends"
        ):
            try:
                # The whole object: parts of it, such as topics, refer to it.
                backends: Any = moto.backends.get_backend(service)
                backends[account][region] = loads(blob)
            except Exception as e:
                log.warning(
                    "the saved state of %s cannot be read (%s: %s); it begins empty",
                    service,
                    type(e).__name__,
                    e,
                )

    def start(self) -> None:
        self._thread.start()

    def changed(self, *services: str) -> None:
        self._changed.update(services)
        self._wake.set()

    def _loop(self) -> None:
        while not self._stop.is_set():
            self._wake.wait()
            self._stop.wait(DELAY)
            self._wake.clear()
            self.save()

    def save(self) -> None:
        with self._lock:
            services, self._changed = self._changed, set()
            if not services:
                return
            for backends in list(BackendDict._instances):  # type: ignore[misc]
                name = backends.service_name
                if name in _SEPARATE or name not in services:
                    continue
                for account, region, backend in list(backends.iter_backends()):
                    blob = _pickled(lambda backend=backend: backend)  # type: ignore[misc]
                    if blob is None:
                        log.warning("the state of %s is not kept over a restart", name)
                        continue
                    digest = hashlib.sha256(blob).digest()
                    if self._digests.get((name, account, region)) == digest:
                        continue
                    with self.state.transaction() as db:
                        db.execute(
                            "INSERT OR REPLACE INTO backends VALUES (?, ?, ?, ?)",
                            (name, account, region, blob),
                        )
                    self._digests[(name, account, region)] = digest

    def close(self) -> None:
        self._stop.set()
        self._wake.set()
        self._thread.join()
        self.save()


_JSON = [("Content-Type", "application/x-amz-json-1.1")]


def _timestamp(value: Any) -> Any:
    """JSON for times, which moto keeps as datetime: seconds since 1970."""
    if isinstance(value, dt.datetime):
        return value.timestamp()
    raise TypeError(f"{value!r} is no JSON")


class Moto:
    """Hands requests to moto and saves what they changed."""

    def __init__(self, server: tuple[str, int], s3: S3, glue: Glue, backends: Backends) -> None:
        self._seen: dict[str, str] = {}
        self._handle: Handler = wsgi(DomainDispatcherApplication(create_backend_app), server)
        self.s3 = s3
        self.glue = glue
        self.backends = backends

    def handle(self, request: Request) -> Response:
        service = service_of(request)
        operation = request.headers.get("x-amz-target", "").rpartition(".")[2]
        body = request.data() if service != "s3" else b""
        try:
            if service == "glue" and operation == "SearchTables":
                found = self.glue.search(region_of(request), json.loads(body or b"{}"))
                return Response(200, _JSON, json.dumps(found, default=_timestamp).encode())
            if service == "glue" and operation == "UpdateTable":
                response = self.glue.update_table(request, self._handle)
            else:
                response = self._handle(request)
        except NotImplementedError as e:
            # Not a failure of the server's, which SDKs would try again.
            text = f"local_aws: {service or 'the service'} has no {operation or request.method}: {e}"
            log.warning(text)
            answer = {"__type": "NotImplementedException", "Message": text, "message": text}
            return Response(501, _JSON, json.dumps(answer).encode())
        if service == "cloudformation":
            # Also of one that failed half-way.
            self._after_stack(region_of(request), body)
        if response.status >= 400:
            return response
        if service == "glue":
            self.glue.after(region_of(request), operation, body)
        elif service in ("s3", ""):
            bucket, _, key = unquote(request.path).lstrip("/").partition("/")
            self.s3.after_moto(bucket or None, key or None, request.method)
            self.backends.changed("sqs", "sns", "events")
        elif request.method != "GET":
            # A request may change other services too: SNS delivers to SQS, IAM is asked by all.
            self.backends.changed(_SIGNED_AS.get(service, service), "sqs", "sns", "events", "logs")
        return response

    def _after_stack(self, region: str, body: bytes) -> None:
        """Saves what a stack may have made, changed or removed, which is in any service."""
        if re.search(rb"(^|&)Action=(Describe|List|Get|Validate)", body):
            return
        for name in {
            *self.s3.backend.buckets,
            *(row[0] for row in self.s3.state.rows("SELECT name FROM buckets")),
        }:
            self.s3.save_bucket(name)
        for name in self.glue.names(region):
            self.glue.save(region, name, None)
        self.backends.changed(*(one.service_name for one in list(BackendDict._instances)))  # type: ignore[misc]


_SCOPE = re.compile(r"Credential=[^/]+/\d+/([^/]+)/([^/]+)/aws4_request")


def service_of(request: Request) -> str:
    """The service that a request was signed for; '' if it was not."""
    m = _SCOPE.search(request.headers.get("authorization", ""))
    if m is not None:
        return m.group(2).lower()
    # Presigned: version 4 names the service, version 2 is S3's.
    q = query_parameters(request.query) if "Signature=" in request.query else {}
    if "AWSAccessKeyId" in q:
        return "s3"
    parts = q.get("X-Amz-Credential", "").split("/")
    return parts[3].lower() if len(parts) == 5 else ""


def region_of(request: Request) -> str:
    """The region that a request was signed for."""
    m = _SCOPE.search(request.headers.get("authorization", ""))
    return m.group(1) if m else "us-east-1"
