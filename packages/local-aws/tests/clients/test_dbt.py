"""dbt-athena on a small project."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from local_aws_tests.harness import Athena

PROJECT = Path(__file__).parent / "dbt_project"
# Retries and telemetry would only hide and delay.
QUIET = {"DO_NOT_TRACK": "1", "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"}


@pytest.mark.supports(
    "Clients",
    "dbt-athena: seed, view, table, incremental with merge on Iceberg and insert_overwrite, snapshot, tests, docs",
)
@pytest.mark.timeout(1200)
def test_dbt(run: Callable[..., Any], athena: Athena, tmp_path: Path) -> None:
    project = tmp_path / "project"
    shutil.copytree(PROJECT, project)

    def dbt(command: str, *arguments: str, fails: bool = False, **variables: str) -> Any:
        return run(
            "dbt", *command.split(), *arguments, "--project-dir", str(project), "--profiles-dir", str(project),
            "--vars", json.dumps(variables), fails=fails, DBT_LAKE=f"s3://{athena.bucket}", **QUIET,
        )  # fmt: skip

    def rows(table: str, columns: str = "*") -> list[list[str | None]]:
        return athena(f"SELECT {columns} FROM clinics.{table} ORDER BY 1, 2, 3").data

    assert "PASS=13 WARN=0 ERROR=0 SKIP=0" in dbt("build").stdout
    assert rows("visit_log") == [
        ["1", "north", "2026-01-01", "10.50"],
        ["2", "north", "2026-01-02", "20.00"],
        ["3", "south", "2026-01-02", "7.25"],
    ]
    assert rows("clinic_costs") == [["1", "7.25", "south"], ["2", "30.50", "north"]]
    # The second time: the model merges, the partitions of the days in question are replaced, the snapshot keeps both.
    assert "PASS=13 WARN=0 ERROR=0 SKIP=0" in dbt("build", since="2026-01-02", factor="2").stdout
    assert rows("visit_log") == [
        ["1", "north", "2026-01-01", "10.50"],
        ["2", "north", "2026-01-02", "40.00"],
        ["3", "south", "2026-01-02", "14.50"],
        ["4", "east", "2026-01-03", "1.00"],
    ]
    assert rows("daily_visits") == [
        ["north", "1", "2026-01-01"],
        ["north", "1", "2026-01-02"],
        ["south", "1", "2026-01-02"],
    ]
    assert rows("visits_history", "visit_id, cost, dbt_valid_to IS NULL") == [
        ["1", "10.50", "true"],
        ["2", "20.00", "false"],
        ["2", "40.00", "true"],
        ["3", "7.25", "false"],
        ["3", "14.50", "true"],
        ["4", "1.00", "true"],
    ]
    failed = dbt("test", "--select", "costs_are_positive", fails=True, at_most="12")
    assert "Got 2 results, configured to fail if != 0" in failed.stdout
    broken = project / "models" / "broken.sql"
    broken.write_text("SELECT nope FROM {{ ref('visits') }}")
    assert "COLUMN_NOT_FOUND: line " in dbt("run", "--select", "broken", fails=True).stdout
    broken.unlink()
    dbt("docs generate")
    catalog = json.loads((project / "target" / "catalog.json").read_text())
    columns = catalog["nodes"]["model.clinics.visit_log"]["columns"]
    assert {n: c["type"] for n, c in columns.items()} == {
        "visit_id": "int",
        "clinic": "string",
        "visited_on": "date",
        "cost": "decimal(10,2)",
    }
