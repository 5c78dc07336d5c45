"""A harness: one local AWS, one loader of Airflow, and lakes on it, each with the pipeline over it."""

from __future__ import annotations

import json
import os
import queue
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from laptop.airflow_stack import migrated_database
from tests.faults.proxy import Exchange, Proxy, Rule

ROOT = Path(__file__).resolve().parents[2]
_CONFIG = Config(retries={"mode": "standard", "max_attempts": 3}, read_timeout=120, proxies={})


def _environment(home: Path) -> dict[str, str]:
    """What the processes of a harness are told: nothing of the shell's AWS or Airflow."""
    shell = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AWS_", "AIRFLOW", "MEDLAUNCH_", "BOTO_"))
    }
    return shell | {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AIRFLOW_HOME": str(home / "airflow"),
        "AIRFLOW_CONN_AWS_DEFAULT": "aws://",
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'unused.db'}",
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
        "FAULTS_DATABASE": str(migrated_database()),
        "NO_PROXY": "*",
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "plugins")]),
        "PYTHONUNBUFFERED": "1",
    }


@dataclass
class Outcome:
    """What became of one run. ``state`` is ``died`` if its scheduler did not live to see the end."""

    state: str
    run_id: str | None
    tasks: dict[str, str]
    tries: list[dict[str, Any]]
    log: Path
    requests: list[Exchange] = field(default_factory=list)
    seconds: float = 0.0

    def attempts(self, task: str) -> list[dict[str, Any]]:
        return [one for one in self.tries if one["task"] == task]


class Harness:
    """One local AWS and one loaded Airflow, to run cells on one after the other."""

    def __init__(self) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="faults-"))
        self._environment = _environment(self.home)
        self._ended: dict[int, queue.Queue[int]] = {}
        self._pids: queue.Queue[int] = queue.Queue()
        self._aws: subprocess.Popen[bytes] | None = None
        self.start_aws()
        self._loader = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.scheduler"],
            cwd=ROOT, env=self._environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=(self.home / "loader.log").open("ab"), text=True,
        )  # fmt: skip
        assert self._loader.stdout
        if "ready" not in self._loader.stdout.readline():
            self.stop_aws()
            raise RuntimeError((self.home / "loader.log").read_text()[-2000:])
        threading.Thread(target=self._listen, daemon=True).start()
        self._lock = threading.Lock()

    def __enter__(self) -> Harness:
        return self

    def __exit__(self, *details: object) -> None:
        assert self._loader.stdin
        self._loader.stdin.close()
        self._loader.wait(120)
        self.stop_aws()
        shutil.rmtree(self.home, ignore_errors=True)

    def abandon(self) -> None:
        """End what the harness has started, without waiting."""
        for process in (self._aws, self._loader):
            if process is not None:
                process.kill()

    def start_aws(self) -> None:
        """Start local AWS, with the state that a stopped one has left."""
        port_file = self.home / "port"
        port_file.unlink(missing_ok=True)
        self._aws = subprocess.Popen(
            [sys.executable, "-m", "local_aws", "--port", "0", "--port-file", str(port_file),
             "--state", str(self.home / "aws"), "--log-level", "WARNING"],
            cwd=ROOT, env=self._environment, stdout=subprocess.DEVNULL,
            stderr=(self.home / "aws.log").open("ab"),
        )  # fmt: skip
        deadline = time.monotonic() + 300
        while not port_file.exists():
            if time.monotonic() > deadline or self._aws.poll() is not None:
                raise RuntimeError((self.home / "aws.log").read_text()[-2000:])
            time.sleep(0.02)
        self.url = f"http://127.0.0.1:{port_file.read_text().strip()}"

    def stop_aws(self, number: int = signal.SIGTERM) -> None:
        assert self._aws
        self._aws.send_signal(number)
        self._aws.wait(120)

    def client(self, service: str) -> Any:
        return boto3.client(  # type: ignore[call-overload]
            service, endpoint_url=self.url, config=_CONFIG, region_name="us-east-1",
            aws_access_key_id="test", aws_secret_access_key="test",
        )  # fmt: skip

    def _listen(self) -> None:
        assert self._loader.stdout
        for line in self._loader.stdout:
            event = json.loads(line)
            if "status" in event:
                self._ended.setdefault(event["pid"], queue.Queue()).put(event["status"])
            else:
                self._ended.setdefault(event["pid"], queue.Queue())
                self._pids.put(event["pid"])

    def start(
        self, proxy: Proxy, environment: Mapping[str, str], dag_id: str, conf: Mapping[str, Any]
    ) -> tuple[int, Path]:
        """Start a run; returns the process id of its scheduler and its folder."""
        home = self.home / "runs" / uuid.uuid4().hex[:8]
        order = {
            "home": str(home),
            "dag_id": dag_id,
            "environment": dict(environment),
            "conf": dict(conf),
            "control": proxy.control,
        }
        assert self._loader.stdin
        with self._lock:
            self._loader.stdin.write(json.dumps(order) + "\n")
            self._loader.stdin.flush()
            return self._pids.get(timeout=300), home

    def wait(self, pid: int, seconds: float) -> bool:
        """Wait for the end of a scheduler; False if it had to be killed."""
        try:
            self._ended[pid].get(timeout=seconds)
        except queue.Empty:
            os.killpg(pid, signal.SIGKILL)
            self._ended[pid].get(timeout=10)
            return False
        return True


