"""The Athena operators of this repository.

They add to the provider's ``AthenaOperator`` what every statement here needs: SQL from a file with its
values as literals, a private target that is empty before each attempt, an error that says whether another
attempt can help, and the query's cost for the run report.
"""

from __future__ import annotations

import csv
import io
import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow.providers.amazon.aws.hooks.athena import AthenaHook
from airflow.providers.amazon.aws.hooks.s3 import S3Hook
from airflow.providers.amazon.aws.links.athena import AthenaQueryResultsLink
from airflow.providers.amazon.aws.operators.athena import AthenaOperator
from airflow.providers.common.compat.sdk import XCom
from airflow.sdk import BaseOperatorLink
from airflow.sdk.exceptions import AirflowException, AirflowFailException
from botocore.config import Config

from medlaunch import lake, sql, steps
from medlaunch.objects import CLIENT_OPTIONS, delete_prefix, open_object, split_s3_url
from medlaunch.settings import settings

if TYPE_CHECKING:
    from airflow.sdk import Context
    from mypy_boto3_s3 import S3Client

log = logging.getLogger(__name__)

#: XCom key of what a query cost; see :func:`query_statistics`.
STATISTICS = "query_statistics"
#: XCom key of the address where a task's results can be looked at.
RESULTS = "s3_results"

# https://docs.aws.amazon.com/athena/latest/APIReference/API_AthenaError.html
_USER_ERROR = 2
# Pages of the workgroup's newest queries, 50 each, that are searched for what an earlier try left running.
_PAGES_OF_QUERIES = 20


class S3ResultsLink(BaseOperatorLink):
    """A button on the task that opens where its results lie on S3."""

    name = "S3 results"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:  # noqa: ARG002  # the names are Airflow's
        return XCom.get_value(key=RESULTS, ti_key=ti_key) or ""


def s3_results_url(client: S3Client, uri: str) -> str:
    """Where a person can look at an object or a prefix: the S3 console, or the endpoint that stands in for it."""
    bucket, key = split_s3_url(uri)
    endpoint = client.meta.endpoint_url
    if ".amazonaws." in endpoint:
        kind = "buckets" if key.endswith("/") else "object"
        return f"https://console.aws.amazon.com/s3/{kind}/{bucket}?prefix={quote(key)}"
    return (
        f"{endpoint}/{bucket}?list-type=2&prefix={quote(key)}"
        if key.endswith("/")
        else f"{endpoint}/{bucket}/{quote(key)}"
    )


