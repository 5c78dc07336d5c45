"""The accreditation DAG under the real scheduler: waiting, being woken by uploads, twice, and failing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from laptop.account import SUCCESSES_QUEUE
from laptop.aws import read_alerts
from tests.end_to_end.conftest import Running
from tests.factories import facility, lines

DAG = "facility_accreditation"
DAY = "2026-11-01"
SECONDS = 150


class Watched:
    """The DAG's runs in the running stack."""

    def __init__(self, running: Running):
        self.running, self.airflow = running, running.airflow
        self.s3 = running.client("s3")

    def upload(self, file: str, body: bytes) -> None:
        self.s3.put_object(Bucket=self.running.bucket, Key=f"landing/facilities/{DAY}/{file}", Body=body)

    def waiting(self) -> str | None:
        """The run that waits in its sensor without a worker, if there is one."""
        for run in self.airflow.runs(DAG):
            if (
                run["state"] == "running"
                and self.airflow.task_states(DAG, run["dag_run_id"])["wait_for_uploads"] == "deferred"
            ):
                return run["dag_run_id"]
        return None

    def next_waiting(self) -> str:
        return self.airflow.wait_for(self.waiting, f"a run of {DAG} that waits for uploads", SECONDS)

    def landing(self) -> list[str]:
        listing = self.s3.list_objects_v2(Bucket=self.running.bucket, Prefix="landing/")
        return [one["Key"] for one in listing.get("Contents", [])]

    def report(self, run_id: str) -> dict[str, Any]:
        from medlaunch import lake

        key = lake.report_key(DAG, lake.run_key(run_id))
        return json.loads(self.s3.get_object(Bucket=self.running.bucket, Key=key)["Body"].read())

    def manifest(self) -> dict[str, Any]:
        key = f"prod/manifests/{DAG}/{DAY}.json"
        return json.loads(self.s3.get_object(Bucket=self.running.bucket, Key=key)["Body"].read())


@pytest.fixture(scope="module")
def watched(running: Running) -> Watched:
    return Watched(running)


@pytest.fixture(scope="module")
def two_uploads(watched: Watched) -> tuple[str, str]:
    """Two uploads, one after the other, each taken by the run that waited for it."""
    runs = []
    for number, file in enumerate(("a.jsonl", "b c+%.jsonl"), 1):
        run_id = watched.next_waiting()
        watched.upload(file, lines(facility(number), facility(100 + number), b"broken\n"))
        assert watched.airflow.wait_for_run(DAG, run_id, SECONDS) == "success"
        runs.append(run_id)
    return runs[0], runs[1]


def test_two_uploads_are_published_one_after_the_other(
    watched: Watched, two_uploads: tuple[str, str]
) -> None:
    first, second = (watched.report(run_id) for run_id in two_uploads)
    assert [one["lines"]["read"] for one in (first, second)] == [3, 3]
    (snapshot,) = second["slices"]
    assert snapshot["lines"] | {"rejected_by_reason": None} == {
        "read": 6,
        "accepted": 4,
        "superseded": 0,
        "rejected": 2,
        "rejected_by_reason": None,
    }
    assert snapshot["previous_version"] == first["slices"][0]["version"]
    assert watched.manifest()["version"] == snapshot["version"]
    assert watched.landing() == []


def test_a_successful_run_alerts_nobody_and_carries_a_note(
    watched: Watched, two_uploads: tuple[str, str]
) -> None:
    for run_id in two_uploads:
        states = watched.airflow.task_states(DAG, run_id)
        assert set(states.values()) == {"success"}, states
        note = watched.airflow.run(DAG, run_id)["note"]
        assert note.startswith(f"Published {DAY} (")
        assert "3 lines in 1 file: 2 accepted, 0 superseded, 1 rejected." in note
    assert watched.running.alerts(DAG) == []


