"""The example of a downstream DAG: a publication starts it, and it reads which slices are new."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.end_to_end.conftest import Running
from tests.factories import facility, lines

DAG = "expiring_by_body"
DAYS = ("2026-03-01", "2026-03-02")
SECONDS = 150
# The pipeline looks at today, as nobody gives it another day; a week is enough not to mind midnight.
JC, LATER, *DNV = (f"{datetime.now(UTC).date() + timedelta(days=days)}" for days in (9, 900, 7, 8))


def expiring(number: int, body: str, valid_until: str) -> dict[str, Any]:
    one = {"accreditation_body": body, "accreditation_id": f"{number}", "valid_until": valid_until}
    return facility(number, accreditations=[one])


@pytest.fixture(scope="module")
def started(running: Running) -> dict[str, Any]:
    """The example's run after one upload to each of two snapshots was published."""
    airflow = running.airflow
    assert DAG in airflow.dags(), airflow.import_errors()
    airflow.pause(DAG, paused=False)
    s3 = running.client("s3")
    for day, dnv in zip(DAYS, DNV, strict=True):
        body = lines(expiring(1, "JC", JC), expiring(2, "DNV", dnv), expiring(3, "JC", LATER))
        s3.put_object(Bucket=running.bucket, Key=f"landing/facilities/{day}/example.jsonl", Body=body)

    def runs_of_both() -> list[dict[str, Any]]:
        runs = airflow.runs(DAG)
        told = [event["extra"]["slices"] for run in runs for event in events(running, run["dag_run_id"])]
        return runs if {day for slices in told for day in slices} >= set(DAYS) else []

    runs = airflow.wait_for(runs_of_both, "a run of the example for both snapshots", SECONDS)
    for run in runs:
        assert airflow.wait_for_run(DAG, run["dag_run_id"], SECONDS) == "success"
    airflow.pause(DAG)
    return {"runs": [run["dag_run_id"] for run in runs]}


def events(running: Running, run_id: str) -> list[dict[str, Any]]:
    return running.airflow.get(f"/dags/{DAG}/dagRuns/{run_id}/upstreamAssetEvents")["asset_events"]


def test_a_publication_starts_the_downstream_dag_with_its_slices(
    running: Running, started: dict[str, Any]
) -> None:
    told = [event for run in started["runs"] for event in events(running, run)]
    assert {event["name"] for event in told} == {"expiring_accreditations"}
    assert sorted(day for event in told for day in event["extra"]["slices"] if day in DAYS) == list(DAYS)
    assert all(event["extra"]["rows"] >= 2 * len(event["extra"]["slices"]) for event in told)
    assert all(event["extra"]["run"] for event in told)


def test_it_counts_the_new_slices_and_no_others(running: Running, started: dict[str, Any]) -> None:
    path = "/dags/{}/dagRuns/{}/taskInstances/report/xcomEntries/return_value"
    rows = [row for run in started["runs"] for row in running.airflow.get(path.format(DAG, run))["value"]]
    ours = sorted(row for row in rows if row[0] in ("JC", "DNV"))
    assert ours == [
        *(["DNV", "1", day] for day in DNV),
        *[["JC", "1", JC]] * 2,
    ]