class Lake:
    """A bucket, a database, a workgroup and a topic of their own, and a DAG over them, run with ``conf``."""

    def __init__(
        self, harness: Harness, dag_id: str, landing: str, conf: Mapping[str, Any], *, versioning: bool = True
    ):
        self.dag_id, self._landing, self._conf = dag_id, landing, dict(conf)
        name = uuid.uuid4().hex[:10]
        self.harness = harness
        self.bucket, self.database, self.workgroup = f"lake-{name}", f"db_{name}", f"wg-{name}"
        self.s3, self.athena, self.glue = (harness.client(one) for one in ("s3", "athena", "glue"))
        self.s3.create_bucket(Bucket=self.bucket)
        if versioning:
            self.s3.put_bucket_versioning(Bucket=self.bucket, VersioningConfiguration={"Status": "Enabled"})
        self.athena.create_work_group(
            Name=self.workgroup,
            Configuration={"ResultConfiguration": {"OutputLocation": f"s3://{self.bucket}/athena-results/"}},
        )
        self.topic = harness.client("sns").create_topic(Name=f"alerts-{name}")["TopicArn"]
        self._sqs = harness.client("sqs")
        self._queue = self._sqs.create_queue(QueueName=f"alerts-{name}")["QueueUrl"]
        arn = self._sqs.get_queue_attributes(QueueUrl=self._queue, AttributeNames=["QueueArn"])
        harness.client("sns").subscribe(
            TopicArn=self.topic, Protocol="sqs", Endpoint=arn["Attributes"]["QueueArn"]
        )
        self.alerts: list[dict[str, Any]] = []
        self.warnings: list[dict[str, Any]] = []

    def environment(self, url: str) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": url,
            "MEDLAUNCH_BUCKET": self.bucket,
            "MEDLAUNCH_DATABASE": self.database,
            "MEDLAUNCH_WORKGROUP": self.workgroup,
            "MEDLAUNCH_ALERTS_TOPIC_ARN": self.topic,
            "MEDLAUNCH_ATHENA_POLL_SECONDS": "0.02",
            "MEDLAUNCH_RETRY_DELAY_SECONDS": "0",
            "MEDLAUNCH_SENSOR_POKE_SECONDS": "1",
            "MEDLAUNCH_SENSOR_TIMEOUT_SECONDS": "2",
            # Two load tasks, so that one of them can die beside the other.
            "MEDLAUNCH_MAX_LOAD_GROUPS": "2",
            "MEDLAUNCH_LOAD_GROUP_BYTES": "1",
            "AIRFLOW_CONN_MEDLAUNCH_PSEUDONYMS": json.dumps(
                {"conn_type": "generic", "password": "of the fault matrix, " * 2}  # pragma: allowlist secret
            ),
        }

    # --- what a user does

    def upload(self, key: str, body: bytes) -> str:
        key = f"{self._landing}{key}"
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=body)
        return key

    def upload_all(self, uploads: Mapping[str, bytes]) -> None:
        for key, body in uploads.items():
            self.upload(key, body)

    @contextmanager
    def running(
        self,
        rules: Iterable[Rule] = (),
        *,
        on_event: Callable[[dict[str, Any]], dict[str, Any] | None] | None = None,
        settings: Mapping[str, str] | None = None,
        conf: Mapping[str, Any] | None = None,
        seconds: float = 900,
    ) -> Iterator[Running]:
        """Start a run, and see that it ends with the ``with`` block."""
        with Proxy(self.harness.url, rules, on_event) as proxy:
            environment = self.environment(proxy.url) | dict(settings or {})
            pid, home = self.harness.start(proxy, environment, self.dag_id, {**self._conf, **(conf or {})})
            one = Running(self, proxy, pid, home, time.monotonic())
            try:
                yield one
            finally:
                one.end(seconds)

    def run(self, rules: Iterable[Rule] = (), **options: Any) -> Outcome:
        """Run the pipeline once."""
        with self.running(rules, **options) as one:
            pass
        return one.outcome

    # --- what is there

    def read_alerts(self) -> list[dict[str, Any]]:
        """All alerts of failed runs that were ever published, as the messages' content.

        Warnings, which successful runs send, are kept in ``warnings``.
        """
        while got := self._sqs.receive_message(QueueUrl=self._queue, MaxNumberOfMessages=10).get("Messages"):
            for one in got:
                self._sqs.delete_message(QueueUrl=self._queue, ReceiptHandle=one["ReceiptHandle"])
                message = json.loads(json.loads(one["Body"])["Message"])
                (self.warnings if message["severity"] == "warning" else self.alerts).append(message)
        return self.alerts

    def queries(self, *states: str) -> list[dict[str, Any]]:
        """The workgroup's queries that are in one of the states."""
        ids = [
            one
            for page in self.athena.get_paginator("list_query_executions").paginate(WorkGroup=self.workgroup)
            for one in page["QueryExecutionIds"]
        ]
        found = [self.athena.get_query_execution(QueryExecutionId=one)["QueryExecution"] for one in ids]
        return [one for one in found if one["Status"]["State"] in states]