def test_each_run_that_published_sends_a_message_to_the_topic_of_successes(
    watched: Watched, two_uploads: tuple[str, str]
) -> None:
    found: dict[str, dict[str, Any]] = {}

    def received() -> bool:
        for one in read_alerts(watched.running.stack, delete=True, queue=SUCCESSES_QUEUE):
            assert one["Subject"].startswith(f"[test] {DAG}: Published {DAY} (")
            message = json.loads(one["Message"])
            found[message["run"]["id"]] = message
        return set(two_uploads) <= found.keys()

    watched.airflow.wait_for(received, "both messages", SECONDS)
    first = found[two_uploads[0]]
    assert (first["severity"], first["what"]) == ("info", "published")
    assert "3 lines in 1 file: 2 accepted" in first["text"]
    (report,) = first["reports"]
    assert report.startswith(f"s3://{watched.running.bucket}/reports/{DAG}/run=")


def test_published_tables_are_assets_with_their_row_counts(
    watched: Watched, two_uploads: tuple[str, str]
) -> None:
    events = watched.airflow.get("/assets/events", source_run_id=two_uploads[1], limit=50)["asset_events"]
    rows = {one["name"]: one["extra"]["rows"] for one in events}
    assert rows == {
        "facility_metrics": 4,
        "facility_rejects": 2,
        "accredited_facilities_by_state": 1,
        "expiring_accreditations": 4,
        "expiring_facilities": 4,
    }


def test_tasks_link_to_their_query_and_their_results(watched: Watched, two_uploads: tuple[str, str]) -> None:
    path = f"/dags/{DAG}/dagRuns/{two_uploads[0]}/taskInstances/extract.facility_metrics/links"
    links = watched.airflow.get(path)["extra_links"]
    assert "query-editor/history/" in links["Query Results"]
    assert "/facility_metrics/" in links["S3 results"]


def test_rendered_sql_can_be_read_in_the_ui(watched: Watched, two_uploads: tuple[str, str]) -> None:
    path = f"/dags/{DAG}/dagRuns/{two_uploads[0]}/taskInstances/extract.accredited_facilities_by_state"
    query = watched.airflow.get(path)["rendered_fields"]["query"]
    assert "UNLOAD" in query
    assert f"IN ('{DAY}')" in query
    assert "('MI', 'Michigan')" in query


def test_a_failed_run_alerts_once_with_its_uploads_and_the_next_one_goes_on(
    watched: Watched, two_uploads: tuple[str, str]
) -> None:
    athena, config = watched.running.client("athena"), watched.running.stack.settings
    run_id = watched.next_waiting()
    before = watched.manifest()
    workgroup = athena.get_work_group(WorkGroup=config.workgroup)["WorkGroup"]
    athena.delete_work_group(WorkGroup=config.workgroup, RecursiveDeleteOption=True)
    watched.upload("late.jsonl", lines(facility(7)))
    assert watched.airflow.wait_for_run(DAG, run_id, SECONDS) == "failed"
    assert watched.manifest() == before
    assert watched.landing() == [f"landing/facilities/{DAY}/late.jsonl"]

    settings = workgroup["Configuration"]["ResultConfiguration"]
    athena.create_work_group(Name=config.workgroup, Configuration={"ResultConfiguration": settings})
    watched.airflow.wait_for(lambda: not watched.landing(), "the next run to publish the upload", SECONDS)

    def alerted() -> list[dict[str, Any]]:
        return [one for one in map(_message, watched.running.alerts(DAG)) if one["run"]["id"] == run_id]

    def _message(envelope: dict[str, Any]) -> dict[str, Any]:
        return json.loads(envelope["Message"])

    (message,) = watched.airflow.wait_for(alerted, "the alert", SECONDS)
    # Tables are prepared beside loading, so nothing else has failed.
    assert [one["task"] for one in message["failed_tasks"]] == ["prepare_tables"]
    assert message["uploads"]["keys"] == [f"landing/facilities/{DAY}/late.jsonl"]
    assert message["runbook"].endswith("/facility_accreditation_failed.md")
    failed = [run for run in watched.airflow.runs(DAG) if run["state"] == "failed"]
    assert len(watched.running.alerts(DAG)) == len(failed)
