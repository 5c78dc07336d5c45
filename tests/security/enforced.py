"""The real DAG as the workers' role: with an encrypted lake, and with exactly the permissions it is given.

The local AWS enforces IAM (``iam.py`` of packages/local-aws) on the keys of assumed roles, for requests and for what Athena
reads and writes on their behalf. Everything else in the tests is done as the account's administrator.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import httpx

from medlaunch import lake, permissions
from medlaunch.permissions import EnvironmentArns, Statement
from tests.pipeline import DAG_ID, ROOT, Pipeline

REGION, ACCOUNT = "us-east-1", "123456789012"
DAY = "2026-11-01"
ROLLBACK, REPLAY, FRESHNESS = "rollback_publication", "replay_uploads", "check_freshness"


class EnforcedPipeline(Pipeline):
    """A pipeline whose tasks run as a role of their own, in a lake that is encrypted with a key of its own."""

    def __init__(self, aws: Any, url: str):
        super().__init__(aws, url)
        self.aws = aws
        name = uuid.uuid4().hex[:10]
        key = aws("kms").create_key()["KeyMetadata"]["Arn"]
        self.s3.put_bucket_encryption(
            Bucket=self.bucket,
            ServerSideEncryptionConfiguration={
                "Rules": [
                    {
                        "ApplyServerSideEncryptionByDefault": {
                            "SSEAlgorithm": "aws:kms",
                            "KMSMasterKeyID": key,
                        },
                        "BucketKeyEnabled": True,
                    }
                ]
            },
        )
        self.topic = aws("sns").create_topic(Name=f"alerts-{name}", Attributes={"KmsMasterKeyId": key})[
            "TopicArn"
        ]
        self.success_topic = aws("sns").create_topic(Name=f"successes-{name}")["TopicArn"]
        self.queue = aws("sqs").create_queue(
            QueueName=f"uploads-{name}-{DAG_ID}", Attributes={"KmsMasterKeyId": key}
        )["QueueUrl"]
        aws("glue").put_data_catalog_encryption_settings(
            DataCatalogEncryptionSettings={
                "EncryptionAtRest": {"CatalogEncryptionMode": "SSE-KMS", "SseAwsKmsKeyId": key},
                "ConnectionPasswordEncryption": {"ReturnConnectionPasswordEncrypted": False},
            }
        )
        # As in a new account: Athena creates its database `default` with the permissions of the first query.
        with suppress(aws("glue").exceptions.EntityNotFoundException):
            aws("glue").delete_database(Name="default")
        self.place = EnvironmentArns.of(
            region=REGION,
            account=ACCOUNT,
            bucket=self.bucket,
            database=self.database,
            workgroup=self.workgroup,
            alerts_topic=self.topic,
            success_topic=self.success_topic,
            uploads_queues=f"arn:aws:sqs:{REGION}:{ACCOUNT}:uploads-{name}-",
            key=key,
        )
        self.role = f"worker-{name}"
        trust = {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Service": "airflow-env.amazonaws.com"},
                    "Action": "sts:AssumeRole",
                }
            ],
        }
        aws("iam").create_role(RoleName=self.role, AssumeRolePolicyDocument=json.dumps(trust))
        self.allow(permissions.of(DAG_ID))
        granted = aws("sts").assume_role(
            RoleArn=f"arn:aws:iam::{ACCOUNT}:role/{self.role}", RoleSessionName="worker"
        )["Credentials"]
        self.keys_of_role = {
            "AWS_ACCESS_KEY_ID": granted["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": granted["SecretAccessKey"],
            "AWS_SESSION_TOKEN": granted["SessionToken"],
        }

    def close(self) -> None:
        """Leave the catalog, which all tests share, as it was."""
        plain = {
            "EncryptionAtRest": {"CatalogEncryptionMode": "DISABLED"},
            "ConnectionPasswordEncryption": {"ReturnConnectionPasswordEncrypted": False},
        }
        self.aws("glue").put_data_catalog_encryption_settings(DataCatalogEncryptionSettings=plain)
        self.s3.delete_bucket_encryption(Bucket=self.bucket)

    def allow(self, statements: Sequence[Statement]) -> None:
        """Give the role these permissions, and take all others away."""
        document = json.dumps(permissions.policy(statements, self.place))
        self.aws("iam").put_role_policy(RoleName=self.role, PolicyName="pipeline", PolicyDocument=document)

    @contextmanager
    def environment(self) -> Iterator[None]:
        values = {**self.keys_of_role, "MEDLAUNCH_TASK_RETRIES": "0"}
        with patch.dict(os.environ, values), super().environment():
            yield

    def ledger(self) -> list[dict[str, Any]]:
        """What the role asked for since the last time, and which statements allowed it."""
        used = httpx.delete(f"{self.url}/_local_aws/permissions").json()["used"]
        return [one for one in used if f"/{self.role}/" in one["caller"]]


# ---------------------------------------------------------------------------------------------- the day


def _facility(number: int, **other: Any) -> dict[str, Any]:
    return {
        "facility_id": f"FAC{number:05d}",
        "facility_name": f"Facility {number}",
        "location": {"address": "1 Main St", "city": "Ann Arbor", "state": "MI", "zip": "48104"},
        "employee_count": 10,
        "services": ["a"],
        "labs": [],
        "accreditations": [
            {"accreditation_body": "J", "accreditation_id": "J1", "valid_until": "2027-01-31"}
        ],
        **other,
    }


def _lines(*records: Any) -> bytes:
    return b"".join(json.dumps(one).encode() + b"\n" for one in records)


@lru_cache(maxsize=1)
def unreadable_upload() -> bytes:
    """More good and more rejected lines than one part of a multipart upload holds, and then the end of the file
    is missing: a writer has something to abort."""
    name = "x" * 20_000
    good = [_facility(100 + number, facility_name=name) for number in range(500)]
    bad = [_facility(100 + number, facility_name=name, employee_count=-1) for number in range(500)]
    packed = gzip.compress(_lines(*good, *bad), 1)
    return packed[: len(packed) - 100]


def first_run(pipeline: EnforcedPipeline) -> Any:
    """Uploads with and without tags, one that is not data, one that breaks off."""
    for file, body in {
        "a.jsonl": _lines(_facility(1), _facility(2, employee_count=-1)),
        ".keep": b"",
        "broken.jsonl.gz": unreadable_upload(),
    }.items():
        pipeline.s3.put_object(
            Bucket=pipeline.bucket,
            Key=f"landing/facilities/{DAY}/{file}",
            Body=body,
            Tagging="source=partner",
        )
    return pipeline.run()


def second_run(pipeline: EnforcedPipeline) -> Any:
    """The same file again, with nothing to reject, and another: the snapshot gets a new version."""
    pipeline.next_second()
    pipeline.upload(DAY, "c.jsonl", _lines(_facility(3, employee_count=-1)))
    pipeline.upload(DAY, "a.jsonl", _lines(_facility(1), _facility(2)))
    return pipeline.run()


def _query_task(pipeline: EnforcedPipeline) -> Any:
    from airflow.dag_processing.dagbag import DagBag

    return DagBag(ROOT / "dags").dags[DAG_ID].get_task("extract.facility_metrics")


def retried_query(pipeline: EnforcedPipeline) -> None:
    """A query is tried again, and its target is not empty: the first try was killed while it wrote."""
    pipeline.athena.start_query_execution(QueryString="SELECT 1", WorkGroup=pipeline.workgroup)
    target = f"{lake.staging_prefix(DAG_ID, 'retried')}facility_metrics/"
    pipeline.s3.put_object(Bucket=pipeline.bucket, Key=f"{target}half-written", Body=b"half")
    with pipeline.environment():
        operator = _query_task(pipeline)
        operator.target = target
        operator.query = (
            f"UNLOAD (SELECT 1 AS one) TO 's3://{pipeline.bucket}/{target}' WITH (format = 'JSON')"
        )
        operator.execute({"ti": SimpleNamespace(xcom_push=lambda *_: None, try_number=2)})
    assert f"{target}half-written" not in pipeline.keys(target)


def stopped_query(pipeline: EnforcedPipeline) -> None:
    """A task is killed while its query runs."""
    with pipeline.environment():
        operator = _query_task(pipeline)
        operator.query_execution_id = operator.hook.run_query("SELECT 1", {}, {}, None, pipeline.workgroup)
        operator.on_kill()


def waking_event(pipeline: EnforcedPipeline) -> None:
    """An event in the uploads queue, as the triggerer's watcher takes it."""
    from airflow.providers.amazon.aws.triggers.sqs import SqsSensorTrigger

    pipeline.aws("sqs").send_message(QueueUrl=pipeline.queue, MessageBody="{}")

    async def first_event() -> None:
        trigger = SqsSensorTrigger(
            sqs_queue=pipeline.queue, waiter_delay=1, max_messages=1, wait_time_seconds=0
        )
        async for _ in trigger.run():
            return

    with pipeline.environment():
        asyncio.run(asyncio.wait_for(first_event(), 20))


