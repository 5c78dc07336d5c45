"""Query executions and workgroups: Athena's bookkeeping around queries."""

from __future__ import annotations

import json
import logging
import re
import shutil
import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from local_aws.athena import types as ty
from local_aws.athena.catalog import Catalog
from local_aws.athena.context import Outcome
from local_aws.athena.engine import Engine, Session
from local_aws.athena.errors import ApiError, Cancelled, QueryError
from local_aws.athena.hive_parser import first_words, strip
from local_aws.athena.prepared import PreparedStatements
from local_aws.athena.results import column_info, metadata_bytes
from local_aws.athena.run import Runner
from local_aws.athena.syntax import check_syntax, classify, parse_execute
from local_aws.objects import NoSuchBucket, ObjectStore

log = logging.getLogger("local_aws.athena")

TERMINAL = ("SUCCEEDED", "FAILED", "CANCELLED")
ENGINE_VERSION = {"SelectedEngineVersion": "AUTO", "EffectiveEngineVersion": "Athena engine version 3"}
# Athena allows 20 DML queries at once in most regions by default; more are queued.
# https://docs.aws.amazon.com/athena/latest/ug/service-limits.html
CONCURRENCY = 20
HISTORY = 50_000
# How long Athena keeps managed results: https://docs.aws.amazon.com/athena/latest/ug/managed-results.html
MANAGED_SECONDS = 24 * 60 * 60
# Bytes of SQL (https://docs.aws.amazon.com/athena/latest/APIReference/API_StartQueryExecution.html).
MAX_QUERY = 262_144


def invalid(message: str, code: str = "INVALID_INPUT") -> ApiError:
    return ApiError("InvalidRequestException", message, code)


@dataclass
class Execution:
    """One query execution, in the terms of GetQueryExecution. Times are seconds since 1970."""

    id: str
    query: str
    statement_type: str
    substatement: str
    database: str
    catalog: str
    workgroup: str
    output_location: str
    region: str
    # Where the request (or its workgroup) wants results; output_location is the file there. Both are empty where
    # Athena keeps the results itself.
    output_folder: str = ""
    managed: dict[str, Any] | None = None
    token: str | None = None
    parameters: list[str] = field(default_factory=list)
    encryption: dict[str, Any] | None = None
    state: str = "QUEUED"
    reason: str | None = None
    error: dict[str, Any] | None = None
    submitted: float = 0.0
    started: float = 0.0
    completed: float | None = None
    # Milliseconds: the request until it was queued, planning, planning and running, writing the result files.
    preparing_ms: int = 0
    planning_ms: int = 0
    execution_ms: int = 0
    publishing_ms: int = 0
    scanned: int = 0
    rows: int = 0
    result_bytes: int = 0
    # ResultReuseConfiguration's MaxAgeInMinutes, None where reuse is not asked for; the execution reused.
    reuse_minutes: int | None = None
    reused: str | None = None
    update_count: int | None = None
    manifest: str | None = None
    columns: list[dict[str, Any]] = field(default_factory=list)
    kind: str = ""

    def describe(self) -> dict[str, Any]:
        """The QueryExecution structure."""
        status: dict[str, Any] = {"State": self.state, "SubmissionDateTime": self.submitted}
        if self.completed is not None:
            status["CompletionDateTime"] = self.completed
        if self.reason:
            status["StateChangeReason"] = self.reason
        if self.error:
            status["AthenaError"] = self.error
        configuration: dict[str, Any] = {}
        if self.managed is None:
            configuration["OutputLocation"] = self.output_location
        if self.encryption:
            configuration["EncryptionConfiguration"] = self.encryption
        reuse: dict[str, Any] = {"Enabled": self.reuse_minutes is not None}
        if self.reuse_minutes is not None:
            reuse["MaxAgeInMinutes"] = self.reuse_minutes
        statistics: dict[str, Any] = {
            **self.timeline(),
            "DataScannedInBytes": self.scanned,
            "ResultReuseInformation": {"ReusedPreviousResult": self.reused is not None},
        }
        if self.manifest:
            statistics["DataManifestLocation"] = self.manifest
        out: dict[str, Any] = {
            "QueryExecutionId": self.id,
            "Query": self.query,
            "StatementType": self.statement_type,
            "SubstatementType": self.substatement,
            "ManagedQueryResultsConfiguration": self.managed or {"Enabled": False},
            "ResultConfiguration": configuration,
            "ResultReuseConfiguration": {"ResultReuseByAgeConfiguration": reuse},
            "QueryExecutionContext": {"Database": self.database, "Catalog": self.catalog},
            "Status": status,
            "Statistics": statistics,
            "WorkGroup": self.workgroup,
            "EngineVersion": ENGINE_VERSION,
        }
        if self.parameters:
            out["ExecutionParameters"] = self.parameters
        return out

    def timeline(self) -> dict[str, int]:
        """QueryRuntimeStatisticsTimeline, in milliseconds, as far as the query has got."""
        queued_until = self.started or self.completed or time.time()
        end = self.completed if self.completed is not None else time.time()
        return {
            "QueryQueueTimeInMillis": max(0, round((queued_until - self.submitted) * 1000)),
            "ServicePreProcessingTimeInMillis": self.preparing_ms,
            "QueryPlanningTimeInMillis": self.planning_ms,
            "EngineExecutionTimeInMillis": self.execution_ms,
            "ServiceProcessingTimeInMillis": self.publishing_ms,
            "TotalExecutionTimeInMillis": max(0, round((end - self.submitted) * 1000)) + self.preparing_ms,
        }

    def asked(self) -> tuple[Any, ...]:
        """What a request with the same ClientRequestToken must ask for again."""
        return (self.query, self.database, self.catalog, self.output_folder, self.parameters)


