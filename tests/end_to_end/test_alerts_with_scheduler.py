"""Exactly one SNS message for each run that fails, in every way it can fail, with the real scheduler."""

from __future__ import annotations

import json
import os
import re
import signal
from dataclasses import dataclass
from typing import Any

import pytest

from tests.end_to_end.conftest import SNS_REFUSALS, Running
from tests.end_to_end.dags.alert_cases import KEYS

FAILING = {
    "raises",
    "all_retries",
    "parallel",
    "killed",
    "killed_from_outside",
    "worker_lost",
    "timeout",
    "task_timeout",
    "sns_refuses",
    "alert_task_fails",
}
FINE = {"retry_succeeds", "succeeds"}
SECONDS = 150


@dataclass(frozen=True)
class Runs:
    """The cases after they have run, all side by side."""

    running: Running
    ids: dict[str, str]
    states: dict[str, str]

    def only_alert(self, case: str) -> dict[str, Any]:
        (envelope,) = self.running.alerts(f"alert_{case}")
        return json.loads(envelope["Message"])

    def tasks(self, case: str) -> dict[str, str | None]:
        return self.running.airflow.task_states(f"alert_{case}", self.ids[case])


@pytest.fixture(scope="module")
def runs(running: Running) -> Runs:
    airflow = running.airflow
    # The slow ones first.
    order = ["worker_lost", "timeout", "sns_refuses", *sorted(FAILING | FINE)]
    ids = {case: airflow.trigger(f"alert_{case}") for case in dict.fromkeys(order)}

    def pid() -> int | None:
        path = f"/dags/alert_killed_from_outside/dagRuns/{ids['killed_from_outside']}/taskInstances/waits/xcomEntries"
        entries = airflow.get(path)["xcom_entries"]
        return (
            int(airflow.get(f"{path}/pid")["value"]) if any(one["key"] == "pid" for one in entries) else None
        )

    os.kill(airflow.wait_for(pid, "a task to kill", SECONDS), signal.SIGKILL)
    states = {case: airflow.wait_for_run(f"alert_{case}", run, SECONDS) for case, run in ids.items()}

    # Each failed run ends with the DAG's callback, which says who has alerted: before that, one message too
    # many might still be on its way.
    def callbacks_are_done() -> bool:
        done = re.findall(r"Alert \S+ was published for (\S+) by", running.callback_log())
        return len(done) >= len(FAILING)

    airflow.wait_for(callbacks_are_done, "the callbacks of the failed runs", SECONDS)
    return Runs(running, ids, states)


def test_every_failed_run_stays_failed_and_no_other_fails(runs: Runs) -> None:
    assert runs.states == {**dict.fromkeys(FAILING, "failed"), **dict.fromkeys(FINE, "success")}


def test_exactly_one_message_for_each_failed_run_and_none_for_others(runs: Runs) -> None:
    counts = {case: len(runs.running.alerts(f"alert_{case}")) for case in FAILING | FINE}
    assert counts == {**dict.fromkeys(FAILING, 1), **dict.fromkeys(FINE, 0)}


def test_who_has_alerted(runs: Runs) -> None:
    by_callback = {case for case in FAILING if runs.only_alert(case)["sent_by"] == "dag_callback"}
    assert by_callback == {"timeout", "alert_task_fails"}


def test_the_message_says_what_one_needs(runs: Runs) -> None:
    (envelope,) = runs.running.alerts("alert_raises")
    message = json.loads(envelope["Message"])
    run_id = runs.ids["raises"]
    assert envelope["Subject"] == "[test] alert_raises failed: a task failed (raises)"
    assert {name: value["Value"] for name, value in envelope["MessageAttributes"].items()} == {
        "pipeline": "alert_raises",
        "environment": "test",
        "severity": "error",
    }
    assert message["pipeline"] == "alert_raises"
    assert message["environment"] == "test"
    assert message["what"] == "task_failure"
    assert message["run"]["id"] == run_id
    assert message["run"]["params"] == {"as_of": "2026-11-20"}
    assert message["run"]["started_at"] < message["run"]["failed_at"]
    assert message["run"]["url"].startswith(
        f"{runs.running.stack.airflow_url}/dags/alert_raises/runs/manual__"
    )
    (failed,) = message["failed_tasks"]
    assert (failed["task"], failed["map_index"], failed["try"], failed["what"]) == ("raises", -1, 1, "raised")
    assert failed["error"] == {"type": "ValueError", "text": "invalid literal for int() with base 10: '…'"}
    assert failed["log_url"].startswith(f"{message['run']['url']}/tasks/raises")
    assert message["uploads"] == {"bucket": runs.running.bucket, "count": 25, "keys": KEYS[:20]}
    assert message["runbook"] == "https://runbooks.example/alert_raises_failed.md"
    assert "runbook" in message["what_to_do"]
    assert "Jane" not in envelope["Message"]
    assert len(json.dumps(envelope)) < 256 * 1024


