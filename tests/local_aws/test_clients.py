"""Real clients as they are published: Airflow's hook and operator, PyAthena; the fixtures for other tests."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.local_aws.clients import ROOT, Athena


@pytest.fixture
def environment(aws_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "AWS_ENDPOINT_URL": aws_url,
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)


@pytest.mark.supports("Clients", "Airflow: AthenaHook, AthenaOperator")
@pytest.mark.usefixtures("environment")
def test_airflow_hook(athena: Athena) -> None:
    from airflow.providers.amazon.aws.hooks.athena import AthenaHook

    hook = AthenaHook(aws_conn_id=None, region_name="us-east-1")
    output = {"OutputLocation": f"s3://{athena.bucket}/results/"}
    query = hook.run_query("SELECT 1 AS a", {"Database": athena.database}, output)
    assert hook.poll_query_status(query, max_polling_attempts=100, sleep_time=0) == "SUCCEEDED"
    rows = hook.get_query_results(query)["ResultSet"]["Rows"]  # type: ignore[index]
    assert rows[1]["Data"] == [{"VarCharValue": "1"}]
    assert hook.get_output_location(query).endswith(f"{query}.csv")
    failed = hook.run_query("SELECT x", {"Database": athena.database}, output)
    assert hook.poll_query_status(failed, max_polling_attempts=100, sleep_time=0) == "FAILED"
    assert hook.get_state_change_reason(failed).startswith("COLUMN_NOT_FOUND: line 1:8")  # type: ignore[union-attr]
    hook.stop_query(failed)


@pytest.mark.usefixtures("environment")
def test_airflow_operator(athena: Athena) -> None:
    from airflow.providers.amazon.aws.operators.athena import AthenaOperator

    class TaskInstance:
        def xcom_push(self, **_: Any) -> None: ...

    def operator(sql: str) -> AthenaOperator:
        return AthenaOperator(
            task_id="q", query=sql, database=athena.database, output_location=f"s3://{athena.bucket}/results/",
            aws_conn_id=None, region_name="us-east-1", sleep_time=0,
        )  # fmt: skip

    context: Any = {"ti": TaskInstance(), "task_instance": TaskInstance()}
    query = operator("CREATE DATABASE IF NOT EXISTS x").execute(context)
    assert athena.wait(str(query))["Status"]["State"] == "SUCCEEDED"
    with pytest.raises(Exception, match="DIVISION_BY_ZERO: Division by zero"):
        operator("SELECT 1 / 0").execute(context)


@pytest.mark.supports("Clients", "PyAthena: default cursor, parameters, types")
@pytest.mark.usefixtures("environment")
def test_pyathena(athena: Athena) -> None:
    pyathena = pytest.importorskip("pyathena")
    with pyathena.connect(
        s3_staging_dir=f"s3://{athena.bucket}/results/",
        region_name="us-east-1",
        schema_name=athena.database,
        poll_interval=0.01,
    ) as connection:
        cursor = connection.cursor()
        cursor.execute(
            "SELECT BIGINT '5' AS a, DATE '2026-01-02' AS d, 1.50 AS n, %(x)s AS x, CAST(NULL AS varchar) AS z",
            {"x": "it's"},
        )
        row = cursor.fetchone()
        assert (row[0], str(row[1]), str(row[2]), row[3], row[4]) == (5, "2026-01-02", "1.50", "it's", None)
        cursor.execute("SELECT x FROM UNNEST(sequence(1, 1500)) AS t(x) ORDER BY x")
        assert [r[0] for r in cursor.fetchall()] == list(range(1, 1501))
        with pytest.raises(pyathena.error.OperationalError, match="TABLE_NOT_FOUND"):
            cursor.execute("SELECT * FROM nowhere")


@pytest.mark.supports("Clients", "pytest fixtures: local_aws_server, local_aws_client, local_aws_environment")
def test_fixtures(tmp_path: Path) -> None:
    (tmp_path / "test_x.py").write_text(
        "import boto3\n"
        "def test_client(local_aws_client):\n"
        "    local_aws_client('s3').create_bucket(Bucket='lake')\n"
        "def test_environment(local_aws_environment):\n"
        "    assert [b['Name'] for b in boto3.client('s3').list_buckets()['Buckets']] == ['lake']\n"
    )
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "local_aws.fixtures",
            "-p",
            "no:cacheprovider",
            str(tmp_path),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert "2 passed" in done.stdout, done.stdout + done.stderr
