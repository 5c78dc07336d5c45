"""The AWS side of a stack: clients, alerts and queries."""

from __future__ import annotations

import json
import socket
import sys
import time
from functools import partial
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from laptop import account
from laptop.account import ALERTS_QUEUE
from laptop.stack import REGION, Stack


class QueryFailed(RuntimeError):
    """Athena did not carry out a query."""


def client(stack: Stack, service: str) -> Any:
    """A boto3 client of this stack's AWS, whatever the shell's environment says."""
    session = boto3.session.Session()
    return session.client(  # type: ignore[call-overload]  # any service
        service,
        endpoint_url=stack.aws_url,
        region_name=REGION,
        aws_access_key_id="local",
        aws_secret_access_key="local",  # noqa: S106  # local AWS takes any
        config=Config(
            retries={"mode": "standard", "max_attempts": 3}, connect_timeout=5, read_timeout=120, proxies={}
        ),
    )


def command(stack: Stack) -> list[str]:
    """The command of the process in which this stack's AWS runs."""
    return [
        *(sys.executable, "-m", "local_aws"),
        *("--port", str(stack.aws_port), "--state", str(stack.aws_state)),
    ]


def answers(stack: Stack) -> bool:
    """Whether AWS answers requests."""
    with socket.socket() as probe:
        probe.settimeout(1)
        if probe.connect_ex(("127.0.0.1", stack.aws_port)):
            return False
    try:
        client(stack, "s3").list_buckets()
    except (BotoCoreError, ClientError):
        return False
    return True


def bootstrap(stack: Stack) -> None:
    """Create what the pipelines expect of this stack's account. What exists already is left as it is."""
    account.create(partial(client, stack), stack.settings)


def read_alerts(stack: Stack, *, delete: bool = False, queue: str = ALERTS_QUEUE) -> list[dict[str, Any]]:
    """The alerts in the queue, oldest first, as the bodies that were published.

    With ``delete`` they are taken out of the queue; without, they can be read again.
    """
    sqs = client(stack, "sqs")
    url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
    envelopes: dict[str, dict[str, Any]] = {}
    received: list[dict[str, Any]] = []
    while True:
        # Received messages are hidden for a while, so each round brings others.
        got = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=30).get(
            "Messages", []
        )
        if not got:
            break
        received += got
        envelopes |= {one["MessageId"]: json.loads(one["Body"]) for one in got}
    for one in received:
        if delete:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=one["ReceiptHandle"])
        else:
            sqs.change_message_visibility(
                QueueUrl=url, ReceiptHandle=one["ReceiptHandle"], VisibilityTimeout=0
            )
    return sorted(envelopes.values(), key=lambda one: one["Timestamp"])


def select(stack: Stack, statement: str, seconds: float = 60) -> list[dict[str, str | None]]:
    """The rows of a SELECT by column name, as :func:`table` gives them."""
    header, body = table(stack, statement, seconds)
    return [dict(zip(header, row, strict=True)) for row in body]


def table(stack: Stack, statement: str, seconds: float = 60) -> tuple[list[str], list[list[str | None]]]:
    """Run a SELECT on Athena and return the names of its columns, and its rows; NULL is None.

    Raises:
        QueryFailed, TimeoutError: as :func:`run`.
    """
    query = run(stack, statement, seconds)["QueryExecutionId"]
    rows: list[list[str | None]] = []
    for page in client(stack, "athena").get_paginator("get_query_results").paginate(QueryExecutionId=query):
        rows += [[cell.get("VarCharValue") for cell in row["Data"]] for row in page["ResultSet"]["Rows"]]
    header, *body = rows
    return [str(name) for name in header], body


def run(stack: Stack, statement: str, seconds: float) -> dict[str, Any]:
    """Run a statement on Athena, and return what GetQueryExecution says of it at its end.

    Raises:
        QueryFailed: saying why Athena refused it, or naming the query and why it failed.
        TimeoutError: if it has not ended in time; the query is stopped, as it is by Ctrl-C.
    """
    athena = client(stack, "athena")
    try:
        query = athena.start_query_execution(
            QueryString=statement,
            QueryExecutionContext={"Database": stack.settings.database},
            WorkGroup=stack.settings.workgroup,
        )["QueryExecutionId"]
    except ClientError as error:
        raise QueryFailed(f"{error.response['Error']['Message']}\n{statement}") from error
    deadline = time.monotonic() + seconds
    try:
        while True:
            execution: dict[str, Any] = athena.get_query_execution(QueryExecutionId=query)["QueryExecution"]
            status = execution["Status"]
            if status["State"] == "SUCCEEDED":
                return execution
            if status["State"] in ("FAILED", "CANCELLED"):
                raise QueryFailed(
                    f"Query {query} is {status['State']}: {status.get('StateChangeReason')}\n{statement}"
                )
            if time.monotonic() > deadline:
                raise TimeoutError(f"Query {query} had not ended after {seconds:.0f} s:\n{statement}")
            time.sleep(0.05)
    except (TimeoutError, KeyboardInterrupt):
        athena.stop_query_execution(QueryExecutionId=query)
        raise
