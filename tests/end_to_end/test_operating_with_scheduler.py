"""Failures in a row pause a DAG, and nothing published for too long alerts once, with the real scheduler."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.end_to_end.conftest import Running
from tests.end_to_end.dags.operating_cases import FAILS_WHILE

PAUSES, STALE = "operating_pauses", "operating_stale"
SECONDS = 150


def ended(running: Running, dag_id: str) -> list[dict[str, Any]]:
    """The runs that have ended, oldest first."""
    runs = [one for one in running.airflow.runs(dag_id) if one["state"] in ("success", "failed")]
    return sorted(runs, key=lambda one: one["run_after"])


def messages(running: Running, pipeline: str) -> list[dict[str, Any]]:
    return [json.loads(one["Message"]) for one in running.alerts(pipeline)]


@pytest.fixture(scope="module")
def broken(running: Running) -> Running:
    """The DAG after it was unpaused with something broken, and Airflow has paused it again."""
    running.client("s3").put_object(Bucket=running.bucket, Key=FAILS_WHILE, Body=b"")
    airflow = running.airflow
    airflow.pause(PAUSES, paused=False)
    airflow.wait_for(lambda: airflow.is_paused(PAUSES), "Airflow to pause the DAG", SECONDS)
    return running


def test_the_third_failure_in_a_row_pauses_with_one_alert_that_says_so(broken: Running) -> None:
    failed = [one["dag_run_id"] for one in ended(broken, PAUSES) if one["state"] == "failed"]
    assert len(failed) == 3
    broken.airflow.wait_for(lambda: len(messages(broken, PAUSES)) >= 3, "the alerts", SECONDS)
    alerts = {one["run"]["id"]: one for one in messages(broken, PAUSES)}
    assert len(messages(broken, PAUSES)) == 3
    assert [alerts[run]["dag_paused"] for run in failed] == [False, False, True]
    last = alerts[failed[-1]]
    assert last["summary"] == "operating_pauses failed and is paused now: a task failed (works)"
    assert (last["failed_runs_in_a_row"], last["sent_by"]) == (3, "task")
    assert "unpause, and the next run takes" in last["what_to_do"]
    assert "paused" not in alerts[failed[0]]["summary"] + alerts[failed[0]]["what_to_do"]
    note = broken.airflow.run(PAUSES, failed[-1])["note"]
    assert note == "If this run fails, Airflow pauses the DAG: the 2 runs before it failed."


def test_unpausing_goes_on_without_a_repair(broken: Running) -> None:
    before = len(ended(broken, PAUSES))
    broken.client("s3").delete_object(Bucket=broken.bucket, Key=FAILS_WHILE)
    broken.airflow.pause(PAUSES, paused=False)
    broken.airflow.wait_for(lambda: len(ended(broken, PAUSES)) >= before + 2, "two more runs", SECONDS)
    broken.airflow.pause(PAUSES)
    after = ended(broken, PAUSES)[before:]
    assert {one["state"] for one in after} == {"success"}
    assert len(messages(broken, PAUSES)) == 3


def test_silence_alerts_once_however_often_it_is_checked(running: Running) -> None:
    airflow = running.airflow
    airflow.pause(STALE, paused=False)
    alerted = airflow.wait_for(lambda: messages(running, "operating_silent"), "the alert", SECONDS)
    checks = len(ended(running, STALE))
    airflow.wait_for(lambda: len(ended(running, STALE)) >= checks + 2, "two more checks", SECONDS)
    airflow.pause(STALE)
    assert {one["state"] for one in ended(running, STALE)} == {"success"}
    assert messages(running, "operating_silent") == alerted
    (message,) = alerted
    assert (message["what"], message["environment"]) == ("stale", "test")
    assert message["runbook"] == "https://runbooks.example/operating_silent_stale.md"
    assert messages(running, STALE) == []
    newest = airflow.run(STALE, ended(running, STALE)[-1]["dag_run_id"])
    assert newest["note"].startswith("operating_silent: still stale, alerted before")
