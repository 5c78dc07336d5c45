"""The AWS CLI."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]


@pytest.mark.supports("Clients", "AWS CLI: athena, s3 and glue, page by page, failures by name")
def test_aws_cli(run: Run, lake: str, database: str, tmp_path: Path) -> None:
    def aws(*arguments: str) -> str:
        return str(run("aws", *arguments, "--output", "json").stdout)

    (tmp_path / "rows.json").write_text("".join(f'{{"n": {n}}}\n' for n in range(1500)))
    aws("s3", "cp", str(tmp_path / "rows.json"), f"s3://{lake}/t/rows.json")
    assert "rows.json" in aws("s3", "ls", f"s3://{lake}/t/")

    def query(sql: str) -> str:
        started = json.loads(
            aws(
                "athena", "start-query-execution",
                "--query-string", sql,
                "--query-execution-context", f"Database={database}",
                "--result-configuration", f"OutputLocation=s3://{lake}/results/",
            )
        )  # fmt: skip
        while True:
            answer = json.loads(
                aws("athena", "get-query-execution", "--query-execution-id", started["QueryExecutionId"])
            )
            status = answer["QueryExecution"]["Status"]
            if status["State"] not in ("QUEUED", "RUNNING"):
                assert status["State"] == "SUCCEEDED", status
                return str(started["QueryExecutionId"])

    query(
        f"CREATE EXTERNAL TABLE t (n int) ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe' LOCATION 's3://{lake}/t/'"
    )
    answer = json.loads(
        aws("athena", "get-query-results", "--query-execution-id", query("SELECT n FROM t ORDER BY n"))
    )
    # The CLI fetches all pages.
    rows = [r["Data"][0]["VarCharValue"] for r in answer["ResultSet"]["Rows"]]
    assert rows == ["n", *[str(n) for n in range(1500)]]
    tables = json.loads(aws("glue", "get-tables", "--database-name", database))
    assert [t["Name"] for t in tables["TableList"]] == ["t"]
    catalog = json.loads(
        aws("athena", "list-table-metadata", "--catalog-name", "AwsDataCatalog", "--database-name", database)
    )
    assert [t["Name"] for t in catalog["TableMetadataList"]] == ["t"]
    refused = run(
        "aws", "athena", "start-query-execution", "--query-string", "SELEC 1",
        "--result-configuration", f"OutputLocation=s3://{lake}/results/", fails=True,
    )  # fmt: skip
    assert "(InvalidRequestException)" in refused.stderr
    assert "line 1:1: mismatched input 'SELEC'" in refused.stderr