@dataclass
class WorkGroup:
    """A workgroup; `configuration` is the WorkGroupConfiguration structure."""

    name: str
    description: str
    configuration: dict[str, Any]
    state: str = "ENABLED"
    created: float = 0.0
    tags: dict[str, str] = field(default_factory=dict)

    def describe(self) -> dict[str, Any]:
        return {
            "Name": self.name,
            "State": self.state,
            "Description": self.description,
            "CreationTime": self.created,
            "Configuration": {
                "ResultConfiguration": {},
                "EnforceWorkGroupConfiguration": False,
                "PublishCloudWatchMetricsEnabled": False,
                "RequesterPaysEnabled": False,
                "EngineVersion": ENGINE_VERSION,
                **self.configuration,
            },
        }


@dataclass
class Region:
    """What Athena keeps in one region of one account."""

    executions: OrderedDict[str, Execution] = field(default_factory=OrderedDict)
    tokens: dict[tuple[str, str], str] = field(default_factory=dict)
    workgroups: dict[str, WorkGroup] = field(default_factory=dict)
    named: dict[str, dict[str, Any]] = field(default_factory=dict)
    prepared: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    # Data catalogs other than AwsDataCatalog, by lower-case name: the DataCatalog structure, and "Tags".
    catalogs: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if "primary" not in self.workgroups:
            self.workgroups["primary"] = WorkGroup(
                "primary", "", {"EnforceWorkGroupConfiguration": False}, created=time.time()
            )


