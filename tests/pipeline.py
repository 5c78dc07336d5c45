"""The real DAG, run in this process by ``dag.test()`` against the local AWS, in a lake of its own."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

from botocore.loaders import JSONFileLoader

from medlaunch.aws.objects import list_objects
from medlaunch.settings import settings

ROOT = Path(__file__).parents[1]
DAG_ID = "facility_accreditation"


@lru_cache(maxsize=1)
def _migrated_database() -> None:
    subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], check=True, capture_output=True)


def _forget() -> None:
    """Make the product read its environment anew, as a new process would."""
    from medlaunch.aws import clients

    settings.cache_clear()
    for client in (clients.s3_client, clients.glue_client, clients.athena_client):
        client.cache_clear()


# The hooks of each task make clients of their own, and each reads AWS's descriptions again: megabytes of
# JSON. In a process of its own, where tasks normally run, that happens once.
_read_json = JSONFileLoader.load_file


@lru_cache(maxsize=64)
def _read_json_once(path: str) -> Any:
    return _read_json(JSONFileLoader(), path)


JSONFileLoader.load_file = lambda self, file_path: _read_json_once(file_path)  # type: ignore[method-assign]


class Pipeline:
    """A lake (bucket, database, topic) and the pipeline over it.

    ``dags``: the folder of DAG files. ``settings``: more environment variables.
    """

    def __init__(
        self,
        aws: Any,
        url: str,
        *,
        dags: Path = ROOT / "dags",
        settings: Mapping[str, str] | None = None,
    ):
        self.url, self.dags, self.settings = url, dags, settings or {}
        self.glue = aws("glue")
        self.s3, self.athena = aws("s3"), aws("athena")
        name = uuid.uuid4().hex[:10]
        # An asset of Airflow belongs to one bucket, so all pipelines of a process have the same, emptied.
        self.bucket, self.database, self.workgroup = "lake-in-process", f"db_{name}", f"wg-{name}"
        self._new_bucket()
        self.athena.create_work_group(
            Name=self.workgroup,
            Configuration={"ResultConfiguration": {"OutputLocation": f"s3://{self.bucket}/athena-results/"}},
        )
        self.topic = aws("sns").create_topic(Name=f"alerts-{name}")["TopicArn"]
        self._sqs = aws("sqs")
        self._alerts = self._sqs.create_queue(QueueName=f"alerts-{name}")["QueueUrl"]
        queue = self._sqs.get_queue_attributes(QueueUrl=self._alerts, AttributeNames=["QueueArn"])
        aws("sns").subscribe(TopicArn=self.topic, Protocol="sqs", Endpoint=queue["Attributes"]["QueueArn"])

    def _new_bucket(self) -> None:
        buckets = {one["Name"] for one in self.s3.list_buckets()["Buckets"]}
        if self.bucket in buckets:
            for page in self.s3.get_paginator("list_object_versions").paginate(Bucket=self.bucket):
                versions = [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]
                if versions:
                    names = [{"Key": one["Key"], "VersionId": one["VersionId"]} for one in versions]
                    self.s3.delete_objects(Bucket=self.bucket, Delete={"Objects": names})
        else:
            self.s3.create_bucket(Bucket=self.bucket)
        self.s3.put_bucket_versioning(Bucket=self.bucket, VersioningConfiguration={"Status": "Enabled"})

    @contextmanager
    def environment(self) -> Iterator[None]:
        values = {
            "AWS_ENDPOINT_URL": self.url,
            "MEDLAUNCH_BUCKET": self.bucket,
            "MEDLAUNCH_DATABASE": self.database,
            "MEDLAUNCH_WORKGROUP": self.workgroup,
            "MEDLAUNCH_ALERTS_TOPIC_ARN": self.topic,
            "MEDLAUNCH_ATHENA_POLL_SECONDS": "0.02",
            "MEDLAUNCH_RETRY_DELAY_SECONDS": "0",
            "MEDLAUNCH_SENSOR_POKE_SECONDS": "1",
            "MEDLAUNCH_SENSOR_TIMEOUT_SECONDS": "2",
            **self.settings,
        }
        with patch.dict(os.environ, values):
            _forget()
            try:
                yield
            finally:
                _forget()

    # --- what a user does

    def upload(self, snapshot: str, file: str, body: bytes) -> str:
        key = f"landing/facilities/{snapshot}/{file}"
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=body)
        return key

    def next_second(self) -> None:
        """Wait until S3's clock, which has whole seconds, has moved on."""
        now = int(time.time())
        while int(time.time()) == now:
            time.sleep(0.02)

    def run(self, dag_id: str = DAG_ID, **conf: Any) -> Any:
        """Run a DAG once, the pipeline itself unless another one is named; returns Airflow's run."""
        _migrated_database()
        import airflow.settings
        from airflow.dag_processing.dagbag import DagBag

        with self.environment():
            bag = DagBag(self.dags)
            assert bag.import_errors == {}
            dag = bag.dags[dag_id]
            as_of = {"as_of": "2026-11-20"} if dag_id == DAG_ID else {}
            # dag.test() takes the DAG from the bundle of the DAGs folder, and writes the whole folder to its database.
            with patch.object(airflow.settings, "DAGS_FOLDER", dag.fileloc):
                return dag.test(run_conf={**as_of, **conf})

    def report(self, dag_id: str = DAG_ID, **conf: Any) -> dict[str, Any]:
        """Run a DAG, which must succeed; returns its report."""
        run = self.run(dag_id, **conf)
        assert run.state == "success", run
        from medlaunch import lake

        return json.loads(self.read(lake.report_key(dag_id, lake.run_key(run.run_id))))

    def alerts(self) -> list[dict[str, Any]]:
        """What was published to the alerts topic since the last look."""
        bodies = []
        while found := self._sqs.receive_message(QueueUrl=self._alerts, MaxNumberOfMessages=10).get(
            "Messages"
        ):
            for one in found:
                bodies.append(json.loads(json.loads(one["Body"])["Message"]))
                self._sqs.delete_message(QueueUrl=self._alerts, ReceiptHandle=one["ReceiptHandle"])
        return bodies

    # --- what a reader sees

    def keys(self, prefix: str) -> list[str]:
        return [one.key for one in list_objects(self.s3, self.bucket, prefix)]

    def read(self, key: str) -> bytes:
        return self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()

    def select(self, text: str) -> list[dict[str, str]]:
        query_id = self.athena.start_query_execution(
            QueryString=text, QueryExecutionContext={"Database": self.database}, WorkGroup=self.workgroup
        )["QueryExecutionId"]
        while True:
            execution = self.athena.get_query_execution(QueryExecutionId=query_id)["QueryExecution"]
            if execution["Status"]["State"] not in ("QUEUED", "RUNNING"):
                break
            time.sleep(0.01)
        assert execution["Status"]["State"] == "SUCCEEDED", execution["Status"].get("StateChangeReason")
        key = execution["ResultConfiguration"]["OutputLocation"].removeprefix(f"s3://{self.bucket}/")
        if not key.endswith(".csv"):
            return []
        return list(csv.DictReader(io.StringIO(self.read(key).decode())))

    def manifest(self, snapshot: str | date) -> dict[str, Any]:
        return json.loads(self.read(f"prod/manifests/{DAG_ID}/{snapshot}.json"))

    def published(self, snapshot: str | date, result: str) -> bytes:
        """The content of a result's only file in the version that is published now."""
        (file,) = self.manifest(snapshot)["results"][result]["files"]
        return self.read(file["key"])

    def csv(self, snapshot: str | date, result: str) -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO(self.published(snapshot, result).decode(), newline="")))

    def rejects(self) -> list[dict[str, Any]]:
        """All quarantined lines and accreditations."""
        return [
            json.loads(line)
            for key in self.keys("quarantine/")
            if key.endswith("_rejects.jsonl")
            for line in self.read(key).splitlines()
        ]

    def state(self, snapshot: str | date) -> dict[str, Any]:
        """What readers see of a snapshot, in an order of its own."""
        tables = {
            "facility_metrics": "facility_id, facility_name, employee_count, number_of_offered_services, "
            "expiry_date_of_first_accreditation, first_listed_accreditation_expiry, state",
            "facility_rejects": "facility_id, facility_name, state, reject_reason, array_join(reject_reasons, '+') AS reasons, "
            "source_file, line_number",
            "accredited_facilities_by_state": "state_code, state_name, accredited_facilities, facilities, as_of",
            "expiring_accreditations": "facility_id, accreditation_id, valid_until, days_until_expiry, run_date",
        }
        seen: dict[str, Any] = {
            table: sorted(
                tuple(row.values())
                for row in self.select(
                    f"SELECT {columns} FROM {table} WHERE snapshot_date = DATE '{snapshot}'"
                )
            )
            for table, columns in tables.items()
        }
        for result in ("accredited_facilities_by_state_csv", "expiring_soon", "expiring_facilities"):
            seen[result] = self.published(snapshot, result)
        return seen
