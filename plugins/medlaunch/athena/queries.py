"""Queries on Athena from Python tasks: run a statement, read its rows, and what it cost."""

from __future__ import annotations

import csv
import io
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from medlaunch import lake
from medlaunch.athena import statements
from medlaunch.aws.clients import athena_client, s3_client
from medlaunch.aws.objects import open_object, split_s3_url
from medlaunch.settings import settings

if TYPE_CHECKING:
    from mypy_boto3_athena import AthenaClient
    from mypy_boto3_s3 import S3Client

log = logging.getLogger(__name__)

# https://docs.aws.amazon.com/athena/latest/APIReference/API_AthenaError.html
_USER_ERROR = 2


class QueryFailed(Exception):
    """A query failed or was cancelled; the message has Athena's reason and the query's id.

    ``permanent``: Athena says that the statement itself is wrong, so that no retry can help.
    """

    def __init__(self, message: str, *, permanent: bool = False):
        super().__init__(message)
        self.permanent = permanent


def render(name: str, values: Mapping[str, Any]) -> str:
    """A statement with the values of this environment and of the run."""
    config = settings()
    return statements.render(
        name,
        {
            "s3": partial(lake.s3_uri, config.bucket),
            "database": statements.Identifier(config.database),
            **values,
        },
    )


def statistics(execution: Mapping[str, Any]) -> dict[str, Any]:
    """What a query cost: bytes scanned and seconds in the engine.

    ``execution`` is what Athena's GetQueryExecution says of it.
    """
    known = execution.get("Statistics", {})
    return {
        "query_execution_id": execution["QueryExecutionId"],
        "bytes_scanned": known.get("DataScannedInBytes", 0),
        "seconds": round(known.get("TotalExecutionTimeInMillis", 0) / 1000, 3),
    }


def is_permanent(execution: Mapping[str, Any]) -> bool:
    """Whether Athena says that the statement itself is wrong, so that no retry can help."""
    status = execution["Status"]
    detail = status.get("AthenaError", {})
    return (
        status["State"] == "FAILED"
        and detail.get("ErrorCategory") == _USER_ERROR
        and not detail.get("Retryable")
    )


def read_rows(s3: S3Client, execution: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    """The rows of a SELECT that has run, as text by column name, streamed from its result file.

    NULL comes as empty text, as Athena writes it.
    """
    location = execution["ResultConfiguration"]["OutputLocation"]
    with open_object(s3, *split_s3_url(location)) as source:
        yield from csv.DictReader(io.TextIOWrapper(source, "utf-8", newline=""))


class Queries:
    """Athena, as a Python task uses it: one statement after the other.

    ``connect`` gives the client, once it is needed: few pipelines have Iceberg tables to merge into.
    """

    def __init__(
        self,
        connect: Callable[[], AthenaClient],
        s3: S3Client,
        *,
        database: str,
        workgroup: str,
        poll_seconds: float,
        timeout_seconds: float,
    ):
        self._connect, self._s3 = connect, s3
        self._database, self._workgroup = database, workgroup
        self._poll_seconds, self._timeout_seconds = poll_seconds, timeout_seconds

    @classmethod
    def of_environment(cls) -> Queries:
        """With the clients and names of this environment."""
        config = settings()
        return cls(
            partial(athena_client, config.aws_conn_id),
            s3_client(config.aws_conn_id),
            database=config.database,
            workgroup=config.workgroup,
            poll_seconds=config.athena_poll_seconds,
            timeout_seconds=config.athena_timeout_seconds,
        )

    def run(self, text: str) -> Mapping[str, Any]:
        """Run a statement and wait for it; returns what GetQueryExecution says of it. A query stops with its task.

        Raises:
            QueryFailed: with Athena's reason, also after ``timeout_seconds``.
        """
        athena = self._connect()
        query_id = athena.start_query_execution(
            QueryString=text, QueryExecutionContext={"Database": self._database}, WorkGroup=self._workgroup
        )["QueryExecutionId"]
        deadline = time.monotonic() + self._timeout_seconds
        try:
            while True:
                execution: Mapping[str, Any] = athena.get_query_execution(QueryExecutionId=query_id)[
                    "QueryExecution"
                ]
                state = execution["Status"]["State"]
                if state in ("SUCCEEDED", "FAILED", "CANCELLED"):
                    break
                if time.monotonic() > deadline:
                    raise QueryFailed(f"Query {query_id} was stopped after {self._timeout_seconds:.0f} s")
                time.sleep(self._poll_seconds)
        except BaseException:
            # Of a query that has ended meanwhile, stopping changes nothing (API reference, StopQueryExecution).
            athena.stop_query_execution(QueryExecutionId=query_id)
            raise
        if state != "SUCCEEDED":
            reason = execution["Status"].get("StateChangeReason", "no reason given")
            raise QueryFailed(
                f"Query {query_id} ended as {state}: {reason}", permanent=is_permanent(execution)
            )
        return execution

    def rows(self, text: str) -> list[dict[str, str]]:
        """The rows of a SELECT, as :func:`read_rows` gives them."""
        return list(read_rows(self._s3, self.run(text)))
