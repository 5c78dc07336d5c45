"""What the pipelines expect of a local account is there, and the first data once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

import pytest

from laptop import account
from medlaunch.declaration import Dataset, Pipeline
from medlaunch.pipelines import FACILITY_ACCREDITATION, PIPELINES
from medlaunch.settings import Settings

ROOT = Path(__file__).parents[2]
Aws = Callable[[str], Any]


@pytest.fixture
def environment(aws_url: str) -> dict[str, str]:
    """The variables of an account with names of its own, as docker-compose.yaml gives them."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    return {
        "AWS_ENDPOINT_URL": aws_url,
        "MEDLAUNCH_BUCKET": name,
        "MEDLAUNCH_WORKGROUP": name,
        "MEDLAUNCH_ALERTS_TOPIC_ARN": f"arn:aws:sns:us-east-1:123456789012:{name}",
        "MEDLAUNCH_UPLOADS_QUEUE_URL": f"{aws_url}/123456789012/{name}-{{dag_id}}",
    }


def first_data(environment: dict[str, str], *arguments: str) -> str:
    run = subprocess.run(
        [sys.executable, "-m", "laptop.first_data", *arguments],
        cwd=ROOT, env={**os.environ, **environment, "PYTHONPATH": str(ROOT / "plugins")},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    return run.stdout


def notified_keys(
    sqs: Any, environment: dict[str, str], pipeline: Pipeline = FACILITY_ACCREDITATION
) -> set[str]:
    """The keys in the notifications of a pipeline's queue; the messages are taken out."""
    url = environment["MEDLAUNCH_UPLOADS_QUEUE_URL"].replace("{dag_id}", pipeline.dag_id)
    found: set[str] = set()
    while got := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        for message in got:
            for record in json.loads(message["Body"]).get("Records", []):
                found.add(unquote_plus(record["s3"]["object"]["key"]))
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return found


def test_samples_are_uploaded_once_and_notified(environment: dict[str, str], aws: Aws) -> None:
    bucket = environment["MEDLAUNCH_BUCKET"]
    assert "sample files" in first_data(environment, "--records", "50")
    listed = {one["Key"] for one in aws("s3").list_objects_v2(Bucket=bucket)["Contents"]}
    assert len({key.split("/")[2] for key in listed}) >= 3
    assert notified_keys(aws("sqs"), environment) == listed
    assert "sample files" not in first_data(environment, "--records", "50")
    assert notified_keys(aws("sqs"), environment) == set()
    versions = aws("s3").list_object_versions(Bucket=bucket)["Versions"]
    assert {one["Key"] for one in versions} == listed
    assert all(one["IsLatest"] for one in versions)


def test_none_if_none_are_wanted(environment: dict[str, str], aws: Aws) -> None:
    first_data(environment, "--records", "0")
    assert aws("s3").list_objects_v2(Bucket=environment["MEDLAUNCH_BUCKET"])["KeyCount"] == 0


def test_only_uploads_are_notified(environment: dict[str, str], aws: Aws) -> None:
    account.create(aws, Settings.from_environment(environment))
    account.create(aws, Settings.from_environment(environment))
    s3, bucket = aws("s3"), environment["MEDLAUNCH_BUCKET"]
    for key in (
        "landing/facilities/2026-11-01/a b+c.jsonl",
        "bronze/x.jsonl",
        "archive/facilities/2026-11-01/y",
    ):
        s3.put_object(Bucket=bucket, Key=key, Body=b"{}")
    assert notified_keys(aws("sqs"), environment) == {"landing/facilities/2026-11-01/a b+c.jsonl"}


def test_each_pipeline_has_a_queue_of_its_own(
    environment: dict[str, str], aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that several shared would wake only the DAG that polled first."""
    datasets = tuple(Dataset(name=name, extensions=(".csv",), loader="x:y") for name in ("a", "b/c"))
    other = replace(FACILITY_ACCREDITATION, dag_id="other", datasets=datasets)
    monkeypatch.setitem(PIPELINES, "other", other)
    account.create(aws, Settings.from_environment(environment))
    for key in ("landing/a/x.csv", "landing/b/c/y.csv", "landing/facilities/2026-11-01/z.json"):
        aws("s3").put_object(Bucket=environment["MEDLAUNCH_BUCKET"], Key=key, Body=b"{}")
    assert notified_keys(aws("sqs"), environment, other) == {"landing/a/x.csv", "landing/b/c/y.csv"}
    assert notified_keys(aws("sqs"), environment) == {"landing/facilities/2026-11-01/z.json"}


def test_alerts_reach_their_queue_once(environment: dict[str, str], aws: Aws) -> None:
    account.create(aws, Settings.from_environment(environment))
    account.create(aws, Settings.from_environment(environment))
    topic, sqs = environment["MEDLAUNCH_ALERTS_TOPIC_ARN"], aws("sqs")
    aws("sns").publish(TopicArn=topic, Subject="s", Message=topic)
    url = sqs.get_queue_url(QueueName=account.ALERTS_QUEUE)["QueueUrl"]
    got = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
    for message in got:
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    assert [body["Message"] for one in got if (body := json.loads(one["Body"]))["TopicArn"] == topic] == [
        topic
    ]