class AthenaSqlOperator(AthenaOperator):
    """Run one statement of ``include/sql`` on Athena and wait for it.

    Args:
        sql: file below ``include/sql``. Its ``{{ names }}`` are ``s3(key)``, ``database``,
            ``run``, ``target``, the entries of ``values``, and what ``values_from`` returned.
        values: constants.
        values_from: task whose returned mapping gives the run's values.
        writes: name of the result that the statement writes. It goes to a place that is private to the
            run, and that is emptied before each attempt: UNLOAD wants an empty place, and a retry meets
            a half-written one.

    The query stops with its task: it does not defer, so that a timeout or a kill also stops the query,
    which a deferred one would not.

    Raises:
        AirflowFailException: if Athena says that the statement itself is wrong; no retry can help.
        AirflowException: for anything else that made the query fail or be cancelled.
    """

    template_ext: Sequence[str] = ()
    operator_extra_links = (AthenaQueryResultsLink(), S3ResultsLink())  # type: ignore[assignment]

    def __init__(
        self,
        *,
        sql: str,
        values: Mapping[str, Any] | None = None,
        values_from: str | None = None,
        writes: str | None = None,
        **kwargs: Any,
    ) -> None:
        config = settings()
        super().__init__(
            query=sql,
            database=config.database,
            workgroup=config.workgroup,
            sleep_time=config.athena_poll_seconds,  # type: ignore[arg-type]  # passed on to time.sleep
            deferrable=False,
            aws_conn_id=config.aws_conn_id,
            botocore_config=client_options(),
            # The task's time is the limit. By default the provider stops asking after 120 times, and lets the
            # query run on.
            max_polling_attempts=math.ceil(config.athena_timeout_seconds / config.athena_poll_seconds) + 1,
            execution_timeout=timedelta(seconds=config.athena_timeout_seconds),
            **kwargs,
        )
        self.sql = sql
        self.values = dict(values or {})
        self.values_from = values_from
        self.writes = writes
        self.target: str | None = None

    def render_template_fields(self, context: Context, jinja_env: Any = None) -> None:
        super().render_template_fields(context, jinja_env)
        run = lake.run_key(context["run_id"])
        values = {"run": run, **self.values}
        if self.values_from:
            values |= context["ti"].xcom_pull(task_ids=self.values_from) or {}
        if self.writes:
            self.target = f"{lake.staging_prefix(self.dag_id, run)}{self.writes}/"
            values["target"] = lake.s3_uri(settings().bucket, self.target)
        self.query = render(self.sql, values)

    def execute(self, context: Context) -> str | None:
        s3 = s3_client(self.aws_conn_id)
        if self.target:
            if context["ti"].try_number > 1:
                self._stop_earlier_tries(lake.s3_uri(settings().bucket, self.target))
            delete_prefix(s3, settings().bucket, self.target)
        try:
            query_id = super().execute(context)
        except Exception as error:
            stop_if_running(self.hook, self.query_execution_id)
            if isinstance(error, AirflowException):
                raise_if_permanent(self.hook, self.query_execution_id, error)
            raise
        results = (
            lake.s3_uri(settings().bucket, self.target)
            if self.target
            else self.hook.get_output_location(query_id or "")
        )
        context["ti"].xcom_push(RESULTS, s3_results_url(s3, results))
        _tell_statistics(context, [query_statistics(self.hook, query_id)], self.target)
        return query_id

    def _stop_earlier_tries(self, mark: str) -> None:
        """Stop queries of an earlier try whose process was killed: they would write beside this one's.

        ``mark`` is what the text of such a query has in it, and that of no other one.
        """
        athena: Any = self.hook.get_conn()
        pages = athena.get_paginator("list_query_executions").paginate(
            WorkGroup=self.workgroup, PaginationConfig={"MaxItems": _PAGES_OF_QUERIES * 50, "PageSize": 50}
        )
        for page in pages:
            if not page["QueryExecutionIds"]:
                return
            found = athena.batch_get_query_execution(QueryExecutionIds=page["QueryExecutionIds"])
            for one in found["QueryExecutions"]:
                state = one["Status"]["State"]
                if mark in one["Query"] and state in AthenaHook.INTERMEDIATE_STATES:
                    query_id = one["QueryExecutionId"]
                    log.warning("Stopping query %s, which an earlier try has left %s", query_id, state)
                    self.hook.stop_query(query_id)
                    self.hook.poll_query_status(query_id, self.max_polling_attempts, self.sleep_time)


class AthenaPrepareOperator(AthenaSqlOperator):
    """Run statements that prepare tables and views: stage after stage, side by side within a stage.

    Args:
        stages: lists of files below ``include/sql``.
    """

    operator_extra_links = ()  # type: ignore[assignment]  # there is not one query to link to

    def __init__(self, *, stages: Sequence[Sequence[str]], **kwargs: Any) -> None:
        super().__init__(sql=stages[0][0], **kwargs)
        self.stages = stages
        self._mark = ""
        self._running: list[str] = []

    def render_template_fields(self, context: Context, jinja_env: Any = None) -> None:
        AthenaOperator.render_template_fields(self, context, jinja_env)
        # DDL names no run by itself. A comment /* ... */ is no part of Athena's DDL, lines of their own are.
        self._mark = f"-- run={lake.run_key(context['run_id'])} of {self.dag_id}"
        self.query = ";\n\n".join(self._statement(name) for stage in self.stages for name in stage)

    def _statement(self, name: str) -> str:
        return f"{self._mark}\n{render(name, {})}"

    def execute(self, context: Context) -> None:
        if context["ti"].try_number > 1:
            self._stop_earlier_tries(self._mark)
        try:
            statistics = [one for number in range(len(self.stages)) for one in self._run_stage(number)]
        except Exception:
            self.on_kill()
            raise
        _tell_statistics(context, statistics, None)

    def _run_stage(self, number: int) -> Iterator[dict[str, Any]]:
        """Start the statements of a stage and wait for each; gives what each has cost."""
        # The database does not exist yet while its own statement runs.
        where = {"Catalog": self.catalog} | ({"Database": settings().database} if number else {})
        started = []
        for name in self.stages[number]:
            query_id = self.hook.run_query(self._statement(name), where, {}, None, self.workgroup)
            self._running.append(query_id)
            started.append((name, query_id))
        for name, query_id in started:
            state = self.hook.poll_query_status(query_id, self.max_polling_attempts, self.sleep_time)
            if state != "SUCCEEDED":
                reason = self.hook.get_state_change_reason(query_id)
                error = AirflowException(f"{name} ended as {state}, query {query_id}. Error: {reason}")
                raise_if_permanent(self.hook, query_id, error)
                raise error
            self._running.remove(query_id)
            yield query_statistics(self.hook, query_id)

    def on_kill(self) -> None:
        for query_id in self._running:
            stop_if_running(self.hook, query_id)