class Running:
    """A run that is under way."""

    def __init__(self, lake: Lake, proxy: Proxy, pid: int, home: Path, began: float):
        self.lake, self.proxy, self.pid, self.home = lake, proxy, pid, home
        self._began = began
        self._outcome: Outcome | None = None

    def kill(self) -> None:
        """SIGKILL the scheduler and the try that is under way."""
        self.proxy.kill_try()
        os.killpg(self.pid, signal.SIGKILL)

    def end(self, seconds: float) -> Outcome:
        """Wait for the run's end."""
        if self._outcome is None:
            in_time = self.lake.harness.wait(self.pid, seconds)
            result = self.home / "result.json"
            if result.exists():
                content = json.loads(result.read_text(encoding="utf-8"))
            else:
                state = "died" if in_time else f"not ended after {seconds:.0f} s"
                content = {
                    "state": state,
                    "run_id": self.proxy.run_id,
                    "tasks": {},
                    "tries": self.proxy.tries,
                }
            self._outcome = Outcome(
                content["state"], content["run_id"], content["tasks"], content["tries"], self.home / "log",
                self.proxy.log, time.monotonic() - self._began,
            )  # fmt: skip
        return self._outcome

    @property
    def outcome(self) -> Outcome:
        assert self._outcome
        return self._outcome
