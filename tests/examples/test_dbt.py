"""The dbt project of examples/ over tables that the pipeline has published; `make test-clients` runs it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.factories import DAY, OTHER_DAY, facility, lines
from tests.pipeline import ROOT, Pipeline

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def expiring(number: int, body: str) -> dict[str, Any]:
    one = {"accreditation_body": body, "accreditation_id": f"{number}", "valid_until": f"2026-12-0{number}"}
    return facility(number, accreditations=[one])


def test_models_follow_the_publications(aws: Any, aws_url: str, tmp_path: Path) -> None:
    pipeline = Pipeline(aws, aws_url)
    project = tmp_path / "project"
    shutil.copytree(ROOT / "examples/dbt", project)
    own = "dbt-" + pipeline.database.replace("_", "-")
    aws("s3").create_bucket(Bucket=own)
    schema = f"renewals_{pipeline.database}"

    def build(*slices: str) -> None:
        done = subprocess.run(
            [os.environ["DBT"], "build", "--project-dir", project, "--profiles-dir", project, "--no-use-colors",
             "--vars", json.dumps({"slices": slices})],
            env={
                **os.environ, "AWS_ENDPOINT_URL": aws_url, "MEDLAUNCH_DATABASE": pipeline.database, "DBT_SCHEMA": schema,
                "DBT_BUCKET_URL": f"s3://{own}", "DO_NOT_TRACK": "1", "PYTHONPATH": "",
            },
            cwd=tmp_path, capture_output=True, text=True, timeout=400, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        assert "PASS=8 WARN=0 ERROR=0 SKIP=0" in done.stdout, done.stdout

    def rows(table: str, columns: str) -> list[tuple[str, ...]]:
        return [
            tuple(one.values())
            for one in pipeline.select(f"SELECT {columns} FROM {schema}.{table} ORDER BY 1, 2, 3")
        ]

    for day in (OTHER_DAY, DAY):
        pipeline.upload(day, "a.jsonl", lines(expiring(1, "DNV"), expiring(2, "JC"), expiring(3, "JC")))
    pipeline.report()
    build()
    columns = "snapshot_date, accreditation_body, renewals, first_due"
    both = [
        (day, body, n, due)
        for day in (OTHER_DAY, DAY)
        for body, n, due in (("DNV", "1", "2026-12-01"), ("JC", "2", "2026-12-02"))
    ]
    assert rows("renewals_due", columns) == both
    assert rows("facilities_by_state", "state, facilities, employees") == [("MI", "3", "30")]

    # A correction publishes one snapshot anew, and the model replaces its partition alone.
    pipeline.next_second()
    pipeline.upload(DAY, "b.jsonl", lines(expiring(4, "JC"), expiring(2, "DNV")))
    pipeline.report()
    build(DAY)
    assert rows("renewals_due", columns) == [
        *both[:2],
        (DAY, "DNV", "2", "2026-12-01"),
        (DAY, "JC", "2", "2026-12-03"),
    ]
    assert rows("facilities_by_state", "state, facilities, employees") == [("MI", "4", "40")]