def success_published(pipeline: EnforcedPipeline) -> None:
    """A run has succeeded, and the topic of successes gets a message."""
    from medlaunch.operate import alerts

    message = {"summary": "published", "pipeline": DAG_ID, "environment": "test", "severity": "info"}
    with pipeline.environment():
        alerts.publish(message, topic_arn=pipeline.success_topic)


def found_stale(pipeline: EnforcedPipeline) -> Any:
    """The last publication is longer ago than it may be."""
    with patch.dict(os.environ, {"MEDLAUNCH_STALE_AFTER_SECONDS": "0.001"}):
        return pipeline.run(FRESHNESS)


def rolled_back(pipeline: EnforcedPipeline) -> Any:
    """The second version was a mistake."""
    return pipeline.run(ROLLBACK, slice=DAY, reason="a test", dry_run=False)


def replayed(pipeline: EnforcedPipeline) -> Any:
    """All that was archived of the snapshot is processed once more."""
    return pipeline.run(
        REPLAY, slice_from=DAY, slice_to=DAY, include_excluded=True, reason="a test", dry_run=False
    )


@dataclass(frozen=True)
class Stage:
    """Something that happens in a pipeline's life, with the permissions of a DAG.

    ``after`` names what must have happened before it. ``missing`` (Sid, action) is taken away in a life that is
    lived for the record, so that there is a failed run, and its alert, too. ``is_run``: what happens is a run of
    the DAG; otherwise it is a part of one, and raises.
    """

    dag_id: str
    happens: Callable[[EnforcedPipeline], Any]
    after: tuple[str, ...] = ()
    missing: tuple[str, str] | None = None
    is_run: bool = True


