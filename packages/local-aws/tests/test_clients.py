"""Clients as they are published and as they fit Airflow: boto3, Airflow's Amazon provider, PyAthena.

More of them, in an environment of their own: clients/.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import local_aws
from local_aws_tests.harness import Athena

# Airflow reads it when it is first imported, and makes it.
os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="airflow-home-"))


@pytest.fixture
def airflow() -> None:
    """Skips where the package is installed without Airflow."""
    pytest.importorskip("airflow")


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
@pytest.mark.usefixtures("airflow", "environment")
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


@pytest.mark.supports("Clients", "boto3: waiters and paginators")
def test_boto3(athena: Athena) -> None:
    from botocore.waiter import WaiterModel, create_waiter_with_client

    def state(wanted: str, outcome: str) -> dict[str, str]:
        path = "QueryExecution.Status.State"
        return {"matcher": "path", "argument": path, "expected": wanted, "state": outcome}

    # botocore has none for Athena; people write this one.
    acceptors = [state("SUCCEEDED", "success"), state("FAILED", "failure"), state("CANCELLED", "failure")]
    model = {"operation": "GetQueryExecution", "delay": 0.02, "maxAttempts": 500, "acceptors": acceptors}
    waiter = create_waiter_with_client("Done", WaiterModel({"version": 2, "waiters": {"Done": model}}), athena.client)  # fmt: skip
    query = athena.start("SELECT x FROM UNNEST(sequence(1, 1200)) AS t(x) ORDER BY x")
    waiter.wait(QueryExecutionId=query)
    with pytest.raises(Exception, match="terminal failure state"):
        waiter.wait(QueryExecutionId=athena.start("SELECT nope"))
    results = athena.client.get_paginator("get_query_results").paginate(QueryExecutionId=query)
    whole = results.build_full_result()
    assert [r["Data"][0]["VarCharValue"] for r in whole["ResultSet"]["Rows"]] == [
        "x",
        *map(str, range(1, 1201)),
    ]
    first = athena.client.get_paginator("get_query_results").paginate(
        QueryExecutionId=query, PaginationConfig={"MaxItems": 3, "PageSize": 2}
    )
    page = first.build_full_result()
    rest = athena.client.get_paginator("get_query_results").paginate(
        QueryExecutionId=query, PaginationConfig={"StartingToken": page["NextToken"]}
    )
    rows = [*page["ResultSet"]["Rows"], *rest.build_full_result()["ResultSet"]["Rows"]]
    assert rows == whole["ResultSet"]["Rows"]
    for i in range(3):
        athena(f"CREATE VIEW v{i} AS SELECT {i} AS a")
    tables = athena.client.get_paginator("list_table_metadata").paginate(
        CatalogName="AwsDataCatalog", DatabaseName=athena.database, PaginationConfig={"PageSize": 2}
    )
    assert [t["Name"] for p in tables for t in p["TableMetadataList"]] == ["v0", "v1", "v2"]


@pytest.mark.supports(
    "Clients", "Airflow: AthenaOperator, also deferrable, AthenaSensor, and how they see failures"
)
@pytest.mark.usefixtures("airflow", "environment")
def test_airflow_operator(athena: Athena) -> None:
    from airflow.providers.amazon.aws.operators.athena import AthenaOperator
    from airflow.providers.amazon.aws.sensors.athena import AthenaSensor
    from airflow.providers.common.compat.sdk import AirflowException, TaskDeferred
    from botocore.exceptions import ClientError

    class TaskInstance:
        def xcom_push(self, **_: Any) -> None: ...

    def operator(sql: str, **more: Any) -> AthenaOperator:
        return AthenaOperator(
            task_id="q", query=sql, database=athena.database, output_location=f"s3://{athena.bucket}/results/",
            aws_conn_id=None, region_name="us-east-1", sleep_time=0, **more,
        )  # fmt: skip

    def sensor(query: str) -> AthenaSensor:
        return AthenaSensor(
            task_id="s", query_execution_id=query, aws_conn_id=None, region_name="us-east-1", sleep_time=0
        )

    context: Any = {"ti": TaskInstance(), "task_instance": TaskInstance()}
    query = str(operator("CREATE DATABASE IF NOT EXISTS x").execute(context))
    assert athena.wait(query)["Status"]["State"] == "SUCCEEDED"
    assert sensor(query).poke(context)
    with pytest.raises(AirflowException, match=r"Final state of Athena job is FAILED.*DIVISION_BY_ZERO: "):
        operator("SELECT 1 / 0").execute(context)
    with pytest.raises(AirflowException, match="Athena sensor failed"):
        sensor(athena.start("SELECT 1 / 0")).poke(context)
    with pytest.raises(ClientError, match=r"InvalidRequestException.*line 1:1: mismatched input 'SELEC'"):
        operator("SELEC 1").execute(context)

    def deferred(sql: str) -> Any:
        waiting = operator(sql, deferrable=True)
        with pytest.raises(TaskDeferred) as e:
            waiting.execute(context)

        async def event() -> Any:
            return await anext(aiter(e.value.trigger.run()))

        return waiting.execute_complete(context, asyncio.run(event()).payload)

    assert athena.wait(deferred("SELECT 1"))["Query"] == "SELECT 1"
    with pytest.raises(AirflowException, match="COLUMN_NOT_FOUND: line 1:8: Column "):
        deferred("SELECT nope")


@pytest.mark.supports("Clients", "PyAthena: default cursor, parameters, types")
@pytest.mark.usefixtures("environment")
def test_pyathena(athena: Athena) -> None:
    import pyathena

    with pyathena.connect(
        s3_staging_dir=f"s3://{athena.bucket}/results/",
        region_name="us-east-1",
        schema_name=athena.database,
        poll_interval=0.01,
    ) as connection:
        cursor = connection.cursor()
        cursor.execute(
            "SELECT BIGINT '5' AS a, DATE '2026-01-02' AS d, DECIMAL '1.50' AS n, %(x)s AS x, CAST(NULL AS varchar) AS z",
            {"x": "it's"},
        )
        row = cursor.fetchone()
        assert (row[0], str(row[1]), str(row[2]), row[3], row[4]) == (5, "2026-01-02", "1.50", "it's", None)
        cursor.execute("SELECT x FROM UNNEST(sequence(1, 1500)) AS t(x) ORDER BY x")
        assert [r[0] for r in cursor.fetchall()] == list(range(1, 1501))
        with pytest.raises(pyathena.error.OperationalError, match="TABLE_NOT_FOUND"):
            cursor.execute("SELECT * FROM nowhere")


@pytest.mark.supports("Clients", "PyAthena in Airflow's versions: dict, pandas and async cursors, SQLAlchemy")
@pytest.mark.usefixtures("environment")
def test_pyathena_cursors(athena: Athena) -> None:
    import pyathena
    import sqlalchemy
    from pyathena.async_cursor import AsyncCursor
    from pyathena.cursor import DictCursor
    from pyathena.pandas.cursor import PandasCursor

    staging = f"s3://{athena.bucket}/results/"
    with pyathena.connect(s3_staging_dir=staging, region_name="us-east-1", poll_interval=0.01) as connection:
        assert connection.cursor(DictCursor).execute("SELECT 1 AS a, 'x' AS b").fetchall() == [
            {"a": 1, "b": "x"}
        ]
        frame = (
            connection.cursor(PandasCursor)
            .execute("SELECT DECIMAL '1.50' AS n, DATE '2026-01-02' AS d")
            .as_pandas()
        )
        assert (frame.loc[0, "n"], str(frame.loc[0, "d"])[:10]) == (Decimal("1.50"), "2026-01-02")
        several = connection.cursor(AsyncCursor, max_workers=4)
        futures = [several.execute(f"SELECT {i} AS i")[1] for i in range(6)]
        assert [f.result().fetchall() for f in futures] == [[(i,)] for i in range(6)]
    engine = sqlalchemy.create_engine(
        f"awsathena+rest://x:x@athena.us-east-1.amazonaws.com:443/{athena.database}?s3_staging_dir={staging}&poll_interval=0.01"
    )
    athena("CREATE VIEW v AS SELECT 1 AS a, 'x' AS b")
    with engine.connect() as session:
        found = session.execute(sqlalchemy.text("SELECT a FROM v WHERE b = :b"), {"b": "x"}).fetchall()
    assert found == [(1,)]
    assert sqlalchemy.inspect(engine).get_view_names() == ["v"]


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
        env={**os.environ, "PYTHONPATH": str(Path(local_aws.__file__).parents[1])},
    )
    assert "2 passed" in done.stdout, done.stdout + done.stderr