class Executor:
    """Accepts, runs and remembers queries."""

    def __init__(
        self,
        engine: Engine,
        store: ObjectStore,
        scratch: Path,
        catalog: Callable[[str], Catalog],
        account: str,
        saved: Callable[[str, Execution], None] = lambda region, execution: None,
        concurrency: int = CONCURRENCY,
    ) -> None:
        self.engine = engine
        self.store = store
        self.scratch = scratch
        self.catalog = catalog
        self.account = account
        self.saved = saved
        # Called when a statement was prepared or deallocated.
        self.changed: Callable[[], None] = lambda: None
        self.regions: dict[str, Region] = {}
        # Results of workgroups without an output location.
        self.managed = scratch.parent / "managed-results"
        # Raises QueryError if the caller of a query may not do an action of Athena's API in a workgroup.
        self.permit: Callable[[str, str, str], None] = lambda region, workgroup, action: None
        # The catalog and the store as the caller of the query may use them.
        self.seen_by_caller: Callable[[Catalog, ObjectStore], tuple[Catalog, ObjectStore]] = (
            lambda catalog, store: (catalog, store)
        )
        self._pool = ThreadPoolExecutor(concurrency, thread_name_prefix="athena")
        self._sessions: dict[str, Session] = {}
        self._lock = threading.RLock()
        for folder in (scratch, self.managed):
            folder.mkdir(parents=True, exist_ok=True)

    def region(self, name: str) -> Region:
        with self._lock:
            return self.regions.setdefault(name, Region())

    # ------------------------------------------------------------------------------------- start

    def start(self, region_name: str, request: dict[str, Any]) -> str:
        """StartQueryExecution: the new (or, for a known token, the old) execution's id.

        What cannot be parsed and an output bucket that does not exist are refused here, as by Athena; all else
        fails while it runs.
        """
        began = time.monotonic()
        region = self.region(region_name)
        query = request.get("QueryString")
        if not isinstance(query, str) or not query.strip():
            raise invalid(
                "1 validation error detected: Value at 'queryString' failed to satisfy constraint: Member must have length greater than or equal to 1"
            )
        if len(query.encode()) > MAX_QUERY:
            raise invalid(
                f"1 validation error detected: Value at 'queryString' failed to satisfy constraint: Member must have length less than or equal to {MAX_QUERY}"
            )
        workgroup = region.workgroups.get(request.get("WorkGroup") or "primary")
        if workgroup is None:
            raise invalid(f"WorkGroup {request.get('WorkGroup')} is not found.")
        if workgroup.state != "ENABLED":
            raise invalid(f"WorkGroup {workgroup.name} is disabled.")
        token = request.get("ClientRequestToken")
        if token is not None and not 32 <= len(token) <= 128:
            raise invalid(
                f"1 validation error detected: Value '{token}' at 'clientRequestToken' failed to satisfy constraint: Member must have length between 32 and 128"
            )
        managed = managed_results(workgroup)
        location, encryption = ("", None) if managed else self._location(workgroup, request)
        context = request.get("QueryExecutionContext") or {}
        catalog = context.get("Catalog") or "AwsDataCatalog"
        self.require_catalog(region, catalog)
        kind, sub = classify(self._prepared_text(region, workgroup.name, query))
        reuse = (request.get("ResultReuseConfiguration") or {}).get("ResultReuseByAgeConfiguration") or {}
        execution = Execution(
            id=str(uuid.uuid4()),
            query=query,
            statement_type=kind,
            substatement=sub,
            # awswrangler quotes it as in DDL.
            database=(context.get("Database") or "default").strip("`").lower(),
            catalog=catalog.lower(),
            workgroup=workgroup.name,
            output_location="",
            region=region_name,
            output_folder=location,
            managed=managed,
            token=token,
            parameters=list(request.get("ExecutionParameters") or []),
            encryption=encryption,
            # https://docs.aws.amazon.com/athena/latest/APIReference/API_ResultReuseByAgeConfiguration.html
            reuse_minutes=int(reuse.get("MaxAgeInMinutes", 60)) if reuse.get("Enabled") else None,
        )
        execution.output_location = "" if managed else _result_location(execution)
        with self._lock:
            known = self._known(region, execution)
            if known is not None:
                return known
        try:
            check_syntax(query)
        except QueryError as e:
            raise invalid(e.reason, "MALFORMED_QUERY") from e
        if not managed:
            self._require_bucket(region_name, location)
        execution.preparing_ms = round((time.monotonic() - began) * 1000)
        with self._lock:
            # Another request with the token may have come in between.
            known = self._known(region, execution)
            if known is not None:
                return known
            execution.submitted = time.time()
            region.executions[execution.id] = execution
            if token is not None:
                region.tokens[(workgroup.name, token)] = execution.id
            while len(region.executions) > HISTORY:
                _, old = region.executions.popitem(last=False)
                region.tokens.pop((old.workgroup, old.token or ""), None)
            # Under the lock, so that nobody is told of an execution that a killed server would not know.
            self.saved(region_name, execution)
        # With the context of the request: a query may do what its caller may.
        self._pool.submit(copy_context().run, self._run, execution, workgroup)
        return execution.id

    def _require_bucket(self, region: str, location: str) -> None:
        bucket = location[len("s3://") :].split("/", 1)[0]
        _, store = self.seen_by_caller(self.catalog(region), self.store)
        try:
            found = store.has_bucket(bucket)
        except QueryError as e:
            raise invalid(f"Unable to verify/create output bucket {bucket}. {e.reason}") from e
        if not found:
            raise invalid(f"Unable to verify/create output bucket {bucket}")

    def _known(self, region: Region, asked: Execution) -> str | None:
        """The execution that the same token started before. Raises ApiError if that asked for something else."""
        known = region.executions.get(region.tokens.get((asked.workgroup, asked.token or ""), ""))
        if known is None:
            return None
        if known.asked() != asked.asked():
            raise invalid("Idempotent parameters do not match", "INVALID_INPUT")
        return known.id

    def require_catalog(self, region: Region, name: str) -> None:
        """Raises ApiError for a data catalog that does not exist, or holds no tables of this account's Glue."""
        if name.lower() == "awsdatacatalog":
            return
        entry = region.catalogs.get(name.lower())
        if entry is None:
            raise invalid(f"Data catalog {name} was not found")
        if entry["Type"] != "GLUE" or entry["Parameters"].get("catalog-id") != self.account:
            raise invalid(
                f"Data catalog {name} ({entry['Type']}) cannot be queried: local_aws reads the Glue catalog of account {self.account} only"
            )

    def prepared(
        self, region: Region, workgroup: str, may: Callable[[str], None] = lambda action: None
    ) -> PreparedStatements:
        return PreparedStatements(workgroup, region.prepared, self.changed, may)

    def _prepared_text(self, region: Region, workgroup: str, sql: str) -> str:
        """What EXECUTE will run, which decides what kind of statement it is."""
        if first_words(sql, 1) != ["EXECUTE"]:
            return sql
        try:
            return self.prepared(region, workgroup).get(parse_execute(strip(sql))[0])
        except QueryError:
            return "SELECT"

    def _location(self, workgroup: WorkGroup, request: dict[str, Any]) -> tuple[str, dict[str, Any] | None]:
        """Where results go: the client's choice, unless the workgroup enforces its own."""
        own = workgroup.configuration.get("ResultConfiguration") or {}
        asked = request.get("ResultConfiguration") or {}
        enforced = bool(workgroup.configuration.get("EnforceWorkGroupConfiguration"))
        chosen = own if enforced or not asked.get("OutputLocation") else asked
        location = chosen.get("OutputLocation")
        if not location:
            raise invalid(
                "No output location provided. You did not provide an output location for  your query results. Either specify an S3 bucket location or enable Athena managed query results in your workgroup settings."
            )
        if not location.startswith("s3://") or len(location) < 6 or location == "s3:///":
            raise invalid(f"outputLocation is not a valid S3 path. Provided: {location}")
        return location.rstrip("/") + "/", chosen.get("EncryptionConfiguration")

    # --------------------------------------------------------------------------------------- run

    def _run(self, execution: Execution, workgroup: WorkGroup) -> None:
        try:
            self._run_checked(execution, workgroup)
        except Exception as e:
            log.exception("query %s: internal failure", execution.id)
            self._finish(
                execution, "FAILED", QueryError("GENERIC_INTERNAL_ERROR", f"{type(e).__name__}: {e}")
            )

    def _run_checked(self, execution: Execution, workgroup: WorkGroup) -> None:
        scratch = self.scratch / execution.id
        with self.engine.session() as session:
            with self._lock:
                if execution.state in TERMINAL:
                    return
                self._sessions[execution.id] = session
                execution.started = time.time()
                execution.state = "RUNNING"
            scratch.mkdir()
            began = time.monotonic()
            try:
                catalog, store = self.seen_by_caller(self.catalog(execution.region), self.store)
                if self._reuse(execution, store):
                    self._finish(execution, "SUCCEEDED", None)
                    return
                catalog.open()
                with store.pinned():
                    runner = Runner(
                        catalog,
                        store,
                        session,
                        scratch,
                        query_id=execution.id,
                        database=execution.database,
                        output_location=execution.output_folder,
                        parameters=execution.parameters,
                        prepared=self.prepared(
                            self.region(execution.region),
                            execution.workgroup,
                            partial(self.permit, execution.region, execution.workgroup),
                        ),
                    )
                    limit = workgroup.configuration.get("BytesScannedCutoffPerQuery")
                    runner.reader.limit = int(limit) if limit else None
                    try:
                        outcome = runner.run(execution.query)
                    finally:
                        execution.scanned = runner.reader.scanned
                        if runner.planned_at is not None:
                            execution.planning_ms = max(
                                0, round((runner.planned_at - runner.now).total_seconds() * 1000)
                            )
                    # What has written its files already is not taken back.
                    if session.cancelled and execution.substatement == "SELECT":
                        raise Cancelled
                    execution.execution_ms = round((time.monotonic() - began) * 1000)
                    self._publish(execution, outcome, store)
                execution.publishing_ms = round((time.monotonic() - began) * 1000) - execution.execution_ms
                self._finish(execution, "SUCCEEDED", None)
            except Cancelled:
                execution.execution_ms = round((time.monotonic() - began) * 1000)
                limit_reason = getattr(runner.reader, "exceeded", None) if "runner" in locals() else None
                self._finish(execution, "CANCELLED", None, limit_reason)
            except QueryError as e:
                execution.execution_ms = round((time.monotonic() - began) * 1000)
                self._finish(execution, "FAILED", e)
            finally:
                with self._lock:
                    self._sessions.pop(execution.id, None)
                shutil.rmtree(scratch, ignore_errors=True)

    def _reuse(self, execution: Execution, store: ObjectStore) -> bool:
        """Answers with the result of the same query in the same workgroup, if it is young enough and still there.

        What changed in the tables since then does not matter, as in Athena:
        https://docs.aws.amazon.com/athena/latest/ug/reusing-query-results.html
        """
        if execution.reuse_minutes is None or execution.substatement != "SELECT" or execution.managed:
            return False
        oldest = execution.submitted - 60 * execution.reuse_minutes
        with self._lock:
            candidates = [
                e
                for e in reversed(self.region(execution.region).executions.values())
                if e.state == "SUCCEEDED"
                and e.reused is None
                and e.submitted >= oldest
                and (e.workgroup, e.catalog, e.database, e.query, e.parameters)
                == (
                    execution.workgroup,
                    execution.catalog,
                    execution.database,
                    execution.query,
                    execution.parameters,
                )
            ]
        for earlier in candidates:
            bucket, key = earlier.output_location[len("s3://") :].split("/", 1)
            if store.get(bucket, key) is not None:
                execution.reused = earlier.id
                execution.output_location = earlier.output_location
                execution.kind, execution.columns = earlier.kind, earlier.columns
                execution.rows, execution.result_bytes = earlier.rows, earlier.result_bytes
                return True
        return False

    def _publish(self, execution: Execution, outcome: Outcome, store: ObjectStore) -> None:
        """Puts the result files on S3, in the order in which Athena makes them."""
        execution.kind = outcome.kind
        execution.rows = outcome.rows
        execution.update_count = outcome.update_count
        execution.columns = [column_info(n, t) for n, t in outcome.columns]
        execution.result_bytes = outcome.path.stat().st_size if outcome.kind else 0
        if execution.managed is not None:
            if outcome.kind:
                shutil.move(outcome.path, self.managed / execution.id)
            return
        bucket, key = execution.output_location[len("s3://") :].split("/", 1)
        try:
            if outcome.manifest is not None:
                folder, _, name = key.rpartition("/tables/") if "/tables/" in key else key.rpartition("/")
                manifest = f"{folder}/{name}-manifest.csv" if folder else f"{name}-manifest.csv"
                store.put_bytes(bucket, manifest, "".join(f"{u}\n" for u in outcome.manifest).encode())
                execution.manifest = f"s3://{bucket}/{manifest}"
            if outcome.kind:
                if outcome.kind == "csv" or outcome.columns:
                    store.put_bytes(bucket, f"{key}.metadata", metadata_bytes(execution.id, outcome.columns))
                store.put_file(bucket, key, outcome.path)
            elif execution.substatement == "UNLOAD":
                store.put_bytes(
                    bucket, f"{key}.metadata", metadata_bytes(execution.id, [("rows", ty.BIGINT)])
                )
        except NoSuchBucket as e:
            raise QueryError("", f"Unable to verify/create output bucket {bucket}") from e

    def _finish(
        self, execution: Execution, state: str, error: QueryError | None, reason: str | None = None
    ) -> None:
        with self._lock:
            if execution.state in TERMINAL:
                return
            execution.completed = time.time()
            if error is not None:
                error = QueryError(error.code, self._without_paths(error.message), error.position)
                execution.reason = error.reason
                execution.error = error.athena_error()
            elif state == "CANCELLED":
                execution.reason = reason or "Query cancelled by user"
            # Before anybody sees it: what a client was told outlives the server.
            self.saved(execution.region, replace(execution, state=state))
            execution.state = state
        summary = " ".join(execution.query.split())
        log.info(
            "%s %s %s %d ms, %d bytes scanned, %s%s: %s",
            execution.id,
            state,
            execution.substatement,
            execution.execution_ms,
            execution.scanned,
            execution.workgroup,
            f" ({execution.reason})" if execution.reason else "",
            summary if len(summary) <= 120 else summary[:117] + "...",
        )

    def _without_paths(self, text: str) -> str:
        """A message that names objects instead of the files that hold them on this machine."""
        folders = "|".join(re.escape(str(one)) for one in (self.scratch.parent, self.engine.temporary))
        return re.sub(
            rf"(?:{folders})[^\s'\",;)\]]*",
            lambda m: self.store.location(m.group()) or "(a local file)",
            text,
        )

    # ---------------------------------------------------------------------------------- requests

    def get(self, region: str, query_id: str) -> Execution:
        execution = self.region(region).executions.get(query_id)
        if execution is None:
            raise invalid(f"QueryExecution {query_id} was not found")
        return execution

    def result_path(self, execution: Execution) -> str | None:
        """The file of an execution's result on this machine; None if it is gone."""
        if execution.managed is not None:
            path = self.managed / execution.id
            expired = time.time() - (execution.completed or 0) > MANAGED_SECONDS
            return str(path) if path.exists() and not expired else None
        bucket, key = execution.output_location[len("s3://") :].split("/", 1)
        body = self.store.get(bucket, key)
        return body.path if body is not None else None

    def forget_managed(self) -> None:
        """Deletes managed results that are older than Athena keeps them."""
        for path in self.managed.iterdir():
            if time.time() - path.stat().st_mtime > MANAGED_SECONDS:
                path.unlink(missing_ok=True)

    def workgroup_of(self, region: str, identifier: str) -> str | None:
        """The workgroup of a query execution or of a named query."""
        kept = self.region(region)
        if identifier in kept.named:
            return str(kept.named[identifier]["WorkGroup"])
        known = kept.executions.get(identifier)
        return known.workgroup if known is not None else None

    def result_of(self, region: str, query_id: str) -> tuple[str, str] | None:
        """Bucket and key of a query's result; None where Athena keeps it."""
        known = self.region(region).executions.get(query_id)
        if known is None or known.managed is not None:
            return None
        bucket, _, key = known.output_location[len("s3://") :].partition("/")
        return bucket, key

    def stop(self, region: str, query_id: str) -> None:
        execution = self.get(region, query_id)
        with self._lock:
            if execution.state in TERMINAL:
                return
            session = self._sessions.get(query_id)
            if session is None:
                self._finish(execution, "CANCELLED", None)
                return
        session.cancel()

    def close(self) -> None:
        """Stops accepting and cancels what runs."""
        with self._lock:
            sessions = list(self._sessions.values())
        for session in sessions:
            session.cancel()
        self._pool.shutdown(wait=True, cancel_futures=True)