#: In the order in which they can happen.
STAGES = {
    "first run": Stage(DAG_ID, first_run),
    "replay": Stage(REPLAY, replayed, ("first run",), missing=("WriteReports", "s3:PutObject")),
    "second run": Stage(
        DAG_ID,
        second_run,
        ("first run",),
        missing=("RemoveProcessedUploads", "s3:DeleteObjectVersion"),
    ),
    "retried query": Stage(DAG_ID, retried_query, is_run=False),
    "stopped query": Stage(DAG_ID, stopped_query, is_run=False),
    "waking event": Stage(DAG_ID, waking_event, is_run=False),
    "success published": Stage(DAG_ID, success_published, is_run=False),
    "stale": Stage(FRESHNESS, found_stale, ("first run",)),
    "rollback": Stage(
        ROLLBACK, rolled_back, ("first run", "second run"), missing=("WriteReports", "s3:PutObject")
    ),
}


def live(pipeline: EnforcedPipeline) -> dict[str, list[dict[str, Any]]]:
    """Go through all stages; returns what each of them asked for."""
    used = {}
    for name, stage in STAGES.items():
        statements = permissions.of(stage.dag_id)
        pipeline.allow(without(statements, *stage.missing) if stage.missing else statements)
        run = stage.happens(pipeline)
        assert run is None or run.state == ("failed" if stage.missing else "success"), name
        used[name] = pipeline.ledger()
    return used


def failed_tasks(run: Any) -> set[str]:
    return {one.task_id for one in run.get_task_instances() if one.state == "failed"}


def without(statements: Sequence[Statement], sid: str, action: str) -> list[Statement]:
    """The statements less one action of one of them."""
    less = []
    for one in statements:
        if one.sid == sid:
            left = tuple(other for other in one.actions if other != action)
            if left:
                less.append(replace(one, actions=left))
        else:
            less.append(one)
    return less