def test_the_last_try_is_named(runs: Runs) -> None:
    (failed,) = runs.only_alert("all_retries")["failed_tasks"]
    assert failed["try"] == 3
    assert failed["error"] == {"type": "RuntimeError", "text": "attempt 3 failed"}
    assert failed["log_url"].endswith("try_number=3")


def test_one_message_names_all_that_failed_side_by_side(runs: Runs) -> None:
    message = runs.only_alert("parallel")
    assert [(one["task"], one["map_index"]) for one in message["failed_tasks"]] == [
        ("part", 0),
        ("part", 2),
        ("raises", -1),
    ]
    assert message["failed_tasks"][1]["error"] == {"type": "ConnectionError", "text": "part 2 is lost"}
    assert message["failed_tasks_count"] == 3
    assert message["summary"] == "alert_parallel failed: a task failed (part[0], part[2], raises)"
    assert runs.tasks("parallel")["fine"] == "upstream_failed"


@pytest.mark.parametrize(
    ("case", "task"),
    [("killed", "kills_itself"), ("killed_from_outside", "waits"), ("worker_lost", "loses_its_worker")],
)
def test_a_killed_task_is_named_though_it_could_say_nothing(runs: Runs, case: str, task: str) -> None:
    message = runs.only_alert(case)
    (failed,) = message["failed_tasks"]
    assert (failed["task"], failed["what"], failed["error"]["type"]) == (task, "killed", "Killed")
    assert failed["log_url"] == f"{message['run']['url']}/tasks/{task}"


def test_a_run_that_timed_out(runs: Runs) -> None:
    message = runs.only_alert("timeout")
    assert message["what"] == "timed_out"
    (unfinished,) = message["failed_tasks"]
    assert (unfinished["task"], unfinished["map_index"], unfinished["what"]) == (
        "never_ends",
        0,
        "unfinished",
    )
    assert message["summary"] == "alert_timeout failed: the run timed out (never_ends[0])"
    assert message["uploads"]["count"] == 25


def test_a_task_that_timed_out(runs: Runs) -> None:
    (failed,) = runs.only_alert("task_timeout")["failed_tasks"]
    assert (failed["what"], failed["error"]["type"]) == ("timed_out", "AirflowTaskTimeout")


def test_claiming_itself_failed(runs: Runs) -> None:
    uploads = runs.only_alert("all_retries")["uploads"]
    assert uploads["bucket"] == runs.running.bucket
    assert (uploads["count"], uploads["keys"]) == (None, [])
    assert "landing/" in uploads["note"]


def test_sns_has_refused(runs: Runs) -> None:
    runs.only_alert("sns_refuses")
    refused = [f"{pipeline}: {code}" for pipeline, codes in SNS_REFUSALS.items() for code in codes]
    assert sorted(runs.running.sns_refused) == sorted(refused)
    tries = {
        one["task_id"]: one["try_number"]
        for one in runs.running.airflow.tasks("alert_sns_refuses", runs.ids["sns_refuses"])
    }
    assert tries["alert"] == 3


def test_a_run_that_fails_anew_after_clearing_alerts_anew(runs: Runs) -> None:
    airflow, dag_id, run_id = runs.running.airflow, "alert_raises", runs.ids["raises"]
    before = len(runs.running.alerts(dag_id))
    # The failed task alone, so that the alert task stands as it was.
    airflow.clear(dag_id, run_id, ["raises"], downstream=False)

    def alerted_again() -> bool:
        return len(runs.running.alerts(dag_id)) > before

    airflow.wait_for(alerted_again, "another alert", SECONDS)
    assert airflow.run(dag_id, run_id)["state"] == "failed"
    again = json.loads(runs.running.alerts(dag_id)[-1]["Message"])
    assert (again["sent_by"], [one["task"] for one in again["failed_tasks"]]) == ("dag_callback", ["raises"])
