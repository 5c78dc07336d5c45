"""A lake for the dashboard's tests: ``python -m tests.dashboard_lake``.

Runs local AWS and publishes sample data to it. Prints one line of JSON: the dashboard's environment and what the samples
contain. Ends when its standard input does. The dashboard's tests start it, because their environment has no Airflow.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
READERS = "medlaunch-readers"
RECORDS = 600
HOMES = 60
QUARTERS = ("2024Q1", "2024Q2")
PEOPLE = 4_000


def main() -> int:
    # Sets Airflow's environment, which Airflow reads when it is imported.
    importlib.import_module("tests.conftest")
    import boto3

    import local_aws
    from medlaunch.aws.objects import CLIENT_CONFIG

    # Airflow's log goes to standard output; the line of JSON goes to what was standard output before.
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    with tempfile.TemporaryDirectory() as folder, local_aws.serve(enforce_iam=True) as server:

        def client(service: str) -> Any:
            return boto3.client(service, endpoint_url=server.url, config=CLIENT_CONFIG)  # type: ignore[call-overload]

        ready = publish(client, server.url, Path(folder))
        print(json.dumps(ready), file=out, flush=True)
        sys.stdin.read()
    return 0


def publish(client: Any, url: str, folder: Path) -> dict[str, Any]:
    """Publish the samples; returns the dashboard's environment and what is in the samples."""
    from laptop import uploads
    from medlaunch.pipelines import FACILITY_ACCREDITATION, by_dag
    from sample_data import facilities
    from tests.pipeline import Pipeline

    pipeline = Pipeline(client, url)
    account = facilities.write_uploads(folder / "facilities", records=RECORDS)
    put = uploads.put_with(pipeline.s3, pipeline.bucket)
    files = uploads.find_files(folder / "facilities", FACILITY_ACCREDITATION.datasets[0])
    for _ in uploads.upload(files, put):
        pass
    report = pipeline.report(as_of=account.as_of)
    staffing = _staffing(pipeline, folder / "staffing")
    clinical = _clinical(pipeline, folder / "clinical")
    return {
        "environment": {
            "AWS_ENDPOINT_URL": url,
            "DASHBOARD_DATABASE": pipeline.database,
            "DASHBOARD_WORKGROUP": READERS,
        },
        "reader": _reader(client, pipeline),
        "dags": sorted(by_dag()),
        "accreditation": account.as_dict() | {"run": report["run"], "run_id": report["run_id"]},
        "staffing": staffing,
        "clinical": clinical,
    }


def _reader(client: Any, pipeline: Any) -> dict[str, Any]:
    """The readers' workgroup, a role without permissions, and those that it should have."""
    from medlaunch import lake, permissions
    from medlaunch.permissions import EnvironmentArns

    # The first query of an account creates the database named default; the pipelines' queries come first.
    with suppress(pipeline.glue.exceptions.AlreadyExistsException):
        pipeline.glue.create_database(DatabaseInput={"Name": "default"})
    output = {"OutputLocation": f"s3://{pipeline.bucket}/{lake.READERS_RESULTS}/"}
    pipeline.athena.create_work_group(
        Name=READERS,
        Configuration={
            "ResultConfiguration": output,
            "EnforceWorkGroupConfiguration": True,
            "BytesScannedCutoffPerQuery": 100_000_000,
        },
    )
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "ecs-tasks.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
    role = client("iam").create_role(RoleName="reader", AssumeRolePolicyDocument=json.dumps(trust))["Role"]
    arns = EnvironmentArns.of(
        region="us-east-1",
        account="123456789012",
        bucket=pipeline.bucket,
        database=pipeline.database,
        workgroup=pipeline.workgroup,
        alerts_topic=pipeline.topic,
        readers_workgroup=READERS,
    )
    policy = permissions.policy(permissions.of_readers(ROOT / "include/sql"), arns)
    return {"role": role["Arn"], "bucket": pipeline.bucket, "policy": policy}


