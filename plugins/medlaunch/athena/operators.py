"""The Athena operators of this repository.

They add to the provider's ``AthenaOperator`` what every statement here needs: SQL from a file with its
values as literals, a private target that is empty before each attempt, an error that says whether another
attempt can help, and the query's cost for the run report.
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow.providers.amazon.aws.hooks.athena import AthenaHook
from airflow.providers.amazon.aws.links.athena import AthenaQueryResultsLink
from airflow.providers.amazon.aws.operators.athena import AthenaOperator
from airflow.providers.common.compat.sdk import XCom
from airflow.sdk import BaseOperatorLink
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from medlaunch import lake
from medlaunch.athena.queries import is_permanent, read_rows, render, statistics
from medlaunch.athena.statements import stages
from medlaunch.aws.clients import client_options, s3_client
from medlaunch.aws.objects import delete_prefix, split_s3_url
from medlaunch.operate import task_metrics
from medlaunch.settings import settings

if TYPE_CHECKING:
    from airflow.sdk import Context
    from mypy_boto3_s3 import S3Client

    from medlaunch.declaration import Row

log = logging.getLogger(__name__)

#: XCom key of what a task's queries cost; see :func:`medlaunch.athena.operators.queries.statistics`.
STATISTICS = "query_statistics"
#: XCom key of the address where a task's results can be looked at.
RESULTS = "s3_results"

# Pages of the workgroup's newest queries, 50 each, that are searched for what an earlier try left running.
_PAGES_OF_QUERIES = 20

# The query whose result an UNLOAD writes.
_UNLOADED = re.compile(r"\bUNLOAD\s*\((.*)\)\s*TO\s*'", re.DOTALL | re.IGNORECASE)

#: What a check does with the rows of its statements, by their file's name.
Check = Callable[[Mapping[str, "Sequence[Row]"]], None]


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
        pipeline: name of the pipeline in whose staging that is.

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
        pipeline: str | None = None,
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
        self.pipeline = pipeline or self.dag_id
        self.target: str | None = None

    def render_template_fields(self, context: Context, jinja_env: Any = None) -> None:
        super().render_template_fields(context, jinja_env)
        values = self._values(context)
        if self.writes:
            self.target = f"{lake.staging_prefix(self.pipeline, values['run'])}{self.writes}/"
            values["target"] = lake.s3_uri(settings().bucket, self.target)
        self.query = render(self.sql, values)

    def _values(self, context: Context) -> dict[str, Any]:
        """The values of the run, for the statements."""
        values = {"run": lake.run_key(context["run_id"]), **self.values}
        if self.values_from:
            values |= context["ti"].xcom_pull(task_ids=self.values_from) or {}
        return values

    def execute(self, context: Context) -> str | None:
        s3 = s3_client(self.aws_conn_id)
        if self.target:
            if context["ti"].try_number > 1:
                self._stop_earlier_tries(lake.s3_uri(settings().bucket, self.target))
            delete_prefix(s3, settings().bucket, self.target)
        try:
            query_id = super().execute(context)
        except Exception as error:
            self._stop_if_running(self.query_execution_id)
            if isinstance(error, AirflowException):
                self._raise_if_permanent(self.query_execution_id, error)
            raise
        execution = self._execution(query_id)
        results = (
            lake.s3_uri(settings().bucket, self.target)
            if self.target
            else execution["ResultConfiguration"]["OutputLocation"]
        )
        context["ti"].xcom_push(RESULTS, s3_results_url(s3, results))
        push_statistics(context, [statistics(execution)], self.target)
        return query_id

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:
        """The lineage of the statement, if OpenLineage is on. Its parser does not know UNLOAD, and gets the query inside."""
        statement, unloaded = self.query, _UNLOADED.search(self.query)
        if unloaded:
            self.query = unloaded[1].strip()
        try:
            return super().get_openlineage_facets_on_complete(task_instance)
        finally:
            self.query = statement

    def _execution(self, query_id: str | None) -> Mapping[str, Any]:
        """What Athena says of a query."""
        execution: Mapping[str, Any] = self.hook.get_query_info(query_id or "")["QueryExecution"]
        return execution

    def _raise_if_permanent(self, query_id: str | None, error: AirflowException) -> None:
        """Turn a failure that another attempt would only repeat into one that is not retried."""
        if query_id is not None and is_permanent(self._execution(query_id)):
            raise AirflowFailException(str(error)) from error

    def _stop_if_running(self, query_id: str | None) -> None:
        """Stop a query whose task fails, if it has not ended; what goes wrong with that is only logged."""
        if query_id is None:
            return
        try:
            # Of a query that has ended, stopping changes nothing (API reference, StopQueryExecution).
            self.hook.stop_query(query_id)
        except Exception:
            log.warning("Query %s may run on: it could not be stopped", query_id, exc_info=True)

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


class AthenaStatementsOperator(AthenaSqlOperator):
    """Run all statements of folders: group after group, in parallel as far as they do not read each other.

    Args:
        folders: groups of folders below ``include/sql``.
        check: gets the rows of each statement, by its file's name without ``.sql``; raises if they are not right.
        creates_database: the first group makes the database, and cannot run in it.
    """

    operator_extra_links = ()  # type: ignore[assignment]  # there is not one query to link to

    def __init__(
        self,
        *,
        folders: Sequence[Sequence[str]],
        check: Check | None = None,
        creates_database: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(sql=folders[0][0], **kwargs)
        self.folders = folders
        self.check = check
        self.creates_database = creates_database
        self._stages: list[list[str]] = []
        self._statements: dict[str, str] = {}
        self._mark = ""
        self._running: list[str] = []

    def render_template_fields(self, context: Context, jinja_env: Any = None) -> None:
        AthenaOperator.render_template_fields(self, context, jinja_env)
        # DDL names no run by itself. A comment /* ... */ is no part of Athena's DDL, lines of their own are.
        self._mark = f"-- run={lake.run_key(context['run_id'])} of {self.dag_id}.{self.task_id}"
        self._stages = [stage for group in self.folders for stage in stages(group)]
        values = self._values(context)
        self._statements = {
            name: f"{self._mark}\n{render(name, values)}" for stage in self._stages for name in stage
        }
        self.query = ";\n\n".join(self._statements.values())

    def execute(self, context: Context) -> None:
        if context["ti"].try_number > 1:
            self._stop_earlier_tries(self._mark)
        try:
            executions = dict(one for number in range(len(self._stages)) for one in self._run_stage(number))
        except Exception:
            self.on_kill()
            raise
        push_statistics(context, [statistics(one) for one in executions.values()], None)
        if self.check is not None:
            s3 = s3_client(self.aws_conn_id)
            self.check(
                {PurePosixPath(name).stem: list(read_rows(s3, one)) for name, one in executions.items()}
            )

    def _run_stage(self, number: int) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Start the statements of a stage and wait for each; gives what Athena says of each."""
        in_database = number > 0 or not self.creates_database
        where = {"Catalog": self.catalog} | ({"Database": settings().database} if in_database else {})
        started = []
        for name in self._stages[number]:
            query_id = self.hook.run_query(self._statements[name], where, {}, None, self.workgroup)
            self._running.append(query_id)
            started.append((name, query_id))
        for name, query_id in started:
            state = self.hook.poll_query_status(query_id, self.max_polling_attempts, self.sleep_time)
            execution = self._execution(query_id)
            if state != "SUCCEEDED":
                reason = execution["Status"].get("StateChangeReason")
                error = AirflowException(f"{name} ended as {state}, query {query_id}. Error: {reason}")
                self._raise_if_permanent(query_id, error)
                raise error
            self._running.remove(query_id)
            yield name, execution

    def on_kill(self) -> None:
        for query_id in self._running:
            self._stop_if_running(query_id)


def push_statistics(context: Context, costs: list[dict[str, Any]], target: str | None) -> None:
    """Hand on what queries cost: to the run's report, and to the task's line in the log."""
    context["ti"].xcom_push(STATISTICS, costs)
    task_metrics.record(
        queries=len(costs),
        bytes_scanned=sum(one["bytes_scanned"] for one in costs),
        engine_seconds=round(sum(one["seconds"] for one in costs), 3),
        keys=[target] if target else [],
    )
