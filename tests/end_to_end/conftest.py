"""A real Airflow with local AWS, shared by the tests that need a scheduler."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from laptop import aws, lifecycle
from laptop.airflow_stack import Airflow
from laptop.stack import ROOT, Stack
from tests.end_to_end.sns_proxy import refusing_sns

HERE = Path(__file__).parent

# What SNS answers to the first messages of a pipeline. A try offers a message twice.
SNS_REFUSALS = {
    "alert_sns_refuses": [
        "InternalFailure",
        "ServiceUnavailable",
        "Throttling",
        "InternalFailure",
        "Throttling",
    ],
    "alert_timeout": ["ServiceUnavailable", "Throttling", "InternalFailure"],
    "alert_alert_task_fails": ["Throttling", "Throttling"],
}


@dataclass
class Running:
    """A stack that is up: local AWS with the bucket, queue and workgroup, and Airflow with its REST API."""

    stack: Stack
    airflow: Airflow
    sns_refused: list[str]
    _seen: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def bucket(self) -> str:
        return self.stack.settings.bucket

    def client(self, service: str) -> Any:
        """A boto3 client of the stack's AWS."""
        return aws.client(self.stack, service)

    def alerts(self, pipeline: str) -> list[dict[str, Any]]:
        """The SNS envelopes of a pipeline's alerts that are in the queue now, oldest first."""
        for one in aws.read_alerts(self.stack, delete=True):
            self._seen[one["MessageId"]] = one
        found = [
            one for one in self._seen.values() if one["MessageAttributes"]["pipeline"]["Value"] == pipeline
        ]
        return sorted(found, key=lambda one: one["Timestamp"])

    def callback_log(self) -> str:
        """What the dag processor's children have logged: parsing, and callbacks of DAGs."""
        files = (self.stack.logs / "dag_processor").rglob("*.log")
        return "\n".join(file.read_text(encoding="utf-8", errors="replace") for file in files)


@pytest.fixture(scope="package")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One stack for all tests of this folder: its DAGs are the repository's, the examples and those in ``dags/`` here."""
    home = tmp_path_factory.mktemp("stack")
    dags = home / "dags"
    dags.mkdir()
    for folder in (ROOT / "dags", ROOT / "examples/dags", HERE / "dags"):
        for file in folder.glob("*.py"):
            shutil.copy(file, dags)
    aws_port = lifecycle.free_port()
    with refusing_sns(f"http://127.0.0.1:{aws_port}", SNS_REFUSALS) as (sns_url, refused):
        stack = Stack(
            home=home,
            aws_port=aws_port,
            airflow_port=lifecycle.free_port(),
            dags_folder=dags,
            overrides={
                "AWS_ENDPOINT_URL_SNS": sns_url,
                "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "600",
                # A worker that was lost is found after so many seconds; 300 by default.
                "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "20",
                "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "3",
                "MEDLAUNCH_RETRY_DELAY_SECONDS": "1",
                "MEDLAUNCH_SENSOR_POKE_SECONDS": "2",
                "MEDLAUNCH_RUNBOOK_URL": "https://runbooks.example/",
                "MEDLAUNCH_ENVIRONMENT": "test",
                "MEDLAUNCH_SUCCESS_TOPIC_ARN": "arn:aws:sns:us-east-1:123456789012:medlaunch-successes",
            },
        )
        with lifecycle.stack_running(stack) as airflow:
            yield Running(stack, airflow, refused)