def managed_results(workgroup: WorkGroup) -> dict[str, Any] | None:
    """The ManagedQueryResultsConfiguration of a workgroup whose results Athena keeps itself; None of others."""
    found: dict[str, Any] = workgroup.configuration.get("ManagedQueryResultsConfiguration") or {}
    return found if found.get("Enabled") else None


def _result_location(execution: Execution) -> str:
    """https://docs.aws.amazon.com/athena/latest/ug/querying-finding-output-files.html"""
    if execution.substatement == "CREATE_TABLE_AS_SELECT":
        return f"{execution.output_folder}tables/{execution.id}"
    if execution.substatement in ("INSERT", "UPDATE", "DELETE", "MERGE", "UNLOAD"):
        return f"{execution.output_folder}{execution.id}"
    extension = "csv" if execution.statement_type == "DML" else "txt"
    return f"{execution.output_folder}{execution.id}.{extension}"


def dump(execution: Execution) -> str:
    return json.dumps(asdict(execution))


def load(text: str) -> Execution:
    """An execution as it was saved; what was queued or ran then has failed with the server."""
    execution = Execution(**json.loads(text))
    if execution.state not in TERMINAL:
        execution.state = "FAILED"
        execution.completed = time.time()
        error = QueryError("GENERIC_INTERNAL_ERROR", "local_aws was stopped while the query ran")
        execution.reason, execution.error = error.reason, error.athena_error(retryable=True)
    return execution