def render(name: str, values: Mapping[str, Any]) -> str:
    """A statement with the values of this environment and of the run."""
    config = settings()
    return sql.render(
        name,
        {
            "s3": partial(lake.s3_uri, config.bucket),
            "database": sql.Identifier(config.database),
            **values,
        },
    )


def raise_if_permanent(hook: AthenaHook, query_id: str | None, error: AirflowException) -> None:
    """Turn a failure that another attempt would only repeat into one that is not retried."""
    if query_id is None:
        return
    status = hook.get_query_info(query_id)["QueryExecution"]["Status"]
    detail = status.get("AthenaError", {})
    if (
        status["State"] == "FAILED"
        and detail.get("ErrorCategory") == _USER_ERROR
        and not detail.get("Retryable")
    ):
        raise AirflowFailException(str(error)) from error


def stop_if_running(hook: AthenaHook, query_id: str | None) -> None:
    """Stop a query whose task fails, if it has not ended; what goes wrong with that is only logged."""
    if query_id is None:
        return
    try:
        # Of a query that has ended, stopping changes nothing (API reference, StopQueryExecution).
        hook.stop_query(query_id)
    except Exception:
        log.warning("Query %s may run on: it could not be stopped", query_id, exc_info=True)


def query_statistics(hook: AthenaHook, query_id: str | None) -> dict[str, Any]:
    """What a query cost: bytes scanned and seconds in the engine."""
    statistics = hook.get_query_info(query_id or "")["QueryExecution"].get("Statistics", {})
    return {
        "query_execution_id": query_id,
        "bytes_scanned": statistics.get("DataScannedInBytes", 0),
        "seconds": round(statistics.get("TotalExecutionTimeInMillis", 0) / 1000, 3),
    }


def _tell_statistics(context: Context, statistics: list[dict[str, Any]], target: str | None) -> None:
    """Hand on what queries cost: to the run's report, and to the step's line in the log."""
    context["ti"].xcom_push(STATISTICS, statistics)
    steps.note(
        queries=len(statistics),
        bytes_scanned=sum(one["bytes_scanned"] for one in statistics),
        engine_seconds=round(sum(one["seconds"] for one in statistics), 3),
        keys=[target] if target else [],
    )


def read_result(query_id: str) -> Iterator[dict[str, str]]:
    """The rows of a SELECT that has run, as text by column name, streamed from its result file.

    NULL comes as empty text, as Athena writes it.
    """
    conn_id = settings().aws_conn_id
    location = AthenaHook(aws_conn_id=conn_id, config=client_config()).get_output_location(query_id)
    with open_object(s3_client(conn_id), *split_s3_url(location)) as source:
        yield from csv.DictReader(io.TextIOWrapper(source, "utf-8", newline=""))


def client_options() -> dict[str, Any]:
    """The retries, timeouts and pool of this repository's AWS clients, as arguments of botocore's ``Config``."""
    return CLIENT_OPTIONS | {"read_timeout": settings().aws_read_timeout_seconds}


def client_config() -> Config:
    """:func:`client_options` as hooks want them."""
    return Config(**client_options())


@lru_cache(maxsize=4)
def s3_client(conn_id: str | None) -> S3Client:
    """The S3 client of an Airflow connection, with the retries and the pool of this repository.

    Made once in a process: reading the service's description takes longer than most requests.
    """
    return S3Hook(aws_conn_id=conn_id, config=client_config()).get_conn()