def _staffing(pipeline: Any, folder: Path) -> dict[str, Any]:
    """Staffing, by the statements of its pipeline."""
    from medlaunch.athena import statements
    from sample_data import staffing
    from tests.staffing_lake import DAG, StaffingLake, Upload

    class Lake(StaffingLake):
        def __init__(self) -> None:
            self.athena, self.s3, self.runs = pipeline.athena, pipeline.s3, 0
            self.published = {"pbj": set(), "provider_info": set()}
            self.bucket, self.database = pipeline.bucket, pipeline.database
            for stage in statements.stages([f"{DAG}/tables", f"{DAG}/views"]):
                for one in stage:
                    self.execute(one)

    account = staffing.write_uploads(folder, quarters=QUARTERS, homes=HOMES)
    uploads = []
    for number, one in enumerate(account.files):
        if one.skipped is None:
            path = folder / one.dataset / one.file
            uploads.append(Upload(one.dataset, one.file, path.read_bytes(), number))
    Lake().run(*uploads)
    for quarter in QUARTERS:
        rows = pipeline.select(
            f"SELECT count(*) AS n FROM gold_daily_staffing_fact WHERE quarter = '{quarter}'"
        )
        _record(pipeline, f"{DAG}.pbj", quarter, {"gold_daily_staffing_fact": int(rows[0]["n"])})
    account.write(folder / "account.json")
    return json.loads((folder / "account.json").read_text(encoding="utf-8"))


def _clinical(pipeline: Any, folder: Path) -> dict[str, Any]:
    """Clinical quality, by the statements of its pipeline."""
    from medlaunch.athena import statements
    from sample_data import clinical
    from tests.sql.clinical_lake import DAG, ClinicalLake

    class Lake(ClinicalLake):
        def __init__(self) -> None:
            from collections import Counter

            from tests.sql.lake import Athena

            self.s3, self.bucket = pipeline.s3, pipeline.bucket
            self._athena = Athena(pipeline.athena, pipeline.s3, pipeline.bucket)
            self._athena.database = pipeline.database
            self.render, self.query = self._athena.render, self._athena.select
            for name in statements.statements(f"{DAG}/tables"):
                self.query(self.render(name))
            self._runs = 0
            self.counts = Counter()

    account = clinical.write_uploads(folder, people_=PEOPLE)
    lake = Lake()
    uploads = [
        (
            f"2026-01-01T00:{number // 60:02}:{number % 60:02}Z",
            f"landing/fhir/{name}",
            (folder / name).read_bytes(),
        )
        for number, name in enumerate(account.files)
        if name not in account.skipped
    ]
    run = lake.merge(uploads)
    lake.publish(lake.compute(run=run, data_end=f"{account.data_end}"))
    for stage in statements.stages([f"{DAG}/views"]):
        for one in stage:
            lake.query(lake.render(one, minimum_cell=11))
    _record(pipeline, DAG, "all")
    account.write(folder / "account.json")
    return json.loads((folder / "account.json").read_text(encoding="utf-8"))


def _record(pipeline: Any, name: str, slice_: str, rows: dict[str, int] | None = None) -> None:
    """The record of a publication, as far as the dashboard reads it."""
    record = {
        "publication": f"sample.{slice_}",
        "action": "publish",
        "pipeline": name,
        "slice": slice_,
        "version": f"sample.{slice_}",
        "published_at": "2026-11-20 06:00:00",
        "published_by": "sample",
        "run_id": "sample",
        "params": {},
        "result_rows": rows or {},
    } | dict.fromkeys(("lines_read", "lines_accepted", "lines_superseded", "lines_rejected", "bytes"), 0)
    key = f"publications/{name}/{slice_}.json"
    pipeline.s3.put_object(Bucket=pipeline.bucket, Key=key, Body=json.dumps(record).encode())


if __name__ == "__main__":
    sys.exit(main())
