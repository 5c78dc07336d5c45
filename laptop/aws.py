"""The AWS side of a stack: clients, and the resources that the pipelines expect."""

from __future__ import annotations

import json
import socket
import sys
import time
from collections.abc import Iterator
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from laptop.stack import REGION, Stack
from medlaunch.lake import ATHENA_RESULTS
from medlaunch.objects import error_code

ALERTS_QUEUE = "medlaunch-alerts"


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
    """Create what the pipelines expect of their account. What exists already is left as it is."""
    config = stack.settings
    s3 = client(stack, "s3")
    try:
        s3.head_bucket(Bucket=config.bucket)
    except ClientError as error:
        if error_code(error) not in ("404", "NoSuchBucket"):
            raise
        s3.create_bucket(Bucket=config.bucket)
    s3.put_bucket_versioning(Bucket=config.bucket, VersioningConfiguration={"Status": "Enabled"})
    s3.put_public_access_block(
        Bucket=config.bucket,
        PublicAccessBlockConfiguration={
            "BlockPublicAcls": True,
            "IgnorePublicAcls": True,
            "BlockPublicPolicy": True,
            "RestrictPublicBuckets": True,
        },
    )
    _alerts(stack)
    _workgroup(stack)


def _alerts(stack: Stack) -> None:
    """The alerts topic, and a queue that keeps what is published to it."""
    sns, sqs = client(stack, "sns"), client(stack, "sqs")
    topic = sns.create_topic(Name=stack.settings.alerts_topic_arn.rsplit(":", 1)[1])["TopicArn"]
    url = sqs.create_queue(QueueName=ALERTS_QUEUE)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "sns.amazonaws.com"},
                "Action": "sqs:SendMessage",
                "Resource": arn,
                "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
            }
        ],
    }
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(policy)})
    # Subscribing the same endpoint again returns the subscription that is there.
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)


def _workgroup(stack: Stack) -> None:
    athena, config = client(stack, "athena"), stack.settings
    known = {one["Name"] for page in _pages(athena.list_work_groups, "WorkGroups") for one in page}
    if config.workgroup not in known:
        athena.create_work_group(
            Name=config.workgroup,
            Configuration={
                "ResultConfiguration": {"OutputLocation": f"s3://{config.bucket}/{ATHENA_RESULTS}/"},
                "EnforceWorkGroupConfiguration": True,
            },
        )


def _pages(call: Any, member: str) -> Iterator[list[dict[str, Any]]]:
    token: dict[str, str] = {}
    while True:
        answer = call(**token)
        yield answer.get(member, [])
        if not answer.get("NextToken"):
            return
        token = {"NextToken": answer["NextToken"]}


def read_alerts(stack: Stack, *, delete: bool = False) -> list[dict[str, Any]]:
    """The alerts in the queue, oldest first, as the bodies that were published.

    With ``delete`` they are taken out of the queue; without, they can be read again.
    """
    sqs = client(stack, "sqs")
    url = sqs.get_queue_url(QueueName=ALERTS_QUEUE)["QueueUrl"]
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
    """Run a SELECT on Athena and return its rows; NULL is None.

    Raises:
        QueryFailed: naming the query and why it failed.
        TimeoutError: if it has not ended in time; the query is stopped.
    """
    athena = client(stack, "athena")
    query = athena.start_query_execution(
        QueryString=statement,
        QueryExecutionContext={"Database": stack.settings.database},
        WorkGroup=stack.settings.workgroup,
    )["QueryExecutionId"]
    deadline = time.monotonic() + seconds
    while True:
        status = athena.get_query_execution(QueryExecutionId=query)["QueryExecution"]["Status"]
        if status["State"] == "SUCCEEDED":
            break
        if status["State"] in ("FAILED", "CANCELLED"):
            raise QueryFailed(
                f"Query {query} is {status['State']}: {status.get('StateChangeReason')}\n{statement}"
            )
        if time.monotonic() > deadline:
            athena.stop_query_execution(QueryExecutionId=query)
            raise TimeoutError(f"Query {query} had not ended after {seconds:.0f} s:\n{statement}")
        time.sleep(0.05)
    rows: list[list[str | None]] = []
    for page in athena.get_paginator("get_query_results").paginate(QueryExecutionId=query):
        rows += [[cell.get("VarCharValue") for cell in row["Data"]] for row in page["ResultSet"]["Rows"]]
    header, *body = rows
    return [dict(zip((str(name) for name in header), row, strict=True)) for row in body]
